"""Gang scheduling: one PodGroup for each group, whoever schedules it (spec 11, CD-07, CD-23)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, PodGroup, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Create, Reference
from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws.apimachinery.resources import PODS, Resource
from lws.errors import TerminalError
from lws.planning.leaderworkerset import events, templates
from lws.planning.leaderworkerset.groups import pod_ready

Resources = dict[str, Quantity]

_POD_LEVEL: Final = ("cpu", "memory")
_HUGEPAGES: Final = "hugepages-"


class SchedulerProvider(Protocol):
    """A scheduler that starts groups as gangs. To support another one, write one file in `schedulers`."""

    @property
    def resource(self) -> Resource:
        """The kind of its pod groups."""
        ...

    def manifest(self, live: LeaderWorkerSet, revised: LeaderWorkerSet, section: JSON, leader: Pod) -> JSON:
        """The pod group of this leader.

        Args:
            live: the live set, for its annotations and startup policy.
            revised: the revision spec of the leader's key, for sizes and templates (CD-07).
            section: normal form of the revision's ``leaderWorkerTemplate``.
            leader: the leader pod; its annotation names the pod group.
        """
        ...


def name_of(leader: Pod) -> str:
    """The pod group's name; empty for a leader that was admitted before gang scheduling (CD-23)."""
    return leader.metadata.annotation(labels.POD_GROUP_NAME) or ""


def is_complete(leader: Pod, workers: StatefulSet | None, size: int) -> bool:
    """Whether the group was started: it does without its PodGroup, however that was lost."""
    return pod_ready(leader) if size == 1 else workers is not None


def plan_pod_group(
    provider: SchedulerProvider | None,
    live: LeaderWorkerSet,
    revised: LeaderWorkerSet,
    section: JSON,
    leader: Pod,
    existing: PodGroup | None,
) -> tuple[Create, ...]:
    """Create the group's PodGroup once; it is never updated."""
    if provider is None or existing is not None or not name_of(leader):
        return ()
    owner = Reference.to(PODS, leader.metadata)
    body = provider.manifest(live, revised, section, leader)
    return (Create(provider.resource, body, on_failure=(events.pod_group_failed(owner),), owner=owner),)


def min_resources(section: JSON, size: int) -> dict[str, str]:
    """What the whole group requests: its leader and size - 1 workers, in canonical form (spec 11)."""
    leader = pod_requests(templates.leader_template(section).get("spec") or {})
    worker = pod_requests(section["workerTemplate"].get("spec") or {})
    total = _sum([leader, *({name: amount * (size - 1) for name, amount in worker.items()} for _ in range(size > 1))])
    return {name: total[name].canonical() for name in sorted(total)}


def pod_requests(spec: JSON) -> Resources:
    """What one pod of this spec requests: requests only, limits do not count.

    Raises:
        TerminalError: a quantity that cannot be read, which an API server may store and never be able to use.
    """
    init = spec.get("initContainers") or ()
    restartable = [_requests(each) for each in init if each.get("restartPolicy") == "Always"]
    total = _sum([*(_requests(each) for each in spec.get("containers") or ()), *restartable])
    total = _most(total, _start_up(init))
    pod_level = _requests(spec)
    for name, amount in pod_level.items():
        if name in _POD_LEVEL or name.startswith(_HUGEPAGES):
            total[name] = amount
    return _sum([total, _quantities(spec.get("overhead"))])


def _start_up(init: Iterable[JSON]) -> Resources:
    """The most that is requested at once while init containers run, one after the other."""
    running: Resources = {}
    most: Resources = {}
    for container in init:
        if container.get("restartPolicy") == "Always":
            running = _sum([running, _requests(container)])
            most = _most(most, running)
        else:
            most = _most(most, _sum([running, _requests(container)]))
    return most


def _requests(holder: JSON) -> Resources:
    return _quantities((holder.get("resources") or {}).get("requests"))


def _quantities(given: Mapping[str, Any] | None) -> Resources:
    found = {}
    for name, value in (given or {}).items():
        try:
            found[name] = Quantity.parse(value)
        except ValueError as error:
            message = f"resources of the pod templates: {name}: {error}"
            raise TerminalError(message, "write a quantity that Kubernetes reads, such as 500m or 2Gi") from error
    return found


def _sum(parts: Iterable[Resources]) -> Resources:
    total: Resources = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total[name] + amount if name in total else amount
    return total


def _most(one: Resources, other: Resources) -> Resources:
    return {
        **one,
        **{name: amount for name, amount in other.items() if name not in one or one[name] < amount},
    }
