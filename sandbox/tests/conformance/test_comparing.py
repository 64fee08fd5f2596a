"""What may differ from run to run, and what may not."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.tests.conformance.normalize import Bindings, Comparison
from sandbox.tests.conformance.scenarios import SCENARIOS, controllers, load
from sandbox.tests.conformance.sequences import one_bookmark, without_retries

from lws.apimachinery.manifests import JSON


def found(recorded: Any, actual: Any, **settings: Any) -> list[str]:
    """The differences of two values."""
    comparison = Comparison(Bindings(**settings))
    comparison.compare(recorded, actual)
    return comparison.differences


ALIKE: list[tuple[JSON, JSON]] = [
    ({"gitVersion": "v1.36.2"}, {"gitVersion": "v1.36.3"}),
    ({"goVersion": "go1.27.3", "gitCommit": "a"}, {"goVersion": "go1.26.6", "gitCommit": "b"}),
    (
        {"message": 'in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'},
        {"message": 'in scheme "pkg/runtime/scheme.go:111"'},
    ),
    ({"message": r"invalid character '\x9e' looking"}, {"message": r"invalid character '\u009e' looking"}),
    (
        {"reason": 'allowed by ClusterRoleBinding "system:discovery"'},
        {"reason": 'allowed by ClusterRoleBinding "system:public-info-viewer"'},
    ),
    (
        {"nonResourceRules": [{"verbs": ["a"]}, {"verbs": ["b"]}]},
        {"nonResourceRules": [{"verbs": ["b"]}, {"verbs": ["a"]}]},
    ),
]
UNLIKE: list[tuple[JSON, JSON]] = [
    ({"gitVersion": "v1.36.2"}, {"gitVersion": "v1.37.2"}),
    ({"message": 'in scheme "a/b.go:1"'}, {"message": 'in scheme "b"'}),
    ({"message": r"invalid character '\x9e' looking"}, {"message": r"invalid character '\x9f' looking"}),
    (
        {"reason": 'allowed by ClusterRoleBinding "system:discovery"'},
        {"reason": 'allowed by ClusterRoleBinding "system:basic-user"'},
    ),
    ({"rules": ["a", "b"]}, {"rules": ["b", "a"]}),
]


@pytest.mark.parametrize(("recorded", "actual"), ALIKE)
def test_how_a_server_was_built_does_not_count(recorded: JSON, actual: JSON) -> None:
    """Facts of a build, and what a server takes out of maps in any order, may differ."""
    assert not found(recorded, actual)


def test_of_long_texts_and_lists_it_is_told_what_only_one_has() -> None:
    """A line or an item that is the same in both is not told."""
    assert found("[+]ping ok\n[+]etcd ok\n", "[+]ping ok\n[+]log ok\n") == [
        "(root): recorded ['[+]etcd ok'], here ['[+]log ok']"
    ]
    assert found({"paths": ["/api", "/healthz"]}, {"paths": ["/api"]}) == ["paths: recorded ['/healthz'], here []"]
    assert found("a\nb\n", "b\na\n") == ["(root): recorded ['a', 'b'], here ['b', 'a']"]


@pytest.mark.parametrize(("recorded", "actual"), UNLIKE)
def test_all_else_counts(recorded: JSON, actual: JSON) -> None:
    """What looks nearly the same is told apart."""
    assert found(recorded, actual)


def test_a_list_may_be_newer_where_others_write() -> None:
    """On a server with writers of its own a list's version may be a later one, but an object's may not."""
    lists = [{"kind": "PodList", "metadata": {"resourceVersion": version}} for version in ("5", "7", "9")]
    both = [{"kind": "Pod", "metadata": {"resourceVersion": "5"}}, lists[0]]
    for alive, wanted in ((True, False), (False, True)):
        comparison = Comparison(Bindings(alive=alive))
        comparison.compare(both[0], {"kind": "Pod", "metadata": {"resourceVersion": "7"}})
        comparison.compare(both[1], lists[2])
        assert bool(comparison.differences) is wanted


def test_ages_are_compared_by_form_where_the_clock_is_another() -> None:
    """A living server shows another age, but an age; where the clock is the recording's it is the same age."""
    assert not found({"cells": ["6y326d", "5m"]}, {"cells": ["6y327d", "40s"]}, alive=True)
    assert found({"cells": ["6y326d"]}, {"cells": ["6y327d"]})
    assert found({"cells": ["6y326d"]}, {"cells": ["<invalid>"]}, alive=True)


def test_webhook_calls_made_again_count_once() -> None:
    """Of calls that a server repeats at once the last stands for all, but only as many go as are too many."""
    request = {"operation": "DELETE", "name": "a"}
    calls = [{"path": "/x", "query": {}, "body": {"request": {**request, "uid": uid}}} for uid in ("1", "2", "3")]
    assert without_retries(calls, 1) == calls[2:]
    assert without_retries(calls, 2) == calls[1:]
    assert without_retries(calls, 3) == calls
    other = {"path": "/x", "query": {}, "body": {"request": {"operation": "CREATE", "name": "a"}}}
    assert without_retries([calls[0], other], 1) == [calls[0], other]


def test_bookmarks_in_a_row_count_once() -> None:
    """How many come while nothing happens is a matter of time."""
    kinds = ["ADDED", "BOOKMARK", "BOOKMARK", "ADDED", "BOOKMARK"]
    assert [event["type"] for event in one_bookmark([{"type": kind} for kind in kinds])] == [
        "ADDED",
        "BOOKMARK",
        "ADDED",
        "BOOKMARK",
    ]


def test_recordings_are_of_a_server_under_its_usual_name() -> None:
    """The server's own field manager is kube-apiserver everywhere, and controllers ran where they are asked for."""
    scenarios = [load(path) for path in SCENARIOS]
    assert "kas" not in {manager for scenario in scenarios for manager in _managers(scenario)}
    assert all(bool(controllers(each)) == (each["area"] == "controllers") for each in scenarios)


def _managers(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["manager"]} if isinstance(value.get("manager"), str) else set()
        return own.union(*map(_managers, value.values()))
    return set().union(*map(_managers, value)) if isinstance(value, list) else set()
