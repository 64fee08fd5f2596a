"""Who owns what after an apply: conflicts, force, shared ownership, removal."""

from __future__ import annotations

import pytest
from sandbox.tests.managedfields.story import POD, STATEFUL_SET, Story, leaves

UNTYPED = "failed to create typed patch object (/a; v1, Kind=ConfigMap): "


def test_the_first_apply_owns_what_it_names() -> None:
    """The applier owns its leaves, and the members of maps whose keys are free."""
    story = Story()
    obj = story.apply("a", data={"x": "1"}, metadata={"labels": {"l": "1"}})
    assert story.owners == {"a": {"f:data": {"f:x": {}}, "f:metadata": {"f:labels": {"f:l": {}}}}}
    (entry,) = obj["metadata"]["managedFields"]
    assert {name: entry[name] for name in ("operation", "apiVersion", "fieldsType", "time")} == {
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "time": "2026-01-01T00:00:01Z",
    }


def test_a_conflict_names_manager_and_field() -> None:
    """To change what another owns is 409, whoever it is, and nothing changes."""
    story = Story()
    story.apply("a", data={"x": "1", "y": "1"})
    error = story.refused("b", data={"x": "2"})
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == 'Apply failed with 1 conflict: conflict with "a": .data.x'
    assert error.details is not None
    assert error.details["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "a"', "field": ".data.x"}
    ]


def test_several_conflicts_are_told_by_manager() -> None:
    """All conflicts come at once; updaters are named with their version."""
    story = Story()
    story.apply("a", data={"x": "1", "y": "1"})
    story.write("u", data={"z": "1"})
    error = story.refused("b", data={"x": "2", "y": "2", "z": "2"})
    assert error.message.splitlines() == [
        'Apply failed with 3 conflicts: conflicts with "a":',
        "- .data.x",
        "- .data.y",
        'conflicts with "u" using v1:',
        "- .data.z",
    ]


def test_force_takes_over() -> None:
    """With force the value changes, and its old owner loses it."""
    story = Story()
    story.apply("a", data={"x": "1", "y": "1"})
    story.apply("b", force=True, data={"x": "2"})
    assert story.data == {"x": "2", "y": "1"}
    assert story.owners == {"a": {"f:data": {"f:y": {}}}, "b": {"f:data": {"f:x": {}}}}


def test_the_same_value_is_shared() -> None:
    """Who applies the value that is there owns it as well, without a conflict."""
    story = Story()
    story.apply("a", data={"x": "1"})
    story.apply("b", data={"x": "1"})
    assert story.owners == {"a": {"f:data": {"f:x": {}}}, "b": {"f:data": {"f:x": {}}}}
    story.refused("a", data={"x": "2"})


def test_what_is_not_applied_any_more_goes() -> None:
    """A field that its only owner leaves out is removed."""
    story = Story()
    story.apply("a", data={"x": "1", "y": "1"})
    story.apply("a", data={"x": "1"})
    assert story.data == {"x": "1"}
    assert story.owners == {"a": {"f:data": {"f:x": {}}}}


def test_what_others_own_stays() -> None:
    """A field that another owns too stays when one of them leaves it out."""
    story = Story()
    story.apply("a", data={"x": "1"})
    story.apply("b", data={"x": "1"})
    story.apply("a")
    assert story.data == {"x": "1"}
    assert list(story.owners) == ["b"]


def test_what_nobody_applied_stays() -> None:
    """What an update wrote is no applier's to remove."""
    story = Story()
    story.write("u", data={"x": "1"})
    story.apply("a", data={"y": "1"})
    story.apply("a")
    assert story.data == {"x": "1"}


def test_an_update_takes_over_without_asking() -> None:
    """Updates never conflict; whoever applied the field meets the conflict later."""
    story = Story()
    story.apply("a", data={"x": "1"})
    story.write("u", data={"x": "2"})
    assert story.owners == {"u*": {"f:data": {"f:x": {}}}}
    assert story.refused("a", data={"x": "1"}).message.endswith('conflict with "u" using v1: .data.x')
    story.apply("a", data={"x": "2"})
    assert list(story.owners) == ["a", "u*"]


def test_an_update_that_removes_frees_the_field() -> None:
    """A field that is gone has no owner."""
    story = Story()
    story.apply("a", data={"x": "1", "y": "1"})
    story.write("u", data={"x": None})
    assert story.owners == {"a": {"f:data": {"f:y": {}}}}


def test_applying_twice_changes_nothing() -> None:
    """The same apply again leaves all as it is, times included."""
    story = Story()
    first = story.apply("a", data={"x": "1"})
    assert story.apply("a", data={"x": "1"}) == first


def test_keyed_lists_are_owned_by_element() -> None:
    """Elements of a keyed list belong to who applied them, under their keys."""
    story = Story(POD)
    story.apply("a", spec={"containers": [{"name": "x", "image": "1"}]})
    story.apply("b", spec={"containers": [{"name": "y", "image": "1"}]})
    assert story.obj is not None
    assert [container["name"] for container in story.obj["spec"]["containers"]] == ["x", "y"]
    assert leaves(story.owners["b"]) == [
        'spec/containers/k:{"name":"y"}/.',
        'spec/containers/k:{"name":"y"}/image',
        'spec/containers/k:{"name":"y"}/name',
    ]
    story.apply("a", spec={"containers": []})
    assert [container["name"] for container in story.obj["spec"]["containers"]] == ["y"]
    conflict = story.refused("c", spec={"containers": [{"name": "y", "image": "2"}]})
    assert conflict.message.endswith('conflict with "b": .spec.containers[name="y"].image')


def test_keys_with_defaults_may_be_left_out() -> None:
    """A port without a protocol has the key of TCP."""
    story = Story(POD)
    story.apply("a", spec={"containers": [{"name": "x", "ports": [{"containerPort": 80}]}]})
    keys = [step for step in leaves(story.owners["a"]) if step.endswith("/containerPort")]
    assert keys == ['spec/containers/k:{"name":"x"}/ports/k:{"containerPort":80,"protocol":"TCP"}/containerPort']


def test_sets_are_owned_by_value() -> None:
    """Values of a set belong to who applied them."""
    story = Story()
    story.apply("a", metadata={"finalizers": ["example.org/x"]})
    story.apply("b", metadata={"finalizers": ["example.org/y"]})
    assert story.obj is not None
    assert story.obj["metadata"]["finalizers"] == ["example.org/x", "example.org/y"]
    assert leaves(story.owners["b"]) == ['metadata/finalizers/v:"example.org/y"']
    story.apply("a")
    assert story.obj["metadata"]["finalizers"] == ["example.org/y"]


def test_atomic_lists_are_owned_whole() -> None:
    """Somebody else's element in an atomic list is a conflict over the list."""
    story = Story(POD)
    containers = [{"name": "x"}]
    story.apply("a", spec={"containers": containers, "tolerations": [{"key": "x"}]})
    assert "spec/tolerations" in leaves(story.owners["a"])
    conflict = story.refused("b", spec={"tolerations": [{"key": "y"}]})
    assert conflict.message.endswith('conflict with "a": .spec.tolerations')
    story.apply("b", force=True, spec={"tolerations": [{"key": "y"}]})
    assert story.obj is not None
    assert story.obj["spec"]["tolerations"] == [{"key": "y"}]


def test_atomic_maps_are_owned_whole() -> None:
    """A selector is one thing."""
    story = Story(STATEFUL_SET)
    story.apply("a", spec={"selector": {"matchLabels": {"x": "1"}}})
    assert leaves(story.owners["a"]) == ["spec/selector"]
    story.refused("b", spec={"selector": {"matchLabels": {"y": "1"}}})


def test_the_status_is_left_alone() -> None:
    """A write of the object owns nothing of the status, and one of the status nothing else."""
    story = Story(STATEFUL_SET)
    story.write("u", reset=("status",), spec={"replicas": 1}, status={"replicas": 7})
    assert leaves(story.owners["u*"]) == ["spec/replicas"]
    story.apply(
        "k",
        subresource="status",
        reset=("metadata", "spec"),
        spec={"replicas": 3},
        status={"replicas": 1},
        metadata={"labels": {"x": "y"}},
    )
    assert leaves(story.owners["k/status"]) == ["status/replicas"]


def test_nulls_are_values() -> None:
    """A null in an apply is owned like a value, and there is nothing where it was."""
    story = Story()
    story.apply("a", data={"x": None, "y": "1"})
    assert story.data.get("x") in (None, "")
    assert "data/x" in leaves(story.owners["a"])


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"kind": "Secret"}, 400, "invalid object type: /v1, Kind=Secret"),
        ({"apiVersion": "v2"}, 400, "invalid object type: /v2, Kind=ConfigMap"),
        ({"kind": ["Secret"]}, 400, "invalid object type: /v1, Kind="),
        ({"metadata": {"managedFields": []}}, 400, "metadata.managedFields must be nil"),
        (
            {"dat": {}},
            500,
            f"{UNTYPED}.dat: field not declared in schema",
        ),
        (
            {"data": {"x": 1}},
            500,
            f"{UNTYPED}.data.x: expected string, got &value.valueUnstructured{{Value:1}}",
        ),
    ],
)
def test_applies_that_cannot_be_read(body: dict[str, object], code: int, text: str) -> None:
    """Another kind or version is 400, a field that no schema has 500."""
    error = Story().refused("a", **body)
    assert (error.code, error.message) == (code, text)


def test_an_element_that_comes_twice() -> None:
    """A keyed list may not name an element twice."""
    error = Story(POD).refused("a", spec={"containers": [{"name": "x"}, {"name": "x"}]})
    assert error.code == 500
    assert '.spec.containers: duplicate entries for key [name="x"]' in error.message
