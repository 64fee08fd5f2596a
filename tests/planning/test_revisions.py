"""Revisions: which one belongs to the leader StatefulSet, reuse, adoption, truncation (spec 6)."""

from __future__ import annotations

import orjson
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset import revisions as content
from lws.api.leaderworkerset.objects import ControllerRevision, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Create, Update
from lws.apimachinery.objects import OwnerReference
from lws.planning.leaderworkerset import revisions
from lws.planning.leaderworkerset.revisions import Choice, Contents
from tests.planning import making
from tests.planning.world import World

OLD = making.lws(image="app:1")
NEW = making.lws(image="app:2", metadata={"generation": 4})
OLD_KEY, NEW_KEY = making.key_of(OLD), making.key_of(NEW)


def choose(
    lws: LeaderWorkerSet, statefulset: StatefulSet | None, *listed: ControllerRevision
) -> tuple[Choice, list[str]]:
    """The choice, and the notes of the events that go with it."""
    choice = revisions.choose(lws, statefulset, listed, Contents())
    notes = [event.note for action in choice.actions for event in getattr(action, "on_success", ())]
    return choice, notes


def test_6_5_no_leader_set() -> None:
    """Without a leader StatefulSet a revision of the live spec is created."""
    choice, notes = choose(OLD, None)
    assert (choice.key, choice.armed, choice.surging) == (OLD_KEY, False, False)
    assert notes == [f"Creating revision with key {OLD_KEY} for a newly created LeaderWorkerSet"]


def test_6_5_leader_set_without_a_key() -> None:
    """A missing key is the same as no StatefulSet."""
    choice, notes = choose(OLD, making.leader_set(""))
    assert choice.key == OLD_KEY
    assert notes == [f"Creating revision with key {OLD_KEY} for a newly created LeaderWorkerSet"]


def test_6_5_found() -> None:
    """The revision of the StatefulSet's key is used as it is, with the key looked up and never computed."""
    choice, notes = choose(OLD, making.leader_set("legacy"), making.revision(OLD, key="legacy"))
    assert (choice.key, choice.actions, choice.armed) == ("legacy", (), False)
    assert notes == []


def test_6_5_several_of_one_key_the_highest_counts() -> None:
    """Of several revisions with the key, the one with the highest number decides."""
    listed = (making.revision(OLD, 1), making.revision(NEW, 2, key=OLD_KEY))
    assert not choose(NEW, making.leader_set(OLD_KEY), *listed)[0].armed
    assert choose(OLD, making.leader_set(OLD_KEY), *listed)[0].armed


def test_6_5_adopted() -> None:
    """A key without a revision is adopted, so that no rollout starts; the name still has the content's hash."""
    choice, notes = choose(OLD, making.leader_set("legacy"))
    assert (choice.key, choice.armed) == ("legacy", False)
    assert notes == ["Creating missing revision with key legacy for existing LeaderWorkerSet"]
    (created,) = choice.actions
    assert isinstance(created, Create)
    assert created.manifest["metadata"]["labels"][labels.REVISION] == "legacy"
    assert created.manifest["metadata"]["name"] == f"sample-{OLD_KEY}-1"


def test_6_5_live_spec_differs() -> None:
    """An edit makes a second revision, keyed by its content, and arms a rollout."""
    choice, notes = choose(NEW, making.leader_set(OLD_KEY), making.revision(OLD))
    assert (choice.key, choice.armed, choice.surging) == (NEW_KEY, True, True)
    assert notes == [f"Creating revision with key {NEW_KEY} for updated LWS"]


def test_6_1_manifest() -> None:
    """A revision has two labels, the set as owner, the next number, and data in normal form."""
    choice, _ = choose(NEW, making.leader_set(OLD_KEY), making.revision(OLD, 7))
    (created,) = choice.actions
    assert isinstance(created, Create)
    assert created.manifest == {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"sample-{NEW_KEY}-8",
            "namespace": "default",
            "labels": {labels.NAME: "sample", labels.REVISION: NEW_KEY},
            "ownerReferences": [
                {
                    "apiVersion": "leaderworkerset.x-k8s.io/v1",
                    "kind": "LeaderWorkerSet",
                    "name": "sample",
                    "uid": "uid-lws",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "data": orjson.loads(content.revision_data(NEW)),
        "revision": 8,
    }


def test_cd_12_equal_content_is_reused_and_raised() -> None:
    """Going back to earlier content makes no third revision: the first is raised above the second."""
    listed = (making.revision(OLD, 1), making.revision(NEW, 2))
    choice, notes = choose(OLD, making.leader_set(NEW_KEY), *listed)
    assert (choice.key, choice.armed) == (OLD_KEY, True)
    assert notes == []
    (update,) = choice.actions
    assert isinstance(update, Update)
    assert (update.name, update.change, update.resource_version) == (f"sample-{OLD_KEY}-1", {"revision": 3}, "201")


def test_cd_12_a_failed_apply_adds_no_revision() -> None:
    """The pass after a failed apply finds the revision that the former pass made."""
    listed = (making.revision(OLD, 1), making.revision(NEW, 2))
    choice, notes = choose(NEW, making.leader_set(OLD_KEY), *listed)
    assert (choice.key, choice.armed, choice.actions, notes) == (NEW_KEY, True, (), [])


def test_cd_12_recreated_leader_set_adds_no_revision() -> None:
    """A leader StatefulSet that is created anew uses the revision that is there."""
    choice, notes = choose(OLD, None, making.revision(OLD))
    assert (choice.actions, notes) == ((), [])


def test_cd_12_other_content_under_the_wanted_key_is_not_reused() -> None:
    """Reuse needs equal content and the wanted key, both."""
    choice, _ = choose(NEW, making.leader_set(OLD_KEY), making.revision(OLD), making.revision(NEW, 2, key="other"))
    assert isinstance(choice.actions[0], Create)


@pytest.mark.parametrize(
    ("owner", "own"),
    [
        (making.controller("LeaderWorkerSet", "sample", "uid-lws"), True),
        (None, True),
        (making.controller("LeaderWorkerSet", "sample", "uid-of-former-lws"), False),
        (making.controller("StatefulSet", "sample", "uid-leader-set"), False),
    ],
)
def test_own_revisions_6_1(owner: object, own: bool) -> None:
    """A revision is the set's by its label, and by a controller that is absent or the set itself."""
    listed = making.revision(OLD, owner_references=() if owner is None else (owner,))
    assert (revisions.find_by_key(OLD, [listed], OLD_KEY) is not None) is own


def test_lookup_6_6() -> None:
    """An empty key finds nothing."""
    assert revisions.find_by_key(OLD, [making.revision(OLD, key="")], "") is None


def test_truncation_6_6() -> None:
    """When the update is done, revisions of other keys are deleted, by UID."""
    world = World.at_rest(replicas=2, image="app:2")
    world.revisions.append(making.revision(making.lws(image="app:1"), 9, uid="uid-old"))
    (deletion,) = making.deleted(world.plan())
    assert (deletion.resource.kind, deletion.uid) == ("ControllerRevision", "uid-old")


@pytest.mark.parametrize("why", ["not ready", "user partition"])
def test_no_truncation_before_the_update_is_done_8_4(why: str) -> None:
    """While a group is not ready, or the user's partition holds some back, all revisions are kept."""
    world = World.at_rest(replicas=2, image="app:2", rolling={"partition": 1} if why == "user partition" else {})
    if why == "not ready":
        world.leaders[0] = making.leader(0, making.key_of(world.lws), ready=False)
    world.revisions.append(making.revision(making.lws(image="app:1"), 9))
    assert making.deleted(world.plan()) == []


def test_a_revision_in_use_is_not_truncated() -> None:
    """The key of a leader that is still there keeps its revision until that pod has ended."""
    world = World.at_rest(replicas=2, image="app:2")
    old = making.lws(image="app:1")
    world.revisions.append(making.revision(old, 9))
    world.leaders.append(making.leader(5, making.key_of(old)))
    assert making.deleted(world.plan()) == []


def test_equality_is_semantic_6_3() -> None:
    """Null members and null timestamps, as older releases wrote them, are no update."""
    data = orjson.loads(content.revision_data(OLD))
    template = data["spec"]["leaderWorkerTemplate"]
    template["workerTemplate"]["metadata"] = {"creationTimestamp": None}
    template["subGroupPolicy"] = None
    stored = making.revision(OLD)
    legacy = ControllerRevision(metadata=stored.metadata, revision=1, data=data)
    assert choose(OLD, making.leader_set(OLD_KEY), legacy)[0].actions == ()


def test_cd_47_orphaned_revisions_get_their_owner_back() -> None:
    """A revision that nobody controls is the set's, and is owned by it from the next quiet pass on."""
    lws = making.lws()
    key = making.key_of(lws)
    keeper = OwnerReference(kind="Backup", name="keeper", uid="uid-keeper", api_version="v1")
    orphan = making.revision(lws, 1, owner_references=(keeper,))
    choice = revisions.choose(lws, making.leader_set(key), [orphan], Contents())
    (update,) = choice.actions
    assert isinstance(update, Update)
    assert (update.name, update.resource_version) == (orphan.metadata.name, "201")
    kept, owner = update.change["metadata"]["ownerReferences"]
    assert kept == {"apiVersion": "v1", "kind": "Backup", "name": "keeper", "uid": "uid-keeper"}
    assert (owner["uid"], owner["controller"]) == (making.UID, True)
    assert revisions.choose(lws, making.leader_set(key), [making.revision(lws, 1)], Contents()).actions == ()
