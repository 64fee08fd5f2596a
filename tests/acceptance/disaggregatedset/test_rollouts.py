"""Scenarios A04 to A22: coordinated rollouts (disaggregatedset 13)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from lws.api.disaggregatedset.revision import revision_of
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from tests.acceptance.disaggregatedset.site import A, B, homeless, roles, site
from tests.acceptance.disaggregatedset.stages import on_every_stage
from tests.api.disaggregatedset.making import pause, role
from tests.planning.disaggregatedset.test_step import GUARDED, ROLLOUTS

pytestmark = pytest.mark.long

PAIR = ("prefill", "decode")
WORKED = {row[0]: GUARDED.get(row[0], row[4]) for row in ROLLOUTS}


@on_every_stage
async def test_a04_a_new_image() -> None:
    """Two roles of two: the states of row 2 and no others, nothing old is left, and each event comes once."""
    async with site() as found:
        await found.create(*roles(2, 2))
        await found.available()
        found.mark()
        await found.edit(*roles(2, 2, "3.10"))
        await found.available()
        assert found.steps(B, PAIR) == WORKED["2"]
        assert await found.children() == {f"x-0-{B}-{name}": 2 for name in PAIR}
        assert await found.services() == [f"x-0-{B}-decode-prv", f"x-0-{B}-prefill-prv"]
        assert await found.pods() == 4
        reasons = await found.reasons()
        assert Counter(reasons) == {
            "RollingUpdateStarted": 1,
            "ScalingUp": 4,
            "ScalingDown": 4,
            "LWSDeleted": 2,
            "RollingUpdateCompleted": 1,
        }
        assert (reasons[0], reasons[-1]) == ("RollingUpdateStarted", "RollingUpdateCompleted")


PACES: list[tuple[str, tuple[int, int], JSON, tuple[int, int], str, str]] = [
    ("A05", (4, 4), {"maxSurge": "50%", "maxUnavailable": "25%"}, (4, 4), "5", "never more than 6 groups"),
    ("A06", (10, 2), {"maxSurge": 2, "maxUnavailable": 0}, (6, 8), "25", "never above max(source, target) + 2"),
    ("A07", (4, 4), {"maxSurge": 0, "maxUnavailable": 2}, (4, 4), "14", "never above 4, never below 2"),
    ("A09", (6, 7), {}, (7, 1), "27", "role 1 never below 6"),
]


@pytest.mark.parametrize("row", PACES, ids=[row[0] for row in PACES])
@on_every_stage
async def test_a05_a06_a07_a09_paces(row: Any) -> None:
    """The worked rollout step by step, ready groups above the floor and all groups below the ceiling throughout."""
    _, before, pace, after, number, promise = row
    async with site() as found:
        await found.create(*roles(before[0], before[1], **pace))
        await found.available()
        found.mark()
        async with found.measuring():
            await found.edit(*roles(after[0], after[1], "3.10", **pace))
            await found.available()
        assert found.steps(B, PAIR) == WORKED[number], promise
        surge, unavailable = (2, 1) if number == "5" else (pace.get("maxSurge", 1), pace.get("maxUnavailable", 0))
        for name, initial, target in zip(PAIR, before, after, strict=True):
            assert found.lowest[name] >= min(initial, target) - unavailable, promise
            assert found.highest[name] <= max(initial, target) + surge, promise
        assert await found.pods() == sum(after)


@on_every_stage
async def test_a08_different_paces() -> None:
    """One role of each pace: the role that surges never loses its only ready group (row 17 under the guard)."""
    first: JSON = {"maxSurge": 1, "maxUnavailable": 0}
    second: JSON = {"maxSurge": 0, "maxUnavailable": 1}
    async with site() as found:
        await found.create(*roles(1, 1, prefill_pace=first, **second))
        await found.available()
        found.mark()
        async with found.measuring():
            await found.edit(*roles(1, 1, "3.10", prefill_pace=first, **second))
            await found.available()
        assert found.steps(B, PAIR) == WORKED["17"]
        assert found.lowest["prefill"] == 1


SHAPES: list[tuple[str, dict[str, int], dict[str, int], str]] = [
    ("A11", {"a": 2, "b": 2, "c": 2}, {"a": 2, "b": 2, "c": 2}, "33"),
    ("A12", {"alpha": 2, "beta": 3}, {"alpha": 2, "beta": 3, "gamma": 5}, "30"),
    ("A13", {"prefill": 4, "decode": 6, "encode": 2}, {"prefill": 4, "decode": 6}, "31"),
    ("A14", {"alpha": 2, "beta": 3, "zeta": 5}, {"alpha": 2, "beta": 3, "gamma": 5}, "32"),
]


@pytest.mark.parametrize("row", SHAPES, ids=[row[0] for row in SHAPES])
@on_every_stage
async def test_a11_to_a14_roles_come_and_go(row: tuple[str, dict[str, int], dict[str, int], str]) -> None:
    """Roles that stay, join, leave and are renamed roll together; what left is drained and deleted."""
    _, before, after, number = row
    made = [role(name, count, template=pause("3.10")) for name, count in after.items()]
    async with site() as found:
        await found.create(*(role(name, count) for name, count in before.items()))
        await found.available()
        found.mark()
        await found.edit(*made)
        live = await found.available()
        revision = revision_of(made)
        order = (*after, *(name for name in before if name not in after))
        assert found.steps(revision, order) == WORKED[number]
        assert await found.children() == {f"x-0-{revision}-{name}": count for name, count in after.items()}
        assert [each["name"] for each in live["status"]["roleStatuses"]] == list(after)
        assert await found.pods() == sum(after.values())


@on_every_stage
async def test_a12_services_stay_as_long_as_their_children() -> None:
    """While groups of the old revision run, so do its Services (DD-11)."""
    async with site() as found:
        await found.create(role("alpha", 2), role("beta", 3))
        await found.available()
        old = await found.services()
        await found.edit(role("alpha", 2), role("beta", 3), role("gamma", 5))
        for _ in range(2000):
            running = [name for name, count in (await found.children()).items() if count and f"{name}-prv" in old]
            assert {f"{name}-prv" for name in running} <= {*await found.services()}
            if await found.condition("Available") == ("True", "AllRolesReady"):
                break
            await asyncio.sleep(0.25)
        await found.cluster.quiet(5.0)
        assert len(await found.services()) == 3
        assert not {*old} & {*await found.services()}


@on_every_stage
async def test_a13_statuses_follow_the_spec_at_once() -> None:
    """A removed role leaves the status with the edit, though its groups still run."""
    async with site() as found:
        await found.create(role("prefill", 4), role("decode", 6), role("encode", 2))
        await found.available()
        await found.edit(role("prefill", 4), role("decode", 6))
        await found.until(lambda: found.observed())
        statuses = (await found.get())["status"]["roleStatuses"]
        assert [each["name"] for each in statuses] == ["prefill", "decode"]
        assert await found.condition("Progressing") == ("True", "RolloutInProgress")


@on_every_stage
async def test_a15_every_role_is_renamed() -> None:
    """Roles of other names drain too, and the set is Available only when they are gone (DD-01, DD-26)."""
    async with site() as found:
        await found.create(role("a", 2), role("b", 2))
        await found.available()
        await found.edit(role("c", 2), role("d", 2))
        await found.available()
        assert sorted(name.rpartition("-")[2] for name in await found.children()) == ["c", "d"]
        assert await found.pods() == 4
        assert "RollingUpdateCompleted" in await found.reasons()


@on_every_stage
async def test_a16_a_third_revision_in_mid_rollout() -> None:
    """The newest old revision drains first, and no older one ends before it."""
    async with site() as found:
        await found.create(*roles(6, 6))
        await found.available()
        await found.edit(*roles(6, 6, "3.10"))
        await found.until(lambda: found.ready_at(B, 3))
        third = revision_of(roles(6, 6, "3.11"))
        found.mark()
        async with found.measuring():
            await found.edit(*roles(6, 6, "3.11"))
            await found.available()
        ends = [found.written("DELETE").index(f"x-0-{revision}-prefill") for revision in (B, A)]
        assert ends == sorted(ends)
        assert await found.children() == {f"x-0-{third}-{name}": 6 for name in PAIR}
        assert min(found.lowest.values()) >= 6


@on_every_stage
async def test_a17_two_old_revisions_keep_capacity() -> None:
    """Roles of 8 and 2, two revisions running: ready groups never fall below what is wanted (DD-06)."""
    async with site() as found:
        await found.create(*roles(8, 2))
        await found.available()
        await found.edit(*roles(8, 2, "3.10"))
        await found.until(lambda: found.has_replicas(B, prefill=3, decode=1))
        await found.until(lambda: found.settled())
        async with found.measuring():
            await found.edit(*roles(8, 2, "3.11"))
            await found.available()
        assert found.lowest["prefill"] >= 8
        assert found.lowest["decode"] >= 2


@on_every_stage
async def test_a18_back_to_a_revision_that_is_still_there() -> None:
    """The first revision is scaled up from where it is; nothing new is made, nothing is started."""
    async with site() as found:
        await found.create(*roles(4, 4))
        await found.available()
        await found.edit(*roles(4, 4, "3.10"))
        await found.until(lambda: found.ready_at(B, 3))
        kept = {each["metadata"]["uid"] for each in await found.all(LEADERWORKERSETS, revision=A)}
        found.mark()
        await found.edit(*roles(4, 4))
        await found.available()
        assert await found.children() == {f"x-0-{A}-{name}": 4 for name in PAIR}
        assert {each["metadata"]["uid"] for each in await found.all(LEADERWORKERSETS, revision=A)} == kept
        assert not found.written("POST")
        assert (await found.reasons()).count("RollingUpdateStarted") == 1


@on_every_stage
async def test_a19_back_from_a_revision_that_never_became_ready() -> None:
    """What never got ready is drained in one step and deleted; the groups that serve are not touched."""
    async with site() as found:
        await found.create(*roles(4, 4))
        await found.available()
        uids = {each["metadata"]["uid"] for each in await found.all(PODS)}
        stuck = [role(name, 4, template=homeless()) for name in PAIR]
        second = revision_of(stuck)
        await found.edit(*stuck)
        await found.until(lambda: found.has_replicas(second, prefill=1, decode=1))
        await asyncio.sleep(30)
        assert await found.children(revision=A) == {f"x-0-{A}-{name}": 4 for name in PAIR}
        found.mark()
        await found.edit(*roles(4, 4))
        await found.available()
        assert found.steps(A, PAIR) == "1,1·4,4 → 0,0·4,4"
        assert await found.children() == {f"x-0-{A}-{name}": 4 for name in PAIR}
        assert {each["metadata"]["uid"] for each in await found.all(PODS)} == uids


@on_every_stage
async def test_a20_a_target_child_is_deleted() -> None:
    """A child that vanishes in mid-rollout is made again, and the rollout ends (DD-02)."""
    async with site() as found:
        await found.create(*roles(4, 4))
        await found.available()
        await found.edit(*roles(4, 4, "3.10"))
        await found.until(lambda: found.ready_at(B, 2))
        await found.delete_child(f"x-0-{B}-decode")
        await found.available()
        assert await found.children() == {f"x-0-{B}-{name}": 4 for name in PAIR}
        assert (await found.reasons()).count("RollingUpdateStarted") == 1


@on_every_stage
async def test_a21_a_creation_is_refused_once() -> None:
    """The refusal is an event and a condition; the next try succeeds, the rollout ends, and the condition turns."""
    async with site() as found:
        await found.create(*roles(2, 2))
        await found.available()
        found.gate.refusals.append(("POST", f"x-0-{B}-decode"))
        await found.edit(*roles(2, 2, "3.10"))
        await found.available()
        failures = [note for reason, note in await found.events() if reason == "FailedCreate"]
        assert failures == [f"LeaderWorkerSet x-0-{B}-decode: quota"]
        assert await found.condition("Blocked") == ("False", "Resolved")
        assert (await found.reasons()).count("RollingUpdateStarted") == 1


@on_every_stage
async def test_a22_a_budget_that_rounds_to_nothing() -> None:
    """A quarter of three is no group: the child's own budget is loosened with the count (DD-09)."""
    pace: JSON = {"maxSurge": 0, "maxUnavailable": "25%"}
    async with site() as found:
        await found.create(*roles(4, 4, **pace))
        await found.available()
        async with found.measuring():
            await found.edit(*roles(4, 4, "3.10", **pace))
            await found.available()
        assert min(found.lowest.values()) >= 3
        assert "FailedScale" not in await found.reasons()
