"""What groups ask for beside CPU and memory: GPUs, TPUs and whatever else device plugins offer.

Kubernetes calls these extended resources: their names carry a domain that is not Kubernetes' own. Nobody needs to list
them, and of one set at most `LARGEST` are told apart, so a template cannot make metrics grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from lws.api.leaderworkerset.objects import Container, Pod
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.errors import TerminalError
from lws.planning.leaderworkerset.requests import pod_requests

Amounts: TypeAlias = Mapping[str, float]

LARGEST: Final = 4  # extended resources of one set, first by name
MOST: Final = 2**63 - 1  # of one resource, as the server caps it


def of_template(template: JSON) -> Amounts:
    """What a pod of this template asks for; nothing if a quantity in it cannot be read."""
    spec = template.get("spec") or {}
    return _requests({name: spec.get(name) or () for name in ("containers", "initContainers")})


def of_pod(pod: Pod) -> Amounts:
    """What this pod asks for."""
    return _requests(
        {
            "containers": [_as_json(each) for each in pod.spec.containers or ()],
            "initContainers": [_as_json(each) for each in pod.spec.init_containers or ()],
        }
    )


def of_group(lws: LeaderWorkerSet) -> Amounts:
    """What one group of the set's present template asks for."""
    template = lws.spec.leader_worker_template
    workers = of_template(template.worker_template)
    leader = workers if template.leader_template is None else of_template(template.leader_template)
    return total([(leader, 1), (workers, template.size - 1)])


def total(parts: Iterable[tuple[Amounts, int]]) -> dict[str, float]:
    """The sum of amounts, each so many times."""
    summed: dict[str, float] = {}
    for amounts, times in parts:
        for name, amount in amounts.items():
            summed[name] = summed.get(name, 0.0) + amount * times
    return summed


def first(names: Iterable[str]) -> list[str]:
    """The names that are told apart."""
    return sorted(set(names))[:LARGEST]


def _requests(spec: JSON) -> dict[str, float]:
    narrowed = {name: [_narrowed(each) for each in containers] for name, containers in spec.items()}
    try:
        return {name: float(min(amount.value(), MOST)) for name, amount in pod_requests(narrowed).items()}
    except TerminalError:
        return {}


def _narrowed(container: JSON) -> JSON:
    """The container with its extended resources as requests; who writes limits only means both."""
    resources = container.get("resources") or {}
    amounts = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    extended = {name: amount for name, amount in amounts.items() if _is_extended(name)}
    return {"resources": {"requests": extended}, "restartPolicy": container.get("restartPolicy")}


def _is_extended(name: str) -> bool:
    domain, slash, _ = name.partition("/")
    return bool(slash) and domain != "kubernetes.io" and not domain.endswith(".kubernetes.io")


def _as_json(container: Container) -> dict[str, Any]:
    resources = container.resources
    return {} if resources is None else {"resources": {"limits": resources.limits, "requests": resources.requests}}
