"""What holds of every object, whatever it is."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema import Schema, builtin_schema, decode

POD = builtin_schema("v1", "Pod")
NAMES = st.sampled_from(["a", "b", "c"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("xy", max_size=2),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3),
    max_leaves=8,
)
TEXT = {"type": "string", "default": "x"}
THING = Schema.of_custom(
    "example.org/v1",
    "Thing",
    {
        "type": "object",
        "properties": {
            "a": {"type": "object", "default": {}, "properties": {"b": {"type": "integer", "default": 1}}},
            "b": {
                "type": "array",
                "items": {"type": "object", "properties": {"c": {"type": "string", "default": "x"}}},
            },
            "c": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    },
)
CPU = st.sampled_from(["0.5", "1", 2])
CONTAINERS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "image": st.text("xyz", max_size=3),
        "env": st.lists(st.fixed_dictionaries({"name": NAMES, "value": st.text("x", max_size=1)}), max_size=2),
        "ports": st.lists(st.fixed_dictionaries({"containerPort": st.integers(1, 9)}), max_size=2),
        "resources": st.fixed_dictionaries(
            {"limits": st.fixed_dictionaries({"cpu": st.sampled_from(["0.5", "1", 2])})}
        ),
        "stdin": st.booleans() | st.none(),
    },
)
PODS = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"name": NAMES}, optional={"labels": st.dictionaries(NAMES, NAMES)})},
    optional={
        "spec": st.fixed_dictionaries(
            {"containers": st.lists(CONTAINERS, max_size=2)},
            optional={"nodeSelector": st.none() | st.dictionaries(NAMES, NAMES), "priority": st.integers(-3, 3)},
        )
    },
)


@settings(max_examples=150, deadline=None)
@given(PODS)
def test_a_canonical_object_stays_as_it_is(body: JSON) -> None:
    """What has gone through the types once does not change when it goes through them again."""
    obj, warnings = decode(json.dumps(body).encode(), "application/json", POD)
    assert warnings == []
    once = POD.canonical(obj)
    assert POD.canonical(copy.deepcopy(once)) == once


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, VALUES))
def test_pruning_and_defaults_settle(members: JSON) -> None:
    """Pruned once is pruned for good, and so with defaults; defaults bring in nothing that would be pruned."""
    obj = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {}, **members}
    THING.prune(obj)
    assert THING.prune(obj) == []
    THING.default(obj)
    settled = copy.deepcopy(obj)
    THING.default(obj)
    assert obj == settled
    assert THING.prune(obj) == []
