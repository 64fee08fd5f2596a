"""The roles and bindings that every API server makes for itself (Kubernetes 1.36).

Those of kube-controller-manager's single controllers are left out: the sandbox's loops are administrators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws_sandbox.auth.rulebook import GROUP

CLUSTER_ROLES: Final = Resource(GROUP, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS: Final = Resource(GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
ROLES: Final = Resource(GROUP, "v1", "roles", "Role")
ROLE_BINDINGS: Final = Resource(GROUP, "v1", "rolebindings", "RoleBinding")

LABEL: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
ANNOTATION: Final = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-"
READ: Final = ("get", "list", "watch")
WRITE: Final = ("create", "delete", "deletecollection", "patch", "update")
ALL: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
AUTHN: Final = "authentication.k8s.io"
AUTHZ: Final = "authorization.k8s.io"


def manifests() -> Iterator[tuple[Resource, JSON]]:
    """Everything, in the order in which an API server makes it."""
    for name, rules in _ROLES.items():
        yield CLUSTER_ROLES, _role(name, rules)
    for name in ("admin", "edit", "view"):
        yield CLUSTER_ROLES, _aggregating(name)
    for name, (kind, subjects) in _BINDINGS.items():
        yield CLUSTER_ROLE_BINDINGS, _binding(name, kind, subjects)


def _of(verbs: Sequence[str], group: str, *resources: str, names: Sequence[str] = ()) -> JSON:
    rule = {"apiGroups": [group], "resources": sorted(resources), "verbs": list(verbs)}
    return {**rule, "resourceNames": list(names)} if names else rule


def _urls(*urls: str) -> JSON:
    return {"nonResourceURLs": list(urls), "verbs": ["get"]}


_EVENTS: Final = {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]}
_DELEGATED: Final = (_of(("create",), AUTHN, "tokenreviews"), _of(("create",), AUTHZ, "subjectaccessreviews"))
_SCALED: Final = ("deployments", "replicasets", "statefulsets")
_APPS_WRITE: Final = ("daemonsets", "deployments/rollback", *_SCALED, *(f"{name}/scale" for name in _SCALED))
_APPS_READ: Final = (
    "controllerrevisions",
    "daemonsets",
    "daemonsets/status",
    *(f"{name}{part}" for name in _SCALED for part in ("", "/scale", "/status")),
)

_VIEW: Final = (
    _of(
        READ,
        "",
        "configmaps",
        "endpoints",
        "persistentvolumeclaims",
        "persistentvolumeclaims/status",
        "pods",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "serviceaccounts",
        "services",
        "services/status",
    ),
    _of(
        READ,
        "",
        "bindings",
        "events",
        "limitranges",
        "namespaces/status",
        "pods/log",
        "pods/status",
        "replicationcontrollers/status",
        "resourcequotas",
        "resourcequotas/status",
    ),
    _of(READ, "", "namespaces"),
    _of(READ, "discovery.k8s.io", "endpointslices"),
    _of(READ, "apps", *_APPS_READ),
    _of(READ, "autoscaling", "horizontalpodautoscalers", "horizontalpodautoscalers/status"),
    _of(READ, "batch", "cronjobs", "cronjobs/status", "jobs", "jobs/status"),
    _of(READ, "policy", "poddisruptionbudgets", "poddisruptionbudgets/status"),
    _of(READ, "networking.k8s.io", "ingresses", "ingresses/status", "networkpolicies"),
)
_EDIT: Final = (
    _of(READ, "", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"),
    _of(("impersonate",), "", "serviceaccounts"),
    _of(WRITE, "", "pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"),
    _of(("create",), "", "pods/eviction"),
    _of(
        WRITE,
        "",
        "configmaps",
        "events",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "secrets",
        "serviceaccounts",
        "services",
        "services/proxy",
    ),
    _of(("create",), "", "serviceaccounts/token"),
    _of(WRITE, "apps", *_APPS_WRITE),
    _of(WRITE, "autoscaling", "horizontalpodautoscalers"),
    _of(WRITE, "batch", "cronjobs", "jobs"),
    _of(WRITE, "policy", "poddisruptionbudgets"),
    _of(WRITE, "networking.k8s.io", "ingresses", "networkpolicies"),
    _of(ALL, "coordination.k8s.io", "leases"),
)
_ADMIN: Final = (
    _of(("create",), AUTHZ, "localsubjectaccessreviews"),
    _of(ALL, GROUP, "rolebindings", "roles"),
)
_SCHEDULER: Final = (
    _EVENTS,
    _of(("create",), "coordination.k8s.io", "leases"),
    _of(("get", "list", "update", "watch"), "coordination.k8s.io", "leases", names=("kube-scheduler",)),
    _of(READ, "", "nodes"),
    _of(("delete", *READ), "", "pods"),
    _of(("create",), "", "bindings", "pods/binding"),
    _of(("patch", "update"), "", "pods/status"),
    _of(READ, "", "namespaces", "persistentvolumeclaims", "persistentvolumes", "replicationcontrollers", "services"),
    _of(READ, "apps", "replicasets", "statefulsets"),
    _of(READ, "policy", "poddisruptionbudgets"),
    _of(READ, "storage.k8s.io", "csidrivers", "csinodes", "csistoragecapacities", "storageclasses"),
    *_DELEGATED,
)
_NODE: Final = (
    *_DELEGATED,
    _of(READ, "", "services"),
    _of(("create", *READ), "", "nodes"),
    _of(("patch", "update"), "", "nodes", "nodes/status"),
    _EVENTS,
    _of(("create", "delete", *READ), "", "pods"),
    _of(("patch", "update"), "", "pods/status"),
    _of(("create",), "", "pods/eviction", "serviceaccounts/token"),
    _of(READ, "", "configmaps", "secrets"),
    _of(("get",), "", "endpoints", "persistentvolumeclaims", "persistentvolumes"),
    _of(("create", "delete", "get", "patch", "update"), "coordination.k8s.io", "leases"),
)

_ROLES: Final[dict[str, Sequence[JSON]]] = {
    "cluster-admin": (
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ),
    "system:monitoring": (
        _urls("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*"),
    ),
    "system:discovery": (
        _urls(
            "/api",
            "/api/*",
            "/apis",
            "/apis/*",
            "/healthz",
            "/livez",
            "/openapi",
            "/openapi/*",
            "/readyz",
            "/version",
            "/version/",
        ),
    ),
    "system:basic-user": (
        _of(("create",), AUTHZ, "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
        _of(("create",), AUTHN, "selfsubjectreviews"),
    ),
    "system:public-info-viewer": (_urls("/healthz", "/livez", "/readyz", "/version", "/version/"),),
    "system:aggregate-to-admin": _ADMIN,
    "system:aggregate-to-edit": _EDIT,
    "system:aggregate-to-view": _VIEW,
    "system:auth-delegator": _DELEGATED,
    "system:kube-aggregator": (_of(READ, "", "endpoints", "services"),),
    "system:kube-controller-manager": (
        _EVENTS,
        _of(("create",), "coordination.k8s.io", "leases"),
        _of(("get", "list", "update", "watch"), "coordination.k8s.io", "leases", names=("kube-controller-manager",)),
        _of(("create",), "", "secrets", "serviceaccounts"),
        _of(("delete",), "", "secrets"),
        _of(("get",), "", "configmaps", "namespaces", "secrets", "serviceaccounts"),
        _of(("update",), "", "secrets", "serviceaccounts"),
        *_DELEGATED,
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list", "watch"]},
        _of(("create",), "", "serviceaccounts/token"),
    ),
    "system:kube-scheduler": _SCHEDULER,
    "system:node": _NODE,
    "system:node-proxier": (
        _of(("list", "watch"), "", "endpoints", "services"),
        _of(READ, "", "nodes"),
        _EVENTS,
        _of(("list", "watch"), "discovery.k8s.io", "endpointslices"),
    ),
    "system:service-account-issuer-discovery": (
        _urls(
            "/.well-known/openid-configuration",
            "/.well-known/openid-configuration/",
            "/openid/v1/jwks",
            "/openid/v1/jwks/",
        ),
    ),
    # Not of Kubernetes itself: a distribution adds it, and the server that our records come from was built there.
    "system:openshift:public-info-viewer": (_urls("/.well-known", "/.well-known/*"),),
}

_EVERYBODY: Final = ("system:authenticated", "system:unauthenticated")
_BINDINGS: Final[dict[str, tuple[str, Sequence[str]]]] = {
    "cluster-admin": ("Group", ("system:masters",)),
    "system:monitoring": ("Group", ("system:monitoring",)),
    "system:discovery": ("Group", ("system:authenticated",)),
    "system:basic-user": ("Group", ("system:authenticated",)),
    "system:public-info-viewer": ("Group", _EVERYBODY),
    "system:node-proxier": ("User", ("system:kube-proxy",)),
    "system:kube-controller-manager": ("User", ("system:kube-controller-manager",)),
    "system:kube-scheduler": ("User", ("system:kube-scheduler",)),
    "system:service-account-issuer-discovery": ("Group", ("system:serviceaccounts",)),
    "system:node": ("Group", ("system:nodes",)),
    "system:openshift:public-info-viewer": ("Group", _EVERYBODY),
}


def _meta(name: str, labels: JSON | None = None) -> JSON:
    return {"name": name, "labels": {**LABEL, **(labels or {})}, "annotations": dict(ANNOTATION)}


def _role(name: str, rules: Sequence[JSON]) -> JSON:
    _, found, target = name.partition("system:aggregate-to-")
    labels = {f"{AGGREGATE}{target}": "true"} if found else {}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": _meta(name, labels),
        "rules": list(rules),
    }


def _aggregating(name: str) -> JSON:
    """The roles of users: each takes in what is labelled for it, and is taken in by the next stronger one."""
    stronger = {"edit": "admin", "view": "edit"}
    labels = {f"{AGGREGATE}{stronger[name]}": "true"} if name in stronger else {}
    selector = {"matchLabels": {f"{AGGREGATE}{name}": "true"}}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": _meta(name, labels),
        "aggregationRule": {"clusterRoleSelectors": [selector]},
        "rules": [],
    }


def _binding(name: str, kind: str, subjects: Sequence[str]) -> JSON:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": _meta(name),
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": GROUP, "kind": kind, "name": subject} for subject in subjects],
    }
