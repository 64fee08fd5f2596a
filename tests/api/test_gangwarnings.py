"""What admission says about sets that are scheduled as gangs (CD-31, CD-32, CD-34, CD-63)."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.gangwarnings import warnings
from lws.apimachinery.manifests import JSON

VOLCANO = {"schedulerName": "volcano"}


def lws(
    worker: JSON, leader: JSON | None = None, *, annotations: JSON | None = None, size: int = 3, **spec: Any
) -> JSON:
    """A set with these members in the pod specs of its templates."""
    template: JSON = {"size": size, "workerTemplate": {"spec": worker}}
    if leader is not None:
        template["leaderTemplate"] = {"spec": leader}
    return {"metadata": {"annotations": annotations or {}}, "spec": {"leaderWorkerTemplate": template, **spec}}


TOPOLOGY: JSON = {labels.EXCLUSIVE_TOPOLOGY: "rack"}
READY: JSON = {"startupPolicy": "LeaderReady"}
CASES: list[tuple[JSON, str]] = [
    (lws(VOLCANO), ""),
    (lws({}), ""),
    (lws(VOLCANO, VOLCANO), ""),
    (lws(VOLCANO, {}), "only one of leaderTemplate and workerTemplate names a scheduler"),
    (lws({}, VOLCANO), "only one of leaderTemplate and workerTemplate names a scheduler"),
    (lws(VOLCANO, {**VOLCANO, "priorityClassName": "high"}), "differ in priorityClassName"),
    (lws({}, {"priorityClassName": "high"}), ""),
    (lws(VOLCANO, **READY), "startupPolicy LeaderReady: the workers of a group are made once its leader has a node"),
    (lws(VOLCANO, annotations=TOPOLOGY), f"annotation {labels.EXCLUSIVE_TOPOLOGY}: the workers of a group"),
    (lws(VOLCANO, annotations=TOPOLOGY, size=1), ""),
    (lws({}, annotations=TOPOLOGY, **READY), ""),
]


@pytest.mark.parametrize(("obj", "words"), CASES)
def test_g1_g3_g4_g5_what_is_not_all_or_nothing_is_said(obj: JSON, words: str) -> None:
    """Each doubt is told on creation, with gang scheduling only, and not again while nothing about it changes."""
    found = warnings(obj, None, ("volcano",))
    assert (len(found), words in "".join(found)) == (bool(words), True)
    assert warnings(obj, None, ()) == []
    assert warnings(obj, obj, ("volcano",)) == []
    assert warnings(obj, lws({}), ("volcano",)) == found


def test_garbage_is_passed_over() -> None:
    """Values of types that the schema refuses make no warning and no exception."""
    values: list[Any] = [None, 7, [], "x", {"spec": 3}]
    for value in values:
        template = {"leaderTemplate": value, "workerTemplate": value}
        assert warnings({"metadata": value, "spec": {"leaderWorkerTemplate": template}}, None, ("volcano",)) == []
