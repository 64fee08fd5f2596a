"""Every example comes up on every control plane, and its pods carry exactly what the specification says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PERSISTENTVOLUMECLAIMS, PODS, SERVICES, STATEFULSETS
from lws_sandbox.quickstart.manifests import apply
from tests.real.expected import Expected, L, sha1
from tests.real.planes import Plane
from tests.real.world import World

ROOT = Path(__file__).parents[2]
APART = ("schedulerName: volcano", "groupIdentity: Hash")  # another scheduler is to place it; `test_hash` looks at it
EXAMPLES = [
    path
    for path in sorted((ROOT / "examples").glob("[0-9]*.yaml"))
    if "kind: LeaderWorkerSet" in (text := path.read_text()) and not any(each in text for each in APART)
]
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"


def _documents(path: Path, world: World) -> list[JSON]:
    found = [document for document in yaml.safe_load_all(path.read_text()) if document]
    for document in found:
        document["metadata"]["namespace"] = world.namespace
    return found


def _sets(path: Path, world: World) -> list[JSON]:
    return [document for document in _documents(path, world) if document["kind"] == "LeaderWorkerSet"]


def _example(number: str) -> Path:
    return next(path for path in EXAMPLES if path.stem.startswith(number))


async def _come_up(world: World, path: Path) -> None:
    await world.start()
    await apply(world.client, _documents(path, world))
    for document in _sets(path, world):
        await world.available(document["metadata"]["name"])


async def _topology(world: World, pod: JSON) -> dict[str, str]:
    """Zone and region of the pod's node."""
    node = await world.client.get(NODES, "", pod["spec"]["nodeName"])
    return {key: value for key, value in node["metadata"]["labels"].items() if key in (ZONE, REGION)}


async def _check_pods(world: World, lws: JSON) -> None:
    """Names, labels, annotations, environment, affinity, node selector and subdomain of every pod of a set."""
    name = lws["metadata"]["name"]
    pods = {pod["metadata"]["name"]: pod for pod in world.all(PODS, name=name)}
    sets = {found["metadata"]["name"]: found for found in world.all(STATEFULSETS)}
    key = sets[name]["metadata"]["labels"][f"{L}template-revision-hash"]
    size = lws["spec"]["leaderWorkerTemplate"].get("size", 1)
    wanted = [
        Expected(lws, group, index, key, (await _topology(world, pods[f"{name}-{group}"]))[ZONE])
        for group in range(lws["spec"].get("replicas", 1))
        for index in range(size)
    ]
    wanted = [replace(each, topology=await _topology(world, pods[each.name])) for each in wanted]
    assert sorted(pods) == sorted(each.name for each in wanted)
    for each in wanted:
        owner = name if each.index == 0 else each.leader
        _check_pod(each, pods[each.name], sets[owner]["status"]["updateRevision"])


def _check_pod(each: Expected, pod: JSON, revision: str) -> None:
    assert pod["metadata"]["labels"] == each.labels(revision), each.name
    assert pod["metadata"].get("annotations") == each.annotations(), each.name
    assert pod["spec"].get("affinity") == each.affinity(), each.name
    assert pod["spec"].get("nodeSelector") == each.node_selector(), each.name
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == (each.name, each.subdomain)
    for member in ("initContainers", "containers"):
        given = each.template["spec"].get(member) or []
        carried = pod["spec"].get(member) or []
        for container, live in zip(given, carried, strict=True):
            assert _plain(live["env"]) == each.environment(container), f"{each.name}/{container['name']}"


def _plain(environment: list[JSON]) -> list[JSON]:
    """Without the ``apiVersion`` that the server writes into field references."""
    return [_plain_variable(entry) for entry in environment]


def _plain_variable(entry: JSON) -> JSON:
    source = entry.get("valueFrom") or {}
    if "fieldRef" not in source:
        return entry
    reference = {key: value for key, value in source["fieldRef"].items() if key != "apiVersion"}
    return {**entry, "valueFrom": {**source, "fieldRef": reference}}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_come_up_as_specified(plane: Plane, path: Path) -> None:
    """Every set of the example becomes Available, and every pod carries exactly the specified identity."""

    async def scenario(world: World) -> None:
        await _come_up(world, path)
        for document in _sets(path, world):
            await _check_pods(world, document)

    plane.run(scenario)


def test_unique_subdomains_have_a_service_each(plane: Plane) -> None:
    """Each group of the example has its own headless Service, owned by its leader, and there is no shared one."""

    async def scenario(world: World) -> None:
        await _come_up(world, _example("05"))
        services = world.all(SERVICES, name="unique")
        owners = {item["metadata"]["name"]: item["metadata"]["ownerReferences"][0]["kind"] for item in services}
        assert owners == {"unique-0": "Pod", "unique-1": "Pod"}
        assert all(item["spec"]["clusterIP"] == "None" for item in services)

    plane.run(scenario)


def test_workers_wait_for_their_leader(plane: Plane) -> None:
    """With LeaderReady no worker is made before its leader is Ready."""

    async def scenario(world: World) -> None:
        early: list[str] = []
        ready: set[str] = set()

        def look() -> bool:
            pods = world.all(PODS)
            for pod in pods:
                conditions = {item["type"]: item["status"] for item in pod["status"].get("conditions") or ()}
                if pod["metadata"]["labels"][f"{L}worker-index"] == "0" and conditions.get("Ready") == "True":
                    ready.add(sha1(f"{world.namespace}/{pod['metadata']['name']}"))
            workers = [pod for pod in pods if pod["metadata"]["labels"][f"{L}worker-index"] != "0"]
            early.extend(
                pod["metadata"]["name"] for pod in workers if pod["metadata"]["labels"][f"{L}group-key"] not in ready
            )
            return world.is_available("leader-ready")

        await world.start()
        await apply(world.client, _documents(_example("04"), world))
        await world.until(look, "the example's end")
        assert len(ready) == 2
        assert early == []

    plane.run(scenario)


def test_groups_keep_to_themselves(plane: Plane) -> None:
    """The groups of the exclusive example lie in one zone each, and not in the same."""

    async def scenario(world: World) -> None:
        await _come_up(world, _example("07"))
        zones: dict[str, set[str]] = {}
        for pod in world.all(PODS):
            zones.setdefault(pod["metadata"]["labels"][f"{L}group-index"], set()).add(
                (await _topology(world, pod))[ZONE]
            )
        assert sorted(len(found) for found in zones.values()) == [1, 1]
        assert zones["0"] != zones["1"]

    plane.run(scenario)


def test_claims_live_as_the_policy_says(plane: Plane) -> None:
    """Every pod has its bound claim; claims stay when the set shrinks, and go with the set."""

    async def scenario(world: World) -> None:
        await _come_up(world, _example("09"))
        assert world.names(PERSISTENTVOLUMECLAIMS) == [
            "cache-claims-0",
            "cache-claims-0-1",
            "cache-claims-1",
            "cache-claims-1-1",
        ]
        assert {item["status"]["phase"] for item in world.all(PERSISTENTVOLUMECLAIMS)} == {"Bound"}
        await world.edit("claims", replicas=1)
        await world.counts(PODS, 2)
        await world.rest()
        assert "cache-claims-1" in world.names(PERSISTENTVOLUMECLAIMS)
        await world.client.delete(LEADERWORKERSETS, world.namespace, "claims", propagation="Foreground")
        await world.counts(PERSISTENTVOLUMECLAIMS, 0)

    plane.run(scenario)


def test_groups_follow_their_load(plane: Plane) -> None:
    """The autoscaled example grows with its metric and shrinks, once its window has passed, with it."""

    async def scenario(world: World) -> None:
        await world.start()
        documents = _documents(_example("10"), world)
        for document in documents:
            if document["kind"] == "HorizontalPodAutoscaler" and not world.virtual:
                document["spec"]["behavior"] = {"scaleDown": {"stabilizationWindowSeconds": 0}}
        await apply(world.client, documents)
        await world.available("autoscaled")
        world.loops.metrics.set("cpu", 100.0)
        await world.until(lambda: _replicas(world) == [4, 4], "four groups")
        world.loops.metrics.set("cpu", 5.0)
        await world.until(lambda: _replicas(world) == [1, 1], "one group", 600 if world.virtual else 90)

    plane.run(scenario)


def _replicas(world: World) -> list[int]:
    found = world.get(LEADERWORKERSETS, "autoscaled")
    assert found is not None
    return [found["spec"]["replicas"], (found.get("status") or {}).get("readyReplicas", 0)]


def test_an_example_leaves_nothing_behind(plane: Plane) -> None:
    """Deleting the set takes StatefulSets, pods and revisions along."""

    async def scenario(world: World) -> None:
        await _come_up(world, _example("02"))
        await world.client.delete(LEADERWORKERSETS, world.namespace, "minimal")
        for kind in (STATEFULSETS, PODS):
            await world.counts(kind, 0)
        await world.until(lambda: world.revisions("minimal") == [], "the end of revisions")

    plane.run(scenario)
