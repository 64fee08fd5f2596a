"""Recorded scenarios that a control plane answers differently, each with the reason. Keep it short."""

from __future__ import annotations

from typing import Final

RACE: Final = (
    "how often the StatefulSet controller comes round before its set is collected is a race of two controllers; "
    "the recorded run lost it by milliseconds that virtual time does not have"
)
POLICIES: Final = (
    "admission policies (ValidatingAdmissionPolicy and the like) are not served: no LeaderWorkerSet meets them"
)

EXCEPTIONS: Final[dict[str, dict[str, str]]] = {
    "sandbox": {
        "controllers/delete-foreground": RACE,
        "controllers/group-delete-foreground": RACE,
        "discovery/aggregated-etag-changes": POLICIES,
        "discovery/aggregated-groups": POLICIES,
    },
    "real": {},
}
"""By control plane and scenario."""
