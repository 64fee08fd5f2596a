"""How long the name of a set may be for its groups to get pods (spec 1.6).

A StatefulSet marks its pods with a label of its name and a hash of up to ten characters, and no label is longer than
63 characters. So a StatefulSet of a longer name than 52 never gets pods; that of a group's workers bears the name of
the set and the index of the group.
"""

from __future__ import annotations

from typing import Final

LONGEST_STATEFULSET_NAME: Final = 52


def first_index_without_pods(name: str, size: int) -> int | None:
    """The lowest index whose group can never be whole; None if every group can."""
    if len(name) > LONGEST_STATEFULSET_NAME:
        return 0
    digits = LONGEST_STATEFULSET_NAME - len(name) - 1
    if size == 1:
        return None
    return 10**digits if digits > 0 else 0


def too_long_for(name: str, size: int, groups: int) -> bool:
    """Whether the name is too long for one of so many groups."""
    first = first_index_without_pods(name, size)
    return first is not None and first < groups
