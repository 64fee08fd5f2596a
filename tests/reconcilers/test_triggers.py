"""What wakes what (spec 5.1)."""

from __future__ import annotations

import msgspec
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.reconcilers.leaderworkerset import triggers
from tests.planning import making

SET = ("default", "sample")
KEY = "k1"


def test_set_wakes_itself() -> None:
    """Any change of a set wakes it: new, changed, gone."""
    lws = making.lws()
    assert triggers.sets_of_set(None, lws) == {SET}
    assert triggers.sets_of_set(lws, lws) == {SET}
    assert triggers.sets_of_set(lws, None) == {SET}


def test_what_of_a_set_concerns_its_leaders() -> None:
    """That it comes, and a change of its startup policy; no other change of it, and not its end."""
    created, ready = making.lws(), making.lws(startupPolicy="LeaderReady")
    assert triggers.concerns_leaders(None, ready)
    assert triggers.concerns_leaders(ready, created)
    assert not triggers.concerns_leaders(ready, ready)
    assert not triggers.concerns_leaders(ready, None)


def test_statefulset_wakes_its_set_by_owner_and_by_label() -> None:
    """The leader StatefulSet wakes by its controller, a worker StatefulSet by its label."""
    leader, workers = making.leader_set(KEY, labels={}), making.worker_set(0, KEY)
    assert triggers.sets_of_statefulset(None, leader) == {SET}
    assert triggers.sets_of_statefulset(workers, None) == {SET}


def test_relabelled_statefulset_wakes_both_sets() -> None:
    """The set that lost a StatefulSet is woken as well as the one that gained it."""
    old = making.worker_set(0, KEY)
    new = making.worker_set(0, KEY, labels={labels.NAME: "other"})
    assert triggers.sets_of_statefulset(old, new) == {SET, ("default", "other")}


@pytest.mark.parametrize(
    ("owner", "woken"),
    [
        (making.controller("LeaderWorkerSet", "sample", "uid"), True),
        (making.controller("LeaderWorkerSet", "sample", "uid", "leaderworkerset.x-k8s.io/v2"), True),
        (making.controller("LeaderWorkerSet", "sample", "uid", "other.io/v1"), False),
        (making.controller("Deployment", "sample", "uid", "apps/v1"), False),
        (None, False),
    ],
)
def test_service_wakes_its_set(owner: object, woken: bool) -> None:
    """A Service wakes the set that controls it, and nobody by its name alone."""
    service = making.service(owner_references=() if owner is None else (owner,))
    assert triggers.sets_of_service(service, None) == ({SET} if woken else frozenset())


@pytest.mark.parametrize(
    ("owner", "woken"),
    [
        (making.controller("Pod", "sample-0", "uid"), {("default", "sample-0")}),
        (making.controller("LeaderWorkerSet", "sample", "uid"), set()),
        (None, {("default", "sample-0")}),
    ],
)
def test_end_of_a_service_wakes_its_leader(owner: object, woken: set[tuple[str, str]]) -> None:
    """A Service that an earlier leader left, or that is nobody's, hides until it goes that the leader has none."""
    service = making.service("sample-0", owner_references=() if owner is None else (owner,))
    assert triggers.leaders_of_dependent(service, None) == woken
    assert triggers.leaders_of_dependent(None, service) == frozenset()
    assert triggers.leaders_of_dependent(service, service) == frozenset()


def test_end_of_a_foreign_service_wakes_the_set_of_its_label() -> None:
    """A Service that kept a set from its own was complained about once; its end is the time to make ours."""
    service = making.service(labels={labels.NAME: "sample"})
    assert triggers.sets_of_service(service, None) == {SET}
    assert triggers.sets_of_service(None, service) == frozenset()
    of_group = making.service(labels={labels.NAME: "sample"}, owner_references=(making.controller("Pod", "x", "uid"),))
    assert triggers.sets_of_service(of_group, None) == frozenset()


def test_end_of_a_revision_wakes_its_set() -> None:
    """A revision that someone deletes is made again; one that comes or changes wakes nobody."""
    revision = making.revision(making.lws())
    assert triggers.sets_of_revision(revision, None) == {SET}
    assert triggers.sets_of_revision(None, revision) == frozenset()
    assert triggers.sets_of_revision(revision, revision) == frozenset()


@pytest.mark.parametrize(
    ("change", "woken"),
    [
        ({"ready": False}, True),
        ({"phase": "Pending"}, True),
        ({"deletion_timestamp": making.STAMP}, True),
        ({"uid": "uid-new"}, True),
        ({"size": 4}, True),
        ({"restarts": 7}, False),
        ({"resource_version": "999"}, False),
    ],
)
def test_leader_pod_wakes_its_set_when_its_part_changes(change: dict[str, object], woken: bool) -> None:
    """Only what a group's state is made of matters to the set."""
    old, new = making.leader(0, KEY), making.leader(0, KEY, **change)  # type: ignore[arg-type]  # any of them
    assert triggers.sets_of_pod(old, new) == ({SET} if woken else frozenset())


def test_leader_pod_that_comes_or_goes_wakes_its_set() -> None:
    """Leaders count from their first to their last moment; workers never wake a set."""
    assert triggers.sets_of_pod(None, making.leader(0, KEY)) == {SET}
    assert triggers.sets_of_pod(making.leader(0, KEY), None) == {SET}
    assert triggers.sets_of_pod(None, making.worker(0, 1, KEY)) == frozenset()


def test_leader_pod_wakes_itself() -> None:
    """Any change of a leader wakes it; it is no worker."""
    pod = making.leader(3, KEY)
    for old, new in ((None, pod), (pod, pod), (pod, None)):
        assert triggers.leaders_of_pod(old, new) == {("default", "sample-3")}
        assert triggers.workers_of_pod(old, new) == frozenset()


def test_cd_28_end_of_a_worker_wakes_its_leader() -> None:
    """A worker's name that becomes free, or that of one released for adoption, wakes the leader; other news do not."""
    pod = making.worker(0, 1, KEY)
    released = making.worker(0, 1, KEY, owned=False)
    assert triggers.leaders_of_pod(pod, None) == {("default", "sample-0")}
    assert triggers.leaders_of_pod(pod, released) == {("default", "sample-0")}
    assert triggers.leaders_of_pod(pod, pod) == frozenset()
    assert triggers.leaders_of_pod(None, pod) == frozenset()


def test_cd_01_worker_wakes_itself_even_when_gone() -> None:
    """The end of a worker is handled under the name it had."""
    pod = making.worker(0, 1, KEY)
    for old, new in ((None, pod), (pod, pod), (pod, None)):
        assert triggers.workers_of_pod(old, new) == {("default", "sample-0-1")}


def test_pod_without_an_index_is_a_worker() -> None:
    """A pod that lacks the worker index is treated as a worker (spec 4.1)."""
    bare = making.leader(0, KEY, label_map={labels.WORKER_INDEX: None})
    assert triggers.workers_of_pod(None, bare) == {("default", "sample-0")}


def test_worker_set_wakes_the_pod_that_controls_it() -> None:
    """A worker StatefulSet wakes its leader; the leader StatefulSet wakes no pod."""
    assert triggers.leaders_of_statefulset(making.worker_set(0, KEY), None) == {("default", "sample-0")}
    assert triggers.leaders_of_statefulset(None, making.leader_set(KEY)) == frozenset()


def test_end_of_a_foreign_set_wakes_the_pod_of_its_name() -> None:
    """The name that somebody else's StatefulSet kept from a group is free when that is gone."""
    foreign = making.worker_set(0, KEY, owner_references=())
    assert triggers.leaders_of_statefulset(foreign, None) == {("default", "sample-0")}
    assert triggers.leaders_of_statefulset(None, foreign) == frozenset()


def test_worker_of_no_group_wakes_no_leader() -> None:
    """A name without an ordinal implies no leader."""
    pod = making.worker(0, 1, KEY)
    odd = msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, name="worker"))
    assert isinstance(odd, Pod)
    assert triggers.leaders_of_pod(odd, None) == frozenset()
