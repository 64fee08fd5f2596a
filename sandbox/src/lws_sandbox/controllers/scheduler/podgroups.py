"""Volcano's PodGroups: which are admitted to their queue, and in what order groups take their turn.

By what was observed of Volcano's scheduler with its default plugins: a PodGroup is admitted once its minResources fit
beside what other admitted ones hold, into its queue and into the cluster, whether or not their pods exist; a queue that
does not exist admits nothing and says nothing; groups go by their PodGroup's priority class, then by its age.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.client.api import ApiClient
from lws.errors import AlreadyExistsError, ApiError, NotFoundError, TransportError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Raw, Toolbox
from lws_sandbox.controllers.objects import annotations_of, meta, name_of, namespace_of, uid_of
from lws_sandbox.controllers.scheduler.gang import GROUP_ANNOTATION, SCHEDULER
from lws_sandbox.controllers.scheduler.nodecache import NodeCache
from lws_sandbox.controllers.scheduler.requests import amount
from lws_sandbox.partners import PODGROUPS, PRIORITYCLASSES, QUEUES

PENDING: Final = "Pending"
INQUEUE: Final = "Inqueue"
RUNNING: Final = "Running"
ADMITTED: Final = (INQUEUE, RUNNING)
DEFAULT_QUEUE: Final = "default"

Amounts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Turn:
    """A PodGroup whose phase is to be written, and what is said about it."""

    group: JSON
    phase: str
    message: str = ""


@dataclass(slots=True)
class _Held:
    """What admitted groups hold, of all and by queue."""

    every: Amounts = field(default_factory=dict)
    by_queue: dict[str, Amounts] = field(default_factory=dict)

    def add(self, queue: str, amounts: Mapping[str, int]) -> None:
        for held in (self.every, self.by_queue.setdefault(queue, {})):
            for name, units in amounts.items():
                held[name] = held.get(name, 0) + units


class PodGroups:
    """The groups, their queues, and how far each has come.

    Args:
        tools: shared by all loops.
        pods: every pod.
        cache: what nodes have and give.
    """

    def __init__(self, tools: Toolbox, pods: Raw, cache: NodeCache) -> None:
        self.groups: Raw = tools.watch(PODGROUPS)
        self.queues: Raw = tools.watch(QUEUES)
        self._classes: Raw = tools.watch(PRIORITYCLASSES)
        self._pods = pods
        self._cache = cache
        self._phases: dict[str, str] = {}  # by UID: what was written last, however late the cache is
        self._told: dict[str, str] = {}

    async def make_default_queue(self, client: ApiClient) -> None:
        """Make the queue that PodGroups without one wait in, as soon as the API server serves queues."""
        body = {"apiVersion": QUEUES.api_version, "kind": QUEUES.kind, "metadata": {"name": DEFAULT_QUEUE}}
        while True:
            with suppress(NotFoundError, TransportError):
                with suppress(AlreadyExistsError):
                    await client.create(QUEUES, body)
                return
            await asyncio.sleep(1.0)

    def of_pod(self, pod: JSON) -> JSON | None:
        """The PodGroup that a pod names, if it is there."""
        found = self.groups.store.get(namespace_of(pod), annotations_of(pod).get(GROUP_ANNOTATION, ""))
        return found.raw if found is not None else None

    def members(self, namespace: str, name: str) -> Iterable[RawObject]:
        """Pods that name this PodGroup, whoever places them."""
        return (p for p in self._pods.store.list(namespace) if annotations_of(p.raw).get(GROUP_ANNOTATION) == name)

    def least(self, group: JSON) -> int:
        """How many pods must have a node for any to get one."""
        return int((group.get("spec") or {}).get("minMember") or 1)

    def admitted(self, group: JSON) -> bool:
        """Whether its pods may be placed."""
        return self._phase(group) in ADMITTED

    def rank(self, group: JSON) -> tuple[int, str]:
        """Before which others a group has its turn: the lower first."""
        name = (group.get("spec") or {}).get("priorityClassName") or ""
        found = self._classes.store.get("", name) if name else None
        return -int(found.raw.get("value") or 0) if found is not None else 0, meta(group).get("creationTimestamp") or ""

    def started(self, group: JSON) -> list[Turn]:
        """As many members as it wants have a node."""
        if self._phase(group) == RUNNING:
            return []
        self._phases[uid_of(group)] = RUNNING
        return [Turn(group, RUNNING)]

    def admit(self) -> list[Turn]:
        """Admit every group that fits, in order; what is to be written."""
        groups = [each.raw for each in self.groups.store]
        self._forget({uid_of(each) for each in groups})
        held = _Held()
        for each in groups:
            if self.admitted(each):
                held.add(_queue(each), self._holds(each))
        turns = []
        for each in sorted((g for g in groups if not self.admitted(g)), key=lambda g: (*self.rank(g), name_of(g))):
            queue = self.queues.store.get("", _queue(each))
            if queue is None:
                continue
            refusal = self._refusal(each, queue.raw, held)
            if not refusal:
                held.add(_queue(each), self._holds(each))
            turns += self._turn(each, PENDING if refusal else INQUEUE, refusal)
        return turns

    def _turn(self, group: JSON, phase: str, message: str) -> list[Turn]:
        uid = uid_of(group)
        if self._phase(group) == phase and self._told.get(uid, "") == message:
            return []
        self._phases[uid], self._told[uid] = phase, message
        return [Turn(group, phase, message)]

    def _refusal(self, group: JSON, queue: JSON, held: _Held) -> str:
        """Why a group is not admitted, in Volcano's words; empty if it is."""
        wanted, total = _amounts((group.get("spec") or {}).get("minResources")), self._total()
        over = [name for name, units in sorted(wanted.items()) if units > total.get(name, 0)]
        if over:
            return f"resource in cluster is overused: overused {', '.join(over)}"
        limits = total | _amounts((queue.get("spec") or {}).get("capability"))
        used = held.by_queue.get(name_of(queue), {})
        lacking = [
            name
            for name, units in sorted(wanted.items())
            if units + used.get(name, 0) > limits[name] or units + held.every.get(name, 0) > total[name]
        ]
        return f"queue resource quota insufficient: insufficient {', '.join(lacking)}" if lacking else ""

    def _holds(self, group: JSON) -> Amounts:
        """What an admitted group keeps others from: what it asked for, or has, whichever is more."""
        out = _amounts((group.get("spec") or {}).get("minResources"))
        given: Amounts = {}
        for pod in self.members(namespace_of(group), name_of(group)):
            node = self._cache.nodes.get(self._cache.node_of(pod.metadata.uid) or "")
            if node is not None:
                for name, units in node.pods[pod.metadata.uid].resources.items():
                    given[name] = given.get(name, 0) + units
        return {name: max(out.get(name, 0), given.get(name, 0)) for name in out.keys() | given.keys()}

    def _total(self) -> Amounts:
        total: Amounts = {}
        for node in self._cache.nodes.values():
            for name, units in node.allocatable.items():
                total[name] = total.get(name, 0) + units
        return total

    def _phase(self, group: JSON) -> str:
        return self._phases.get(uid_of(group)) or (group.get("status") or {}).get("phase") or ""

    def _forget(self, live: set[str]) -> None:
        for known in (self._phases, self._told):
            for uid in known.keys() - live:
                del known[uid]


async def write_phase(client: ApiClient, turn: Turn) -> None:
    """Write a phase; a group that is gone needs none, and what is not written is known here all the same."""
    patch = {"metadata": {"uid": uid_of(turn.group)}, "status": {"phase": turn.phase}}
    with suppress(ApiError, TransportError):
        await client.patch(PODGROUPS, namespace_of(turn.group), name_of(turn.group), patch, subresource="status")


def is_ganged(pod: JSON) -> bool:
    """Whether Volcano places this pod with others: it is asked to, and the pod names a group."""
    return pod["spec"].get("schedulerName") == SCHEDULER and bool(annotations_of(pod).get(GROUP_ANNOTATION))


def _queue(group: JSON) -> str:
    return (group.get("spec") or {}).get("queue") or DEFAULT_QUEUE


def _amounts(given: JSON | None) -> Amounts:
    return {name: amount(name, value) for name, value in (given or {}).items()}
