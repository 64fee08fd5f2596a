"""Bodies in protobuf, as kubectl sends them for built-in kinds."""

from __future__ import annotations

import json

import pytest
from sandbox.tests.plain import MAPS, Plain

from lws_sandbox.protobuf import MAGIC, MEDIA_TYPE, to_json
from lws_sandbox.status import StatusError
from tests.virtual import virtual_time


def _number(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def _text(field: int, value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return _number(field << 3 | 2) + _number(len(raw)) + raw


def _int(field: int, value: int) -> bytes:
    return _number(field << 3) + _number(value % (1 << 64))


def _entry(field: int, key: str, value: bytes) -> bytes:
    return _text(field, _text(1, key) + _text(2, value))


def _object(api_version: str, kind: str, raw: bytes) -> bytes:
    return MAGIC + _text(1, _text(1, api_version) + _text(2, kind)) + _text(2, raw)


def _pod() -> bytes:
    meta = _text(1, "a") + _text(8, _int(1, 1_767_225_600) + _int(2, 0)) + _entry(11, "app", b"x")
    port = _int(3, 8080) + _text(4, "TCP")
    check = _text(1, _text(2, _text(1, "/ready") + _text(2, _int(1, 1) + _text(3, "web")))) + _int(2, 5)
    requests = _entry(2, "cpu", _text(1, "500m"))
    variable = _text(1, "PASSWORD") + _text(3, _text(4, _text(1, _text(1, "secret")) + _text(2, "key")))
    container = (
        _text(1, "c") + _text(2, "image") + _text(6, port) + _text(7, variable) + _text(8, requests) + _text(11, check)
    )
    volume = _text(1, "data") + _text(2, _text(2, b""))
    spec = _text(1, volume) + _text(2, container) + _int(4, 30)
    return _object("v1", "Pod", _text(1, meta) + _text(2, spec))


def test_a_pod_is_read_with_all_that_is_special_in_it() -> None:
    """Times, maps, quantities, numbers or strings, and structs that Go embeds come out as their JSON."""
    pod = json.loads(to_json(_pod()))
    assert pod["metadata"] == {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "x"}}
    [container] = pod["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]
    assert container["resources"] == {"requests": {"cpu": "500m"}}
    assert container["readinessProbe"] == {"httpGet": {"path": "/ready", "port": "web"}, "initialDelaySeconds": 5}
    assert container["env"] == [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "key"}}}]
    assert pod["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30


def test_bytes_and_negative_numbers_keep_their_value() -> None:
    """Data of a Secret becomes base64; a negative grace period stays negative."""
    secret = json.loads(to_json(_object("v1", "Secret", _text(1, _text(1, "s")) + _entry(2, "k", b"\x00\xff"))))
    assert secret["data"] == {"k": "AP8="}
    options = json.loads(to_json(_object("v1", "DeleteOptions", _int(1, -1))))
    assert options["gracePeriodSeconds"] == -1


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"Pod"}',
        MAGIC,
        MAGIC + b"\xff",
        MAGIC + b"\x0a\x7f",
        _object("v1", "Nothing", b""),
        _object("v1", "Pod", b"\x0a\xff"),
        _object("v1", "ConfigMap", b"\x0b"),
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    """Bytes that are no message, and kinds that are not known, are 400 and never a traceback."""
    with pytest.raises(StatusError) as refused:
        to_json(body)
    assert refused.value.code == 400


@virtual_time
async def test_a_protobuf_body_creates_an_object() -> None:
    """The server takes such a body like JSON, and answers in JSON."""
    plain = await Plain().begin()
    raw = _object("v1", "ConfigMap", _text(1, _text(1, "a")) + _entry(2, "k", b"v"))
    made = await plain.ask("POST", MAPS, raw, media=MEDIA_TYPE, accept=f"{MEDIA_TYPE},application/json")
    assert (made.status, made.body["data"]) == (201, {"k": "v"})
