"""Recorded scenarios that a control plane answers differently, each with the reason. Keep it short."""

from __future__ import annotations

from typing import Final

RACE: Final = (
    "how often the StatefulSet controller comes round before its set is collected is a race of two controllers; "
    "the recorded run lost it by milliseconds that virtual time does not have, and a real server seldom has"
)
POLICIES: Final = (
    "admission policies (ValidatingAdmissionPolicy and the like) are not served: no LeaderWorkerSet meets them"
)
LAG: Final = (
    "what follows from a definition is there a moment after it; whether the next request comes sooner is a race"
)
WINDOW: Final = "how far back a server can tell depends on when its caches began, which is a race while it starts"
FIRST: Final = "of two webhooks that are asked at once and both refuse, the one that answers first is told"

EXCEPTIONS: Final[dict[str, dict[str, str]]] = {
    "sandbox": {
        "controllers/delete-foreground": RACE,
        "controllers/group-delete-foreground": RACE,
        "discovery/aggregated-etag-changes": POLICIES,
        "discovery/aggregated-groups": POLICIES,
    },
    "real": {
        "controllers/delete-foreground": RACE,
        "controllers/group-delete-foreground": RACE,
        "apply/crd-object": LAG,
        "crd/immutable": LAG,
        "crd/names-conflict": LAG,
        "watch/too-old": WINDOW,
        "webhook/denied-two": FIRST,
    },
}
"""By control plane and scenario. What the sandbox answers differently it always does; a real server's races may go
either way."""

_HOOK: Final = "poststarthook/apiservice-wait-for-first-sync"
_HOOKS: Final = [f"/{check}/{_HOOK}" for check in ("healthz", "livez", "readyz")]
_RULES: Final = "POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews: status.nonResourceRules"
_WELL_KNOWN: Final = {"verbs": ["get"], "nonResourceURLs": ["/.well-known", "/.well-known/*"]}

OPENSHIFT: Final[dict[str, tuple[str, ...]]] = {
    "auth/rules-review": (f"step 1 {_RULES}: recorded {[_WELL_KNOWN]}, here []",),
    "discovery/health": (
        f"step 4 GET /livez: (root): recorded ['[+]{_HOOK} ok'], here []",
        f"step 5 GET /readyz: (root): recorded ['[+]{_HOOK} ok'], here ['[+]etcd ok', '[+]etcd-readiness ok']",
    ),
    "discovery/health-single-checks": (
        "step 1 GET /readyz/etcd: status recorded 404, here 200: ok",
        f"step 4 GET /livez: (root): recorded ['[+]{_HOOK} ok'], here []",
    ),
    "discovery/root-paths": (f"step 0 GET /: paths: recorded {_HOOKS}, here []",),
}
"""By scenario, what a server answers differently that is built from Kubernetes as it is published.

The recorded one was OpenShift's, which lets everybody read what is below /.well-known, waits for one hook more, and
leaves etcd out of its readiness. A real server may differ in this and in nothing else.
"""
