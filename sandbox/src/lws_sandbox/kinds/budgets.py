"""Disruption budgets: one bound at most, and a sound selector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import selectors
from lws_sandbox.kinds.base import Kind, cell, shown, shown_age, shown_name
from lws_sandbox.kinds.rollouts import at_most_all, int_or_percent
from lws_sandbox.status import Causes
from lws_sandbox.strategy import WriteContext


@dataclass
class BudgetKind(Kind):
    """Disruption budgets."""

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:
        """A new budget allows nothing yet."""
        super().prepare_create(obj, context)
        counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        obj["status"] = dict.fromkeys(counts, 0)

    def check(self, obj: JSON, causes: Causes) -> None:
        """One bound at most, and a sound selector."""
        spec = obj.get("spec") or {}
        low, high, policy = spec.get("minAvailable"), spec.get("maxUnavailable"), spec.get("unhealthyPodEvictionPolicy")
        if low is not None and high is not None:
            internal = {
                "MinAvailable": low,
                "Selector": spec.get("selector"),
                "MaxUnavailable": high,
                "UnhealthyPodEvictionPolicy": policy,
            }
            causes.invalid("spec", internal, "minAvailable and maxUnavailable cannot be both set")
        for value, path in ((low, "spec.minAvailable"), (high, "spec.maxUnavailable")):
            int_or_percent(value, path, causes)
            at_most_all(value, path, causes)
        selectors.validate(spec.get("selector"), "spec.selector", causes)
        if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
            causes.not_supported("spec.unhealthyPodEvictionPolicy", policy, ["AlwaysAllow", "IfHealthyBudget"])


_TABLE: Final = (
    shown_name(),
    shown(
        "Min Available",
        lambda obj, _now: str((obj.get("spec") or {}).get("minAvailable", "N/A")),
        "The minimum number of pods that must be available.",
    ),
    shown(
        "Max Unavailable",
        lambda obj, _now: str((obj.get("spec") or {}).get("maxUnavailable", "N/A")),
        "The maximum number of pods that may be unavailable.",
    ),
    shown(
        "Allowed Disruptions",
        cell("status.disruptionsAllowed", 0),
        "Calculated number of pods that may be disrupted at this time.",
        kind="integer",
    ),
    shown_age(),
)

KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("policy", "poddisruptionbudgets"): (BudgetKind, {"table": _TABLE, "unconditional_update": False}),
}
