"""Whole objects, packed: kept by the few caches whose objects are compared with what would be written."""

from __future__ import annotations

import zlib
from typing import Final

import orjson

from lws.apimachinery.manifests import JSON

_LEVEL: Final = 1  # a manifest shrinks to a quarter; more work would not make it much smaller


def packed(document: bytes | memoryview) -> bytes:
    """The JSON of an object, packed."""
    return zlib.compress(document, _LEVEL)


def unpacked(document: bytes) -> JSON:
    """The object again."""
    found: JSON = orjson.loads(zlib.decompress(document))
    return found
