"""Who owns what on objects that several write: managed fields, labels that come and go, events that go on."""

from __future__ import annotations

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import EVENTS, STATEFULSETS
from tests.real.planes import Plane
from tests.real.world import World, claim


def leader(world: World) -> JSON:
    """The leader StatefulSet."""
    found = world.get(STATEFULSETS, "sample")
    assert found is not None
    return found


def managers(obj: JSON) -> set[tuple[str, str, str]]:
    """Manager, operation and subresource of each entry of managed fields."""
    entries = obj["metadata"]["managedFields"]
    return {(each["manager"], each["operation"], each.get("subresource", "")) for each in entries}


def test_labels_of_a_set_come_to_its_leader_set_and_go(plane: Plane) -> None:
    """A label taken off the set leaves the leader StatefulSet, where others' labels and annotations stay."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=1, size=2, metadata={"labels": {"team": "a"}, "annotations": {"note": "x"}})
        await world.settled("sample")
        assert leader(world)["metadata"]["labels"]["team"] == "a"
        foreign = {"metadata": {"labels": {"foreign": "yes"}}}
        await world.client.patch(STATEFULSETS, world.namespace, "sample", foreign, field_manager="other")
        own = {"metadata": {"labels": {"team": None}, "annotations": {"note": None, "second": "y"}}}
        await world.client.patch(LEADERWORKERSETS, world.namespace, "sample", own)
        await world.until(lambda: "second" in leader(world)["metadata"]["annotations"], "the new annotation")
        await world.settled("sample")
        assert "team" not in leader(world)["metadata"]["labels"]
        assert "note" not in leader(world)["metadata"]["annotations"]
        assert leader(world)["metadata"]["labels"]["foreign"] == "yes"
        assert {("lws", "Apply", ""), ("other", "Update", "")} <= managers(leader(world))

    plane.run(scenario)


def test_a_change_of_the_leader_set_by_others_is_taken_back(plane: Plane) -> None:
    """Replicas edited by hand return to what the set says, by one write."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=2)
        await world.settled("sample")
        world.requests.clear()
        await world.client.patch(
            STATEFULSETS, world.namespace, "sample", {"spec": {"replicas": 1}}, subresource="scale"
        )
        await world.until(lambda: leader(world)["spec"]["replicas"] == 2, "two replicas again")
        await world.settled("sample")
        assert world.requests.done("PATCH", "statefulsets")["sample"] >= 1
        ours = [each for each in world.requests.writes() if each.resource == "statefulsets" and each.verb == "PATCH"]
        assert len(ours) == 1

    plane.run(scenario)


def test_owner_references_lead_from_the_set_to_every_pod(plane: Plane) -> None:
    """Each object has one owner that controls it and holds its foreground deletion up."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=1, size=2, networkConfig={"subdomainPolicy": "UniquePerReplica"})
        await world.settled("sample")
        chain = {
            obj["metadata"]["name"]: [(own["kind"], own["name"]) for own in obj["metadata"]["ownerReferences"]]
            for obj in [*world.all(STATEFULSETS), *world.revisions()]
        }
        revision = world.revisions()[0]["metadata"]["name"]
        assert chain == {
            "sample": [("LeaderWorkerSet", "sample")],
            "sample-0": [("Pod", "sample-0")],
            revision: [("LeaderWorkerSet", "sample")],
        }
        references = [obj["metadata"]["ownerReferences"][0] for obj in [*world.all(STATEFULSETS), *world.revisions()]]
        assert all(each["controller"] and each["blockOwnerDeletion"] for each in references)

    plane.run(scenario)


def test_a_failure_that_goes_on_is_one_event(plane: Plane) -> None:
    """Applies that fail again and again are one event with a series, but for the first, which the status follows."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=1, size=1, section={"volumeClaimTemplates": [claim("1Gi")]})
        await world.settled("sample")
        world.requests.clear()
        await world.edit(leaderWorkerTemplate={"volumeClaimTemplates": [claim("2Gi")]})
        await world.until(lambda: any(_series(world)), "a series")
        *before, count = sorted(_series(world))
        assert len(before) <= 1
        assert 2 <= count <= len([each for each in world.requests.writes() if each.status == 422])
        events = [each for each in world.requests.seen if each.ours and each.resource == EVENTS.plural]
        assert [str(each) for each in events if each.status >= 400] == []

    plane.run(scenario)


def _series(world: World) -> list[int]:
    """The count of each event that tells of a failed apply; 0 while it tells of one alone."""
    found = [each for each in world.all(EVENTS) if each["reason"] == "FailedUpdate"]
    return [(each.get("series") or {"count": 0})["count"] for each in found] or [0]
