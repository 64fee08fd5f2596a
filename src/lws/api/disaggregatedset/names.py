"""Names of what belongs to a DisaggregatedSet, and how long they may get (disaggregatedset 1.1, 1.6)."""

from __future__ import annotations

from typing import Final

LONGEST_SERVICE: Final = 63
LONGEST_SCALER: Final = 253
LONGEST_CHILD: Final = 52  # of a LeaderWorkerSet whose groups get their pods
_SERVICE_SUFFIX: Final = "-prv"
_FIXED: Final = 15  # three dashes, eight digits of a revision, and the suffix of a Service


def child(name: str, slice_: int, revision: str, role: str) -> str:
    """The LeaderWorkerSet of one slice, revision and role."""
    return f"{name}-{slice_}-{revision}-{role}"


def legacy_child(name: str, revision: str, role: str) -> str:
    """The same in slice 0 as release 0.9.0 named it; such a child is never renamed."""
    return f"{name}-{revision}-{role}"


def service(child_name: str) -> str:
    """The Service of a child."""
    return child_name + _SERVICE_SUFFIX


def scaler(name: str, role: str) -> str:
    """The scaler of a role."""
    return f"{name}-{role}"


def service_length(name: str, role: str, slices: int) -> int:
    """Characters of the longest Service name that a role gets."""
    return len(name) + len(role) + len(str(slices - 1)) + _FIXED


def combined_limit(slices: int) -> int:
    """Characters that the names of set and role may have together."""
    return LONGEST_SERVICE - _FIXED - len(str(slices - 1))


def sets_that_name(object_name: str) -> tuple[str, ...]:
    """Every name of a DisaggregatedSet for which this may be a generated name: what stands before each dash."""
    parts = object_name.split("-")
    return tuple("-".join(parts[:count]) for count in range(1, len(parts)))
