"""Scenarios A01 to A03, A10 and A23 to A28: beginning, scaling, pausing, admission (disaggregatedset 13)."""

from __future__ import annotations

import asyncio

import pytest

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.revision import revision_of
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS, SERVICES
from lws.errors import ForbiddenError, InvalidError
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.acceptance.disaggregatedset.site import A, B, roles, site
from tests.acceptance.disaggregatedset.stages import on_every_stage
from tests.api.disaggregatedset.making import paced, role

NAMES = ("prefill", "decode")


@on_every_stage
async def test_a01_a_new_set() -> None:
    """One child a role, named by set, slice, revision and role; only Progressing is told."""
    async with site(delays=Delays(jitter=20.0)) as found:
        await found.create(*roles(1, 1))
        await found.until(lambda: found.observed())
        await asyncio.sleep(0.5)
        assert await found.children() == {f"x-0-{A}-{name}": 1 for name in NAMES}
        assert await found.pods() == 2
        (condition,) = (await found.get())["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "Progressing", "True", "RolloutInProgress",
        )  # fmt: skip


@on_every_stage
async def test_a02_settled() -> None:
    """Conditions, statuses in the order of the spec, and a headless Service a role that selects its ready pods."""
    async with site() as found:
        await found.create(*roles(1, 1))
        status = (await found.available())["status"]
        assert [(each["type"], each["status"], each["reason"]) for each in status["conditions"]] == [
            ("Progressing", "False", "AllRolesReady"),
            ("Available", "True", "AllRolesReady"),
        ]
        counts = {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1}
        assert status["roleStatuses"] == [{"name": name, **counts} for name in NAMES]
        for service in await found.all(SERVICES):
            assert service["spec"]["clusterIP"] == "None"
            assert "ports" not in service["spec"]
            assert service["spec"]["selector"] == service["metadata"]["labels"]
            selector = ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items())
            (pod,) = await found.cluster.all(PODS, selector)
            assert [each["status"] for each in pod["status"]["conditions"] if each["type"] == "Ready"] == ["True"]
        assert await found.services() == [f"x-0-{A}-decode-prv", f"x-0-{A}-prefill-prv"]


@on_every_stage
async def test_a03_at_rest() -> None:
    """A set at rest costs no write, and neither does a touch that changes nothing."""
    async with site() as found:
        await found.create(*roles(1, 1))
        await found.available()
        await asyncio.sleep(60)
        since = len(found.cluster.writes)
        await found.touch()
        await asyncio.sleep(60)
        assert [str(each) for each in found.cluster.writes[since:]] == []


@on_every_stage
async def test_a10_scaling() -> None:
    """Replicas alone are no new revision: all roles follow at once, up and down."""
    async with site() as found:
        await found.create(*roles(1, 1))
        await found.available()
        for count in (3, 1):
            await found.edit(*roles(count, count))
            await found.available()
            assert await found.children() == {f"x-0-{A}-{name}": count for name in NAMES}
            assert await found.pods() == 2 * count
        assert await found.reasons() == []


@on_every_stage
async def test_a23_born_paused() -> None:
    """A set of no groups is Available at once, and has no Services."""
    async with site() as found:
        await found.create(*roles(0, 0))
        live = await found.available()
        assert [each["type"] for each in live["status"]["conditions"]] == ["Available"]
        assert await found.children() == {f"x-0-{A}-{name}": 0 for name in NAMES}
        assert await found.services() == []


@on_every_stage
async def test_a24_paused_with_a_new_image() -> None:
    """Everything old goes in one step, with its Services; the new children are there with nothing in them."""
    async with site() as found:
        await found.create(*roles(4, 4))
        await found.available()
        found.mark()
        await found.edit(*roles(0, 0, "3.10"))
        await found.available()
        await found.cluster.quiet(10.0)
        assert found.steps(B, NAMES) == "4,4·0,0 → 0,0·0,0"
        assert await found.children() == {f"x-0-{B}-{name}": 0 for name in NAMES}
        assert await found.services() == []
        assert await found.pods() == 0


@on_every_stage
async def test_a25_resumed_with_a_new_image() -> None:
    """A paused set comes back with its new template at full size, without a rollout."""
    async with site() as found:
        await found.create(*roles(0, 0))
        await found.available()
        found.mark()
        await found.edit(*roles(3, 3, "3.10"))
        await found.available()
        assert found.steps(B, NAMES) == "0,0·0,0 → 0,0·3,3"
        assert await found.children() == {f"x-0-{B}-{name}": 3 for name in NAMES}
        assert {"RollingUpdateStarted", "RollingUpdateCompleted"}.isdisjoint(await found.reasons())


@on_every_stage
async def test_a26_paused_in_part() -> None:
    """Zero groups in one Static role and some in another are refused, in the words of the rule."""
    async with site() as found:
        message = "replicas must be zero for all non-External roles or non-zero for all non-External roles"
        with pytest.raises(InvalidError, match=message):
            await found.create(*roles(0, 2))


@on_every_stage
async def test_a27_a_partition() -> None:
    """A partition is refused by the webhook, with 403."""
    async with site() as found:
        with pytest.raises(ForbiddenError, match="partition is not supported by DisaggregatedSet") as refused:
            await found.create(role("prefill", rolloutStrategy=paced(partition=1)), role("decode"))
        assert refused.value.status == 403
        assert "spec.roles[0].spec.rolloutStrategy.rollingUpdateConfiguration.partition: Forbidden: " in str(
            refused.value
        )


@on_every_stage
async def test_a28_a_long_name() -> None:
    """A name whose Services could not be created is refused, and told how long it may be."""
    async with site() as found:
        with pytest.raises(ForbiddenError) as refused:
            await found.create(*roles(1, 1), name="n" * 41)
        assert "the generated service name (64 chars) would exceed" in str(refused.value)
        assert "(combined limit: 47 characters)" in str(refused.value)


@on_every_stage
async def test_a49_roles_in_another_order() -> None:
    """The order of roles changes the bytes of the revision, but nothing that runs (DD-23)."""
    async with site() as found:
        await found.create(*roles(2, 2))
        await found.available()
        uids = {each["metadata"]["uid"] for each in await found.all(PODS)}
        reordered = [*reversed(roles(2, 2))]
        assert revision_of(reordered) != A
        since = len(found.cluster.writes)
        await found.edit(*reordered)
        live = await found.available()
        await asyncio.sleep(30)
        assert [each["name"] for each in live["status"]["roleStatuses"]] == ["decode", "prefill"]
        assert await found.children() == {f"x-0-{A}-{name}": 2 for name in NAMES}
        assert {each["metadata"]["uid"] for each in await found.all(PODS)} == uids
        written = {each.resource for each in found.cluster.writes[since:]}
        assert written <= {"disaggregatedsets/status", "events"}


@on_every_stage
async def test_a_template_that_nobody_can_read() -> None:
    """A quantity that the reference cannot decode hurts its own set, which says so; another goes on."""
    async with site() as found:
        broken = role("prefill", template=_with_limit("1e1.5"))
        await found.create(broken, role("decode"))
        await found.create(*roles(1, 1), name="y")
        await found.until(lambda: found.blocked("ChildRejected"))
        await found.available("y")
        assert await found.cluster.all(LEADERWORKERSETS, f"{labels.NAME}=x") == []
        await found.edit(*roles(1, 1))
        await found.available()
        assert await found.condition("Blocked") == ("False", "Resolved")


def _with_limit(cpu: str) -> dict[str, object]:
    container = {"name": "main", "image": "app", "resources": {"limits": {"cpu": cpu}}}
    return {"workerTemplate": {"spec": {"containers": [container]}}}
