"""Bodies in Kubernetes' protobuf form, as kubectl sends them for some built-in kinds, read into JSON.

Answers are never written in this form: every client that sends it takes JSON as well.
"""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any, Final

import orjson

from lws.apimachinery.manifests import JSON
from lws_sandbox.status import bad_request

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
MAGIC: Final = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIGN: Final = 1 << 63


class _MalformedError(ValueError):
    """The bytes are no message."""


@functools.cache
def _package() -> JSON:
    text = resources.files("lws_sandbox").joinpath("data/protobuf.json").read_bytes()
    found: JSON = orjson.loads(text)
    return found


def to_json(body: bytes) -> bytes:
    """The same object as JSON.

    Raises:
        StatusError: 400, it is none, or of a kind that is not known.
    """
    if not body.startswith(MAGIC):
        raise bad_request("the object provided is unrecognized: provided data does not appear to be a protobuf message")
    try:
        return orjson.dumps(_unwrap(body[len(MAGIC) :]))
    except (_MalformedError, IndexError, struct.error, UnicodeDecodeError, orjson.JSONDecodeError) as error:
        raise bad_request(f"the object provided is unrecognized: unable to decode protobuf: {error}") from None


def _unwrap(raw: bytes) -> JSON:
    """The object in a `runtime.Unknown`."""
    api_version, kind, inner = "", "", b""
    for number, _, value in _fields(raw):
        if number == 1:
            for member, _, text in _fields(value):
                if member == 1:
                    api_version = text.decode()
                elif member == 2:
                    kind = text.decode()
        elif number == 2:
            inner = value
    name = _package()["kinds"].get(f"{api_version}/{kind}")
    if name is None:
        raise _MalformedError(f'no kind "{kind}" is known in version "{api_version}"')
    return {"apiVersion": api_version, "kind": kind, **_message(inner, name)}


def _fields(raw: bytes) -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, value) of each field; values are numbers or bytes."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        number, wire = key >> 3, key & 7
        value: Any
        if wire == _VARINT:
            value, at = _varint(raw, at)
        elif wire == _BYTES:
            size, at = _varint(raw, at)
            if at + size > len(raw):
                raise _MalformedError("unexpected EOF")
            value, at = raw[at : at + size], at + size
        elif wire == _FIXED64:
            value, at = struct.unpack_from("<d", raw, at)[0], at + 8
        elif wire == _FIXED32:
            value, at = struct.unpack_from("<f", raw, at)[0], at + 4
        else:
            raise _MalformedError(f"wire type {wire}")
        yield number, wire, value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = raw[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
        if shift > 63:
            raise _MalformedError("number is too long")


def _signed(value: int) -> int:
    return value - (_SIGN << 1) if value >= _SIGN else value


def _message(raw: bytes, name: str) -> JSON:
    fields = _package()["messages"][name]
    out: JSON = {}
    for number, _, value in _fields(raw):
        field = fields.get(str(number))
        if field is None:
            continue
        member, shape, kind = field
        if shape == "inline":
            out.update(_message(value, kind))
        elif shape == "map":
            key, item = _entry(value, kind)
            out.setdefault(member, {})[key] = item
        elif shape == "list":
            out.setdefault(member, []).append(_value(value, kind))
        else:
            out[member] = _value(value, kind)
    return out


def _entry(raw: bytes, kind: str) -> tuple[str, Any]:
    key, item = "", _value(b"", kind)
    for number, _, value in _fields(raw):
        if number == 1:
            key = value.decode()
        else:
            item = _value(value, kind)
    return key, item


def _value(value: Any, kind: str) -> Any:
    read = _READERS.get(kind)
    return _message(value, kind) if read is None else read(value)


def _numbers(raw: bytes) -> dict[int, Any]:
    return {number: value for number, _, value in _fields(raw)}


def _quantity(raw: bytes) -> str:
    return str(_numbers(raw).get(1, b"").decode())


def _int_or_string(raw: bytes) -> int | str:
    found = _numbers(raw)
    if found.get(1, 0) == 0:
        return _signed(found.get(2, 0))
    return str(found.get(3, b"").decode())


def _moment(raw: bytes) -> datetime | None:
    found = _numbers(raw)
    if not found:
        return None
    seconds, nanos = _signed(found.get(1, 0)), found.get(2, 0)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=nanos // 1000)


def _time(raw: bytes) -> str | None:
    moment = _moment(raw)
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(raw: bytes) -> str | None:
    moment = _moment(raw)
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _embedded(raw: bytes) -> Any:
    text = _numbers(raw).get(1, b"")
    return orjson.loads(text) if text else None


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "s": lambda value: value.decode(),
    "b": bool,
    "i": lambda value: _signed(value) if isinstance(value, int) else 0,
    "d": lambda value: value,
    "y": lambda value: base64.b64encode(value).decode(),
    "quantity": _quantity,
    "intstr": _int_or_string,
    "time": _time,
    "microtime": _micro_time,
    "duration": lambda raw: f"{_signed(_numbers(raw).get(1, 0)) / 1e9:g}s",
    "json": _embedded,
    "strings": lambda raw: [value.decode() for number, _, value in _fields(raw) if number == 1],
}
