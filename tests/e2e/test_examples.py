"""Every example comes up on the sandbox, and its pods carry exactly what the specification says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from lws.api.resources import (
    CONTROLLERREVISIONS,
    LEADERWORKERSETS,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    SERVICES,
    STATEFULSETS,
)
from lws.cli.beside import at_sandbox, controller
from lws.cli.run import apply, observe
from lws.cli.view import blockers
from lws.client.api import ApiClient
from lws.sandbox import virtual_time as vt
from lws.sandbox.cluster import Sandbox
from lws.sandbox.nodes import preset
from tests.e2e.conftest import ROOT
from tests.e2e.expected import Expected, L, sha1
from tests.virtual import virtual_time

JSON = dict[str, Any]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.yaml"))
ZONE = "topology.kubernetes.io/zone"
LIMIT, PERIOD = 300.0, 0.5  # virtual seconds


def _documents(path: Path) -> list[JSON]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def _sandbox() -> Sandbox:
    return Sandbox(shape=preset("small"), clock=vt.VirtualClock(), random=Random(7))


async def _come_up(client: ApiClient, path: Path) -> None:
    await apply(client, _documents(path))
    for _ in range(int(LIMIT / PERIOD)):
        sets = await observe(client)
        if sets and all(row.done for row in sets):
            return
        await asyncio.sleep(PERIOD)
    raise AssertionError(blockers(await observe(client)))


async def _zone(client: ApiClient, pod: JSON) -> str:
    node = await client.get(NODES, "", pod["spec"]["nodeName"])
    return str(node["metadata"]["labels"][ZONE])


async def _check_pods(client: ApiClient, document: JSON) -> None:
    """Names, labels, annotations, environment, affinity, node selector and subdomain of every pod of a set."""
    lws = {**document, "metadata": {**document["metadata"], "namespace": "default"}}
    name = lws["metadata"]["name"]
    pods = {
        pod["metadata"]["name"]: pod
        for pod in (await client.list(PODS, "default", label_selector=f"{L}name={name}"))["items"]
    }
    key = (await client.get(STATEFULSETS, "default", name))["metadata"]["labels"][f"{L}template-revision-hash"]
    size = lws["spec"]["leaderWorkerTemplate"].get("size", 1)
    wanted = [
        Expected(lws, group, index, key, await _zone(client, pods[f"{name}-{group}"]))
        for group in range(lws["spec"].get("replicas", 1))
        for index in range(size)
    ]
    assert sorted(pods) == sorted(each.name for each in wanted)
    for each in wanted:
        owner = name if each.index == 0 else each.leader
        revision = (await client.get(STATEFULSETS, "default", owner))["status"]["updateRevision"]
        _check_pod(each, pods[each.name], revision)


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
            assert _plain(live["env"]) == _plain(each.environment(container)), f"{each.name}/{container['name']}"


def _plain(environment: list[JSON]) -> list[JSON]:
    """Without the ``apiVersion`` that the server writes into field references."""
    for entry in environment:
        reference = (entry.get("valueFrom") or {}).get("fieldRef")
        if reference:
            reference.pop("apiVersion", None)
    return environment


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@virtual_time
async def test_examples_come_up_as_specified(path: Path) -> None:
    """Every set of the example becomes Available, and every pod carries exactly the specified identity."""
    async with _sandbox() as sandbox, controller(at_sandbox(sandbox)):
        client = sandbox.client()
        await _come_up(client, path)
        for document in _documents(path):
            if document["kind"] == "LeaderWorkerSet":
                await _check_pods(client, document)


def _example(number: str) -> Path:
    return next(path for path in EXAMPLES if path.stem.startswith(number))


@virtual_time
async def test_unique_subdomains_have_a_service_each() -> None:
    """Each group of the example has its own headless Service, owned by its leader, and there is no shared one."""
    async with _sandbox() as sandbox, controller(at_sandbox(sandbox)):
        client = sandbox.client()
        await _come_up(client, _example("05"))
        services = (await client.list(SERVICES, "default", label_selector=f"{L}name=unique"))["items"]
        owners = {item["metadata"]["name"]: item["metadata"]["ownerReferences"][0]["kind"] for item in services}
        assert owners == {"unique-0": "Pod", "unique-1": "Pod"}
        assert all(item["spec"]["clusterIP"] == "None" for item in services)


@virtual_time
async def test_workers_wait_for_their_leader() -> None:
    """With LeaderReady no worker is made before its leader is Ready."""
    early: list[str] = []
    async with _sandbox() as sandbox, controller(at_sandbox(sandbox)):
        client = sandbox.client()
        await apply(client, _documents(_example("04")))
        ready: set[str] = set()
        for _ in range(100):
            for pod in (await client.list(PODS, "default"))["items"]:
                labels = pod["metadata"]["labels"]
                if labels[f"{L}worker-index"] != "0" and labels[f"{L}group-key"] not in ready:
                    early.append(pod["metadata"]["name"])
                conditions = {item["type"]: item["status"] for item in pod["status"].get("conditions") or ()}
                if labels[f"{L}worker-index"] == "0" and conditions.get("Ready") == "True":
                    ready.add(sha1(f"default/{pod['metadata']['name']}"))
            await asyncio.sleep(0.1)
        assert len(ready) == 2
    assert early == []


@virtual_time
async def test_groups_keep_to_themselves() -> None:
    """The groups of the exclusive example lie in one zone each, and not in the same."""
    async with _sandbox() as sandbox, controller(at_sandbox(sandbox)):
        client = sandbox.client()
        await _come_up(client, _example("07"))
        zones: dict[str, set[str]] = {}
        for pod in (await client.list(PODS, "default"))["items"]:
            zones.setdefault(pod["metadata"]["labels"][f"{L}group-index"], set()).add(await _zone(client, pod))
        assert sorted(len(found) for found in zones.values()) == [1, 1]
        assert zones["0"] != zones["1"]


@virtual_time
async def test_claims_live_as_the_policy_says() -> None:
    """Every pod has its bound claim; claims stay when the set shrinks, and go with the set."""
    async with _sandbox() as sandbox, controller(at_sandbox(sandbox)):
        client = sandbox.client()
        await _come_up(client, _example("09"))
        claims = (await client.list(PERSISTENTVOLUMECLAIMS, "default"))["items"]
        names = ["cache-claims-0", "cache-claims-0-1", "cache-claims-1", "cache-claims-1-1"]
        assert [item["metadata"]["name"] for item in claims] == names
        assert {item["status"]["phase"] for item in claims} == {"Bound"}
        await client.patch(LEADERWORKERSETS, "default", "claims", {"spec": {"replicas": 1}})
        await asyncio.sleep(30)
        assert len((await client.list(PODS, "default"))["items"]) == 2
        kept = [item["metadata"]["name"] for item in (await client.list(PERSISTENTVOLUMECLAIMS, "default"))["items"]]
        assert "cache-claims-1" in kept
        await client.delete(LEADERWORKERSETS, "default", "claims", propagation="Foreground")
        await asyncio.sleep(120)
        assert (await client.list(PERSISTENTVOLUMECLAIMS, "default"))["items"] == []


@virtual_time
async def test_groups_follow_their_load() -> None:
    """The autoscaled example grows with its metric and shrinks, after a while, with it."""
    async with _sandbox() as sandbox, controller(at_sandbox(sandbox)):
        client = sandbox.client()
        await _come_up(client, _example("10"))
        sandbox.loops.metrics.set("cpu", 100.0)
        await asyncio.sleep(40)
        live = await client.get(LEADERWORKERSETS, "default", "autoscaled")
        assert live["spec"]["replicas"] == 4
        assert live["status"]["readyReplicas"] == 4
        sandbox.loops.metrics.set("cpu", 5.0)
        await asyncio.sleep(400)
        assert (await client.get(LEADERWORKERSETS, "default", "autoscaled"))["spec"]["replicas"] == 1


@virtual_time
async def test_an_example_leaves_nothing_behind() -> None:
    """Deleting the set takes StatefulSets, pods, Services and revisions along."""
    async with _sandbox() as sandbox, controller(at_sandbox(sandbox)):
        client = sandbox.client()
        await _come_up(client, _example("02"))
        await client.delete(LEADERWORKERSETS, "default", "minimal")
        await asyncio.sleep(60)
        for resource in (STATEFULSETS, PODS, CONTROLLERREVISIONS):
            assert (await client.list(resource, "default"))["items"] == [], resource
