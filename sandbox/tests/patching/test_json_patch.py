"""JSON patch (RFC 6902), with the liberties of a real server."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.apimachinery.manifests import JSON
from lws_sandbox.patching import PatchError, json_patch

DONE = [
    ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
    ({"a": 1}, [{"op": "add", "path": "/a", "value": 2}], {"a": 2}),
    ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
    ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
    ({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
    ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
    ({"a": 1}, [{"op": "replace", "path": "/a", "value": {"x": 1}}], {"a": {"x": 1}}),
    ({"a": 1}, [{"op": "replace", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
    ({"a": {"x": 1}, "b": {}}, [{"op": "move", "from": "/a/x", "path": "/b/x"}], {"a": {}, "b": {"x": 1}}),
    ({"a": {"x": 1}}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": {"x": 1}, "b": {"x": 1}}),
    ({"a/b": 1, "c~d": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/c~0d"}], {}),
    ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1}),
    ({"a": [1, 2]}, [{"op": "remove", "path": "/a/-1"}], {"a": [1]}),
    ({"a": 1}, [], {"a": 1}),
]


@pytest.mark.parametrize(("document", "operations", "result"), DONE)
def test_operations(document: JSON, operations: list[JSON], result: JSON) -> None:
    """Operations are done one after the other, on a copy."""
    before = copy.deepcopy(document)
    assert json_patch(document, operations) == result
    assert document == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/b"},
        {"op": "remove", "path": "/a/x"},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/list/7", "value": 1},
        {"op": "replace", "path": "/list/7", "value": 1},
        {"op": "remove", "path": "/list/7"},
        {"op": "move", "from": "/b", "path": "/c"},
        {"op": "copy", "from": "/list/7", "path": "/c"},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "frobnicate", "path": "/a"},
        {"path": "/a", "value": 2},
    ],
)
def test_operations_that_cannot_be_done(operation: JSON) -> None:
    """One operation that cannot be done undoes all of them."""
    document = {"a": 1, "list": [1]}
    with pytest.raises(PatchError):
        json_patch(document, [{"op": "add", "path": "/new", "value": 1}, operation])
    assert document == {"a": 1, "list": [1]}


NAMES = st.sampled_from(["a", "b", "c/d", "e~f"])
OBJECTS = st.dictionaries(NAMES, st.integers(0, 3) | st.dictionaries(NAMES, st.integers(0, 3), max_size=2), max_size=3)


def difference(old: JSON, new: JSON) -> list[JSON]:
    """Operations that make one object of another, member by member."""

    def path(name: str) -> str:
        return "/" + name.replace("~", "~0").replace("/", "~1")

    gone = [{"op": "remove", "path": path(name)} for name in old if name not in new]
    return gone + [{"op": "add", "path": path(name), "value": value} for name, value in new.items()]


@settings(max_examples=200, deadline=None)
@given(OBJECTS, OBJECTS)
def test_a_patch_of_the_difference_brings_it_about(old: JSON, new: JSON) -> None:
    """Whatever the names, removing and adding what differs leads from one object to the other."""
    assert json_patch(old, difference(old, new)) == new
