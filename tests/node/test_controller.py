"""The controller's own pods on a real kubelet: replaced, killed, frozen, restarted, and never missed."""

from __future__ import annotations

import base64
import json
import os
import signal
from contextlib import suppress
from typing import Any, Final

import pytest

from tests.node.clients import Answers, asking
from tests.node.world import DEPLOYMENT, SYSTEM, TOKEN_SECONDS, TOKEN_VOLUME, World, leaderworkerset

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

WANTED: Final = 1000  # answers that a rolling replacement is watched for
FREE: Final = ("leases", "events", "tokenreviews", "subjectaccessreviews")  # what every replica may write


async def _until_answers(world: World, answers: Answers, good: int) -> None:
    async def there() -> bool:
        return answers.good + len(answers.bad) >= good

    await world.until(there, f"only {answers.good} answers", seconds=600)


async def test_it_runs_restricted(world: World) -> None:
    """Two replicas of the image run as the restricted Pod Security Standard wants them, and one holds the lease."""
    told = await world.node.kubectl(
        *("label", "--dry-run=server", "--overwrite", "namespace", SYSTEM),
        "pod-security.kubernetes.io/enforce=restricted",
    )
    assert "Warning" not in told
    replicas = await world.controllers()
    assert len(replicas) == 2
    assert await world.leader() in replicas


async def test_no_admission_is_lost_while_replicas_are_replaced(world: World) -> None:
    """Of a thousand reviews and more by three clients, none fails while both replicas are replaced again and again."""
    async with asking(world.node) as answers:
        while answers.good + len(answers.bad) < WANTED:
            await world.node.kubectl("rollout", "restart", "-n", SYSTEM, DEPLOYMENT)
            await world.node.kubectl("rollout", "status", "-n", SYSTEM, DEPLOYMENT, "--timeout=180s")
    assert answers.bad == [], f"beside {answers.good} admitted"


async def test_a_killed_leader_is_succeeded(world: World) -> None:
    """After SIGKILL to the leader a set is served, and no review fails once its container is back."""
    leader = await world.leader()
    async with asking(world.node) as answers:
        await _until_answers(world, answers, 20)
        before = await world.restarts(leader)
        for process in await world.node.processes_of(leader, SYSTEM):
            os.kill(process, signal.SIGKILL)
        await world.admitted(leaderworkerset("after-kill", replicas=1, size=2))
        await world.available("after-kill")

        async def restarted() -> bool:
            return await world.restarts(leader) == before + 1

        await world.until(restarted, "the container was not restarted")
        await world.node.kubectl("rollout", "status", "-n", SYSTEM, DEPLOYMENT, "--timeout=180s")
        lost = len(answers.bad)  # of connections to the killed process, and before the kubelet told of its end
        await _until_answers(world, answers, answers.good + lost + 50)
    assert answers.bad[lost:] == []
    await world.delete("after-kill")


async def test_a_leader_deleted_by_force_is_succeeded(world: World) -> None:
    """A leader pod that is deleted without grace costs no review, and another leads."""
    leader = await world.leader()
    async with asking(world.node) as answers:
        await _until_answers(world, answers, 20)
        await world.node.kubectl("delete", "pod", leader, "-n", SYSTEM, "--force", "--grace-period=0")

        await world.leader(but=leader)
        await world.node.kubectl("rollout", "status", "-n", SYSTEM, DEPLOYMENT, "--timeout=180s")
    assert answers.bad == []


async def test_a_frozen_leader_writes_nothing_late(world: World) -> None:
    """A leader that stood still past its lease ends without a write of its own, and its container is started again."""
    leader = await world.leader()
    before = await world.restarts(leader)
    processes = await world.node.processes_of(leader, SYSTEM)
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        await world.leader(but=leader)
        mark = len(world.audited())
        # A connection that kube-apiserver keeps to the frozen replica costs one review each, until it is given up.
        await world.admitted(leaderworkerset("meanwhile", replicas=1, size=2))
        await world.available("meanwhile")
    finally:
        for process in processes:
            with suppress(ProcessLookupError):  # the kubelet may have ended it for its liveness
                os.kill(process, signal.SIGCONT)

    async def restarted() -> bool:
        return await world.restarts(leader) > before

    await world.until(restarted, "the container was not started again")
    writes = [each["requestURI"] for each in world.audited()[mark:] if _wrote(each, leader)]
    assert writes == []
    await world.delete("meanwhile")


async def test_a_reboot_of_the_node_costs_each_group_one_recreation(world: World) -> None:
    """After a power cut every group is recreated at most once, and everything is served again."""
    name = await world.create(leaderworkerset("rebooted"))
    await world.available(name)
    await world.node.reboot()
    await world.node.kubectl("rollout", "status", "-n", SYSTEM, DEPLOYMENT, "--timeout=300s")

    async def settled() -> bool:
        status = (await world.node.get("lws", name))["status"]
        return bool(status.get("readyReplicas") == 2) and all(
            each["status"]["phase"] == "Running" for each in (await world.pods(name)).values()
        )

    await world.until(settled, "the groups did not come back", seconds=300)
    events = await world.node.get("events.events.k8s.io", "--field-selector=reason=RecreateGroup")
    groups = [str(each["note"]) for each in events["items"] if "rebooted" in str(each["regarding"])]
    assert len(groups) == len(set(groups)) <= 2, groups
    await world.delete(name)


async def test_a_renewed_token_is_taken_up(world: World) -> None:
    """When the kubelet has renewed a replica's token, its requests carry the new one, and none was unauthorized."""
    leader = await world.leader()
    uid = (await world.controllers())[leader]["metadata"]["uid"]
    path = world.node.folder / "kubelet/pods" / uid / "volumes" / TOKEN_VOLUME / "token"
    first = _claims(path.read_text())

    async def renewed() -> bool:
        return bool(_claims(path.read_text())["iat"] > first["iat"])

    await world.until(renewed, "the kubelet did not renew the token", seconds=TOKEN_SECONDS)
    identity = f"JTI={_claims(path.read_text())['jti']}"

    async def taken_up() -> bool:
        return any(identity in str(each["user"].get("extra", {})) for each in world.audited())

    await world.until(taken_up, "no request carries the new token")
    assert [each["requestURI"] for each in world.audited() if each["responseStatus"]["code"] == 401] == []


def _claims(token: str) -> Any:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def _wrote(each: Any, pod: str) -> bool:
    """Whether an audited request of a pod changed something that only a leader may change."""
    mine = pod in str(each["user"].get("extra", {}).get("authentication.kubernetes.io/pod-name"))
    changed = each["verb"] in ("create", "update", "patch", "delete") and each["responseStatus"]["code"] < 300
    return mine and changed and each["objectRef"]["resource"] not in FREE
