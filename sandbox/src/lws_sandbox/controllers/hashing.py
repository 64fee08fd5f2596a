"""Names by content, as the controllers of Kubernetes form them."""

from __future__ import annotations

import functools
from typing import Any, Final

import orjson

ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193


def go_json(value: Any) -> bytes:
    """JSON as Go writes a decoded value: sorted keys, no blanks, and ``<``, ``>``, ``&`` and U+2028/9 escaped."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    for raw, escaped in (
        (b"<", b"\\u003c"),
        (b">", b"\\u003e"),
        (b"&", b"\\u0026"),
        ("\u2028".encode(), b"\\u2028"),
        ("\u2029".encode(), b"\\u2029"),
    ):
        text = text.replace(raw, escaped)
    return text


@functools.lru_cache(maxsize=4096)
def fnv1_32(data: bytes) -> int:
    """The 32-bit FNV-1 hash."""
    value = _OFFSET
    for byte in data:
        value = (value * _PRIME & 0xFFFFFFFF) ^ byte
    return value


def safe_encode(text: str) -> str:
    """A text in the alphabet of generated names, which forms no words."""
    return "".join(ALPHABET[ord(char) % len(ALPHABET)] for char in text)


def content_hash(data: bytes, collisions: int = 0) -> str:
    """The suffix of a ControllerRevision's name: its data and the number of names that were taken."""
    return safe_encode(str(fnv1_32(data + str(collisions).encode())))
