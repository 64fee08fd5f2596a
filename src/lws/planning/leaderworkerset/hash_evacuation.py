"""Moves groups known by a key: a Deployment makes one more, and removes the one that is marked (resilience 1.6).

Its controller removes leaders that are not ready before any others, whatever they cost; so a step is taken only while
all are ready. One step moves a group, and leaves no extra one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.status import Evacuation
from lws.apimachinery.actions import Patch
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset.moves import Extra, Ground, Moves, waiting_for_room

FIRST: Final = "-2147483647"  # the deletion cost of the leader that is to go


def by_key(ground: Ground, record: Evacuation, index: int) -> Moves:
    """The next step of a move whose leader is there."""
    target = ground.leaders[index]
    told, made = ground.made
    moves = Moves(record, Extra.WANTED, holds=ground.place, waits=not ground.place)
    if told == ground.replicas and is_marked(target) and made > told:
        return replace(moves, extra=Extra.NONE)  # the step was taken
    unready = [number for number in ground.leaders if not ground.ready(number)]
    if len(ground.leaders) <= ground.replicas or unready:
        return waiting_for_room(ground, record, moves, (pod for number in unready for pod in ground.pods(number)))
    if record != ground.record or not ground.place or told <= ground.replicas:
        return moves
    if is_marked(target):
        return replace(moves, extra=Extra.NONE)
    return replace(moves, marks=(_mark(target, FIRST),))


def is_marked(leader: Pod) -> bool:
    """Whether a leader is to be the first to go."""
    return leader.metadata.annotation(labels.DELETION_COST) == FIRST


def unmarked(leaders: Iterable[Pod], record: Evacuation | None) -> tuple[Patch, ...]:
    """Take the mark from leaders that are not to go after all."""
    kept = "" if record is None else record.leader_uid
    return tuple(
        _mark(pod, None) for pod in leaders if is_marked(pod) and pod.metadata.uid != kept and not pod.metadata.deleting
    )


def _mark(leader: Pod, cost: str | None) -> Patch:
    meta = leader.metadata
    change = {"metadata": {"annotations": {labels.DELETION_COST: cost}}}
    return Patch(PODS, meta.namespace, meta.name, meta.uid, change)
