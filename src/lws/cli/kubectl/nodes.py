"""``kubectl lws evacuate`` cordons nodes and says what is moved off them; ``release`` has pods of a lost one ended.

What these do to a node is here as functions of a client too, for the page does the same (`lws.cli.kubectl.ui`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Node, Pod
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.objects import Key
from lws.apimachinery.resources import NODES, PODS
from lws.cli.kubectl.departures import Chosen, Departure, departures
from lws.cli.kubectl.documents import Evacuation, MovedSet, Release
from lws.cli.kubectl.follow import INTERVAL
from lws.cli.kubectl.plain import wrapped
from lws.cli.kubectl.session import Session, full_name
from lws.client.api import JSON_PATCH, MERGE_PATCH, ApiClient
from lws.errors import ConfigurationError, LwsError, NotFoundError
from lws.planning.leaderworkerset.nodes import node_lost

OUT_OF_SERVICE: Final = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
MANAGER: Final = "kubectl-lws"


async def evacuate(session: Session) -> int:
    """Cordon the nodes, and say which groups of which sets are moved, and under which policy.

    Raises:
        ConfigurationError: there is no such node.
        LwsError: ``--timeout`` was not enough for groups to be moved.
    """
    asked, client = session.arguments, session.client
    nodes = [await find_node(client, name) for name in asked.words]
    found = await leaving(client, nodes)
    if not asked.dry_run:
        for name in asked.words:
            await cordon(client, name)
    items = tuple(_moved(each) for each in found)
    document = Evacuation(nodes=asked.words, dry_run=asked.dry_run, items=items)
    names = [full_name("LeaderWorkerSet", each.name) for each in items]
    session.show(lambda: document, lambda: _wrapped(session, evacuation(asked.words, found, dry=asked.dry_run)), names)
    if asked.watch and not asked.dry_run:
        await _gone(session, nodes, found)
    return 0


async def release(session: Session) -> int:
    """Taint a lost node as out of service, so that the control plane ends its pods and detaches its volumes.

    Raises:
        ConfigurationError: there is no such node, or it is not lost.
    """
    name, dry = session.arguments.words[0], session.arguments.dry_run
    raw = await find_node(session.client, name)
    check_lost(raw, datetime.now(UTC))
    pods = await pods_on(session.client, name)
    if not dry:
        await taint(session.client, raw)
    document = Release(node=name, dry_run=dry, pods=pods)
    session.show(lambda: document, lambda: _wrapped(session, releasing(raw, pods, dry=dry)), [f"node/{name}"])
    return 0


async def find_node(client: ApiClient, name: str) -> JSON:
    """The node.

    Raises:
        ConfigurationError: there is none of that name.
    """
    try:
        return await client.get(NODES, "", name)
    except NotFoundError:
        raise ConfigurationError(f"there is no node {name}; the pods of one that is gone end by themselves") from None


async def leaving(client: ApiClient, nodes: Sequence[JSON]) -> list[Departure]:
    """The groups that come off these nodes if they are cordoned, by set."""
    typed = {str(raw["metadata"]["name"]): msgspec.convert(raw, Node) for raw in nodes}
    pods = [msgspec.convert(raw, Pod) for raw in await _pods(client)]
    told: dict[Key, Chosen | None] = {}
    for pod in pods:
        key = (pod.metadata.namespace, pod.metadata.label(labels.NAME))
        if pod.spec.node_name in typed and key not in told:
            told[key] = await _told(client, key)
    return departures(typed, pods, told.get, cordoned=True)


async def _told(client: ApiClient, key: Key) -> Chosen | None:
    try:
        raw = await client.get(LEADERWORKERSETS, *key)
    except NotFoundError:
        return None
    return Chosen(annotations_of(raw), raw.get("status") or {})


async def cordon(client: ApiClient, name: str, **precondition: str) -> None:
    """Have no new pod come to a node.

    Args:
        client: with the right to patch nodes.
        name: of the node.
        precondition: ``uid`` and ``resourceVersion`` that it must have.

    Raises:
        ConflictError: it has others.
    """
    patch: dict[str, Any] = {"spec": {"unschedulable": True}}
    if precondition:
        patch["metadata"] = precondition
    await client.patch(NODES, "", name, patch, content_type=MERGE_PATCH, field_manager=MANAGER)


def check_lost(raw: JSON, now: datetime) -> None:
    """See that the processes of a node's pods are not known to run.

    Raises:
        ConfigurationError: it is not lost.
    """
    node = msgspec.convert(raw, Node)
    if not node_lost(node, now):
        ready = "is Ready" if node.not_ready is None else "has not been ready for less than 30 s"
        told = f"node {node.metadata.name} {ready}, and pods on it may run"
        raise ConfigurationError(f"{told}: release takes lost nodes; evacuate takes nodes that work")


async def pods_on(client: ApiClient, node: str) -> tuple[str, ...]:
    """The pods of sets on a node, with their namespaces."""
    found = [pod for pod in await _pods(client) if (pod.get("spec") or {}).get("nodeName") == node]
    return tuple(sorted(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in found))


async def taint(client: ApiClient, raw: JSON) -> None:
    """Mark a node as out of service, unless it is.

    Raises:
        InvalidError: it changed since it was read.
    """
    if _marked(raw):
        return
    patch = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": raw["metadata"]["resourceVersion"]},
        {"op": "add", "path": "/spec/taints", "value": [*_taints(raw), OUT_OF_SERVICE]},
    ]
    await client.patch(NODES, "", raw["metadata"]["name"], patch, content_type=JSON_PATCH, field_manager=MANAGER)


def _taints(raw: JSON) -> list[JSON]:
    return (raw.get("spec") or {}).get("taints") or []


def _marked(raw: JSON) -> bool:
    return any(each.get("key") == OUT_OF_SERVICE["key"] for each in _taints(raw))


async def _pods(client: ApiClient) -> list[JSON]:
    """The pods of all sets that have not ended."""
    listed = (await client.list(PODS, label_selector=labels.NAME))["items"]
    return [pod for pod in listed if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]


async def _gone(session: Session, nodes: Sequence[JSON], found: Sequence[Departure]) -> None:
    left = {(each.namespace, each.name) for each in found if each.moved}
    try:
        async with asyncio.timeout(session.arguments.timeout):
            while left:
                now = await leaving(session.client, nodes)
                left &= {(each.namespace, each.name) for each in now if each.moved}
                await asyncio.sleep(INTERVAL if left else 0)
    except TimeoutError:
        rest = ", ".join("/".join(each) for each in sorted(left))
        raise LwsError(f"timed out waiting for groups to be moved; still there: {rest}") from None
    session.tell("no group is left there")


def _moved(one: Departure) -> MovedSet:
    return MovedSet(
        namespace=one.namespace,
        name=one.name,
        groups=tuple(one.groups),
        moved=one.moved,
        how=one.how,
        waits=one.waits,
    )


def evacuation(nodes: Sequence[str], found: Sequence[Departure], *, dry: bool) -> list[str]:
    """What is said of an evacuation, a line for each node and set."""
    lines = [f"node/{name} {'would be cordoned' if dry else 'cordoned'}" for name in nodes]
    return [*lines, *(each.text for each in found)] if found else [*lines, "no group of a LeaderWorkerSet is there"]


def releasing(raw: JSON, pods: Sequence[str], *, dry: bool) -> list[str]:
    """What is said of a release: the taint, a line for each pod that is ended, and what a person has to see to."""
    node = raw["metadata"]["name"]
    done = "is" if _marked(raw) else "would be" if dry else "is now"
    told = (
        "Make sure that the machine is off or fenced: its processes are not stopped by this. "
        f"Remove the taint once it is back: kubectl taint node {node} {OUT_OF_SERVICE['key']}-"
    )
    ended = (f"  {pod} {'would be' if dry else 'is'} ended" for pod in pods)
    return [f"node/{node} {done} tainted {OUT_OF_SERVICE['key']}", *ended, told]


def _wrapped(session: Session, lines: Sequence[str]) -> list[str]:
    return [part for line in lines for part in wrapped(line, session.terminal.width, "  ")]
