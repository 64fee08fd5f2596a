"""The environment variables by which the TPU processes of a group find one another (spec 4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lws.api.leaderworkerset import labels as keys
from lws.api.leaderworkerset.environment import CONTAINER_LISTS, value_of, variable, with_containers
from lws.api.leaderworkerset.hashleaders import is_hashed
from lws.apimachinery.integers import atoi
from lws.apimachinery.manifests import JSON, annotations_of, labels_of, name_of
from lws.apimachinery.names import parent_and_ordinal
from lws.apimachinery.quantity import Quantity
from lws.errors import AdmissionError

WORKER_HOSTNAMES = "TPU_WORKER_HOSTNAMES"
WORKER_ID = "TPU_WORKER_ID"
TPU_NAME = "TPU_NAME"
PROCESS_ADDRESSES = "TPU_PROCESS_ADDRESSES"
PROCESS_PORT = "TPU_PROCESS_PORT"
FIRST_PORT = 8476
# No API server stores an object above 1.5 MiB, so variables beyond it would only be made to be refused.
LARGEST_POD = 3 << 19

Place = tuple[str, int]  # list name and index of a container


@dataclass(frozen=True, slots=True)
class _Hosts:
    """The pods that run TPU processes together, in order, and this pod's first worker id among them."""

    leader: str
    with_leader: bool
    start: int
    end: int
    worker_id: int

    def addresses(self, subdomain: str) -> list[str]:
        leader = [self.leader] if self.with_leader else []
        names = [*leader, *(f"{self.leader}-{index}" for index in range(self.start, self.end + 1))]
        return [f"{host}.{subdomain}" for host in names]

    @property
    def count(self) -> int:
        """How many pods that are; a number of any length, unlike a `len`."""
        return max(0, self.end - self.start + 1) + self.with_leader


def requests_tpus(limits: Mapping[str, Any] | None, requests: Mapping[str, Any] | None) -> bool:
    """Whether a container with these resources uses TPUs: its limit, else its request, is not zero.

    Raises:
        ValueError: a quantity is malformed.
    """
    return any(bool(Quantity.parse((found or {}).get(keys.TPU_RESOURCE))) for found in (limits, requests))


def tpu_containers(pod: JSON) -> dict[Place, JSON]:
    """The containers that use TPUs by their place in the pod: regular ones first, then init containers."""
    spec = pod.get("spec") or {}
    return {
        (member, index): container
        for member in CONTAINER_LISTS
        for index, container in enumerate(spec.get(member) or [])
        if _uses_tpus(container)
    }


def with_tpu_variables(pod: JSON, size: int) -> JSON:
    """A pod whose TPU containers know their peers; ``size`` is the number of pods of the group.

    A pod without TPU containers, or whose first one already names hosts or an id, is returned as it is.

    Raises:
        AdmissionError: a label, annotation or the name does not give the pod's place in its group.
    """
    containers = tpu_containers(pod)
    first = next(iter(containers.values()), None)
    if first is None or any(value_of(first, known) is not None for known in (WORKER_HOSTNAMES, WORKER_ID)):
        return pod
    if keys.SUBGROUP_SIZE in annotations_of(pod):
        containers = dict(list(containers.items())[:1])
        hosts = _subgroup_hosts(pod)
    else:
        hosts = _group_hosts(pod, size, len(containers))
    return _appended(pod, hosts, containers)


def _uses_tpus(container: JSON) -> bool:
    resources = container.get("resources") or {}
    return requests_tpus(resources.get("limits"), resources.get("requests"))


def _is_leader(pod: JSON) -> bool:
    return labels_of(pod).get(keys.WORKER_INDEX) == keys.LEADER_INDEX


def _leader_has_tpus(pod: JSON) -> bool:
    return annotations_of(pod).get(keys.LEADER_REQUESTS_TPUS) == "true"


def _leader_name(pod: JSON) -> str:
    leader = _own_name(pod) if _is_leader(pod) else parent_and_ordinal(name_of(pod))[0]
    if not leader:
        raise AdmissionError(f"parsing parent name from pod {name_of(pod)}")
    return leader


def _own_name(leader: JSON) -> str:
    """The leader's name in addresses: one that comes from a Deployment has no other yet than its host's (ND-06)."""
    host: str = (leader.get("spec") or {}).get("hostname") or ""
    return host if is_hashed(leader) else name_of(leader)


def _group_hosts(pod: JSON, size: int, processes: int) -> _Hosts:
    if _is_leader(pod):
        return _Hosts(_own_name(pod), True, 1, size - 1, 0)
    leader, ordinal = _leader_name(pod), parent_and_ordinal(name_of(pod))[1]
    position = ordinal if _leader_has_tpus(pod) else ordinal - 1
    return _Hosts(leader, _leader_has_tpus(pod), 1, size - 1, position * processes)


def _subgroup_hosts(pod: JSON) -> _Hosts:
    """The hosts of the pod's subgroup; where leaders have no TPUs, subgroups are counted from the first worker."""
    size = atoi(annotations_of(pod)[keys.SUBGROUP_SIZE])
    group = atoi(labels_of(pod).get(keys.SUBGROUP_INDEX, ""))
    worker = atoi(labels_of(pod).get(keys.WORKER_INDEX, ""))
    if size < 1:
        raise AdmissionError(f"subgroup size must be at least 1 for pod {name_of(pod)}")
    shared = _leader_has_tpus(pod)
    worker_id = worker % size
    if worker != 0 and not shared:
        worker_id, group = (worker - 1) % size, (worker - 1) // size
    start, end = size * group + 1, size * (group + 1)
    if _is_leader(pod) or (shared and group == 0):
        return _Hosts(_leader_name(pod), True, start, end - 1, worker_id)
    if shared:
        start, end = start - 1, end - 1
    return _Hosts(_leader_name(pod), False, start, end, worker_id)


def _appended(pod: JSON, hosts: _Hosts, containers: dict[Place, JSON]) -> JSON:
    subdomain = (pod.get("spec") or {}).get("subdomain") or ""
    own_ports = [value_of(container, PROCESS_PORT) for container in containers.values()]
    ports = [str(FIRST_PORT + index) if port is None else port for index, port in enumerate(own_ports)]
    _check_length(pod, hosts, subdomain, ports)
    addresses = hosts.addresses(subdomain)
    shared = [
        (WORKER_HOSTNAMES, ",".join(address for address in addresses for _ in ports)),
        (TPU_NAME, hosts.leader),
        (PROCESS_ADDRESSES, ",".join(f"{address}:{port}" for address in addresses for port in ports)),
    ]
    places = {place: index for index, place in enumerate(containers)}

    def change(member: str, position: int, container: JSON) -> JSON:
        index = places.get((member, position))
        if index is None:
            return container
        added = [shared[0], (WORKER_ID, str(hosts.worker_id + index)), *shared[1:]]
        if own_ports[index] is None:
            added.append((PROCESS_PORT, ports[index]))
        return {**container, "env": [*(container.get("env") or []), *(variable(*entry) for entry in added)]}

    return with_containers(pod, change)


def _check_length(pod: JSON, hosts: _Hosts, subdomain: str, ports: list[str]) -> None:
    shortest = len(hosts.leader) + len(subdomain) + 2
    if 2 * shortest * hosts.count * len(ports) ** 2 > LARGEST_POD:
        raise AdmissionError(f"the names of {hosts.count} TPU hosts do not fit into pod {name_of(pod)}")
