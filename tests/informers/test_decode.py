"""From bytes to events and pages."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws.informers.decode import Added, Bookmark, Deleted, Error, Garbage, GarbledPageError, Lines, Modified, Unreadable
from lws.informers.kinds import raw_kind, sharing
from lws.reconcilers.leaderworkerset.kinds import LEADERWORKERSETS, NODES, PODS, SERVICES, STATEFULSETS


def line(kind: str, obj: Any) -> bytes:
    """One line of a watch."""
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


def meta(name: str, **more: Any) -> dict[str, Any]:
    """An object with metadata only."""
    return {"metadata": {"name": name, "namespace": "ns", "resourceVersion": "7", **more}}


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "a-0",
        "namespace": "ns",
        "resourceVersion": "7",
        "labels": {"leaderworkerset.sigs.k8s.io/name": "a", "team": "x"},
        "annotations": {
            "leaderworkerset.sigs.k8s.io/size": "4",
            "scheduling.k8s.io/group-name": "g",
            "example.com/blob": "x" * 1000,
        },
        "managedFields": [{"manager": "m"}],
        "ownerReferences": [
            {"kind": "StatefulSet", "name": "a", "uid": "u", "controller": True, "apiVersion": "apps/v1"}
        ],
    },
    "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i", "env": [{"name": "A"}]}]},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None}]},
}


def test_events_by_type() -> None:
    """Each type of event is told apart, and the object's fields are read."""
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old", "details": {"x": 1}}
    lines = (
        line("ADDED", POD)
        + line("MODIFIED", POD)
        + line("DELETED", POD)
        + line("BOOKMARK", {"metadata": {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}})
        + line("ERROR", status)
    )
    events = PODS.decoder().events(lines)
    assert [type(event) for event in events] == [Added, Modified, Deleted, Bookmark, Error]
    assert isinstance(events[3], Bookmark)
    assert events[3].object.metadata.resource_version == "9"
    assert isinstance(events[4], Error)
    assert (events[4].object.code, events[4].object.reason) == (410, "Expired")


def test_pods_are_slim() -> None:
    """A cached pod keeps its labels and our annotations, and nothing of what no planner reads."""
    (event,) = PODS.decoder().events(line("ADDED", POD))
    assert isinstance(event, Added)
    pod = event.object
    assert pod.metadata.labels == {"leaderworkerset.sigs.k8s.io/name": "a", "team": "x"}
    assert pod.metadata.annotations == {"leaderworkerset.sigs.k8s.io/size": "4", "scheduling.k8s.io/group-name": "g"}
    assert pod.metadata.controller.uid == "u"
    assert pod.spec.node_name == "n1"
    assert pod.status.conditions[0].type == "Ready"
    assert b"image" not in msgspec.json.encode(pod)


def test_strings_that_would_never_be_freed_are_not_shared() -> None:
    """Where an interned string lives for ever, as in early releases of Python 3.12, nothing is interned."""
    held: list[str] = []

    def forever(text: str) -> str:
        held.extend([text] * 2000)
        return text

    assert sharing(forever) is str
    assert sharing(lambda text: text) is not str


def test_shared_strings_are_held_once() -> None:
    """Equal strings of different pods are one string."""
    first, second = PODS.decoder().events(line("ADDED", POD)) + PODS.decoder().events(line("ADDED", POD))
    assert isinstance(first, Added)
    assert isinstance(second, Added)
    one, two = first.object, second.object
    assert one.spec.node_name is two.spec.node_name
    assert one.metadata.namespace is two.metadata.namespace
    assert one.metadata.owner_references[0].uid is two.metadata.owner_references[0].uid
    pairs = zip(one.metadata.labels.items(), two.metadata.labels.items(), strict=True)
    assert all(key is other_key and value is other for (key, value), (other_key, other) in pairs)


def test_annotations_by_kind() -> None:
    """StatefulSets and LeaderWorkerSets keep all annotations, nodes and Services none."""
    obj = meta("a", annotations={"example.com/a": "b"})
    kept = {
        str(kind): kind.decoder().page(orjson.dumps({"metadata": {}, "items": [obj]})).objects[0].metadata.annotations
        for kind in (STATEFULSETS, LEADERWORKERSETS, NODES, SERVICES)
    }
    assert kept == {
        "statefulsets.apps": {"example.com/a": "b"},
        "leaderworkersets.leaderworkerset.x-k8s.io": {"example.com/a": "b"},
        "nodes": None,
        "services": None,
    }


def test_raw_objects() -> None:
    """A raw kind keeps the whole object and reads its metadata; equal resources share one kind."""
    kind = raw_kind(PODS.resource)
    (event,) = kind.decoder().events(line("ADDED", POD))
    assert isinstance(event, Added)
    assert event.object.raw == POD
    assert event.object.metadata.name == "a-0"
    assert raw_kind(PODS.resource) is kind


@pytest.mark.parametrize("deleted", [False, True])
def test_bad_object_among_good_ones(deleted: bool) -> None:
    """An object that does not fit its type is named, and its neighbours are read."""
    bad = {"metadata": {"name": "bad", "namespace": "ns", "resourceVersion": "8", "labels": {"a": 1}}}
    lines = line("ADDED", POD) + line("DELETED" if deleted else "ADDED", bad) + line("MODIFIED", POD)
    first, second, third = PODS.decoder().events(lines)
    assert (type(first), type(third)) == (Added, Modified)
    assert isinstance(second, Unreadable)
    assert (second.name, second.namespace, second.resource_version, second.deleted) == ("bad", "ns", "8", deleted)


def test_bad_leaderworkerset() -> None:
    """A LeaderWorkerSet that its model refuses is named like any other bad object."""
    bad = {**meta("bad"), "spec": {"replicas": "many"}}
    page = LEADERWORKERSETS.decoder().page(orjson.dumps({"metadata": {}, "items": [meta("a"), bad]}))
    assert [obj.metadata.name for obj in page.objects] == ["a"]
    assert [obj.name for obj in page.unreadable] == ["bad"]
    (event,) = LEADERWORKERSETS.decoder().events(line("ADDED", bad))
    assert isinstance(event, Unreadable)


@pytest.mark.parametrize("garbage", [b"nonsense\n", b'{"type":"NEW","object":{}}\n', b"[]\n", b'{"type":"ADDED"}\n'])
def test_garbage_ends_the_batch(garbage: bytes) -> None:
    """A line that is no event comes out as garbage, after what was good and with nothing after it."""
    events = PODS.decoder().events(line("ADDED", POD) + garbage + line("ADDED", POD))
    assert [type(event) for event in events] == [Added, Garbage]


def test_pages() -> None:
    """A page gives its objects, version and token; one without items is empty."""
    decoder = PODS.decoder()
    page = decoder.page(orjson.dumps({"metadata": {"resourceVersion": "5", "continue": "t"}, "items": [POD, POD]}))
    assert (len(page.objects), page.resource_version, page.token) == (2, "5", "t")
    assert decoder.page(b'{"metadata":{"resourceVersion":"5"},"items":null}').objects == ()
    with pytest.raises(GarbledPageError):
        decoder.page(b"<html>")


@given(st.lists(st.text(alphabet="abc\n", max_size=12)), st.integers(1, 7))
def test_lines_are_cut_anywhere(texts: list[str], size: int) -> None:
    """However a stream is cut into chunks, the lines that come out are those that went in."""
    stream = "\n".join(texts).encode()
    lines = Lines()
    whole = b"".join(lines.feed(stream[at : at + size]) for at in range(0, len(stream), size))
    end = stream.rfind(b"\n") + 1
    assert whole == stream[:end]
    assert lines.cut == (end < len(stream))
