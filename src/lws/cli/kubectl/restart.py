"""``kubectl lws restart``: recreates groups by deleting their leaders, no more at a time than an update may.

Each deletion has the leader's UID as its precondition, so a group that was recreated meanwhile is not recreated again.
A group that has exhausted its restarts is recovered instead (resilience 3.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
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
from lws.planning.leaderworkerset.groups import group_name

EXHAUSTED: Final = "leaderworkerset.sigs.k8s.io/group-restart-budget-exhausted"
RECOVER: Final = "leaderworkerset.sigs.k8s.io/recover"


@dataclass(slots=True)
class Work:
    """What is still to be done.

    Attributes:
        leaders: names of the groups whose leaders are to be replaced, by the UIDs of these; a group that is known by a
            key has no other identity.
        asked: UIDs of the leaders that were deleted or marked, in order.
        recovered: those of them that were marked.
    """

    leaders: Mapping[str, str]
    asked: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)

    def names(self, uids: Iterable[str]) -> tuple[str, ...]:
        """The groups of leaders."""
        return tuple(self.leaders[uid] for uid in uids)


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
        left = work.names(uid for uid in work.leaders if uid not in work.asked)
        rest = f"; not restarted: {_listed(left)}" if left else ""
        raise LwsError(f"timed out waiting for restarted groups to be ready{rest}") from None
    document = Restart(
        namespace=session.namespace,
        name=session.name,
        restarted=work.names(uid for uid in work.asked if uid not in work.recovered),
        recovered=work.names(work.recovered),
        ready=True,
    )
    count = len(work.leaders)
    told = f"leaderworkerset/{session.name} restarted ({count} group{'s' if count != 1 else ''})"
    session.show(lambda: document, lambda: [told], [session.full_name])
    return 0


def _chosen(facts: Facts, group: str) -> dict[str, str]:
    """Leaders to be replaced. A group that has none is being made, and needs no restart."""
    named = {one.leader.metadata.uid: group_name(one.leader) for one in facts.groups if one.leader is not None}
    chosen = {uid: name for uid, name in named.items() if not group or name == group[: len(name)]}
    if group and not chosen:
        has = _listed(tuple(named.values())) or "none"
        raise ConfigurationError(f"{facts.lws.name} has no group {group} with a leader; it has {has}")
    return chosen


def _listed(names: Sequence[str]) -> str:
    numbers = [natural(name) for name in names]
    known = [number for number in numbers if number is not None]
    return ranges(known) if len(known) == len(names) and known else ", ".join(names)


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
    """Whether every leader was replaced, and the groups are ready again.

    Of groups with an index those that were restarted count; of groups known by a key nothing tells which came instead
    of which, so all do.
    """
    if any(_leader(one) in work.leaders for one in facts.groups):
        return False
    names = set(work.leaders.values())
    meant = [one for one in facts.groups if facts.lws.hashed or str(one.index) in names]
    enough = not facts.lws.hashed or sum(1 for one in meant if one.state.ready) >= facts.lws.replicas
    return enough and (facts.lws.hashed or all(one.state.ready for one in meant))


def due(facts: Facts, work: Work, *, now: bool = False) -> Sequence[GroupFacts]:
    """The groups to be restarted next, so that at most max(1, maxUnavailable) are down; the highest first.

    What is down already comes first: restarting it takes nothing away.
    """
    asked = [one for one in facts.groups if _leader(one) in work.asked]
    pending = [one for one in facts.groups if _leader(one) in work.leaders and one not in asked and not _ending(one)]
    pending.sort(key=lambda one: -one.index)
    broken = [one for one in pending if not one.state.ready]
    whole = [one for one in pending if one.state.ready]
    up = sum(1 for one in facts.groups if one.state.ready and one not in asked)
    room = len(whole) if now else max(0, max(1, facts.lws.allowed_unavailable) - (facts.lws.replicas - up))
    return [*broken, *whole[:room]]


def _leader(group: GroupFacts) -> str:
    """UID of its leader; empty without one."""
    return group.leader.metadata.uid if group.leader is not None else ""


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
    work.asked.append(meta.uid)
    try:
        if await recreate(session.client, group):
            work.recovered.append(meta.uid)
    except (NotFoundError, ConflictError):
        return  # somebody else was faster
    if session.text:
        what = "is marked for recovery" if meta.uid in work.recovered else "is deleted"
        session.terminal.line(f"group {work.leaders[meta.uid]}: leader pod {meta.name} {what}")
