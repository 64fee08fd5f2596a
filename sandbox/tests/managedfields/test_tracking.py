"""Entries of managedFields: creation, updates, upgrades from client-side apply, scale."""

from __future__ import annotations

import json

from sandbox.tests.managedfields.story import CONFIG_MAP, START, STATEFUL_SET, Story, leaves

from lws.apimachinery.manifests import JSON
from lws_sandbox.managedfields import same_but_times, to_parent, to_scale, track
from lws_sandbox.managedfields.manager import LAST_APPLIED
from lws_sandbox.schema import Schema


def test_a_creation_owns_what_it_brought() -> None:
    """All but the identity belongs to the creator, an empty map as itself."""
    story = Story()
    story.write("u", data={"x": "1"}, metadata={"labels": {"l": "1"}, "annotations": {"n": "1"}})
    fields: JSON = {"f:data": {".": {}, "f:x": {}}, "f:metadata": {"f:labels": {".": {}, "f:l": {}}}}
    fields["f:metadata"]["f:annotations"] = {".": {}, "f:n": {}}
    assert story.owners == {"u*": fields}


def test_updates_of_one_manager_are_one_entry() -> None:
    """What a manager changes is added to what it had, and its time is that of the last change."""
    story = Story()
    story.write("u", data={"x": "1"})
    story.write("u", data={"y": "1"})
    obj = story.write("v", data={"z": "1"})
    assert leaves(story.owners["u*"]) == ["data/.", "data/x", "data/y"]
    assert leaves(story.owners["v*"]) == ["data/z"]
    assert [entry["time"][-3:] for entry in obj["metadata"]["managedFields"]] == ["02Z", "03Z"]


def test_a_write_that_changes_nothing_owns_nothing() -> None:
    """No entry, no new time."""
    story = Story()
    first = story.write("u", data={"x": "1"})
    assert story.write("v", data={"x": "1"}) == first


def test_a_manager_without_a_name_is_unknown() -> None:
    """Somebody wrote it."""
    story = Story()
    story.write("", data={"x": "1"})
    assert list(story.owners) == ["unknown*"]


def test_appliers_come_first_then_by_time() -> None:
    """Entries stand in the order of operation, time and name."""
    story = Story()
    story.write("z", data={"x": "1"})
    story.write("b", data={"y": "1"})
    story.apply("q", data={"w": "1"})
    assert list(story.owners) == ["q", "z*", "b*"]


def test_at_most_ten_updaters() -> None:
    """The oldest updaters become one, named ancient-changes."""
    story = Story()
    for number in range(13):
        story.write(f"u{number:02}", data={f"k{number:02}": "1"})
    owners = list(story.owners)
    assert len(owners) == 10
    assert owners[0] == "ancient-changes*"
    assert leaves(story.owners["ancient-changes*"]) == ["data/.", "data/k00", "data/k01", "data/k02", "data/k03"]


def test_owners_may_be_forgotten() -> None:
    """An empty list, or a list of one empty entry, takes all entries away; later writes bring none back."""
    empties: tuple[list[JSON], ...] = ([], [{}])
    for empty in empties:
        story = Story()
        story.write("u", data={"x": "1"})
        story.write("v", metadata={"managedFields": empty})
        assert story.owners == {}
        story.write("v", data={"x": "2"})
        assert story.owners == {}


def test_the_first_apply_to_an_object_without_owners() -> None:
    """What was there belongs to before-first-apply, and conflicts."""
    story = Story()
    story.obj = story.body(data={"x": "1"})
    error = story.refused("a", data={"x": "2"})
    assert error.message == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.x'
    story.apply("a", data={"y": "1"})
    assert list(story.owners) == ["a", "before-first-apply*"]


def test_kubectl_goes_on_where_its_client_side_apply_ended() -> None:
    """What its last applied configuration says and nobody changed is no conflict for kubectl, but for others it is."""
    story = Story()
    applied = story.body(data={"x": "1"})
    annotations = {LAST_APPLIED: json.dumps(applied)}
    story.write("kubectl-client-side-apply", data={"x": "1"}, metadata={"annotations": annotations})
    story.refused("other", data={"x": "2"})
    obj = story.apply("kubectl", data={"x": "2"})
    assert story.data == {"x": "2"}
    assert json.loads(obj["metadata"]["annotations"][LAST_APPLIED])["data"] == {"x": "2"}
    story.write("u", data={"x": "3"})
    story.refused("kubectl", data={"x": "4"})


def test_defaults_belong_to_nobody() -> None:
    """What the server filled in after an apply is in no applier's entry."""
    story = Story(STATEFUL_SET)
    story.apply("a", spec={"replicas": 1})
    assert story.obj is not None
    story.obj["spec"]["podManagementPolicy"] = "OrderedReady"
    story.apply("a", spec={"replicas": 2})
    assert story.obj["spec"]["podManagementPolicy"] == "OrderedReady"
    assert leaves(story.owners["a"]) == ["spec/replicas"]


def test_what_another_version_does_not_know() -> None:
    """Of a custom resource that an owner's version cannot hold nothing is tracked any more."""
    one = Schema.of_custom("example.org/v1", "T", _spec("x"))
    two = Schema.of_custom("example.org/v2", "T", _spec("x", "y"))
    old = track(None, _thing("v1", x="1"), manager="u", schema=one, now=START)
    new = {**_thing("v2", x="1", y="2"), "metadata": old["metadata"]}
    known = track({**old, "apiVersion": "example.org/v2"}, new, manager="u", schema=two, now=START, versions={})
    assert len(known["metadata"]["managedFields"]) == 1
    versions = {"example.org/v1": one}
    lost = track({**old, "apiVersion": "example.org/v2"}, new, manager="u", schema=two, now=START, versions=versions)
    assert "managedFields" not in lost["metadata"]


def _spec(*names: str) -> JSON:
    properties = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}


def _thing(version: str, **spec: str) -> JSON:
    return {"apiVersion": f"example.org/{version}", "kind": "T", "metadata": {"name": "a"}, "spec": spec}


def test_scale_shares_the_owners_of_replicas() -> None:
    """Who owns the replicas owns them in the Scale, and who takes them there takes them in the object."""
    paths = {"apps/v1": "spec.replicas"}
    story = Story(STATEFUL_SET)
    story.apply("a", spec={"replicas": 1, "serviceName": "s"})
    assert story.obj is not None
    parent = story.obj["metadata"]["managedFields"]
    scale = to_scale(parent, paths)
    assert [(entry["manager"], entry["apiVersion"], entry["fieldsV1"]) for entry in scale] == [
        ("a", "autoscaling/v1", {"f:spec": {"f:replicas": {}}})
    ]
    stolen = [{**scale[0], "manager": "hpa", "operation": "Update", "subresource": "scale"}]
    after = to_parent(parent, stolen, "apps/v1", paths)
    assert [(entry["manager"], entry["fieldsV1"], entry.get("time")) for entry in after] == [
        ("a", {"f:spec": {"f:serviceName": {}}}, "2026-01-01T00:00:01Z"),
        ("hpa", {"f:spec": {"f:replicas": {}}}, None),
    ]
    assert to_parent(parent, scale, "apps/v1", paths) == parent


def test_times_alone_are_no_difference() -> None:
    """Objects that differ in times of entries and versions are the same."""
    story = Story()
    first = story.write("u", data={"x": "1"})
    later = {**first, "metadata": {**first["metadata"], "resourceVersion": "9"}}
    entries = [{**entry, "time": "2027-01-01T00:00:00Z"} for entry in first["metadata"]["managedFields"]]
    later["metadata"]["managedFields"] = entries
    assert same_but_times(first, later)
    assert not same_but_times(first, {**later, "data": {"x": "2"}})
    assert story.schema is CONFIG_MAP
