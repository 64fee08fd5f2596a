"""LeaderWorkerSets as KServe's LLMInferenceService makes, judges and writes them; a stand-in plays KServe.

What it does is what was seen of KServe v0.20.0-rc0 beside a real control plane: it owns its sets, asks for a dry run of
its whole object with every look, writes the whole object when that differs, and reads `Available` and `readyReplicas`.
"""

from __future__ import annotations

import copy
from typing import Any, Final

import orjson
import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, LEASES, PODS
from lws.client.transport import Request, Response
from lws.errors import ForbiddenError
from lws.planning.leaderworkerset import groups
from tests.real.planes import Plane
from tests.real.world import World

SUFFIX: Final = "-kserve-mn"


class KServe:
    """One LLMInferenceService, for which a ConfigMap stands, and the controller that keeps its set."""

    def __init__(self, world: World, name: str = "llm", **section: Any) -> None:
        self._world = world
        self.service = name
        self.name = name + SUFFIX
        self.replicas: int | None = 2
        self.section: JSON = {"size": 2, "restartPolicy": "RecreateGroupOnPodRestart", **section}
        self.image = "server:1"
        self.writes = 0
        self._owner: JSON = {}

    async def start(self) -> None:
        """Make the service, and look at it for the first time."""
        metadata = {"name": self.service, "namespace": self._world.namespace}
        made = await self._world.client.create(CONFIGMAPS, {"metadata": metadata})
        self._owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": self.service, "uid": made["metadata"]["uid"]}
        await self.look()

    async def look(self) -> tuple[str, ...]:
        """Reconcile once: create, or dry-run and write if that differs; the warnings that it was given."""
        live = self._world.get(LEADERWORKERSETS, self.name)
        wanted = self._wanted()
        if live is None:
            return (await self._send("POST", wanted)).warnings
        wanted["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        if self.replicas is None:
            wanted["spec"]["replicas"] = live["spec"]["replicas"]
        answer = await self._send("PUT", wanted, ("dryRun", "All"))
        if not _equal(orjson.loads(answer.body), live):
            self.writes += 1
            await self._send("PUT", wanted)
        return answer.warnings

    async def _send(self, method: str, body: JSON, *query: tuple[str, str]) -> Response:
        name = "" if method == "POST" else self.name
        path = LEADERWORKERSETS.path(self._world.namespace, name)
        headers = {"content-type": "application/json"}
        return await self._world.client.send(Request(method, path, query, headers, orjson.dumps(body)))

    def _wanted(self) -> JSON:
        container = {"name": "main", "image": self.image}
        template = {"metadata": {"labels": {"app": self.service}}, "spec": {"containers": [container]}}
        spec: JSON = {
            "startupPolicy": "LeaderCreated",
            "rolloutStrategy": {"type": "RollingUpdate"},
            "leaderWorkerTemplate": {
                **self.section,
                "leaderTemplate": template,
                "workerTemplate": copy.deepcopy(template),
            },
        }
        if self.replicas is not None:
            spec["replicas"] = self.replicas
        metadata: JSON = {
            "name": self.name,
            "namespace": self._world.namespace,
            "labels": {"app.kubernetes.io/part-of": "llminferenceservice", "app.kubernetes.io/name": self.service},
            "ownerReferences": [{**self._owner, "controller": True, "blockOwnerDeletion": True}],
        }
        return {
            "apiVersion": LEADERWORKERSETS.api_version,
            "kind": LEADERWORKERSETS.kind,
            "metadata": metadata,
            "spec": spec,
        }

    def ready(self) -> tuple[bool, str]:
        """Whether the service is shown as ready, and why not: condition Available as it stands."""
        status = (self._world.get(LEADERWORKERSETS, self.name) or {}).get("status") or {}
        found = next((each for each in status.get("conditions", ()) if each["type"] == "Available"), None)
        if found is None:
            return False, "LWS is progressing"
        return found["status"] == "True", str(found["message"])

    async def until_ready(self) -> None:
        """Wait until the set is what is wanted, and shown as ready."""
        await self._world.settled(self.name)
        assert self.ready()[0]


def _equal(one: JSON, other: JSON) -> bool:
    """Whether what would be stored has the spec that is stored, and nothing in its metadata that is not there."""
    metadata = ("labels", "annotations", "finalizers", "ownerReferences")
    return bool(one["spec"] == other["spec"]) and all(
        _contains(other["metadata"].get(each), one["metadata"].get(each)) for each in metadata
    )


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(_contains(whole.get(key), value) for key, value in part.items())
    return part is None or bool(whole == part)


def test_a_service_comes_up_and_rests(plane: Plane) -> None:
    """It becomes ready, and then neither its looks nor ours write anything: a dry run answers what is stored."""

    async def scenario(world: World) -> None:
        await world.start()
        kserve = KServe(world)
        await kserve.start()
        await kserve.until_ready()
        world.requests.clear()
        for _ in range(5):
            await kserve.look()
        await world.rest()
        assert kserve.writes == 0
        found = world.requests.writes()
        assert [str(each) for each in found if each.ours and each.resource != LEASES.plural] == []

    plane.run(scenario)


@pytest.mark.long
def test_v4_what_others_put_on_the_set_is_lost_and_nothing_of_ours_is(plane: Plane) -> None:
    """Its next write takes labels and annotations of others away; the same pods go on, for we keep nothing there."""

    async def scenario(world: World) -> None:
        await world.start()
        kserve = KServe(world)
        await kserve.start()
        await kserve.until_ready()
        before = world.uids()
        mine = {"metadata": {"labels": {"team": "ml"}, "annotations": {"a": "b"}}}
        await world.client.patch(LEADERWORKERSETS, world.namespace, kserve.name, mine)
        await world.rest()
        await kserve.look()
        assert kserve.writes == 0
        kserve.replicas = 3
        await kserve.look()
        await kserve.until_ready()
        found = world.get(LEADERWORKERSETS, kserve.name)
        assert found is not None
        assert "team" not in found["metadata"]["labels"]
        assert before.items() <= world.uids().items()

    plane.run(scenario)


def test_v1_v2_a_service_made_anew_is_ready_by_its_own_pods_only(plane: Plane) -> None:
    """Deleted while its pods are still ending, it is not shown as ready by them, and says how many groups are."""

    async def scenario(world: World) -> None:
        await world.start()
        kserve = KServe(world)
        await kserve.start()
        await kserve.until_ready()
        old = set(world.uids().values())
        await world.client.delete(LEADERWORKERSETS, world.namespace, kserve.name, propagation="Background")
        await world.until(lambda: world.get(LEADERWORKERSETS, kserve.name) is None, "the end of the set")
        await kserve.look()
        wrong = []

        def again() -> bool:
            ready, why = kserve.ready()
            if ready and old & set(world.uids().values()):
                wrong.append(world.told())
            assert "%" not in why
            assert ready or why != "All replicas are ready"
            return ready

        await world.until(again, "the service")
        assert wrong == []
        kserve.replicas = 3
        await kserve.look()
        await world.until(lambda: kserve.ready() == (False, "2 of 3 groups ready"), "the reason")
        await kserve.until_ready()

    plane.run(scenario)


@pytest.mark.long
def test_a_new_image_reaches_every_group(plane: Plane) -> None:
    """An update, with replicas left to an autoscaler: a reason meanwhile, ready at its end, and replicas kept."""

    async def scenario(world: World) -> None:
        await world.start()
        kserve = KServe(world)
        await kserve.start()
        await kserve.until_ready()
        kserve.replicas = None
        scale = {"spec": {"replicas": 3}}
        await world.client.patch(LEADERWORKERSETS, world.namespace, kserve.name, scale, subresource="scale")
        await kserve.until_ready()
        kserve.image = "server:2"
        await kserve.look()
        await world.until(lambda: "updated" in kserve.ready()[1], "the reason")
        await kserve.until_ready()
        assert set(world.images(kserve.name).values()) == {"server:2"}
        assert len(world.all(PODS)) == 6

    plane.run(scenario)


@pytest.mark.long
def test_v5_names_that_are_too_long_are_told(plane: Plane) -> None:
    """Names of the longest service that works, and of one letter more: warned of, and told in what KServe shows."""

    async def scenario(world: World) -> None:
        await world.start()
        good, bad = KServe(world, "a" * 40), KServe(world, "b" * 46)
        await good.start()
        await bad.start()
        await good.until_ready()
        assert not any("long a name" in each for each in await good.look())
        assert any("long a name" in each for each in await bad.look())
        await world.until(lambda: any("too long" in each for each in world.notes("NameTooLong")), "an event")

    plane.run(scenario)


@pytest.mark.long
def test_v7_an_edit_that_a_set_cannot_take_changes_nothing(plane: Plane) -> None:
    """Subgroups added to a running prefill are refused in the known words, and all goes on serving."""

    async def scenario(world: World) -> None:
        await world.start()
        kserve = KServe(world)
        await kserve.start()
        await kserve.until_ready()
        before = world.uids()
        kserve.section["subGroupPolicy"] = {"subGroupSize": 2}
        with pytest.raises(ForbiddenError, match="cannot enable subGroupSize after the lws is already created"):
            await kserve.look()
        await world.rest()
        assert kserve.ready()[0]
        assert world.uids() == before

    plane.run(scenario)


@pytest.mark.parametrize("plane", ["sandbox"], indirect=True)
def test_v1_would_be_noticed(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counterpart: a controller that counts ending pods shows the new service as ready by the old one's."""
    monkeypatch.setattr(groups, "own_leaders", lambda leaders, statefulset: () if statefulset is None else leaders)
    with pytest.raises(AssertionError):
        test_v1_v2_a_service_made_anew_is_ready_by_its_own_pods_only(plane)
