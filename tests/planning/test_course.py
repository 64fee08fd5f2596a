"""The course of a set, read off the changes of its pods."""

from __future__ import annotations

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.course import Courses, SetCourse
from tests.cli.shelf import READY, pod

PLACE = ("default", "web")
PENDING: JSON = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
}


def ending(raw: JSON) -> JSON:
    """The pod, being deleted."""
    return {**raw, "metadata": {**raw["metadata"], "deletionTimestamp": "x"}}


def renewed(raw: JSON, **more: JSON) -> JSON:
    """Its successor."""
    return {**raw, "metadata": {**raw["metadata"], "uid": raw["metadata"]["uid"] + "'"}, **more}


def begun(groups: int = 2) -> tuple[Courses, list[JSON]]:
    """Groups of two that are ready, and their pods in order."""
    courses = Courses()
    pods = [pod("web", group, worker) for group in range(groups) for worker in range(2)]
    for each in pods:
        courses.see("ADDED", each)
    courses.begin()
    return courses, pods


def steps(course: SetCourse) -> list[tuple[float, str, str]]:
    """What happened, in order."""
    return [(one.seconds, one.step, one.group) for one in course.happenings]


def test_a_leader_that_goes_and_comes_again_is_a_restart() -> None:
    """It counts when it goes, once, however often the ending pod changes; the group is not ready until all of it is."""
    courses, (leader, worker, *_) = begun()
    courses.see("MODIFIED", ending(leader), 5.0)
    courses.see("MODIFIED", ending(leader), 6.0)
    courses.see("DELETED", ending(leader), 7.0)
    courses.see("DELETED", worker, 7.0)
    courses.see("ADDED", renewed(leader), 8.0)
    assert courses.of(PLACE).ready_after == 1
    courses.see("ADDED", renewed(worker), 9.0)
    course = courses.of(PLACE)
    assert steps(course) == [(5.0, "restart", "0")]
    assert (course.ready_before, course.fewest_ready, course.ready_after) == (2, 1, 2)
    assert (course.pods_before, course.most_pods, course.pods_after) == (4, 4, 4)


def test_creations_and_removals_are_told_from_restarts() -> None:
    """A surge group comes and goes; a group that is scaled away stays away; one that restarts twice is there twice."""
    courses, (_, _, leader, worker) = begun()
    extra = pod("web", 2, 0)
    courses.see("ADDED", extra, 1.0)
    courses.see("DELETED", leader, 2.0)
    courses.see("ADDED", renewed(leader), 3.0)
    courses.see("DELETED", renewed(leader), 4.0)
    courses.see("ADDED", renewed(renewed(leader)), 5.0)
    courses.see("DELETED", extra, 6.0)
    courses.see("DELETED", renewed(renewed(leader)), 7.0)
    courses.see("DELETED", worker, 7.0)
    course = courses.of(PLACE)
    assert steps(course) == [
        (1.0, "create", "2"),
        (2.0, "restart", "1"),
        (4.0, "restart", "1"),
        (6.0, "remove", "2"),
        (7.0, "remove", "1"),
    ]
    assert course.groups("restart") == ("1", "1")
    assert (course.most_pods, course.pods_after) == (5, 2)


def test_the_most_that_is_requested_is_kept_by_resource() -> None:
    """Requests of every pod count from its creation on, wherever it is; a pod without a node is named."""
    courses, _ = begun(1)
    waiting = pod("web", 1, 0, spec={"nodeName": ""}, status=PENDING)
    courses.see("ADDED", waiting, 1.0)
    course = courses.of(PLACE)
    assert course.requests_before == {"cpu": "1", "nvidia.com/gpu": "4"}
    assert course.most_requests == {"cpu": "1500m", "nvidia.com/gpu": "6"}
    assert course.unplaced == ("web-1",)
    courses.see("DELETED", waiting, 2.0)
    assert courses.of(PLACE).requests_after == course.requests_before
    assert courses.of(PLACE).most_requests == course.most_requests


def test_pods_of_no_set_and_sets_without_pods_have_no_course() -> None:
    """What carries no labels of a group is passed over; an unknown set is empty."""
    courses, _ = begun(1)
    courses.see("ADDED", {"metadata": {"name": "x", "uid": "x"}, "status": READY}, 1.0)
    assert courses.places == [PLACE]
    assert courses.of(("default", "other")) == SetCourse("default", "other")


def test_failed_pods_are_not_ready_and_unreadable_requests_are_none() -> None:
    """A leader that failed is on its way out; a quantity that nobody can read counts as nothing."""
    courses = Courses()
    courses.see("ADDED", pod("web", 0, 0, size=1, spec={"containers": [{"resources": {"limits": {"cpu": "?"}}}]}))
    courses.begin()
    assert courses.of(PLACE).requests_before == {}
    courses.see("MODIFIED", pod("web", 0, 0, size=1, status={"phase": "Failed"}), 3.0)
    assert courses.of(PLACE).ready_after == 0


def keyed(digit: str, worker: int = 0) -> JSON:
    """A pod of a group that is known by a key."""
    key = digit * 40
    raw = pod("web", 0, worker)
    own = {**raw["metadata"]["labels"], labels.GROUP_INDEX: key, labels.GROUP_KEY: key}
    name = f"web-{digit}-{worker}"
    return {**raw, "metadata": {**raw["metadata"], "name": name, "uid": name, "labels": own}}


def test_groups_that_are_known_by_a_key_have_its_first_digits_and_new_ones_no_name() -> None:
    """Resilience 8: nobody can foresee a key; that a group comes, or a new one goes again, is told all the same."""
    courses = Courses()
    for worker in range(2):
        courses.see("ADDED", keyed("a", worker))
    courses.begin()
    waiting = {**keyed("b"), "spec": {"nodeName": ""}, "status": PENDING}
    courses.see("ADDED", waiting, 1.0)
    courses.see("DELETED", keyed("a"), 2.0)
    courses.see("ADDED", keyed("a", 1), 2.5)  # a worker that outlives its leader makes no new group
    courses.see("ADDED", keyed("c"), 3.0)
    courses.see("DELETED", waiting, 4.0)
    course = courses.of(PLACE)
    assert steps(course) == [(1.0, "create", ""), (2.0, "remove", "aaaaaaaa"), (3.0, "create", ""), (4.0, "remove", "")]
    assert course.unplaced == ("the leader of a new group",)


def test_pods_of_several_sets_make_one_course() -> None:
    """Into one place, groups are named by set and group, and ready ones are counted over all of them."""
    courses, place = Courses(), ("default", "roles")
    courses.see("ADDED", pod("a", 0, size=1), into=place)
    courses.see("ADDED", pod("b", 0, size=1), into=place)
    courses.begin()
    courses.see("DELETED", pod("b", 0, size=1), 2.0, into=place)
    course = courses.of(place)
    assert steps(course) == [(2.0, "remove", "b/0")]
    assert (course.ready_before, course.fewest_ready, course.pods_after) == (2, 1, 1)
    assert courses.places == [place]
