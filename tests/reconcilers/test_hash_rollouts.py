"""Rolling updates and scale-downs of sets whose groups are known by a key, on the sandbox: scenarios of next 12."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS
from lws.reconcilers.leaderworkerset.caches import OWN_REVISIONS
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.simulation.hashed import NAME, Hashed, gates, going, hash_cluster, key, ready, revision
from tests.virtual import virtual_time

SLOW_END = Delays(stop=3.0)


@dataclass(frozen=True, slots=True)
class Look:
    """What was there at one moment.

    Attributes:
        ready: leaders that are ready.
        gated: live leaders with the gate.
        groups: groups that have pods with a node.
        ending: groups with pods and no leader that lives.
        conditions: of the set.
        outdated: live leaders of the old revision.
        current: leaders of the new one.
    """

    ready: int
    gated: int
    groups: int
    ending: int
    conditions: dict[str, str]
    outdated: int
    current: int


async def looks(found: Hashed, old: str) -> list[Look]:
    """Look twice a second until the set is Available with its new revision."""
    taken: list[Look] = []
    async with asyncio.timeout(600):
        while True:
            look = await _look(found, old)
            taken.append(look)
            if look.conditions.get("Available") == "True" and len(taken) > 3:
                return taken
            await asyncio.sleep(0.5)


async def _look(found: Hashed, old: str) -> Look:
    pods = await found.cluster.all(PODS)
    leaders = [pod for pod in pods if pod["metadata"]["labels"][labels.WORKER_INDEX] == "0"]
    live = [pod for pod in leaders if not going(pod)]
    led = {key(pod) for pod in live}
    return Look(
        ready=sum(ready(pod) for pod in live),
        gated=sum(labels.REPLACEMENT_GATE in gates(pod) for pod in live),
        groups=len({key(pod) for pod in pods if pod["spec"].get("nodeName")}),
        ending=len({key(pod) for pod in pods} - led),
        conditions=await found.conditions(),
        outdated=sum(revision(pod) == old for pod in live),
        current=sum(revision(pod) != old for pod in leaders),
    )


async def roll(found: Hashed) -> list[Look]:
    """Edit the image and look until it is done."""
    old = revision((await found.leaders())[0])
    await found.edit_image()
    return await looks(found, old)


def pace(unavailable: int | str, surge: int | str) -> JSON:
    """A rollout strategy."""
    return {"maxUnavailable": unavailable, "maxSurge": surge}


def deferrals(notes: list[str]) -> Iterator[int]:
    """For how many groups leaders were told to wait."""
    return (int(note.split(" waits for ")[1].split()[0]) for note in notes)


@virtual_time
async def test_n10_one_group_at_a_time_and_only_once_the_old_one_is_gone() -> None:
    """With maxUnavailable 1 a group's successor waits for its last pod, and the next group for the successor."""
    async with hash_cluster(delays=SLOW_END) as found:
        await found.up(replicas=4, size=2, rolling=pace(1, 0))
        taken = await roll(found)
        cluster = found.cluster
        assert len(await cluster.events("CreatingRevision")) == 2
        assert min(look.ready for look in taken) == 3
        assert max(look.groups for look in taken) == 4
        assert max(look.ending for look in taken) == 1
        assert all(look.gated <= look.ending for look in taken if look.gated)
        during = [look for look in taken[2:] if look.outdated or look.current < 4]
        assert {look.conditions["UpdateInProgress"] for look in during} == {"True"}
        told = await cluster.events("GroupReplacementDeferred")
        assert set(deferrals(told)) == {1}
        assert len(told) == len({note.split()[2] for note in told}) == 4  # ND-03: once for each leader
        await cluster.quiet(3)
        assert len(await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)) == 1
        assert "deleting surge" not in " ".join(await cluster.events())


@virtual_time
async def test_n11_a_surge_group_does_not_wait() -> None:
    """The surge leader is admitted at once; later ones wait for the group that made room for them."""
    async with hash_cluster(delays=SLOW_END) as found:
        await found.up(replicas=2, size=2, rolling=pace(0, 1))
        taken = await roll(found)
        assert min(look.ready for look in taken) == 2
        assert max(look.groups for look in taken) == 3
        assert list(deferrals(await found.cluster.events("GroupReplacementDeferred"))) == [1]


@virtual_time
async def test_n12_immediate_replacements_wait_for_nothing() -> None:
    """Under Immediate no leader is deferred; both groups that may be down are replaced while the old ones end."""
    async with hash_cluster(delays=SLOW_END) as found:
        await found.up(replicas=4, size=2, rolling=pace(2, 0), groupReplacementPolicy="Immediate")
        taken = await roll(found)
        assert await found.cluster.events("GroupReplacementDeferred") == []
        assert max(look.groups for look in taken) > 4


@virtual_time
async def test_an_edited_policy_acts_at_once() -> None:
    """A leader that waits is admitted when its set turns to Immediate; nothing rolls for that."""
    async with hash_cluster(delays=Delays(stop=25.0)) as found:
        leaders = await found.up(replicas=1, size=2)
        await found.cluster.client.delete(PODS, "default", leaders[0]["metadata"]["name"])
        await asyncio.sleep(2)
        assert gates((await found.leaders())[-1]) == [labels.REPLACEMENT_GATE]
        await found.edit({"groupReplacementPolicy": "Immediate"})
        await asyncio.sleep(1)
        live = [pod for pod in await found.leaders() if not going(pod)]
        assert [gates(pod) for pod in live] == [[]]
        assert len(await found.cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)) == 1


@virtual_time
async def test_n14_scaling_down_spares_healthy_groups() -> None:
    """Gated groups go first, then those that are not ready; whole ones stay."""
    async with hash_cluster(delays=Delays(stop=40.0)) as found:
        cluster = found.cluster
        leaders = await found.up(replicas=4, size=2, section={"restartPolicy": "None"})
        await cluster.client.delete(PODS, "default", leaders[0]["metadata"]["name"])
        worker = f"{leaders[1]['spec']['hostname']}-1"
        await cluster.drills.pod_hang(worker)
        await cluster.until(lambda: _unready(found, key(leaders[1])))
        live = [pod for pod in await found.leaders() if not going(pod)]
        assert [len(gates(pod)) for pod in live] == [0, 0, 0, 1]
        await found.edit({"replicas": 2})
        await asyncio.sleep(5)
        kept = {key(pod) for pod in await found.leaders() if not going(pod)}
        assert kept == {key(leaders[2]), key(leaders[3])}


async def _unready(found: Hashed, group: str) -> bool:
    return any(key(pod) == group and not ready(pod) for pod in await found.leaders())


@virtual_time
async def test_n24_the_update_of_one_group_with_surge() -> None:
    """An update is in progress until the old leader is gone; then its revision is too."""
    async with hash_cluster(delays=SLOW_END) as found:
        await found.up(replicas=1, size=2, rolling=pace(0, 1))
        old = revision((await found.leaders())[0])
        taken = await roll(found)
        during = [look for look in taken[2:] if look.outdated]
        assert during
        assert {look.conditions["UpdateInProgress"] for look in during} == {"True"}
        assert {look.conditions["Available"] for look in during} == {"False"}
        await found.cluster.quiet(5)
        kept = await found.cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)
        assert [each["metadata"]["labels"][labels.REVISION] == old for each in kept] == [False]


@virtual_time
async def test_an_undone_update_takes_the_first_revision_again() -> None:
    """A rollback is an edit like any other: the key of the first revision with a higher number, and its ReplicaSet."""
    async with hash_cluster() as found:
        await found.up(replicas=2, size=2, rolling=pace(1, 0))
        old = revision((await found.leaders())[0])
        await found.edit_image("app:broken")
        await asyncio.sleep(1)
        await found.edit_image("app:1")
        await found.cluster.quiet(5)
        await found.cluster.available(NAME)
        assert {revision(pod) for pod in await found.leaders()} == {old}
