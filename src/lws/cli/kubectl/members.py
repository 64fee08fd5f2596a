"""Pods of a set by group and index, for commands that go into them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from lws.api.leaderworkerset import labels
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.cli.kubectl.session import Session
from lws.errors import ConfigurationError

if TYPE_CHECKING:
    from lws.planning.leaderworkerset.diagnosis.facts import GroupFacts, SetFacts

DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
KEY_SHOWN: Final = 8  # characters of a group's key


async def pods_of(session: Session) -> list[JSON]:
    """The set's pods, of one group if the command line names one, by group and worker index.

    Raises:
        NotFoundError: there is no such set.
        ConfigurationError: it has no such pods.
    """
    names = [str(one["metadata"]["name"]) for one in await session.child_sets()]
    selector = f"{labels.NAME} in ({','.join(names)})"
    group = session.arguments.group
    listed = (await session.client.list(PODS, session.namespace, label_selector=selector))["items"] if names else []
    found = [pod for pod in listed if not group or short_group(_group(pod)) == short_group(group)]
    if not found:
        which = f"group {group} of {session.name}" if group else session.name
        raise ConfigurationError(f"{which} has no pods; `kubectl lws tree {session.name}` shows its groups")
    return sorted(found, key=place)


def place(pod: JSON) -> tuple[str, int, str, int]:
    """Orders pods by set, group and worker index; groups that are no numbers come last."""
    own = pod["metadata"].get("labels") or {}
    group = str(own.get(labels.GROUP_INDEX, ""))
    number, worker = natural(group), worker_index(pod)
    return str(own.get(labels.NAME, "")), 2**63 if number is None else number, group, worker


def short_group(name: str) -> str:
    """A group by the name that status and events give it: its index, or the beginning of its key (resilience 1.6)."""
    return name if natural(name) is not None and len(name) < KEY_SHOWN else name[:KEY_SHOWN]


def _group(pod: JSON) -> str:
    return str((pod["metadata"].get("labels") or {}).get(labels.GROUP_INDEX, ""))


def worker_index(pod: JSON) -> int:
    """The pod's index in its group; -1 if it has none."""
    index = natural(str((pod["metadata"].get("labels") or {}).get(labels.WORKER_INDEX, "")))
    return -1 if index is None else index


def default_container(pod: JSON) -> str:
    """The container that kubectl chooses: the one of its annotation, else the first."""
    names = container_names(pod, init=False)
    marked = str((pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER, ""))
    return marked if marked in names else next(iter(names), "")


def container_names(pod: JSON, *, init: bool = True) -> list[str]:
    """Names of containers; init containers first."""
    spec = pod.get("spec") or {}
    parts: Iterable[str] = ("initContainers", "containers") if init else ("containers",)
    return [str(one["name"]) for part in parts for one in spec.get(part) or ()]


def missing(lws: SetFacts, group: GroupFacts, most: int = 10_000) -> list[str]:
    """Names of workers that a group should have and has not, of the first ``most``.

    Without its leader nothing tells how the workers of a group with identity Hash would be named.
    """
    base = group.base or ("" if lws.hashed else f"{lws.name}-{group.index}")
    if not base:
        return []
    present = {pod.metadata.name for pod in group.workers}
    wanted = (f"{base}-{number}" for number in range(1, min(group.size, most)))
    return [each for each in wanted if each not in present]
