"""``kubectl lws restart``: recreates groups by deleting their leaders, no more at a time than an update may.

Each deletion has the leader's UID as its precondition, so a group that was recreated meanwhile is not recreated again.
A group that has exhausted its restarts is recovered instead (resilience 3.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lws.apimachinery.integers import natural
from lws.apimachinery.resources import PODS
from lws.cli.kubectl.documents import Restart
from lws.cli.kubectl.follow import INTERVAL, Watch
from lws.cli.kubectl.observe import observe
from lws.cli.kubectl.plain import ranges
from lws.cli.kubectl.session import Session
from lws.client.api import ApiClient
from lws.errors import ConfigurationError, ConflictError, LwsError, NotFoundError
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GroupFacts

EXHAUSTED: Final = "leaderworkerset.sigs.k8s.io/group-restart-budget-exhausted"
RECOVER: Final = "leaderworkerset.sigs.k8s.io/recover"


@dataclass(slots=True)
class Work:
    """What is still to be done.

    Attributes:
        leaders: UIDs of the leaders to be replaced, by group.
        asked: groups whose leader was deleted or marked, in order.
        recovered: those of them that were marked.
    """

    leaders: Mapping[int, str]
    asked: list[int] = field(default_factory=list)
    recovered: list[int] = field(default_factory=list)


async def run(session: Session) -> int:
    """Restart the groups and wait until they are ready again.

    Raises:
        LwsError: ``--timeout`` was not enough; what was done and what was not is said.
        ConfigurationError: there is no such group.
    """
    await session.one_set()
    facts = (await observe(session.client, session.namespace, session.name)).facts
    work = Work(_chosen(facts, session.arguments.group))
    watching = Watch(session.name)
    try:
        async with asyncio.timeout(session.arguments.timeout):
            await _work(session, work, watching)
    except TimeoutError:
        left = [index for index in work.leaders if index not in work.asked]
        rest = f"; not restarted: {ranges(left)}" if left else ""
        raise LwsError(f"timed out waiting for restarted groups to be ready{rest}") from None
    document = Restart(
        namespace=session.namespace,
        name=session.name,
        restarted=tuple(index for index in work.asked if index not in work.recovered),
        recovered=tuple(work.recovered),
        ready=True,
    )
    count = len(work.leaders)
    told = f"leaderworkerset/{session.name} restarted ({count} group{'s' if count != 1 else ''})"
    session.show(lambda: document, lambda: [told], [session.full_name])
    return 0


def _chosen(facts: Facts, group: str) -> dict[int, str]:
    """Leaders to be replaced. A group that has none is being made, and needs no restart."""
    number = natural(group) if group else None
    known = [one.index for one in facts.groups]
    if group and number not in known:
        raise ConfigurationError(f"{facts.lws.name} has no group {group}; it has {ranges(known)}")
    return {
        one.index: one.leader.metadata.uid
        for one in facts.groups
        if one.leader is not None and (number is None or one.index == number)
    }


async def _work(session: Session, work: Work, watching: Watch) -> None:
    while True:
        seen = await watching.look(
            lambda: observe(session.client, session.namespace, session.name), lambda one: one.facts.lws.metadata.uid
        )
        if seen is not None:
            if finished(seen.facts, work):
                return
            for group in due(seen.facts, work, now=session.arguments.now):
                await _restart(session, work, group)
        await asyncio.sleep(INTERVAL)


def finished(facts: Facts, work: Work) -> bool:
    """Whether every group has another leader than before and is ready."""
    groups = {one.index: one for one in facts.groups}
    return all(
        index not in groups or (groups[index].state.ready and not _same(groups[index], uid))
        for index, uid in work.leaders.items()
    )


def due(facts: Facts, work: Work, *, now: bool = False) -> Sequence[GroupFacts]:
    """The groups to be restarted next, so that at most max(1, maxUnavailable) are down; the highest first.

    What is down already comes first: restarting it takes nothing away.
    """
    pending = [
        one
        for one in facts.groups
        if one.index not in work.asked and _same(one, work.leaders.get(one.index, "")) and not _ending(one)
    ]
    pending.sort(key=lambda one: -one.index)
    broken = [one for one in pending if not one.state.ready]
    whole = [one for one in pending if one.state.ready]
    going = [one.index for one in facts.groups if one.index in work.asked and _same(one, work.leaders[one.index])]
    down = sum(
        1 for one in facts.groups if one.index < facts.lws.replicas and (not one.state.ready or one.index in going)
    )
    room = len(whole) if now else max(0, max(1, facts.lws.allowed_unavailable) - down)
    return [*broken, *whole[:room]]


def _same(group: GroupFacts, uid: str) -> bool:
    return group.leader is not None and group.leader.metadata.uid == uid


def _ending(group: GroupFacts) -> bool:
    return group.leader is not None and group.leader.metadata.deleting and not exhausted(group)


def exhausted(group: GroupFacts) -> bool:
    """Whether the group is recovered rather than restarted."""
    return group.leader is not None and group.leader.metadata.annotation(EXHAUSTED) == "true"


async def recreate(client: ApiClient, group: GroupFacts) -> bool:
    """Delete the leader of a group, or mark it for recovery if its restarts are exhausted; whether it was marked.

    Raises:
        ConflictError: the leader is another one by now.
        NotFoundError: it is gone.
    """
    assert group.leader is not None
    meta = group.leader.metadata
    if exhausted(group):
        patch = {"metadata": {"uid": meta.uid, "annotations": {RECOVER: "true"}}}
        await client.patch(PODS, meta.namespace, meta.name, patch, field_manager="kubectl-lws")
        return True
    await client.delete(PODS, meta.namespace, meta.name, uid=meta.uid, propagation="Foreground")
    return False


async def _restart(session: Session, work: Work, group: GroupFacts) -> None:
    assert group.leader is not None
    meta = group.leader.metadata
    work.asked.append(group.index)
    try:
        if await recreate(session.client, group):
            work.recovered.append(group.index)
    except (NotFoundError, ConflictError):
        return  # somebody else was faster
    if session.text:
        what = "is marked for recovery" if group.index in work.recovered else "is deleted"
        session.terminal.line(f"group {group.index}: leader pod {meta.name} {what}")
