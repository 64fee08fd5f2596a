"""Leases: spans are positive, counts not negative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds.base import Kind, cell, non_negative, shown, shown_age, shown_name
from lws_sandbox.status import Causes


@dataclass
class LeaseKind(Kind):
    """Leases: written by PUT whether they are there or not, but never blindly."""

    def check(self, obj: JSON, causes: Causes) -> None:
        """Spans are positive, counts not negative."""
        spec = obj.get("spec") or {}
        duration = spec.get("leaseDurationSeconds")
        if duration is not None and duration <= 0:
            causes.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
        non_negative(causes, "spec.leaseTransitions", spec.get("leaseTransitions"))


_TABLE: Final = (
    shown_name(),
    shown("Holder", cell("spec.holderIdentity"), "coordination.v1.LeaseSpec#holderIdentity"),
    shown_age(),
)

KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("coordination.k8s.io", "leases"): (
        LeaseKind,
        {"table": _TABLE, "create_on_update": True, "unconditional_update": False},
    ),
}
