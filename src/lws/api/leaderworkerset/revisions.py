"""Revisions: what a ControllerRevision of a LeaderWorkerSet holds, its key, and its way back (spec 6)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import orjson

from lws.api.leaderworkerset import normalform
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.gotext import encode
from lws.apimachinery.manifests import JSON

ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_PATCH: Final = "$patch"
_TEMPLATE: Final = "leaderWorkerTemplate"
_NETWORK: Final = "networkConfig"
FNV_OFFSET: Final = 2166136261
FNV_PRIME: Final = 16777619


def revision_data(lws: LeaderWorkerSet) -> bytes:
    """The ``data`` of a revision of this object, as bytes (spec 6.2)."""
    template, network = sections(lws.raw_spec)
    replace = {_PATCH: "replace"}
    return encode({"spec": {_TEMPLATE: replace | template, _NETWORK: replace | network}})


def sections(spec: Mapping[str, Any]) -> tuple[JSON, JSON]:
    """The two sections of a spec that belong to its revision, in normal form: template and network."""
    return normalform.template(spec.get(_TEMPLATE) or {}), normalform.network(spec.get(_NETWORK))


@functools.lru_cache(maxsize=128)
def revision_key(data: bytes) -> str:
    """The content hash: the decimal FNV-1 of the bytes, each digit replaced by a letter that spells no words."""
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(fnv1(data)))


def revision_name(lws_name: str, data: bytes, number: int) -> str:
    """``<lws>-<hash>-<number>``, the LeaderWorkerSet's name cut at 220 bytes (spec 6.6)."""
    prefix = lws_name.encode()[:220].decode(errors="ignore")
    return f"{prefix}-{revision_key(data)}-{number}"


def fnv1(data: bytes) -> int:
    """FNV-1, 32 bits: multiply first, then xor; not the 1a variant."""
    value = FNV_OFFSET
    for byte in data:
        value = (value * FNV_PRIME & 0xFFFFFFFF) ^ byte
    return value


def restore(lws: LeaderWorkerSet, data: JSON | bytes | str) -> LeaderWorkerSet:
    """The revision spec: the live object with the two stored sections put back (spec 6.4).

    A section that the data does not have stays live, and so does ``maxGroupRestarts`` (next 5.2).

    Raises:
        ValueError: the data is no JSON object, or its sections do not read as a LeaderWorkerSet.
    """
    spec = dict(lws.raw_spec)
    for name, section in _stored(data).items():
        live = (spec.get(name) or {}).get(normalform.LIVE)
        spec[name] = {key: value for key, value in section.items() if key not in (_PATCH, normalform.LIVE)}
        if live is not None:
            spec[name][normalform.LIVE] = live
    parsed = LeaderWorkerSet.model_validate({"metadata": lws.metadata, "spec": spec, "raw_spec": spec})
    return parsed.model_copy(update={"status": lws.status})


def same_content(lws: LeaderWorkerSet, data: JSON | bytes | str) -> bool:
    """Whether the live spec is no update against the stored data: equal in normal form (spec 6.3).

    Data that does not parse is different.
    """
    try:
        stored = {**lws.raw_spec, **_stored(data)}
    except ValueError:
        return False
    return sections(lws.raw_spec) == sections(stored)


def _stored(data: JSON | bytes | str) -> dict[str, JSON]:
    parsed = orjson.loads(data) if isinstance(data, bytes | str) else data
    spec = parsed.get("spec") if isinstance(parsed, dict) else None
    if not isinstance(spec, dict):
        raise ValueError("the data of the revision has no spec")
    found = {name: spec[name] for name in (_TEMPLATE, _NETWORK) if spec.get(name) is not None}
    if not all(isinstance(section, dict) for section in found.values()):
        raise ValueError("a section of the revision is not an object")
    return found
