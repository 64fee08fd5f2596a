"""Which old revisions a drain takes replicas from (disaggregatedset 12.2, DD-06).

Newest first. A revision keeps all of its roles until they can go together: one of them alone serves nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Replicas: TypeAlias = Mapping[str, int]  # role -> replicas


def distribute(
    budget: Replicas, revisions: Sequence[Replicas], new: Replicas, floors: Replicas
) -> tuple[Replicas, ...]:
    """Replicas that each revision keeps.

    Args:
        budget: replicas to take from each role.
        revisions: what the old revisions have, newest first; each tells only the roles that it has.
        new: replicas of the target revision.
        floors: replicas, old and new, that each role must keep.
    """
    left = {role: max(0, count) for role, count in budget.items()}
    kept = [dict(revision) for revision in revisions]
    for index, revision in enumerate(revisions):
        taken = {role: min(left.get(role, 0), count) for role, count in revision.items()}
        ending = {role for role, count in revision.items() if count and taken[role] == count}
        if ending and any(count and role not in ending for role, count in revision.items()):
            others = _total(kept[:index] + kept[index + 1 :])
            if all(others.get(role, 0) + new.get(role, 0) >= floor for role, floor in floors.items()):
                taken = dict(revision)
            else:
                taken |= {role: revision[role] - 1 for role in ending}
        kept[index] = {role: count - taken[role] for role, count in revision.items()}
        left = {role: max(0, count - taken.get(role, 0)) for role, count in left.items()}
    return tuple(kept)


def retire_newest(revisions: Sequence[Replicas]) -> tuple[Replicas, ...]:
    """The last resort: the newest revision goes whole, as the reference would have it."""
    return tuple(
        dict.fromkeys(revision, 0) if index == 0 else dict(revision) for index, revision in enumerate(revisions)
    )


def _total(revisions: Sequence[Replicas]) -> dict[str, int]:
    total: dict[str, int] = {}
    for revision in revisions:
        for role, count in revision.items():
            total[role] = total.get(role, 0) + count
    return total
