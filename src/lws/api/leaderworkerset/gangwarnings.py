"""What admission says about sets that are scheduled as gangs (CD-31, CD-32, CD-34)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from lws.api.leaderworkerset import gangs, labels
from lws.api.leaderworkerset.types import LEADER_READY
from lws.api.rules import member
from lws.apimachinery.manifests import JSON

_TEMPLATE: Final = "spec.leaderWorkerTemplate"


def warnings(obj: JSON, old: JSON | None, schedulers: Collection[str]) -> list[str]:
    """Where a set does not start all or nothing, or not in the order that its author may expect.

    Only what this write brings in is told. ``schedulers`` are those that start gangs; none without gang scheduling.
    """
    before = set() if old is None else set(_doubts(old, schedulers))
    return [text for text in _doubts(obj, schedulers) if text not in before]


def _doubts(obj: JSON, schedulers: Collection[str]) -> Iterator[str]:
    spec = member(obj, "spec")
    template = member(spec, "leaderWorkerTemplate")
    workers = member(member(template, "workerTemplate"), "spec")
    leader = member(member(template, "leaderTemplate"), "spec") if template.get("leaderTemplate") else workers
    named = [_is_text_in(each.get("schedulerName"), schedulers) for each in (leader, workers)]
    if any(named) and not all(named):
        yield (
            f"{_TEMPLATE}: only one of leaderTemplate and workerTemplate names a scheduler that starts gangs "
            f"({' or '.join(schedulers)}), so leaders and workers are placed apart; give both the same schedulerName"
        )
    if not all(named):
        return
    if leader.get("priorityClassName") != workers.get("priorityClassName"):
        yield (
            f"{_TEMPLATE}: leaderTemplate and workerTemplate differ in priorityClassName; a group waits in the order "
            "of the leader's, or of the workers' if the leader has none"
        )
    if template.get("size") == 1:
        return
    topology = member(member(obj, "metadata"), "annotations").get(labels.EXCLUSIVE_TOPOLOGY)
    if topology or spec.get("startupPolicy") == LEADER_READY:
        why = f"annotation {labels.EXCLUSIVE_TOPOLOGY}" if topology else f"startupPolicy {LEADER_READY}"
        yield (
            f"{why}: the workers of a group are made once its leader has a node, so the leader is placed before it is "
            "known whether they find room; the workers then start all or nothing"
        )


def _is_text_in(value: object, names: Collection[str]) -> bool:
    return isinstance(value, str) and gangs.is_ganged(value, names)
