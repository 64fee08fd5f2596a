"""Sets on a real kubelet: names, addresses, failures, and what is said of them."""

from __future__ import annotations

import os
import signal

import pytest

from lws.apimachinery.manifests import JSON
from tests.node.machine import NAME
from tests.node.world import World, container, leaderworkerset

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]


async def test_groups_know_themselves_and_find_their_leader(world: World) -> None:
    """Each pod has its variables and its host name, and a worker reaches its leader by LWS_LEADER_ADDRESS."""
    name = await world.create(leaderworkerset("whole"))
    await world.available(name)
    pods = await world.pods(name)
    assert sorted(pods) == ["whole-0", "whole-0-1", "whole-0-2", "whole-1", "whole-1-1", "whole-1-2"]
    inside = ("exec", "whole-1-2", "--", "/bin/sh", "-c")
    told = await world.node.kubectl(*inside, "echo $LWS_LEADER_ADDRESS $LWS_GROUP_SIZE $LWS_WORKER_INDEX; hostname")
    assert told.split() == ["whole-1.whole.default", "3", "2", "whole-1-2"]
    address = await world.node.kubectl(*inside, "nslookup -type=a $LWS_LEADER_ADDRESS.svc.cluster.local")
    assert pods["whole-1"]["status"]["podIP"] in address
    # busybox serves 404 without a file, which is an answer of the leader all the same.
    _, _, answer = await world.node.try_kubectl(*inside, "wget -q -O - http://$LWS_LEADER_ADDRESS:8080/")
    assert "404" in answer
    await world.delete(name)


async def test_a_killed_worker_costs_its_group_one_recreation(world: World) -> None:
    """SIGKILL to a worker's process recreates its own group once, and leaves the other alone."""
    name = await world.create(leaderworkerset("killed"))
    await world.available(name)
    before = await world.uids(name)
    for process in await world.node.processes_of("killed-1-2"):
        os.kill(process, signal.SIGKILL)

    async def replaced() -> bool:
        now = await world.uids(name)
        return all(now.get(each, uid) != uid for each, uid in before.items() if each.startswith("killed-1"))

    await world.until(replaced, "the group was not recreated")
    await world.available(name)
    after = await world.uids(name)
    assert {each for each in before if before[each] == after[each]} == {"killed-0", "killed-0-1", "killed-0-2"}
    events = await world.node.get("events.events.k8s.io", "--field-selector=reason=RecreateGroup")
    assert sum("killed" in str(each["regarding"]) for each in events["items"]) == 1
    await world.delete(name)


async def test_a_worker_out_of_memory_is_named(world: World) -> None:
    """The record of a group that ran out of memory names the pod, the container and OOMKilled, when the pod is gone."""
    limits = {"resources": {"limits": {"memory": "16Mi"}}}
    hungry = container("sleep 2; dd if=/dev/zero of=/dev/null bs=64M count=100", **limits)
    worker = {"terminationGracePeriodSeconds": 1, "containers": [hungry]}
    name = await world.create(leaderworkerset("hungry", replicas=1, size=2, worker=worker))

    async def recorded() -> bool:
        found = await world.node.get("lws", name)
        return any(each.get("reason") == "OOMKilled" for each in found.get("status", {}).get("failures", ()))

    await world.until(recorded, "no failure tells OOMKilled")
    (last, *_) = (await world.node.get("lws", name))["status"]["failures"]
    assert (last["container"], last["exitCode"], last["node"]) == ("main", 137, NAME)
    assert "OOMKilled" in await world.plugin("failures", name)
    await world.delete(name)


async def test_a_failing_init_container_is_explained(world: World) -> None:
    """explain-stuck names the init container and its exit code while the real kubelet backs off."""
    prepare = {**container("exit 3"), "name": "prep", "args": ["exit 3"]}
    worker = {"terminationGracePeriodSeconds": 1, "initContainers": [prepare], "containers": [container("sleep 600")]}
    name = await world.create(leaderworkerset("unprepared", replicas=1, size=2, worker=worker))

    async def explained() -> bool:
        words = await world.plugin("explain-stuck", name)
        return "prep" in words and "3" in words

    await world.until(explained, "nothing names the init container")
    await world.delete(name)


async def test_a_missing_config_map_is_explained(world: World) -> None:
    """explain-stuck quotes what the kubelet says of a volume that cannot be mounted."""
    missing = {"name": "settings", "configMap": {"name": "not-there"}}
    mount = {"volumeMounts": [{"name": "settings", "mountPath": "/settings"}]}
    worker = {"containers": [container("sleep 600", **mount)], "volumes": [missing]}
    name = await world.create(leaderworkerset("unmounted", replicas=1, size=2, worker=worker))

    async def explained() -> bool:
        return "not-there" in await world.plugin("explain-stuck", name)

    await world.until(explained, "nothing names the ConfigMap")
    await world.delete(name)


async def test_a_rollout_keeps_its_groups(world: World) -> None:
    """With surge, a rolling update on a real kubelet has two groups ready at every look."""
    rollout = {"rollingUpdateConfiguration": {"maxUnavailable": 0, "maxSurge": 1}}
    manifest = leaderworkerset("rolled", rolloutStrategy={"type": "RollingUpdate", **rollout})
    name = await world.create(manifest)
    await world.available(name)
    manifest["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"] = [container("sleep 3600")]
    await world.create(manifest)
    lowest = 2

    async def done() -> bool:
        nonlocal lowest
        pods = await world.pods(name)
        ready = {each for each, pod in pods.items() if _ready(pod)}
        whole = [group for group in range(3) if {f"rolled-{group}", f"rolled-{group}-1", f"rolled-{group}-2"} <= ready]
        lowest = min(lowest, len(whole))
        status = (await world.node.get("lws", name))["status"]
        return status.get("updatedReplicas") == 2 and len(pods) == 6 and status.get("readyReplicas") == 2

    await world.until(done, "the rollout did not end")
    assert lowest == 2
    await world.delete(name)


def _ready(pod: JSON) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return "deletionTimestamp" not in pod["metadata"] and any(
        each["type"] == "Ready" and each["status"] == "True" for each in conditions
    )
