"""The ConfigMap that keeps the last lines of containers whose end took a group down (resilience 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.apimachinery.ownership import controller_of
from lws.apimachinery.resources import CONFIGMAPS
from lws.planning.leaderworkerset.metadata import owned_by_set

SUFFIX: Final = "-failures"
LOG_BYTES: Final = 16 * 1024
MOST_KEYS: Final = 10
MOST_BYTES: Final = 256 * 1024


def name_of(lws: LeaderWorkerSet) -> str:
    """The name of the set's ConfigMap."""
    return f"{lws.metadata.name}{SUFFIX}"


def key_of(pod: str, now: datetime) -> str:
    """Under which key the lines of this pod are kept; keys sort by time."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{pod}"


def last_lines(body: bytes, limit: int = LOG_BYTES) -> str:
    """The end of a log, whole lines of at most so many bytes if there is a line that fits."""
    text = body[-limit:].decode(errors="replace")
    if len(body) > limit and "\n" in text[:-1]:
        text = text.partition("\n")[2]
    return text


def is_ours(lws: LeaderWorkerSet, live: JSON) -> bool:
    """Whether the ConfigMap belongs to this very set."""
    owner = controller_of(live["metadata"])
    return owner is not None and owner.uid == lws.metadata.uid


def manifest(lws: LeaderWorkerSet, live: JSON | None, key: str, text: str) -> JSON:
    """The ConfigMap with these lines added, the oldest dropped where there are too many."""
    kept: Mapping[str, str] = {} if live is None else live.get("data") or {}
    data = dict(sorted({**kept, key: text}.items()))
    while len(data) > 1 and (len(data) > MOST_KEYS or _bytes(data) > MOST_BYTES):
        del data[next(iter(data))]
    if live is not None:
        return {**live, "data": data}
    meta = lws.metadata
    return {
        "apiVersion": CONFIGMAPS.api_version,
        "kind": CONFIGMAPS.kind,
        "metadata": {
            "name": name_of(lws),
            "namespace": meta.namespace,
            "labels": {labels.NAME: meta.name},
            "ownerReferences": owned_by_set(lws),
        },
        "data": data,
    }


def _bytes(data: Mapping[str, str]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in data.items())
