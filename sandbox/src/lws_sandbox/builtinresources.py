"""The built-in resources of Kubernetes 1.36 that the sandbox serves: names, scope, verbs, subresources.

What a kind *does* is in `lws_sandbox.kinds`; here is only what discovery tells (kubernetes API reference).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from lws.apimachinery.resources import Resource
from lws_sandbox.strategy import ALL_VERBS

CREATE_ONLY: Final = ("create",)
STATUS: Final = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A subresource as discovery tells it; an empty kind means the kind of its resource."""

    name: str
    verbs: tuple[str, ...] = STATUS
    group: str = ""
    version: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Builtin:
    """A built-in resource as discovery tells it."""

    resource: Resource
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    storage: tuple[str, str, str] | None = None  # group, version, kind under which it is stored


SCALE: Final = Subresource("scale", STATUS, "autoscaling", "v1", "Scale")
_STATUS: Final = Subresource("status")
_PROXY: Final = ("create", "delete", "get", "patch", "update")
_PODS: Final = (
    Subresource("attach", ("create", "get"), kind="PodAttachOptions"),
    Subresource("binding", CREATE_ONLY, kind="Binding"),
    Subresource("ephemeralcontainers"),
    Subresource("eviction", CREATE_ONLY, "policy", "v1", "Eviction"),
    Subresource("exec", ("create", "get"), kind="PodExecOptions"),
    Subresource("log", ("get",)),
    Subresource("portforward", ("create", "get"), kind="PodPortForwardOptions"),
    Subresource("proxy", _PROXY, kind="PodProxyOptions"),
    Subresource("resize"),
    _STATUS,
)
_EVENT: Final = ("", "v1", "Event")
_DEFINITION: Final = ("apiextensions.k8s.io", "v1beta1", "CustomResourceDefinition")
_HPA: Final = ("autoscaling", "v2", "HorizontalPodAutoscaler")


def _core() -> list[Builtin]:
    def core(plural: str, kind: str, *, namespaced: bool = True) -> Resource:
        return Resource("", "v1", plural, kind, namespaced)

    both = (SCALE, _STATUS)
    token = Subresource("token", CREATE_ONLY, "authentication.k8s.io", "v1", "TokenRequest")
    no_collection = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
    return [
        Builtin(core("bindings", "Binding"), verbs=CREATE_ONLY),
        Builtin(core("componentstatuses", "ComponentStatus", namespaced=False), ("cs",), verbs=("get", "list")),
        Builtin(core("configmaps", "ConfigMap"), ("cm",)),
        Builtin(core("endpoints", "Endpoints"), ("ep",)),
        Builtin(core("events", "Event"), ("ev",), storage=_EVENT),
        Builtin(core("limitranges", "LimitRange"), ("limits",)),
        Builtin(
            core("namespaces", "Namespace", namespaced=False),
            ("ns",),
            verbs=no_collection,
            subresources=(Subresource("finalize", ("update",)), _STATUS),
        ),
        Builtin(
            core("nodes", "Node", namespaced=False),
            ("no",),
            subresources=(Subresource("proxy", _PROXY, kind="NodeProxyOptions"), _STATUS),
        ),
        Builtin(core("persistentvolumeclaims", "PersistentVolumeClaim"), ("pvc",), subresources=(_STATUS,)),
        Builtin(core("persistentvolumes", "PersistentVolume", namespaced=False), ("pv",), subresources=(_STATUS,)),
        Builtin(core("pods", "Pod"), ("po",), ("all",), subresources=_PODS),
        Builtin(core("podtemplates", "PodTemplate")),
        Builtin(core("replicationcontrollers", "ReplicationController"), ("rc",), ("all",), subresources=both),
        Builtin(core("resourcequotas", "ResourceQuota"), ("quota",), subresources=(_STATUS,)),
        Builtin(core("secrets", "Secret")),
        Builtin(core("serviceaccounts", "ServiceAccount"), ("sa",), subresources=(token,)),
        Builtin(
            core("services", "Service"),
            ("svc",),
            ("all",),
            subresources=(Subresource("proxy", _PROXY, kind="ServiceProxyOptions"), _STATUS),
        ),
    ]


def _apps() -> list[Builtin]:
    def apps(plural: str, kind: str) -> Resource:
        return Resource("apps", "v1", plural, kind)

    both = (SCALE, _STATUS)
    return [
        Builtin(apps("controllerrevisions", "ControllerRevision")),
        Builtin(apps("daemonsets", "DaemonSet"), ("ds",), ("all",), subresources=(_STATUS,)),
        Builtin(apps("deployments", "Deployment"), ("deploy",), ("all",), subresources=both),
        Builtin(apps("replicasets", "ReplicaSet"), ("rs",), ("all",), subresources=both),
        Builtin(apps("statefulsets", "StatefulSet"), ("sts",), ("all",), subresources=both),
    ]


def _access() -> list[Builtin]:
    def authn(plural: str, kind: str) -> Builtin:
        return Builtin(Resource("authentication.k8s.io", "v1", plural, kind, namespaced=False), verbs=CREATE_ONLY)

    def authz(plural: str, kind: str, *, namespaced: bool = False) -> Builtin:
        return Builtin(Resource("authorization.k8s.io", "v1", plural, kind, namespaced), verbs=CREATE_ONLY)

    def rbac(plural: str, kind: str, *, namespaced: bool) -> Builtin:
        return Builtin(Resource("rbac.authorization.k8s.io", "v1", plural, kind, namespaced))

    return [
        authn("selfsubjectreviews", "SelfSubjectReview"),
        authn("tokenreviews", "TokenReview"),
        authz("localsubjectaccessreviews", "LocalSubjectAccessReview", namespaced=True),
        authz("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
        authz("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
        authz("subjectaccessreviews", "SubjectAccessReview"),
        rbac("clusterrolebindings", "ClusterRoleBinding", namespaced=False),
        rbac("clusterroles", "ClusterRole", namespaced=False),
        rbac("rolebindings", "RoleBinding", namespaced=True),
        rbac("roles", "Role", namespaced=True),
    ]


def _others() -> list[Builtin]:
    def autoscaler(version: str) -> Builtin:
        resource = Resource("autoscaling", version, "horizontalpodautoscalers", "HorizontalPodAutoscaler")
        return Builtin(resource, ("hpa",), ("all",), subresources=(_STATUS,), storage=_HPA)

    def cluster(group: str, plural: str, kind: str, *short: str, categories: tuple[str, ...] = ()) -> Builtin:
        return Builtin(Resource(group, "v1", plural, kind, namespaced=False), short, categories)

    admission, extensions = "admissionregistration.k8s.io", ("api-extensions",)
    budget = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
    definition = Resource(
        "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
    )
    return [
        Builtin(Resource("events.k8s.io", "v1", "events", "Event"), ("ev",), storage=_EVENT),
        autoscaler("v2"),
        autoscaler("v1"),
        Builtin(Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"), ("netpol",)),
        Builtin(budget, ("pdb",), subresources=(_STATUS,)),
        cluster(admission, "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", categories=extensions),
        cluster(admission, "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", categories=extensions),
        Builtin(definition, ("crd", "crds"), extensions, subresources=(_STATUS,), storage=_DEFINITION),
        Builtin(Resource("coordination.k8s.io", "v1", "leases", "Lease")),
        cluster("scheduling.k8s.io", "priorityclasses", "PriorityClass", "pc"),
        cluster("storage.k8s.io", "storageclasses", "StorageClass", "sc"),
        Builtin(Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")),
    ]


def builtins() -> list[Builtin]:
    """Every built-in resource that is served."""
    return _core() + _apps() + _access() + _others()


GROUP_ORDER: Final = (
    "",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
)


def storage_hash(group: str, version: str, kind: str) -> str:
    """What discovery tells of the stored form (`discovery.StorageVersionHash`)."""
    digest = hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()
