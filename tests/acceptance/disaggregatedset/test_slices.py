"""Scenarios A29 to A33 and A43 to A45: slices, placement, and sets of release 0.9.0 (disaggregatedset 13)."""

from __future__ import annotations

import asyncio
from typing import Any

from lws.api.disaggregatedset import labels, names
from lws.api.disaggregatedset.revision import revision_of
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODS, SERVICES
from lws.planning.disaggregatedset.children import manifest as child_manifest
from lws.planning.disaggregatedset.children import owners
from tests.acceptance.disaggregatedset.site import A, B, Site, homeless, roles, site
from tests.acceptance.disaggregatedset.stages import on_every_stage
from tests.api.disaggregatedset.making import ds, pause, role
from tests.simulation.cluster import NAMESPACE
from tests.virtual import virtual_time

PAIR = ("prefill", "decode")
TOPOLOGY = "kubernetes.io/hostname"
NAME, SLICE = labels.NAME, labels.SLICE


@on_every_stage
async def test_a29_three_slices() -> None:
    """Every role once a slice, told apart by label; every Service selects the pods of one slice."""
    async with site() as found:
        await found.create(*roles(2, 2), slices=3)
        live = await found.available()
        assert await found.children() == {f"x-{k}-{A}-{name}": 2 for k in range(3) for name in PAIR}
        assert [each["replicas"] for each in live["status"]["roleStatuses"]] == [6, 6]
        for child in await found.all(LEADERWORKERSETS):
            told = child["metadata"]["labels"]
            assert told["app"] == f"x-{told[SLICE]}-{told[labels.ROLE]}"
        services = await found.all(SERVICES)
        assert len(services) == 6
        for service in services:
            selector = ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items())
            selected = {pod["metadata"]["labels"][SLICE] for pod in await found.cluster.all(PODS, selector)}
            assert selected == {service["metadata"]["labels"][SLICE]}


@on_every_stage
async def test_a30_fewer_slices() -> None:
    """Removed slices go with their Services; the pods of the one that stays are not touched."""
    async with site() as found:
        await found.create(*roles(2, 2), slices=3)
        await found.available()
        kept = {each["metadata"]["uid"] for each in await found.all(PODS, slice="0")}
        await found.edit(slices=1)
        await found.available()
        await found.cluster.quiet(10.0)
        assert await found.children() == {f"x-0-{A}-{name}": 2 for name in PAIR}
        assert {each["metadata"]["uid"] for each in await found.all(PODS)} == kept
        assert await found.services() == [f"x-0-{A}-decode-prv", f"x-0-{A}-prefill-prv"]
        notes = [note for reason, note in await found.events() if reason == "LWSDeleted"]
        assert sorted(notes) == sorted(
            f"Deleted LWS x-{k}-{A}-{name} for removed slice {k}" for k in (1, 2) for name in PAIR
        )


@on_every_stage
async def test_a31_a_slice_that_waits_holds_no_other() -> None:
    """One slice finds no room for its new groups and waits; the other finishes."""
    async with site() as found:
        await found.create(*roles(2, 2), slices=2, placementPolicy={"type": "ExclusiveSlice", "topology": TOPOLOGY})
        await found.available()
        (node,) = {pod["spec"]["nodeName"] for pod in await found.all(PODS, slice="1")}
        await _cordon(found, node)
        try:
            await found.edit(*roles(2, 2, "3.10"))
            await found.until(lambda: _done(found, 0))
            await found.cluster.quiet(20.0)
            assert await found.children(slice="0") == {f"x-0-{B}-{name}": 2 for name in PAIR}
            assert await found.children(slice="1", revision=A) == {f"x-1-{A}-{name}": 2 for name in PAIR}
            assert await found.condition("Progressing") == ("True", "RolloutInProgress")
        finally:
            await _cordon(found, node, False)


async def _cordon(found: Site, node: str, cordoned: bool = True) -> None:
    await found.client.patch(NODES, "", node, {"spec": {"unschedulable": cordoned}})


async def _done(found: Site, slice_: int) -> bool:
    return await found.children(slice=str(slice_)) == {f"x-{slice_}-{B}-{name}": 2 for name in PAIR}


def _terms(slice_: int) -> dict[str, list[JSON]]:
    """The terms of spec 5.7 for ExclusiveTopology."""

    def term(*expressions: tuple[str, str, list[str] | None]) -> JSON:
        made = [
            {"key": key, "operator": operator, **({} if values is None else {"values": values})}
            for key, operator, values in expressions
        ]
        return {"labelSelector": {"matchExpressions": made}, "topologyKey": TOPOLOGY}

    this = str(slice_)
    apart = [(NAME, "In", ["x"]), *([] if slice_ else [(SLICE, "Exists", None)]), (SLICE, "NotIn", [this])]
    alone = [(NAME, "Exists", None), (NAME, "NotIn", ["x"]), (SLICE, "Exists", None)]
    return {
        "podAffinity": [term((NAME, "In", ["x"]), (SLICE, "In", [this]))],
        "podAntiAffinity": [term(*apart), term(*alone)],
    }


@on_every_stage
async def test_a32_placement() -> None:
    """Both templates of every slice have exactly the policy's terms, after what their author wrote."""
    own = {"labelSelector": {"matchLabels": {"a": "b"}}, "topologyKey": "zone"}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [own]}}
    template = pause()
    template["workerTemplate"]["spec"]["affinity"] = affinity
    template["leaderTemplate"] = template["workerTemplate"]
    async with site(slim=False) as found:
        policy = {"type": "ExclusiveTopology", "topology": TOPOLOGY}
        await found.create(*(role(name, 1, template=template) for name in PAIR), slices=2, placementPolicy=policy)
        await found.until(lambda: _count(found, 4))
        for child in await found.all(LEADERWORKERSETS):
            terms = _terms(int(child["metadata"]["labels"][SLICE]))
            for member in ("leaderTemplate", "workerTemplate"):
                placed = child["spec"]["leaderWorkerTemplate"][member]["spec"]["affinity"]
                required = {
                    kind: each["requiredDuringSchedulingIgnoredDuringExecution"] for kind, each in placed.items()
                }
                assert required == {**terms, "podAffinity": [own, *terms["podAffinity"]]}


async def _count(found: Site, count: int) -> bool:
    return len(await found.children()) == count


@on_every_stage
async def test_a33_a_changed_policy_waits() -> None:
    """A policy reaches no child that is there; the next revision brings its terms."""
    async with site() as found:
        await found.create(*roles(1, 1))
        await found.available()
        before = {each["metadata"]["name"]: each["spec"] for each in await found.all(LEADERWORKERSETS)}
        await found.edit(placementPolicy={"type": "ExclusiveSlice", "topology": TOPOLOGY})
        await found.available()
        assert {each["metadata"]["name"]: each["spec"] for each in await found.all(LEADERWORKERSETS)} == before
        await found.edit(*roles(1, 1, "3.10"))
        await found.until(lambda: _count(found, 4))
        for child in await found.all(LEADERWORKERSETS, revision=B):
            placed = child["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["affinity"]
            assert set(placed) == {"podAffinity", "podAntiAffinity"}


async def legacy(found: Site, **arguments: Any) -> None:
    """What release 0.9.0 left of a set of two roles: children and Services without a slice, and no status."""
    made = roles(2, 2)
    live = await found.create(*made, **arguments)
    told = ds(*made, metadata={"uid": live["metadata"]["uid"]})
    for index, name in enumerate(PAIR):
        body = child_manifest(told, index, 0, A, 2)
        body["metadata"]["name"] = names.legacy_child("x", A, name)
        for place in (body, body["spec"]["leaderWorkerTemplate"]["workerTemplate"]):
            del place["metadata"]["labels"][SLICE]
            place["metadata"]["labels"]["app"] = f"x-{name}"
        await found.client.create(LEADERWORKERSETS, body)
        selector = {NAME: "x", labels.ROLE: name, labels.REVISION: A}
        service = {
            "metadata": {
                "name": names.service(body["metadata"]["name"]),
                "namespace": NAMESPACE,
                "labels": selector,
                "ownerReferences": owners(told),
            },
            "spec": {"clusterIP": "None", "selector": selector},
        }
        await found.client.create(SERVICES, service)


LEGACY = {f"x-{A}-{name}": 2 for name in PAIR}


@on_every_stage
async def test_a43_taking_over() -> None:
    """Children of release 0.9.0 are slice 0 of the target: nothing of them is written, nothing is made twice."""
    async with site() as found:
        await found.stop()
        await legacy(found)
        await found.start()
        live = await found.available()
        assert await found.children() == LEGACY
        assert await found.services() == [f"x-{A}-decode-prv", f"x-{A}-prefill-prv"]
        assert [each["replicas"] for each in live["status"]["roleStatuses"]] == [2, 2]
        assert found.gate.writes == []


@on_every_stage
async def test_a44_forth_and_back() -> None:
    """The next revision has names of slices; going back, children of release 0.9.0 are scaled up again (DD-03)."""
    async with site() as found:
        await found.stop()
        await legacy(found)
        await found.start()
        await found.available()
        await found.edit(*roles(2, 2, "3.10"))
        await found.until(lambda: found.ready_at(B, 1))
        assert set(await found.children(revision=B)) == {f"x-0-{B}-{name}" for name in PAIR}
        await found.until(lambda: _drained_once(found))
        await found.edit(*roles(2, 2))
        await found.available()
        assert await found.children() == LEGACY


async def _drained_once(found: Site) -> bool:
    return set((await found.children(revision=A)).values()) == {1}


@on_every_stage
async def test_a45_more_slices() -> None:
    """A slice 0 of release 0.9.0 makes way before any other slice comes; no Service ever selects two slices."""
    async with site() as found:
        await found.stop()
        await legacy(found)
        await found.start()
        await found.available()
        watching = asyncio.create_task(_one_slice_a_service(found))
        await found.edit(slices=2)
        await found.available()
        watching.cancel()
        assert await found.children() == {f"x-{k}-{A}-{name}": 2 for k in (0, 1) for name in PAIR}
        order = [str(each) for each in found.cluster.writes if each.resource in ("services", "leaderworkersets")]
        deleted = [f"DELETE services x-{A}-{name}-prv" for name in PAIR]
        gone = [f"DELETE leaderworkersets x-{A}-{name}" for name in PAIR]
        made = [each for each in order if each.startswith("POST leaderworkersets")]
        assert max(map(order.index, deleted)) < min(map(order.index, gone))
        assert max(map(order.index, gone)) < min(map(order.index, made))
        notes = [note for reason, note in await found.events() if reason == "LWSDeleted"]
        assert sorted(notes) == sorted(
            f"Deleted legacy slice-0 LWS {name} to recreate it in slice-aware form" for name in LEGACY
        )


async def _one_slice_a_service(found: Site) -> None:
    while True:
        for service in await found.all(SERVICES):
            selector = ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items())
            pods = await found.cluster.all(PODS, selector)
            assert len({pod["metadata"]["labels"].get(SLICE) for pod in pods}) <= 1
        await asyncio.sleep(0.25)


@virtual_time
async def test_dd_19_waiting_costs_nothing() -> None:
    """As long as new groups are not ready, no pass is made: the next event wakes the set, not a clock."""
    stuck = [role(name, 1, template=homeless()) for name in PAIR]
    async with site() as found:
        await found.create(*roles(1, 1))
        await found.available()
        await found.edit(*stuck)
        await found.until(lambda: found.has_replicas(revision_of(stuck), prefill=1, decode=1))
        await asyncio.sleep(120)  # after a minute the children's status says why they are not ready
        since = found.gate.passes()
        await asyncio.sleep(600)
        assert found.gate.passes() == since
