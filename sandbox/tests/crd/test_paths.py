"""JSON paths, the cells that they give, and the numbers of scale."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws_sandbox.crd.jsonpath import JsonPath
from lws_sandbox.crd.printing import Printer
from lws_sandbox.crd.scaling import scale_spec, scale_status

NOW = datetime(2026, 1, 2, tzinfo=UTC)
OBJ: JSON = {
    "metadata": {"name": "a", "annotations": {"example.org/x": "y"}},
    "list": [{"n": 1, "name": "one"}, {"n": 2, "name": "two", "deep": {"name": "three"}}],
    "map": {"b": 2, "a": 1},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".metadata.name", ["a"]),
        (".metadata.absent.more", []),
        (".list[0].name", ["one"]),
        (".list[-1].n", [2]),
        (".list[7].n", []),
        (".list[*].n", [1, 2]),
        (".list[0:1].n", [1]),
        (".list[0,1].n", [1, 2]),
        ('.list[?(@.name=="two")].n', [2]),
        (".list[?(@.n>1)].name", ["two"]),
        (".list[?(@.deep)].n", [2]),
        (".list[?(@.n=='x')].n", []),
        (".metadata.annotations.example\\.org/x", ["y"]),
        (".metadata.annotations['example.org/x']", ["y"]),
        (".map.*", [1, 2]),
        ("$.map.a", [1]),
        ("..deep.name", ["three"]),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    """Each form of a step finds what it says, in order."""
    assert JsonPath(path).find(OBJ) == found


@pytest.mark.parametrize("path", [".a b", ".a[x]", ".a[]"])
def test_paths_that_are_none(path: str) -> None:
    """A path that cannot be read is a ValueError, and its column stays empty."""
    with pytest.raises(ValueError, match=r"path|invalid"):
        JsonPath(path)
    printer = Printer([{"name": "X", "type": "string", "jsonPath": path}])
    assert printer.row(OBJ, NOW) == ["a", None]


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("string", "x", "x"),
        ("string", 1, "1"),
        ("string", True, "true"),
        ("string", {"b": [1], "a": None}, '{"a":null,"b":[1]}'),
        ("integer", 1, 1),
        ("integer", 1.7, 1),
        ("integer", "1", None),
        ("number", 1.5, 1.5),
        ("boolean", False, False),
        ("boolean", "false", None),
        ("date", "2026-01-01T00:00:00Z", "24h"),
        ("date", "yesterday", "<invalid>"),
        ("integer", None, None),
    ],
)
def test_cells(kind: str, value: Any, cell: Any) -> None:
    """A cell has the type of its column, or nothing in it."""
    printer = Printer([{"name": "X", "type": kind, "jsonPath": ".x"}])
    assert printer.row({"metadata": {"name": "a"}, "x": value}, NOW) == ["a", cell]


LIST, MAP = "[]interface {}", "map[string]interface{}"
SCALE = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n", "labelSelectorPath": ".status.s"}


@pytest.mark.parametrize(
    ("obj", "texts"),
    [
        ({}, []),
        ({"spec": {"n": 3}}, []),
        ({"spec": {"n": -1}}, [".spec.n: Invalid value: -1: should be a non-negative integer"]),
        ({"spec": {"n": 2**31}}, [".spec.n: Invalid value: 2147483648: should be less than or equal to 2147483647"]),
        (
            {"spec": {"n": "x"}},
            [".spec.n: Invalid value: 0: .spec.n accessor error: x is of the type string, expected int64"],
        ),
        (
            {"spec": []},
            [
                f".spec.n: Invalid value: 0: .spec.n accessor error: [] is of the type {LIST}, expected {MAP}",
            ],
        ),
        (
            {"status": {"n": 1.5, "s": 1}},
            [
                ".status.n: Invalid value: 0: .status.n accessor error: 1.5 is of the type float64, expected int64",
                '.status.s: Invalid value: "": .status.s accessor error: 1 is of the type int64, expected string',
            ],
        ),
    ],
)
def test_numbers_of_scale(obj: JSON, texts: list[str]) -> None:
    """What stands at the paths of scale must be fit for it."""
    assert [cause.text for cause in [*scale_spec(obj, SCALE), *scale_status(obj, SCALE)]] == texts
