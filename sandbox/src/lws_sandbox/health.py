"""Health: /healthz, /livez and /readyz, with a check for each part (k8s.io/apiserver `server/healthz`)."""

from __future__ import annotations

from typing import Final

from lws_sandbox.reply import Reply, of_text, page_not_found
from lws_sandbox.rest.call import Query

_HOOKS: Final = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "peer-endpoint-reconciler-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "storage-readiness",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-wait-for-first-sync",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
)
_LATE: Final = ("apiservice-openapi-controller", "apiservice-openapiv3-controller")
_COMMON: Final = (
    *(f"poststarthook/{hook}" for hook in _HOOKS),
    "autoregister-completion",
    *(f"poststarthook/{hook}" for hook in _LATE),
)
CHECKS: Final = {
    "healthz": ("ping", "log", "loopback-serving-certificate", "etcd", *_COMMON),
    "livez": ("ping", "log", "loopback-serving-certificate", "etcd", *_COMMON),
    "readyz": ("ping", "log", "informer-sync", *_COMMON, "shutdown"),
}


def health(group: str, check: str, query: Query) -> Reply:
    """The state of the server, or of one check."""
    checks = CHECKS[group]
    if check:
        return of_text("ok") if check in checks else page_not_found()
    if "verbose" not in query:
        return of_text("ok")
    excluded = set(query.all("exclude"))
    lines = [f"[+]{name} {'excluded: ok' if name in excluded else 'ok'}" for name in checks]
    unknown = ", ".join(f'"{name}"' for name in sorted(excluded - set(checks)))
    if unknown:
        lines.append(f"warn: some health checks cannot be excluded: no matches for {unknown}")
    return of_text("\n".join([*lines, f"{group} check passed", ""]))


def paths() -> list[str]:
    """The path of each check."""
    return [f"/{group}/{check}" for group, checks in CHECKS.items() for check in checks]
