"""Pruning, defaults and validation by the schemas of custom resources."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema import Schema
from lws_sandbox.status import Cause

INTEGER = {"type": "integer"}
STRING = {"type": "string"}


def of(**properties: JSON) -> Schema:
    """A kind with these properties of its spec."""
    spec = {"type": "object", "properties": properties}
    return Schema.of_custom("example.org/v1", "Thing", {"type": "object", "properties": {"spec": spec}})


def thing(**spec: Any) -> JSON:
    """An object with these members of its spec."""
    return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}


def told(causes: list[Cause]) -> list[str]:
    """Causes as a message tells them."""
    return [cause.text for cause in causes]


@pytest.mark.parametrize(
    ("schema", "spec", "left", "dropped"),
    [
        ({"a": INTEGER}, {"a": 1, "b": 2}, {"a": 1}, ["spec.b"]),
        ({"a": {"type": "array", "items": {"type": "object"}}}, {"a": [{"x": 1}]}, {"a": [{}]}, ["spec.a[0].x"]),
        ({"a": {"type": "object", "additionalProperties": INTEGER}}, {"a": {"x": 1}}, {"a": {"x": 1}}, []),
        (
            {"a": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            {"a": {"x": {"y": 1}}},
            {"a": {"x": {"y": 1}}},
            [],
        ),
        (
            {
                "a": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"known": {"type": "object"}},
                }
            },
            {"a": {"x": 1, "known": {"y": 1}}},
            {"a": {"x": 1, "known": {}}},
            ["spec.a.known.y"],
        ),
        (
            {"a": {"type": "object", "x-kubernetes-embedded-resource": True}},
            {"a": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}}},
            {"a": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}},
            ["spec.a.spec"],
        ),
    ],
)
def test_pruning(schema: JSON, spec: JSON, left: JSON, dropped: list[str]) -> None:
    """What the schema does not know goes, unless a node keeps it; the paths of what went are told."""
    obj = thing(**copy.deepcopy(spec))
    assert of(**schema).prune(obj) == dropped
    assert obj == thing(**left)


@pytest.mark.parametrize(
    ("schema", "spec", "completed"),
    [
        ({"a": {**INTEGER, "default": 3}}, {}, {"a": 3}),
        ({"a": {**INTEGER, "default": 3}}, {"a": 0}, {"a": 0}),
        ({"a": {**INTEGER, "default": 3}}, {"a": None}, {"a": 3}),
        ({"a": {**INTEGER, "default": 3, "nullable": True}}, {"a": None}, {"a": None}),
        ({"a": {"type": "object", "properties": {"b": {**INTEGER, "default": 3}}}}, {}, {}),
        ({"a": {"type": "object", "properties": {"b": {**INTEGER, "default": 3}}}}, {"a": {}}, {"a": {"b": 3}}),
        (
            {"a": {"type": "object", "default": {}, "properties": {"b": {**INTEGER, "default": 3}}}},
            {},
            {"a": {"b": 3}},
        ),
        (
            {"a": {"type": "array", "items": {"type": "object", "properties": {"b": {**STRING, "default": "x"}}}}},
            {"a": [{}, {"b": "y"}]},
            {"a": [{"b": "x"}, {"b": "y"}]},
        ),
    ],
)
def test_defaults(schema: JSON, spec: JSON, completed: JSON) -> None:
    """Defaults fill what is missing, and what is null where null is not allowed, but no object that is not there."""
    obj = thing(**copy.deepcopy(spec))
    of(**schema).default(obj)
    assert obj == thing(**completed)


VALIDATION = [
    (INTEGER, "x", 'spec.a: Invalid value: "string": spec.a in body must be of type integer: "string"'),
    (STRING, 1, 'spec.a: Invalid value: "integer": spec.a in body must be of type string: "integer"'),
    ({"type": "boolean"}, "x", 'spec.a: Invalid value: "string": spec.a in body must be of type boolean: "string"'),
    ({**INTEGER, "minimum": 1}, 0, "spec.a: Invalid value: 0: spec.a in body should be greater than or equal to 1"),
    ({**INTEGER, "maximum": 1}, 2, "spec.a: Invalid value: 2: spec.a in body should be less than or equal to 1"),
    (
        {**INTEGER, "minimum": 1, "exclusiveMinimum": True},
        1,
        "spec.a: Invalid value: 1: spec.a in body should be greater than 1",
    ),
    ({**INTEGER, "multipleOf": 5}, 7, "spec.a: Invalid value: 7: spec.a in body should be a multiple of 5"),
    (
        {**STRING, "minLength": 2},
        "x",
        'spec.a: Invalid value: "x": spec.a in body should be at least 2 chars long',
    ),
    ({**STRING, "maxLength": 1}, "xy", "spec.a: Too long: may not be more than 1 bytes"),
    ({**STRING, "pattern": "^a+$"}, "b", "spec.a: Invalid value: \"b\": spec.a in body should match '^a+$'"),
    ({**STRING, "enum": ["x", "y"]}, "z", 'spec.a: Unsupported value: "z": supported values: "x", "y"'),
    (
        {"type": "array", "items": STRING, "minItems": 1},
        [],
        "spec.a: Invalid value: 0: spec.a in body should have at least 1 items",
    ),
    ({"type": "array", "items": STRING, "maxItems": 1}, ["x", "y"], "spec.a: Too many: 2: must have at most 1 items"),
    ({"type": "object", "required": ["b"], "properties": {"b": STRING}}, {}, "spec.a.b: Required value"),
    (
        {"type": "array", "items": INTEGER},
        ["x"],
        'spec.a[0]: Invalid value: "string": spec.a[0] in body must be of type integer: "string"',
    ),
    (
        {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
        ["x", "y", "x"],
        'spec.a[2]: Duplicate value: "x"',
    ),
    (
        {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": STRING, "v": STRING}},
        },
        [{"k": "x", "v": "1"}, {"k": "x", "v": "2"}],
        'spec.a[1]: Duplicate value: {"k":"x"}',
    ),
]


@pytest.mark.parametrize(("schema", "value", "text"), VALIDATION)
def test_what_breaks_the_schema(schema: JSON, value: Any, text: str) -> None:
    """Each keyword refuses in the words of a real server."""
    assert told(of(a=schema).validate(thing(a=value))) == [text]


@pytest.mark.parametrize(("schema", "value", "text"), VALIDATION)
def test_what_was_broken_before_may_stay(schema: JSON, value: Any, text: str) -> None:
    """A value that breaks the schema and does not change is let pass (ratcheting)."""
    assert text
    kind = of(a=schema, other=INTEGER)
    assert kind.validate(thing(a=value, other=2), thing(a=value, other=1)) == []


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date-time", "2026-01-01T00:00:00Z", "yesterday"),
        ("date", "2026-01-01", "2026-13-01"),
        ("duration", "5m", "5 minutes?"),
        ("email", "a@example.org", "a"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uuid", "8b988141-dcc7-434a-8d3b-b2d5ae1e07a7", "8b98"),
        ("hostname", "a.example.org", "-a"),
        ("byte", "YQ==", "%"),
        ("uri", "https://example.org/a", "a b"),
    ],
)
def test_formats(form: str, good: str, bad: str) -> None:
    """Formats that a server knows are checked."""
    kind = of(a={**STRING, "format": form})
    assert kind.validate(thing(a=good)) == []
    assert [cause.field for cause in kind.validate(thing(a=bad))] == ["spec.a"]


def test_an_unknown_format_lets_everything_pass() -> None:
    """A format that nobody knows is no rule."""
    assert of(a={**STRING, "format": "recipe"}).validate(thing(a="anything")) == []


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"x-kubernetes-int-or-string": True}, [1, "50%"], [[], True]),
        ({"anyOf": [{"minimum": 5}, {"maximum": 1}], **INTEGER}, [0, 6], [3]),
        ({"oneOf": [{"minimum": 5}, {"maximum": 7}], **INTEGER}, [4, 8], [6]),
        ({"not": {"enum": ["x"]}, **STRING}, ["y"], ["x"]),
        ({"allOf": [{"minLength": 2}, {"maxLength": 3}], **STRING}, ["xx"], ["x", "xxxx"]),
        ({**STRING, "nullable": True}, [None, "x"], [1]),
    ],
)
def test_combined_schemas(schema: JSON, good: list[Any], bad: list[Any]) -> None:
    """Combinations hold as OpenAPI says."""
    kind = of(a=schema)
    assert [value for value in good if kind.validate(thing(a=value))] == []
    assert [value for value in bad if not kind.validate(thing(a=value))] == []


def test_embedded_objects_have_an_identity() -> None:
    """An embedded object tells its apiVersion and kind; what it was before is no excuse."""
    kind = of(a={"type": "object", "x-kubernetes-embedded-resource": True})
    broken = thing(a={"kind": "Pod"})
    assert told(kind.validate(broken)) == ["spec.a.apiVersion: Required value"]
    assert kind.validate(broken, broken) == kind.validate(broken)
