"""The keys of annotations that go beyond the reference, where nothing else of them is needed (resilience 1.2)."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "ext.leaderworkerset.sigs.k8s.io/"
ROLLOUT: Final = PREFIX + "rollout"
PAUSED: Final = "paused"
DISRUPTION_BUDGET: Final = PREFIX + "disruption-budget"
EVACUATE: Final = PREFIX + "evacuate"  # of sets: move groups off nodes that are to be emptied; of nodes: they are none
RECOVERY_GRACE: Final = PREFIX + "group-recovery-grace"
