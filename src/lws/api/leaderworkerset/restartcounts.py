"""How often groups were recreated, as the LeaderWorkerSet stores it in an annotation (next 5.3).

The annotation is a JSON object ``{"<revision key>/<group index>": n}``. Beside it we keep for which leader each count
was raised last, so that one failure is never charged twice, however often it is judged (ND-25).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from lws.api.leaderworkerset import labels
from lws.apimachinery.gotext import encoded, quoted
from lws.apimachinery.integers import MAX_INT32, atoi
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta
from lws.errors import AdmissionError

_NO_OBJECT: Final = "invalid group restart counts: expected a JSON object"


def key_of(revision: str, group_index: str) -> str:
    """The entry of a group."""
    return f"{revision}/{group_index}"


def parts_of(key: str) -> tuple[str, str]:
    """Revision key and group index of an entry."""
    revision, _, index = key.partition("/")
    return revision, index


def counts(meta: ObjectMeta, *, ordinal: bool = True) -> dict[str, int]:
    """The counts that this LeaderWorkerSet stores.

    Args:
        meta: its metadata.
        ordinal: whether its groups have numbers for indices.

    Raises:
        ValueError: the annotation holds anything else (next 5.3).
    """
    text = meta.annotation(labels.GROUP_RESTART_COUNTS)
    if not text:
        return {}
    found = _object(text)
    if found is None:
        raise ValueError(_NO_OBJECT)
    for key, value in found.items():
        if not isinstance(value, int) or isinstance(value, bool) or value > MAX_INT32:
            raise ValueError(_NO_OBJECT)
        if value < 0:
            raise ValueError(f"invalid group restart count for group {quoted(key)}: must be non-negative")
        _check(key, ordinal=ordinal)
    return found


def charged(meta: ObjectMeta) -> dict[str, str]:
    """By entry, the UID of the leader for which its count was raised last; what cannot be read is not there."""
    found = _object(meta.annotation(labels.RESTART_CHARGED) or "")
    return {key: value for key, value in (found or {}).items() if isinstance(value, str)}


def as_annotations(wanted: Mapping[str, int], leaders: Mapping[str, str]) -> dict[str, str | None]:
    """Both annotations as they are to be, as a merge patch; None removes one (next 5.3)."""
    kept = {key: uid for key, uid in leaders.items() if key in wanted}
    return {labels.GROUP_RESTART_COUNTS: _written(wanted), labels.RESTART_CHARGED: _written(kept)}


def _written(value: Mapping[str, Any]) -> str | None:
    return encoded(dict(value)) if value else None


def _object(text: str) -> JSON | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _check(key: str, *, ordinal: bool) -> None:
    revision, index = parts_of(key)
    if "/" not in key or not revision or not index:
        raise ValueError(f"invalid group restart count key {quoted(key)}")
    if ordinal:
        try:
            atoi(index)
        except AdmissionError as error:
            raise ValueError(f"invalid group restart count key {quoted(key)}: {error}") from error
