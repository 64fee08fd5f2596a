"""``kubectl lws evacuate`` cordons nodes and says what is moved off them; ``release`` has pods of a lost one ended."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Node
from lws.api.leaderworkerset.policykeys import DISRUPTION_BUDGET, EVACUATE
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON, annotations_of, labels_of
from lws.apimachinery.resources import NODES, PODS
from lws.cli.kubectl.documents import Evacuation, MovedSet, Release
from lws.cli.kubectl.follow import INTERVAL
from lws.cli.kubectl.plain import wrapped
from lws.cli.kubectl.session import Session, full_name
from lws.client.api import JSON_PATCH, MERGE_PATCH
from lws.errors import ConfigurationError, LwsError, NotFoundError
from lws.planning.leaderworkerset.culprit import node_lost

OUT_OF_SERVICE: Final = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
MANAGER: Final = "kubectl-lws"
STAYS: Final = "nothing moves them: kubectl drain evicts their pods"
_BY_HAND: Final = "a person moves them: the disruption budget is 0"


async def evacuate(session: Session) -> int:
    """Cordon the nodes, and say which groups of which sets are moved, and under which policy.

    Raises:
        ConfigurationError: there is no such node.
        LwsError: ``--timeout`` was not enough for groups to be moved.
    """
    asked = session.arguments
    for name in asked.words:
        await _node(session, name)
    sets = await _sets_on(session, asked.words)
    if not asked.dry_run:
        for name in asked.words:
            change = {"spec": {"unschedulable": True}}
            await session.client.patch(NODES, "", name, change, content_type=MERGE_PATCH, field_manager=MANAGER)
    document = Evacuation(nodes=asked.words, dry_run=asked.dry_run, items=tuple(sets))
    names = [full_name("LeaderWorkerSet", each.name) for each in sets]
    session.show(lambda: document, lambda: _evacuation(session, document), names)
    if asked.watch and not asked.dry_run:
        await _gone(session, [each for each in sets if each.moved])
    return 0


async def release(session: Session) -> int:
    """Taint a lost node as out of service, so that the control plane ends its pods and detaches its volumes.

    Raises:
        ConfigurationError: there is no such node, or it is not lost.
    """
    name, dry = session.arguments.words[0], session.arguments.dry_run
    raw = await _node(session, name)
    node = msgspec.convert(raw, Node)
    if not node_lost(node, datetime.now(UTC)):
        ready = "is Ready" if node.not_ready is None else "has not been ready for less than 30 s"
        remedy = "evacuate takes nodes that work"
        raise ConfigurationError(f"node {name} {ready}, and pods on it may run: release takes lost nodes; {remedy}")
    taints = (raw.get("spec") or {}).get("taints") or []
    marked = any(each.get("key") == OUT_OF_SERVICE["key"] for each in taints)
    pods = [pod for pod in await _pods(session) if (pod.get("spec") or {}).get("nodeName") == name]
    if not dry and not marked:
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": raw["metadata"]["resourceVersion"]},
            {"op": "add", "path": "/spec/taints", "value": [*taints, OUT_OF_SERVICE]},
        ]
        await session.client.patch(NODES, "", name, patch, content_type=JSON_PATCH, field_manager=MANAGER)
    document = Release(node=name, dry_run=dry, pods=tuple(sorted(_path(pod) for pod in pods)))
    session.show(lambda: document, lambda: _release(session, document, marked=marked), [f"node/{name}"])
    return 0


async def _node(session: Session, name: str) -> JSON:
    try:
        return await session.client.get(NODES, "", name)
    except NotFoundError:
        raise ConfigurationError(f"there is no node {name}; the pods of one that is gone end by themselves") from None


async def _pods(session: Session) -> list[JSON]:
    """The pods of all sets that have not ended."""
    listed = (await session.client.list(PODS, label_selector=labels.NAME))["items"]
    return [pod for pod in listed if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]


async def _sets_on(session: Session, nodes: tuple[str, ...]) -> list[MovedSet]:
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for pod in await _pods(session):
        if (pod.get("spec") or {}).get("nodeName") in nodes:
            key = (pod["metadata"]["namespace"], labels_of(pod)[labels.NAME])
            groups[key].add(labels_of(pod).get(labels.GROUP_INDEX, ""))
    found = []
    for (namespace, name), indices in sorted(groups.items()):
        try:
            lws = await session.client.get(LEADERWORKERSETS, namespace, name)
        except NotFoundError:
            continue
        how = _policy(lws)
        ordered = tuple(sorted((each[:8] for each in indices), key=lambda each: (len(each), each)))
        moved = how not in (STAYS, _BY_HAND)
        found.append(MovedSet(namespace=namespace, name=name, groups=ordered, moved=moved, how=how))
    return found


def _policy(lws: JSON) -> str:
    """How groups of a set come off such a node, as far as the set tells."""
    chosen: Mapping[str, str] = annotations_of(lws)
    budget = chosen.get(DISRUPTION_BUDGET, "")
    within = f"at most {budget} at a time" if budget not in ("", "0") else ""
    if chosen.get(EVACUATE) == "true":
        return "moved one by one, each after another group stands in" + (f"; without room, {within}" if within else "")
    if budget == "0":
        return _BY_HAND
    if within:
        return f"moved, {within}"
    return "moved by the cluster's policies" if (lws.get("status") or {}).get("disruptionBudget") else STAYS


async def _gone(session: Session, sets: list[MovedSet]) -> None:
    nodes, left = session.arguments.words, {(each.namespace, each.name) for each in sets}
    try:
        async with asyncio.timeout(session.arguments.timeout):
            while left:
                left = {(each.namespace, each.name) for each in await _sets_on(session, nodes)} & left
                await asyncio.sleep(INTERVAL if left else 0)
    except TimeoutError:
        rest = ", ".join("/".join(each) for each in sorted(left))
        raise LwsError(f"timed out waiting for groups to be moved; still there: {rest}") from None
    session.tell("no group is left there")


def _path(pod: JSON) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _evacuation(session: Session, document: Evacuation) -> list[str]:
    done = "would be cordoned" if document.dry_run else "cordoned"
    lines = [f"node/{name} {done}" for name in document.nodes]
    for each in document.items:
        groups = f"group{'s' if len(each.groups) > 1 else ''} {', '.join(each.groups)}"
        lines += wrapped(f"{each.namespace}/{each.name}: {groups}: {each.how}", session.terminal.width, "  ")
    return lines if document.items else [*lines, "no group of a LeaderWorkerSet is there"]


def _release(session: Session, document: Release, *, marked: bool) -> list[str]:
    done = "is" if marked else "would be" if document.dry_run else "is now"
    lines = [f"node/{document.node} {done} tainted {OUT_OF_SERVICE['key']}"]
    lines += [f"  {pod} {'would be' if document.dry_run else 'is'} ended" for pod in document.pods]
    told = (
        "Make sure that the machine is off or fenced: its processes are not stopped by this. "
        f"Remove the taint once it is back: kubectl taint node {document.node} {OUT_OF_SERVICE['key']}-"
    )
    return [*lines, *wrapped(told, session.terminal.width)]
