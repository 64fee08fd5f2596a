"""OpenAPI v2: its two forms, and what it says of custom resources."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from sandbox.tests.plain import Plain

from lws_sandbox.negotiation import encode
from lws_sandbox.openapi_legacy import PROTOBUF, downgraded
from lws_sandbox.openapi_protobuf import to_protobuf
from tests.virtual import virtual_time

RECORDED = Path(__file__).parent / "data" / "openapi_v2.json"
KUBECTL = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def test_protobuf_is_that_of_a_real_server() -> None:
    """A part of a real server's document becomes byte for byte what that server answers in protobuf."""
    recorded = json.loads(RECORDED.read_text())
    assert to_protobuf(recorded["document"]) == base64.b64decode(recorded["protobuf"])


def test_schemas_of_custom_resources_reach_protobuf() -> None:
    """Limits, free values and what more only custom resources use have their places; what v2 has none for is left."""
    schema = {"type": "integer", "minimum": -1.5, "maxLength": 7, "uniqueItems": True, "default": 3, "unknown": 1}
    raw = to_protobuf({"swagger": "2.0", "definitions": {"a": {**schema, "additionalProperties": True}}})
    minimum = b"\x49\x00\x00\x00\x00\x00\x00\xf8\xbf"
    fields = b"\x2a\x04\x12\x023\n" + minimum + b"\x58\x07\x80\x01\x01\xaa\x01\x02\x10\x01\xb2\x01\x09\n\x07integer"
    assert raw == b"\n\x032.0J\x2c\n\x2a\n\x01a\x12\x25" + fields


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (KUBECTL, PROTOBUF),
        (PROTOBUF, PROTOBUF),
        (f"{KUBECTL}, */*", PROTOBUF),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("", "application/json"),
        ("application/yaml", ""),
    ],
)
def test_forms_of_the_document(accept: str, media: str) -> None:
    """Protobuf under either name, else JSON; whatever else is asked for is not acceptable, as a real server has it."""

    @virtual_time
    async def run() -> None:
        plain = await Plain().begin()
        answer = await plain.ask("GET", "/openapi/v2", accept=accept)
        assert (answer.status, answer.headers.get("content-type", "")) == (200 if media else 406, media)
        assert (answer.raw[:5] == b"\n\x032.0") is (media == PROTOBUF)
        assert answer.headers["vary"] == "Accept"

    run()


def test_version_two_says_less_of_custom_resources() -> None:
    """Junctors go, and where kubectl would refuse unknown or null values, type, items and properties go with them."""
    schema = {
        "type": "object",
        "required": ["a", "b"],
        "properties": {
            "a": {"type": "object", "nullable": True, "properties": {"x": {"type": "string"}}},
            "b": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "c": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        },
    }
    assert downgraded(schema) == {
        "type": "object",
        "required": ["b"],
        "properties": {
            "a": {},
            "b": {"x-kubernetes-int-or-string": True},
            "c": {"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": True}},
        },
    }


def test_yaml_has_the_quotes_of_go() -> None:
    """What would be no string, now or in YAML 1.1, is in double quotes; lines are a block."""
    words = {"a": "", "b": "yes", "c": "y", "d": "1", "e": "*x", "f": "plain", "g": "x\ny\n"}
    text = 'a: ""\nb: "yes"\nc: "y"\nd: "1"\ne: \'*x\'\nf: plain\ng: |\n  x\n  y\n'
    assert encode(words, "application/yaml").decode() == text
