"""Patch requests, from body to object, in the words of a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws_sandbox.patching import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, apply_patch, patch_type
from lws_sandbox.schema import Schema, builtin_schema
from lws_sandbox.status import StatusError

CONFIG_MAP = builtin_schema("v1", "ConfigMap")
THING = Schema.of_custom(
    "example.org/v1",
    "Thing",
    {"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer"}}}}},
)
LIVE: JSON = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
CUSTOM: JSON = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"n": 1}}


def patched(media: str, body: Any, live: JSON = LIVE, schema: Schema = CONFIG_MAP, mode: str = "") -> Any:
    """What a patch makes of an object, and the warnings."""
    raw = body if isinstance(body, str) else json.dumps(body)
    return apply_patch(media, live, raw.encode(), schema, mode)


def refusal(*args: Any, **kwargs: Any) -> StatusError:
    """What a patch is refused with."""
    with pytest.raises(StatusError) as caught:
        patched(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (JSON_PATCH, [{"op": "add", "path": "/data/x", "value": "y"}]),
        (MERGE_PATCH, {"data": {"x": "y"}}),
        (STRATEGIC_MERGE_PATCH, {"data": {"x": "y"}}),
    ],
)
def test_each_kind_of_patch(media: str, body: Any) -> None:
    """Every media type leads to the same object, and the live one stays as it is."""
    before = json.dumps(LIVE)
    assert patched(media, body) == ({**LIVE, "data": {"k": "v", "x": "y"}}, [])
    assert json.dumps(LIVE) == before


@pytest.mark.parametrize(
    ("media", "body", "code", "text"),
    [
        (MERGE_PATCH, '{"data":', 400, "error decoding patch: unexpected end of JSON input"),
        (MERGE_PATCH, "", 400, "error decoding patch: unexpected end of JSON input"),
        (
            MERGE_PATCH,
            "[]",
            400,
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            JSON_PATCH,
            "{}",
            400,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (
            JSON_PATCH,
            [{"op": "remove", "path": "/absent"}],
            422,
            "the server rejected our request due to an error in our request",
        ),
        (
            JSON_PATCH,
            [{"op": "test", "path": "/data/k", "value": "w"}],
            422,
            "the server rejected our request due to an error in our request",
        ),
        (
            JSON_PATCH,
            [{"op": "add", "path": "/data/x", "value": "y"}] * 10_001,
            413,
            "The allowed maximum operations in a JSON patch is 10000, got 10001",
        ),
    ],
)
def test_bodies_that_are_no_patches(media: str, body: Any, code: int, text: str) -> None:
    """What cannot be read is 400, what cannot be done 422, what is too long 413."""
    error = refusal(media, body)
    assert (error.code, error.message) == (code, text)


def test_what_a_patch_made_unreadable() -> None:
    """422 shows the object that nobody can read, members in the server's order, and why."""
    error = refusal(MERGE_PATCH, {"data": {"k": 1}})
    text = '{"apiVersion":"v1","data":{"k":1},"kind":"ConfigMap","metadata":{"name":"a"}}'
    why = "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
    assert error.code == 422
    assert error.message == f' "" is invalid: patch: Invalid value: {json.dumps(text)}: {why}'


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (MERGE_PATCH, {"spec": {"m": 1}}),
        (JSON_PATCH, [{"op": "add", "path": "/spec/m", "value": 1}]),
    ],
)
def test_unknown_fields(media: str, body: Any) -> None:
    """They warn and go, or fail when strict, or go silently."""
    assert patched(media, body, CUSTOM, THING) == (CUSTOM, ['unknown field "spec.m"'])
    assert patched(media, body, CUSTOM, THING, "Ignore") == (CUSTOM, [])
    error = refusal(media, body, CUSTOM, THING, "Strict")
    assert error.code == 422
    assert error.message.endswith('strict decoding error: unknown field "spec.m"')


def test_media_types() -> None:
    """Parameters do not count; custom resources take no strategic merge patch; nobody takes anything else."""
    assert patch_type("application/apply-patch+yaml; charset=utf-8", THING) == APPLY_PATCH
    for media, schema in ((STRATEGIC_MERGE_PATCH, THING), ("application/json", THING), ("text/plain", CONFIG_MAP)):
        with pytest.raises(StatusError) as caught:
            patch_type(media, schema)
        assert caught.value.code == 415


def test_forgetting_all_owners_is_passed_on() -> None:
    """An empty list of managedFields stays, for it is not the same as none."""
    live = {**LIVE, "metadata": {"name": "a", "managedFields": [{"manager": "x"}]}}
    obj, _ = patched(MERGE_PATCH, {"metadata": {"managedFields": []}}, live)
    assert obj["metadata"] == {"name": "a", "managedFields": []}


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ({"kind": 5}, "json: cannot unmarshal number into Go struct field .kind of type string"),
        ({"apiVersion": []}, "json: cannot unmarshal array into Go struct field .apiVersion of type string"),
    ],
)
def test_a_kind_that_is_no_text(patch: JSON, why: str) -> None:
    """What the object is must be told in texts."""
    for live, schema in ((LIVE, CONFIG_MAP), (CUSTOM, THING)):
        error = refusal(MERGE_PATCH, patch, live, schema)
        assert error.code == 422
        assert error.message.endswith(f"couldn't get version/kind; json parse error: {why}")
