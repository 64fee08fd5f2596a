"""The parts of the comparison: what is masked, what counts as added, what differs, how it is packed."""

from __future__ import annotations

from typing import Any

import pytest

from lws.client.transport import Request
from tests.drift.packing import pack, unpack
from tests.drift.plain import added, differences, plain
from tests.drift.recorder import Asked, asked

UID = "b55e5245-73c3-41b0-b746-e897990ae081"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"uid": UID}, {"uid": "<uid>"}),
        ({f'k:{{"uid":"{UID}"}}': {}}, {'k:{"uid":"<uid>"}': {}}),
        ({"creationTimestamp": "2026-11-21T23:57:11Z"}, {"creationTimestamp": "<time>"}),
        ({"renewTime": "2026-11-21T23:57:11.000001Z"}, {"renewTime": "<microtime>"}),
        ({"resourceVersion": "12"}, {"resourceVersion": "<version>"}),
        ({"resourceVersion": ""}, {"resourceVersion": ""}),
        ({"nodeName": ""}, {"nodeName": ""}),
        ({"podIP": "10.0.0.7"}, {"podIP": "<address>"}),
        ({"name": "plain.18ea34a77f776d80"}, {"name": "plain.<moment>"}),
        ({"image": "app:1", "replicas": 3}, {"image": "app:1", "replicas": 3}),
    ],
)
def test_only_what_a_server_invents_is_masked(value: Any, shown: Any) -> None:
    """Invented values give way to their form, absent ones stay absent, and all else stays as it is."""
    assert plain(value) == shown


def test_managed_fields_are_compared_without_times_and_order() -> None:
    """Whose fields are whose is what counts; when, and which entry comes first, is not."""
    entries = [{"manager": name, "operation": "Update", "time": "2026-11-21T23:57:11Z"} for name in ("b", "a")]
    managers = [{"manager": name, "operation": "Update"} for name in ("a", "b")]
    assert plain({"managedFields": entries}) == {"managedFields": managers}


def test_what_was_not_sent_was_added() -> None:
    """New members at any depth, changed values and lists of another length count; what comes back as sent does not."""
    sent = {"spec": {"replicas": 1, "ports": [{"port": 80}], "names": ["a"]}}
    answer = {"spec": {"replicas": 1, "ports": [{"port": 80, "protocol": "TCP"}], "names": ["a", "b"]}, "status": {}}
    assert added(sent, answer) == {"spec.ports[0].protocol": "TCP", "spec.names": ["a", "b"], "status": {}}


def test_differences_name_their_paths() -> None:
    """Changed, missing and new members are told apart by path."""
    found = differences({"a": [{"b": 1}], "c": 2}, {"a": [{"b": 3}], "d": 4})
    assert found == ["a[0].b: 1, here 3", "c: 2, here (absent)", "d: (absent), here 4"]
    assert differences({"a": [1]}, {"a": [1]}) == []


def test_what_is_packed_comes_out_again() -> None:
    """Repeated parts, also within repeated parts, stand once in what is packed, and come back everywhere."""
    inner = {"word": "x" * 100}
    outer = {"inner": inner, "again": [inner], "more": "y" * 100}
    told = {"one": [outer, outer], "two": {"inner": inner}, "three": []}
    packed = pack(told)
    assert unpack(packed) == told
    assert str(packed).count("x" * 100) == 1


@pytest.mark.parametrize(
    ("method", "path", "query", "what"),
    [
        ("GET", "/api/v1/namespaces/ns/pods", {"watch": "true"}, Asked("WATCH", "v1 pods", "ns", "")),
        ("GET", "/api/v1/nodes", {}, Asked("LIST", "v1 nodes", "", "")),
        ("POST", "/api/v1/namespaces", {}, Asked("POST", "v1 namespaces", "", "")),
        ("GET", "/api/v1/namespaces/ns", {}, Asked("GET", "v1 namespaces", "", "ns")),
        (
            "PUT",
            "/apis/apps/v1/namespaces/ns/statefulsets/a/scale",
            {},
            Asked("PUT", "apps/v1 statefulsets/scale", "ns", "a"),
        ),
    ],
)
def test_requests_are_known_by_verb_and_resource(method: str, path: str, query: dict[str, str], what: Asked) -> None:
    """Collections, objects, subresources and watches are told apart."""
    assert asked(Request(method, path, tuple(query.items()))) == what
