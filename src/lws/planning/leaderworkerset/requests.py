"""What pods request of nodes, computed from their templates as the scheduler will count it (spec 11, CD-34)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws.errors import TerminalError
from lws.planning.leaderworkerset import templates

Resources = dict[str, Quantity]

_POD_LEVEL: Final = ("cpu", "memory")
_HUGEPAGES: Final = "hugepages-"


def min_resources(section: JSON, size: int) -> dict[str, str]:
    """What the whole group requests: its leader and size - 1 workers, in canonical form (spec 11)."""
    leader = pod_requests(templates.leader_template(section).get("spec") or {})
    worker = pod_requests(section["workerTemplate"].get("spec") or {})
    total = _sum([leader, *({name: amount * (size - 1) for name, amount in worker.items()} for _ in range(size > 1))])
    return {name: total[name].canonical() for name in sorted(total)}


def pod_requests(spec: JSON) -> Resources:
    """What one pod of this spec requests, a limit counting as the request where that is absent (CD-34).

    Raises:
        TerminalError: a quantity that cannot be read, which an API server may store and never be able to use.
    """
    init = spec.get("initContainers") or ()
    restartable = [_requests(each) for each in init if each.get("restartPolicy") == "Always"]
    total = _sum([*(_requests(each) for each in spec.get("containers") or ()), *restartable])
    total = _most(total, _start_up(init))
    total |= _pod_level(spec.get("resources") or {}, total)
    return _sum([total, _quantities(spec.get("overhead"))])


def _pod_level(resources: JSON, of_containers: Resources) -> Resources:
    """What the pod requests as a whole: a limit of it counts where neither it nor a container requests anything."""
    limits = {name: value for name, value in _quantities(resources.get("limits")).items() if name not in of_containers}
    level = limits | _quantities(resources.get("requests"))
    return {name: value for name, value in level.items() if name in _POD_LEVEL or name.startswith(_HUGEPAGES)}


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
    resources = holder.get("resources") or {}
    return _quantities(resources.get("limits")) | _quantities(resources.get("requests"))


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
