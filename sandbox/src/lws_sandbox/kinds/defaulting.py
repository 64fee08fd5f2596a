"""Defaults of the built-in kinds, as data: for each Go struct the values that fill its absent members.

Values come from the defaulting functions of Kubernetes 1.36 (`pkg/apis/*/v*/defaults.go`) and, for members marked
``+default``, from the packaged schemas. A struct is defaulted before the structs inside it. Objects are expected as
they come out of their Go types: empty members that Go omits are absent.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.copying import copied
from lws_sandbox.imagenames import tag_of
from lws_sandbox.kinds import resources
from lws_sandbox.kinds.limitranges import default_item
from lws_sandbox.schema.node import MISSING, Node

_MODE: Final = {"defaultMode": 0o644}
_HOUR: Final = 3600
_WEBHOOK: Final = {
    "failurePolicy": "Fail",
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "timeoutSeconds": 10,
}
_CONTAINER: Final = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}

VALUES: Final[Mapping[str, Mapping[str, Any]]] = {
    "PodSpec": {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    },
    "Container": _CONTAINER,
    "EphemeralContainer": _CONTAINER,
    "Probe": {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    "HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "ObjectFieldSelector": {"apiVersion": "v1"},
    "SecretVolumeSource": _MODE,
    "ConfigMapVolumeSource": _MODE,
    "DownwardAPIVolumeSource": _MODE,
    "ProjectedVolumeSource": _MODE,
    "HostPathVolumeSource": {"type": ""},
    "ServiceAccountTokenProjection": {"expirationSeconds": _HOUR},
    "PodCertificateProjection": {"maxExpirationSeconds": 24 * _HOUR},
    "AzureDiskVolumeSource": {"cachingMode": "ReadWrite", "kind": "Shared"},
    "PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
    "Secret": {"type": "Opaque"},
    "StatefulSetSpec": {"replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10},
    "DeploymentSpec": {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
    "DeploymentStrategy": {"type": "RollingUpdate"},
    "ReplicaSetSpec": {"replicas": 1},
    "ReplicationControllerSpec": {"replicas": 1},
    "DaemonSetSpec": {"revisionHistoryLimit": 10},
    "DaemonSetUpdateStrategy": {"type": "RollingUpdate"},
    "HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    "PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    "StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    "MutatingWebhook": {**_WEBHOOK, "reinvocationPolicy": "Never"},
    "ValidatingWebhook": _WEBHOOK,
    "RuleWithOperations": {"scope": "*"},
    "ServiceReference": {"port": 443},
    "EndpointPort": {"protocol": "TCP"},
    "NetworkPolicyPort": {"protocol": "TCP"},
}


def _volume(volume: JSON) -> None:
    if not any(value is not None for member, value in volume.items() if member != "name"):
        volume["emptyDir"] = {}
    image = volume.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = pull_policy(image.get("reference", ""))


def _container(container: JSON) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))


def pull_policy(image: str) -> str:
    """Always for the tag latest, which an image without tag and digest has; else, and if unreadable, IfNotPresent."""
    try:
        return "Always" if tag_of(image) == "latest" else "IfNotPresent"
    except ValueError:
        return "IfNotPresent"


def _pod(pod: JSON) -> None:
    spec = pod.setdefault("spec", {})
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        _requests_from_limits(container)
        if spec.get("hostNetwork"):
            for port in container.get("ports") or ():
                if not port.get("hostPort"):
                    port["hostPort"] = port.get("containerPort", 0)
    resources.default_pod_level(spec)
    spec.setdefault("enableServiceLinks", True)


def _requests_from_limits(container: JSON) -> None:
    wanted = container.get("resources") or {}
    if wanted.get("limits"):
        wanted["requests"] = dict(sorted({**wanted["limits"], **(wanted.get("requests") or {})}.items()))


def _statefulset(spec: JSON) -> None:
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and strategy.get("rollingUpdate") is not None:
        strategy["rollingUpdate"].setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for member in ("whenDeleted", "whenScaled"):
        retention[member] = retention.get(member) or "Retain"


def _deployment_strategy(strategy: JSON) -> None:
    if strategy["type"] == "RollingUpdate":
        update = strategy.setdefault("rollingUpdate", {})
        update.setdefault("maxUnavailable", "25%")
        update.setdefault("maxSurge", "25%")


def _daemon_strategy(strategy: JSON) -> None:
    if strategy["type"] == "RollingUpdate":
        update = strategy.setdefault("rollingUpdate", {})
        update.setdefault("maxUnavailable", 1)
        update.setdefault("maxSurge", 0)


def _selector_from_template(controller: JSON) -> None:
    """Replication controllers take selector and labels from their template."""
    spec = controller.setdefault("spec", {})
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        spec["selector"] = spec.get("selector") or dict(labels)
        metadata = controller.setdefault("metadata", {})
        metadata["labels"] = metadata.get("labels") or dict(labels)


def _claim(claim: JSON) -> None:
    status = claim.setdefault("status", {})
    status["phase"] = status.get("phase") or "Pending"


def _node_status(status: JSON) -> None:
    if status.get("allocatable") is None and status.get("capacity") is not None:
        status["allocatable"] = dict(status["capacity"])


def _role_reference(reference: JSON) -> None:
    if not reference.get("apiGroup"):
        reference["apiGroup"] = "rbac.authorization.k8s.io"


def _subject(subject: JSON) -> None:
    if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
        subject["apiGroup"] = "rbac.authorization.k8s.io"


def _resources(requirements: JSON) -> None:
    for member in ("limits", "requests"):
        if requirements.get(member):
            requirements[member] = resources.rounded(requirements[member])


def _service(service: JSON) -> None:
    spec = service.setdefault("spec", {})
    if spec.setdefault("sessionAffinity", "None") == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if config.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 3 * _HOUR}}
    kind = spec.setdefault("type", "ClusterIP")
    if kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs")):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _service_port(port: JSON) -> None:
    if port.get("targetPort") in (None, 0, ""):
        port["targetPort"] = port.get("port", 0)


def _policy_types(spec: JSON) -> None:
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _autoscaler(spec: JSON) -> None:
    if "metrics" in spec or "targetCPUUtilizationPercentage" in spec:
        return
    average = {"type": "Utilization", "averageUtilization": 80}
    spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": average}}]


def _behavior(behavior: JSON) -> None:
    pods, percent = [
        {"type": kind, "value": value, "periodSeconds": 15} for kind, value in (("Pods", 4), ("Percent", 100))
    ]
    up, down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
    behavior["scaleUp"] = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [pods, percent]} | up
    behavior["scaleDown"] = {"selectPolicy": "Max", "policies": [dict(percent)]} | down


RULES: Final[Mapping[str, Callable[[JSON], None]]] = {
    "Pod": _pod,
    "Volume": _volume,
    "Container": _container,
    "EphemeralContainer": _container,
    "ResourceRequirements": _resources,
    "VolumeResourceRequirements": _resources,
    "StatefulSetSpec": _statefulset,
    "DeploymentStrategy": _deployment_strategy,
    "DaemonSetUpdateStrategy": _daemon_strategy,
    "ReplicationController": _selector_from_template,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _claim,
    "NodeStatus": _node_status,
    "RoleRef": _role_reference,
    "NetworkPolicySpec": _policy_types,
    "Subject": _subject,
    "Service": _service,
    "ServicePort": _service_port,
    "HorizontalPodAutoscalerBehavior": _behavior,
    "LimitRangeItem": default_item,
}
# Structs by value: they are defaulted even when nothing of them was written.
BY_VALUE: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    "PodTemplateSpec": ("spec",),
    "StatefulSet": ("spec",),
    "StatefulSetSpec": ("template",),
    "Deployment": ("spec",),
    "DeploymentSpec": ("template", "strategy"),
    "DaemonSet": ("spec",),
    "DaemonSetSpec": ("template", "updateStrategy"),
    "ReplicaSet": ("spec",),
    "ReplicaSetSpec": ("template",),
    "ReplicationController": ("spec",),
    "NetworkPolicy": ("spec",),
    "PersistentVolume": ("spec",),
    "PersistentVolumeClaim": ("spec",),
    "HorizontalPodAutoscaler": ("spec",),
    "Node": ("status",),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
}


def apply(obj: JSON, node: Node) -> None:
    """Fill in, in place, the defaults of an object and of all structs inside it."""
    if not node.any_below("defaults", _has_defaults):
        return
    if node.definition:
        _struct(obj, node)
    for name, value in obj.items():
        known = node.fields.get(name)
        if known is not None and value is not None:
            _value(value, known.node)


def _has_defaults(node: Node) -> bool:
    name = node.go_struct
    return (
        name in VALUES
        or name in RULES
        or name in BY_VALUE
        or any(known.default is not MISSING for known in node.fields.values())
    )


def _struct(obj: JSON, node: Node) -> None:
    name = node.go_struct
    for member in BY_VALUE.get(name, ()):
        obj.setdefault(member, {})
    for member, value in VALUES.get(name, {}).items():
        if obj.get(member) is None and member in node.fields:
            obj[member] = copy.copy(value)
    rule = RULES.get(name)
    if rule is not None:
        rule(obj)
    if name == "HorizontalPodAutoscalerSpec" and "metrics" in node.fields:
        _autoscaler(obj)
    for member, default in _declared(node):
        if obj.get(member) is None:
            obj[member] = copied(default)


_DECLARED: dict[str, tuple[tuple[str, Any], ...]] = {}


def _declared(node: Node) -> tuple[tuple[str, Any], ...]:
    """The defaults that the schema itself declares for a struct."""
    found = _DECLARED.get(node.definition)
    if found is None:
        given = ((member, known.default) for member, known in node.fields.items() if known.default is not MISSING)
        found = _DECLARED[node.definition] = tuple(given)
    return found


def _value(value: Any, node: Node) -> None:
    if isinstance(value, dict):
        if node.values is not None:
            for item in value.values():
                _value(item, node.values)
        else:
            apply(value, node)
    elif isinstance(value, list) and node.items is not None:
        for item in value:
            _value(item, node.items)
