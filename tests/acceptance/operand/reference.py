"""What the reference operator leaves in a cluster (operator 3.3, 3.4), written as it writes: by update."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CERTIFICATES,
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CONFIGMAPS,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    ISSUERS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    ROLEBINDINGS,
    ROLES,
    SERVICEACCOUNTS,
    SERVICES,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Resource,
)
from tests.acceptance.operand.ground import Ground, slim_assets

MANAGER = "lws-operator"
_ALL = ["create", "delete", "get", "list", "patch", "update", "watch"]
_LABELS = {
    **names.LABELS,
    "app.kubernetes.io/created-by": "lws",
    "app.kubernetes.io/part-of": "lws",
    "app.kubernetes.io/managed-by": "kustomize",
}


def objects(namespace: str, owner: JSON, *, conversion: bool = True) -> Iterator[tuple[Resource, JSON]]:
    """Every object, in the order of its sync; ``conversion`` gives the definition its conversion webhook."""

    def made(resource: Resource, name: str, **members: Any) -> tuple[Resource, JSON]:
        meta: JSON = {"name": name, "labels": _LABELS, "ownerReferences": [owner]}
        meta |= {"namespace": namespace} if resource.namespaced else {}
        return resource, {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, **members}

    account = {"kind": "ServiceAccount", "name": names.SERVICE_ACCOUNT, "namespace": namespace}
    yield made(CLUSTERROLES, names.MANAGER_ROLE, rules=_manager_rules())
    yield made(CLUSTERROLES, "lws-metrics-reader", rules=[{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}])
    reviews = [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]
    yield made(CLUSTERROLES, "lws-proxy-role", rules=reviews)
    for binding, role in (
        (names.MANAGER_BINDING, names.MANAGER_ROLE),
        ("lws-metrics-reader-rolebinding", "lws-metrics-reader"),
        ("lws-proxy-rolebinding", "lws-proxy-role"),
    ):
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        yield made(CLUSTERROLEBINDINGS, binding, roleRef=reference, subjects=[account])
    leases = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": _ALL}]
    yield made(ROLES, "lws-leader-election-role", rules=leases)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lws-leader-election-role"}
    yield made(ROLEBINDINGS, "lws-leader-election-rolebinding", roleRef=reference, subjects=[account])
    ports = [{"port": 443, "protocol": "TCP", "targetPort": 9443}]
    yield made(SERVICES, names.WEBHOOK_SERVICE, spec={"ports": ports, "selector": names.POD_LABELS})
    ports = [{"name": "https", "port": 8443, "protocol": "TCP", "targetPort": 8443}]
    yield made(SERVICES, names.METRICS_SERVICE, spec={"ports": ports, "selector": names.POD_LABELS})
    yield made(ISSUERS, names.ISSUER, spec={"selfSigned": {}})
    for name, service, secret in (
        (names.SERVING_CERTIFICATE, names.WEBHOOK_SERVICE, names.SERVING_SECRET),
        (names.METRICS_CERTIFICATE, names.METRICS_SERVICE, names.METRICS_SECRET),
    ):
        hosts = [f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"]
        issuer = {"kind": "Issuer", "name": names.ISSUER}
        yield made(CERTIFICATES, name, spec={"dnsNames": hosts, "secretName": secret, "issuerRef": issuer})
    text = "internalCertManagement:\n  enable: false\nleaderElection:\n  leaderElect: true\n"
    yield made(CONFIGMAPS, names.CONFIG_MAP, data={names.CONFIG_KEY: text})
    yield CUSTOMRESOURCEDEFINITIONS, definition(namespace, owner, conversion=conversion)
    yield made(SERVICEACCOUNTS, names.SERVICE_ACCOUNT)
    for resource, name in (
        (MUTATINGWEBHOOKCONFIGURATIONS, names.MUTATING),
        (VALIDATINGWEBHOOKCONFIGURATIONS, names.VALIDATING),
    ):
        _, hooks = made(resource, name, webhooks=_hooks(resource, namespace))
        hooks["metadata"]["annotations"] = {names.INJECT_CA: f"{namespace}/{names.SERVING_CERTIFICATE}"}
        yield resource, hooks
    yield made(DEPLOYMENTS, names.DEPLOYMENT, spec=_deployment())


async def install(site: Ground, **options: Any) -> None:
    """Make everything as the reference does, and wait until its pods serve."""
    owner = await site.operator()
    reference = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": names.SINGLETON,
        "uid": owner["metadata"]["uid"],
    }
    for resource, manifest in objects(site.namespace, reference, **options):
        await site.client.create(resource, manifest, field_manager=MANAGER)

    async def serves() -> bool:
        return len(await site.ready_pods()) == 2

    await site.until(serves)


def definition(namespace: str, owner: JSON, *, conversion: bool) -> JSON:
    """The definition of sets, owned by the operator's object [W-01]."""
    (found,) = [each.manifest for each in slim_assets() if each.key == (CUSTOMRESOURCEDEFINITIONS.kind, names.SETS_CRD)]
    manifest = copy.deepcopy(found)
    meta = manifest["metadata"]
    meta |= {"ownerReferences": [owner], "labels": names.LABELS}
    meta["annotations"] = {names.INJECT_CA: f"{namespace}/{names.SERVING_CERTIFICATE}"}
    if conversion:
        service = {"name": names.WEBHOOK_SERVICE, "namespace": namespace, "path": "/convert", "port": 443}
        webhook = {"clientConfig": {"service": service}, "conversionReviewVersions": ["v1"]}
        manifest["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    return manifest


def _manager_rules() -> list[JSON]:
    """The operand's rules and more, all Secrets of the cluster among them [W-15]."""
    (ours,) = [
        each.manifest["rules"] for each in slim_assets() if each.key[1] == names.MANAGER_ROLE and not each.component
    ]
    more = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "update", "watch"]}
    return [*(rule for rule in ours if rule["apiGroups"] != ["events.k8s.io"]), more]


def _hooks(resource: Resource, namespace: str) -> list[JSON]:
    (ours,) = [each.manifest["webhooks"] for each in slim_assets() if each.resource == resource and not each.component]
    hooks = [copy.deepcopy(each) for each in ours if "disaggregated" not in each["name"]]
    for hook in hooks:
        hook["clientConfig"]["service"]["namespace"] = namespace
    if resource == VALIDATINGWEBHOOKCONFIGURATIONS:
        extra = copy.deepcopy(hooks[0]) | {"name": "vdisaggregatedset.kb.io"}
        extra["rules"][0] |= {"apiGroups": ["disaggregatedset.x-k8s.io"], "resources": ["disaggregatedsets"]}
        hooks.append(extra)
    return hooks


def _deployment() -> JSON:
    secrets = {"cert": names.SERVING_SECRET, "metrics-cert": names.METRICS_SECRET}
    container: JSON = {
        "name": names.CONTAINER,
        "image": "registry.example/reference:v1.0.0",
        "command": ["/manager"],
        "args": ["--config=/controller_manager_config.yaml", "--zap-log-level=2"],
        "env": [{"name": "REFERENCE", "value": "1"}],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
        "volumeMounts": [
            {
                "name": "manager-config",
                "mountPath": "/controller_manager_config.yaml",
                "subPath": names.CONFIG_KEY,
            },
            *({"name": name, "mountPath": f"/tmp/{name}", "readOnly": True} for name in secrets),
        ],
    }
    volumes: list[JSON] = [{"name": "manager-config", "configMap": {"name": names.CONFIG_MAP}}]
    volumes += [{"name": name, "secret": {"secretName": secret}} for name, secret in secrets.items()]
    annotations = {"secrets/webhook-server-cert": "1", "configmaps/lws-manager-config": "2"}
    return {
        "replicas": 2,
        "selector": {"matchLabels": names.POD_LABELS},
        "template": {
            "metadata": {"labels": names.POD_LABELS, "annotations": annotations},
            "spec": {
                "serviceAccountName": names.SERVICE_ACCOUNT,
                "securityContext": {"runAsNonRoot": True},
                "terminationGracePeriodSeconds": 10,
                "containers": [container],
                "volumes": volumes,
            },
        },
    }
