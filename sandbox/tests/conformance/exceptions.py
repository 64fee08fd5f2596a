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
