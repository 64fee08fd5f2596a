"""Validation rules of custom resources, written in CEL."""

from __future__ import annotations

from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema import Schema
from lws_sandbox.schema.celcheck import problem
from lws_sandbox.schema.node import Compiler

YESTERDAY = "2025-12-31T00:00:00Z"
SPEC = {
    "type": "object",
    "properties": {
        "min": {"type": "integer"},
        "max": {"type": "integer"},
        "name": {"type": "string"},
        "names": {"type": "array", "items": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "when": {"type": "string", "format": "date-time"},
        "size": {"x-kubernetes-int-or-string": True},
    },
}


def of(*rules: JSON) -> Schema:
    """A kind whose spec has these rules."""
    spec = {**SPEC, "x-kubernetes-validations": list(rules)}
    return Schema.of_custom("example.org/v1", "Thing", {"type": "object", "properties": {"spec": spec}})


def thing(**spec: Any) -> JSON:
    """An object with these members of its spec."""
    return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("self.min <= self.max", {"min": 1, "max": 2}, {"min": 3, "max": 2}),
        ("has(self.name)", {"name": "a"}, {}),
        ("!has(self.name) || self.name.startsWith('x-')", {}, {"name": "y"}),
        ("self.name.matches('^[a-z]+$')", {"name": "abc"}, {"name": "ABC"}),
        ("size(self.names) < 2", {"names": ["a"]}, {"names": ["a", "b"]}),
        ("self.names.all(n, n != 'x')", {"names": ["a"]}, {"names": ["a", "x"]}),
        ("self.names.exists(n, n == 'x')", {"names": ["x"]}, {"names": []}),
        ("self.names.map(n, size(n)).sum() < 4", {"names": ["a", "bb"]}, {"names": ["aa", "bb"]}),
        ("self.names.isSorted()", {"names": ["a", "b"]}, {"names": ["b", "a"]}),
        ("'team' in self.labels", {"labels": {"team": "a"}}, {"labels": {}}),
        ("self.labels.all(k, self.labels[k] != '')", {"labels": {"a": "b"}}, {"labels": {"a": ""}}),
        (
            "self.when > timestamp('2026-01-01T00:00:00Z')",
            {"when": "2027-01-01T00:00:00Z"},
            {"when": "2025-01-01T00:00:00Z"},
        ),
        ("type(self.size) == int ? self.size > 0 : self.size.endsWith('%')", {"size": "5%"}, {"size": 0}),
        ("self.name.lowerAscii() == self.name", {"name": "a"}, {"name": "A"}),
        ("self.name.split('-').size() == 2", {"name": "a-b"}, {"name": "a"}),
        ("quantity(self.name).isGreaterThan(quantity('1Gi'))", {"name": "2Gi"}, {"name": "1Mi"}),
    ],
)
def test_rules(rule: str, good: JSON, bad: JSON) -> None:
    """A rule that does not hold is a cause at its node; with no message the rule itself is told."""
    kind = of({"rule": rule})
    assert kind.validate(thing(**good)) == []
    (cause,) = kind.validate(thing(**bad))
    assert (cause.reason, cause.field) == ("FieldValueInvalid", "spec")
    assert cause.message.endswith(f"failed rule: {rule}")


def test_messages() -> None:
    """A message is told as written, a message expression as it evaluates, and its field path is followed."""
    plain = of({"rule": "self.min > 0", "message": "must be positive"})
    assert plain.validate(thing(min=0))[0].message == "Invalid value: must be positive"
    computed = of({"rule": "self.min > 0", "messageExpression": "'got ' + string(self.min)"})
    assert computed.validate(thing(min=0))[0].message == "Invalid value: got 0"
    placed = of({"rule": "self.min > 0", "message": "no", "fieldPath": ".min", "reason": "FieldValueForbidden"})
    (cause,) = placed.validate(thing(min=0))
    assert (cause.field, cause.reason, cause.message) == ("spec.min", "FieldValueForbidden", "Forbidden: no")


def test_transition_rules_hold_for_changes_only() -> None:
    """A rule that speaks of oldSelf is not asked at creation, unless it says that oldSelf may be missing."""
    fixed = of({"rule": "self.name == oldSelf.name", "message": "fixed"})
    assert fixed.validate(thing(name="a")) == []
    assert fixed.validate(thing(name="a", min=1), thing(name="a")) == []
    assert len(fixed.validate(thing(name="b"), thing(name="a"))) == 1


def test_rules_are_left_out_when_the_schema_is_broken_badly() -> None:
    """A wrong type keeps the rules from being asked, and that is told."""
    causes = of({"rule": "self.min > 0"}).validate(thing(min="x"))
    assert [cause.field for cause in causes] == ["spec.min", "<nil>"]
    assert "some validation rules were not checked because the object was invalid" in causes[1].message


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("self.min <", "Syntax error"),
        ("self.absent > 0", "undefined field 'absent'"),
        ("frobnicate(self.min)", "undeclared reference to 'frobnicate'"),
    ],
)
def test_rules_that_do_not_compile(rule: str, text: str) -> None:
    """What is wrong with a rule is found when it is declared."""
    assert text in problem(rule, Compiler().node(SPEC), whole=False)


def test_rules_that_compile() -> None:
    """A good rule has no problem."""
    assert problem("self.min <= self.max && self.names.all(n, n != '')", Compiler().node(SPEC), whole=False) == ""
