"""JSON patches: exact and minimal."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws.webhook.patch import difference, pointer

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab/~0", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=4),
    max_leaves=12,
)


def exact(value: Any) -> Any:
    """A value that compares unequal to one of other JSON types."""
    if isinstance(value, dict):
        return {key: exact(member) for key, member in value.items()}
    if isinstance(value, list):
        return [exact(entry) for entry in value]
    return (type(value).__name__, value)


@given(before=JSON_VALUES, after=JSON_VALUES)
def test_applying_gives_what_was_wanted(before: Any, after: Any) -> None:
    """Applied by another implementation, a patch turns one value into the other exactly."""
    before, after = {"root": before}, {"root": after}
    patch = difference(before, after)
    assert exact(jsonpatch.apply_patch(copy.deepcopy(before), patch)) == exact(after)


@given(value=JSON_VALUES)
def test_no_change_no_operation(value: Any) -> None:
    """Equal values differ by nothing."""
    assert difference(value, copy.deepcopy(value)) == []


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({}, {"a": 1}, [{"op": "add", "path": "/a", "value": 1}]),
        ({"a": 1}, {}, [{"op": "remove", "path": "/a"}]),
        ({"a": 1}, {"a": True}, [{"op": "replace", "path": "/a", "value": True}]),
        ({"a": None}, {"a": {}}, [{"op": "replace", "path": "/a", "value": {}}]),
        (
            {"labels": {"a/b": "1"}},
            {"labels": {"a/b": "1", "c/d~e": "2"}},
            [{"op": "add", "path": "/labels/c~1d~0e", "value": "2"}],
        ),
        (
            {"env": ["u", "v"]},
            {"env": ["x", "y", "u", "v"]},
            [{"op": "add", "path": "/env/0", "value": "x"}, {"op": "add", "path": "/env/1", "value": "y"}],
        ),
        ([1, 2, 3, 4], [1, 4], [{"op": "remove", "path": "/2"}, {"op": "remove", "path": "/1"}]),
        ([{"a": 1, "b": 2}], [{"a": 1, "b": 3}], [{"op": "replace", "path": "/0/b", "value": 3}]),
    ],
)
def test_minimal(before: Any, after: Any, patch: list[dict[str, Any]]) -> None:
    """Only what changed is named, at its deepest place."""
    assert difference(before, after) == patch


def test_pointer_escapes() -> None:
    """A tilde and a slash in a name are escaped as RFC 6901 has it."""
    assert pointer("/metadata/labels", "a~/b") == "/metadata/labels/a~0~1b"
    assert pointer("", 0) == "/0"
