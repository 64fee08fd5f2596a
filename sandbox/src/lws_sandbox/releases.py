"""What releases of Kubernetes offer, as far as LeaderWorkerSets meet the differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Features:
    """What an API server offers; the defaults are those of a stock Kubernetes 1.36.

    Attributes:
        max_unavailable_statefulset: ``maxUnavailable`` of StatefulSets is kept instead of dropped.
        each_immutable_field: a change of what is fixed in a StatefulSet is refused by the field's own name.
        unused_claims: bound claims have a condition that says whether a pod refers to them.
        version: that the server says of itself.
    """

    max_unavailable_statefulset: bool = False
    each_immutable_field: bool = False
    unused_claims: bool = False
    version: str = "1.36.2"

    @property
    def release(self) -> str:
        """The minor release."""
        return self.version.rpartition(".")[0]


RELEASES: Final[Mapping[str, Features]] = {
    each.release: each
    for each in (
        Features(version="1.34.9"),
        Features(version="1.35.8"),
        Features(),
        Features(version="1.37.2", max_unavailable_statefulset=True, each_immutable_field=True, unused_claims=True),
    )
}
"""How releases of Kubernetes differ in what LeaderWorkerSets meet; the same in all of their patch releases."""
