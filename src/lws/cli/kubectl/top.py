"""``kubectl lws top``: what the set's pods request, by node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from lws.api.leaderworkerset import labels
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws.apimachinery.resources import NODES
from lws.cli.kubectl.documents import NodeUse, Top
from lws.cli.kubectl.members import pods_of
from lws.cli.kubectl.plain import ranges, table
from lws.cli.kubectl.session import Session
from lws.errors import ForbiddenError, NotFoundError
from lws.planning.leaderworkerset.requests import Resources, pod_requests

_FIRST: Final = ("cpu", "memory")
_AT_ONCE: Final = 20


async def run(session: Session) -> int:
    """Add up requests by node, and show them beside what the nodes can give."""
    pods = [pod for pod in await pods_of(session) if (pod.get("status") or {}).get("phase") not in _ENDED]
    by_node: dict[str, list[JSON]] = {}
    for pod in pods:
        by_node.setdefault(str((pod.get("spec") or {}).get("nodeName") or ""), []).append(pod)
    gives = await _allocatable(session, [name for name in sorted(by_node) if name])
    nodes = [_use(name, by_node[name], gives.get(name)) for name in sorted(by_node, key=lambda one: (not one, one))]
    total = _written(_sum([pod_requests(pod.get("spec") or {}) for pod in pods]))
    document = Top(
        set_kind=session.set_kind, namespace=session.namespace, name=session.name, nodes=tuple(nodes), total=total
    )
    session.show(lambda: document, lambda: _text(session, document), [f"node/{one.node}" for one in nodes if one.node])
    return 0


_ENDED: Final = ("Failed", "Succeeded")


async def _allocatable(session: Session, names: Sequence[str]) -> dict[str, JSON]:
    """What nodes can give; those that may not be read, or are gone, are left out."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def read(name: str) -> JSON | None:
        async with places:
            try:
                return (await session.client.get(NODES, "", name)).get("status") or {}
            except (ForbiddenError, NotFoundError):
                return None

    found = await asyncio.gather(*(read(name) for name in names))
    return {name: status.get("allocatable") or {} for name, status in zip(names, found, strict=True) if status}


def _use(node: str, pods: Sequence[JSON], gives: JSON | None) -> NodeUse:
    requests = _written(_sum([pod_requests(pod.get("spec") or {}) for pod in pods]))
    groups = [natural(str((pod["metadata"].get("labels") or {}).get(labels.GROUP_INDEX, ""))) for pod in pods]
    return NodeUse(
        node=node,
        pods=tuple(str(pod["metadata"]["name"]) for pod in pods),
        groups=tuple(sorted({group for group in groups if group is not None})),
        requests=requests,
        allocatable=None if gives is None else {name: str(gives[name]) for name in requests if name in gives},
    )


def _sum(parts: Iterable[Resources]) -> Resources:
    total: Resources = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total[name] + amount if name in total else amount
    return total


def _written(amounts: Resources) -> dict[str, str]:
    order = sorted(amounts, key=lambda name: (name not in _FIRST, name))
    return {name: amounts[name].canonical() for name in order if amounts[name] > Quantity(0)}


def _text(session: Session, top: Top) -> list[str]:
    """Everyday names: cpu, memory, and of ``nvidia.com/gpu`` what follows the slash."""
    columns = list(top.total)
    titles = [name.rpartition("/")[2].upper() for name in columns]
    rows = []
    for one in top.nodes:
        cells = [_of(one.requests.get(name, "0"), (one.allocatable or {}).get(name)) for name in columns]
        names = [" ".join(one.pods)] if session.wide else []
        rows.append([one.node or "<none>", ranges(one.groups), str(len(one.pods)), *cells, *names])
    pods = sum(len(one.pods) for one in top.nodes)
    rows.append(["total", "", str(pods), *top.total.values(), *([""] if session.wide else [])])
    header = ["NODE", "GROUPS", "PODS", *titles, *(["NAMES"] if session.wide else [])]
    return table(header, rows, session.terminal.width)


def _of(requested: str, gives: str | None) -> str:
    return requested if gives is None else f"{requested}/{gives}"
