"""JSON merge patch (RFC 7386)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.apimachinery.manifests import JSON
from lws_sandbox.patching import merge_diff, merge_patch

TABLE = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ({"a": 1}, {"a": [None, {"b": None}]}, {"a": [None, {}]}),
    ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": 1}}),
]


@pytest.mark.parametrize(("document", "patch", "result"), TABLE)
def test_patches(document: JSON, patch: JSON, result: JSON) -> None:
    """Objects merge, null removes, all else replaces; neither argument changes."""
    before = copy.deepcopy((document, patch))
    assert merge_patch(document, patch) == result
    assert (document, patch) == before


NAMES = st.sampled_from(["a", "b", "c"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(0, 3) | st.text("xy", max_size=2),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=3)


@settings(max_examples=300, deadline=None)
@given(OBJECTS, OBJECTS)
def test_a_patch_of_the_difference_brings_it_about(old: JSON, new: JSON) -> None:
    """The difference of two objects, as a patch, leads from one to the other."""
    assert merge_patch(old, merge_diff(old, new)) == new


@settings(max_examples=200, deadline=None)
@given(OBJECTS, OBJECTS)
def test_patching_twice_is_patching_once(document: JSON, patch: JSON) -> None:
    """A merge patch is idempotent, and the difference of equals is empty."""
    once = merge_patch(document, patch)
    assert merge_patch(once, patch) == once
    assert merge_diff(once, once) == {}
