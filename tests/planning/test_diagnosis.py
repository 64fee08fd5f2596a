"""The diagnosis names the cause in the cluster's own words, what a person can do, and nothing twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, owner_notice, waits
from lws.planning.leaderworkerset.diagnosis.facts import Facts, ForeignObject
from lws.planning.leaderworkerset.diagnosis.objects import PodReport
from lws.planning.leaderworkerset.diagnosis.words import sentences
from tests.planning.diagnosis_facts import (
    event,
    group,
    healthy,
    leader_set,
    pod,
    said,
    set_facts,
    terminated,
    unscheduled,
    waiting,
    with_group_0,
    worker_set,
)

NO_GPU = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
ENDING: JSON = {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}
OOM = {"exitCode": 137, "reason": "OOMKilled"}
QUOTA = 'create Pod s-0 in StatefulSet s failed error: pods "s-0" is forbidden: exceeded quota: small'
STARTING = waiting("ContainerCreating") | {"phase": "Pending"}


def leader(**parts: Any) -> PodReport:
    """The leader of group 0."""
    return pod("s-0", group=0, worker=0, **parts)


def worker(**parts: Any) -> PodReport:
    """The worker of group 0."""
    return pod("s-0-1", group=0, worker=1, **parts)


def test_a_missing_leader_quotes_the_event_about_itself() -> None:
    """Of the StatefulSet's warnings only that about this very pod is quoted (W10)."""
    warnings = (
        event("StatefulSet", "s", "FailedCreate", QUOTA),
        event("StatefulSet", "s", "FailedCreate", QUOTA.replace("s-0", "s-1"), time="2026-01-01T00:00:09Z"),
        event("LeaderWorkerSet", "s", "FailedCreate", "Failed to create headless service", time="2026-01-02T00:00:00Z"),
    )
    missing = (group(0, None, None, workers=None), group(1, None, None, workers=None))
    assert said(healthy(groups=missing, events=warnings[::2])) == (
        f"Group 0: leader pod s-0 does not exist: {QUOTA}.",
        "Group 1: leader pod s-1 does not exist: StatefulSet s cannot create other pods before it.",
    )
    assert said(healthy(groups=missing, events=warnings)) == (
        f"Groups 0-1: each of 2 leader pods (s-0, s-1) does not exist: {QUOTA}.",
    )


def test_a_refused_worker_statefulset_quotes_the_event_about_its_leader() -> None:
    """The controller's warning is matched by the leader pod it is related to, not by time (W10)."""
    own: JSON = {"related": {"kind": "Pod", "name": "s-0", "uid": "uid-s-0"}}
    other: JSON = {"related": {"kind": "Pod", "name": "s-1", "uid": "uid-s-1"}}
    warnings = (
        event("LeaderWorkerSet", "s", "FailedCreate", "Failed to create: no image", **own),
        event("LeaderWorkerSet", "s", "FailedCreate", "another group's", time="2026-01-02T00:00:00Z", **other),
    )
    assert said(with_group_0(group(0, leader(), None, workers=None), events=warnings)) == (
        "Group 0: worker StatefulSet s-0 does not exist: Failed to create: no image.",
    )


def test_a_name_that_is_too_long_is_named_with_its_limit() -> None:
    """The label limit that no pod of the StatefulSet can keep becomes a remedy (V5)."""
    words = 'Pod "s-0" is invalid: metadata.labels: Invalid value: "x": must be no more than 63 characters'
    facts = with_group_0(
        group(0, None, None, workers=None),
        events=(event("StatefulSet", "s", "FailedCreate", f"create Pod s-0: {words}"),),
    )
    (sentence,) = said(facts)
    assert sentence.endswith("Shorten the name of the set: with its highest group index it may have 51 characters.")


def test_missing_workers_quote_their_statefulset() -> None:
    """Workers that a StatefulSet cannot create are counted, with its own words."""
    words = 'create Pod s-0-1 in StatefulSet s-0 failed error: pods "s-0-1" is forbidden: exceeded quota: small'
    facts = with_group_0(group(0, leader(), None), events=(event("StatefulSet", "s-0", "FailedCreate", words),))
    assert said(facts) == (f"Group 0: StatefulSet s-0 lacks 1 of its 1 pods: {words}.",)


WORKERS: dict[str, tuple[Facts, str]] = {
    "scaled by hand": (
        with_group_0(group(0, workers=worker_set(0, replicas=3, available=1, size=2))),
        (
            "Group 0: StatefulSet s-0 has 3 replicas, but its group has 1 workers. Scale it back: `kubectl scale "
            "statefulset s-0 --replicas=1`."
        ),
    ),
    "foreign": (
        with_group_0(group(0, leader(), None, workers=worker_set(0, ownerReferences=[]))),
        (
            "Group 0: StatefulSet s-0 is not the leader pod's: it has no owner. Delete or rename it: the group needs "
            "the name s-0 for its own workers."
        ),
    ),
    "an earlier leader's": (
        with_group_0(group(0, leader(metadata={"uid": "new"}), None)),
        (
            "Group 0: StatefulSet s-0 belongs to the previous leader pod; the workers start once it has been garbage-"
            "collected."
        ),
    ),
    "names taken": (
        with_group_0(group(0, leader(), worker(metadata=ENDING), workers=None)),
        "Group 0: its workers start once the pods of the previous group have terminated: s-0-1.",
    ),
    "not counted": (
        with_group_0(group(0, workers=worker_set(0, available=0))),
        "Group 0: StatefulSet s-0 has not counted its pods as available yet.",
    ),
}


@pytest.mark.parametrize("case", WORKERS)
def test_a_group_without_its_workers_says_why(case: str) -> None:
    """Every way in which the worker StatefulSet is not as it should be has its words and its remedy."""
    facts, sentence = WORKERS[case]
    assert sentence in said(facts)


def test_workers_that_wait_for_their_leader_add_nothing_to_its_reason() -> None:
    """With LeaderReady, and with exclusive topology, the leader's reason is the group's."""
    unready = leader(status=unscheduled(NO_GPU), spec={"nodeName": ""})
    for facts in (
        set_facts(leader_ready_first=True),
        set_facts(metadata={"annotations": {labels.EXCLUSIVE_TOPOLOGY: "z"}}),
    ):
        assert len(said(with_group_0(group(0, unready, None, workers=None), lws=facts))) == 1


def test_an_edit_that_is_refused_is_not_blamed_on_the_controller() -> None:
    """An unseen edit quotes the FailedUpdate event of the set; without one the controller is asked about (W10)."""
    unseen = healthy(lws=set_facts(metadata={"generation": 2}))
    assert said(unseen) == (
        (
            "The controller has not acted on the last edit yet (generation 2, seen 1). If this lasts, check that the "
            "controller runs, and its log."
        ),
    )
    words = "Failed to update leader statefulset s: spec: Forbidden: updates to statefulset spec"
    (sentence,) = said(replace(unseen, events=(event("LeaderWorkerSet", "s", "FailedUpdate", words),)))
    assert (
        sentence
        == f"The last edit (generation 2) cannot be applied: {words}. Fix the spec, or the policy that rejects it."
    )


def test_what_holds_the_whole_set_comes_first() -> None:
    """Deletion, blocks, foreign objects and a missing leader StatefulSet are told once, and no group besides."""
    facts = healthy(
        lws=set_facts(
            metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/y"]},
            conditions=(Condition(type="Blocked", status="True", message="StatefulSet s is not ours"),),
        ),
        leader_set=None,
        foreign=(ForeignObject("Service", "s", "it is not headless"),),
        events=(event("LeaderWorkerSet", "s", "FailedCreate", "Failed to create leader statefulset s: no"),),
    )
    assert said(facts) == (
        "The set is being deleted, together with its groups, held by finalizers x/y.",
        "The set is blocked: StatefulSet s is not ours.",
        "Service s does not belong to the set: it is not headless. Delete or rename it: the set needs the name s.",
        "The leader StatefulSet s does not exist: Failed to create leader statefulset s: no.",
    )


def test_a_statefulset_of_an_earlier_set_is_waited_for() -> None:
    """A set that was deleted and created anew says that it waits for the collection of the earlier one's objects."""
    owner = {"kind": "LeaderWorkerSet", "name": "s", "uid": "earlier", "controller": True}
    (sentence, *_) = said(healthy(leader_set=leader_set(ownerReferences=[owner])))
    assert sentence == "StatefulSet s belongs to a previous set of this name and is about to be garbage-collected."


def test_a_leader_of_an_earlier_statefulset_is_waited_for() -> None:
    """A leader that looks ready and counts for nobody says why (CD-30)."""
    owner = {"kind": "StatefulSet", "name": "s", "uid": "earlier", "controller": True}
    (sentence,) = said(with_group_0(group(0, leader(metadata={"ownerReferences": [owner]}))))
    assert (
        sentence
        == "Group 0: leader pod s-0 belongs to a previous leader StatefulSet and is about to be garbage-collected."
    )


def test_groups_that_hold_what_the_others_need_are_named() -> None:
    """Two groups that are each placed in part keep each other from starting: that is said, with the way out (U3)."""
    words = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    halves = [
        group(
            index, worker=pod(f"s-{index}-1", group=index, worker=1, status=unscheduled(words), spec={"nodeName": ""})
        )
        for index in (0, 1)
    ]
    (sentence,) = said(healthy(groups=tuple(halves)))
    assert sentence.endswith(
        "Groups 0-1 are placed in part and hold resources that the others need: scale down, or use gang scheduling, so "
        "that one of them fits."
    )
    (alone,) = said(with_group_0(halves[0]))
    assert "placed in part" not in alone


def test_ending_pods_of_no_group_are_no_silence() -> None:
    """Beside terminating pods of an earlier set nobody says "waits for nothing" (N3)."""
    gone = pod("s-7", group=7, worker=0, metadata=ENDING)
    (sentence,) = said(healthy(strays=(gone,)))
    assert sentence.startswith("Leader pod s-7 on node-1 has been terminating since 2026-01-01T00:00:00Z")


def test_pods_admitted_without_the_webhook_are_named() -> None:
    """Pods without a worker index are no members of any group, though StatefulSets count them as available."""
    nameless = pod("s-0-1", group=0, worker=1, labels={labels.WORKER_INDEX: ""})
    (sentence,) = said(healthy(strays=(nameless,)))
    assert sentence.startswith("Pods without a worker index (s-0-1) were admitted without the webhook.")


def test_a_held_update_is_told_from_a_moving_one() -> None:
    """Groups below the user's partition are held, and not waited for; the others wait their turn within the budget."""
    groups = (*(group(index, key="old") for index in range(3)), group(3))
    facts = healthy(4, groups=groups, lws=set_facts(4, partition=2))
    assert said(facts) == (
        "The rolling update has yet to replace group 2 (maxUnavailable 1, maxSurge 0).",
        (
            "Groups 0-1 keep their revision: rollingUpdateConfiguration.partition is 2. Lower the partition to update "
            "them."
        ),
    )
    assert waits(diagnose(facts))
    held = replace(
        facts, lws=set_facts(4, partition=3, metadata={"annotations": {"kubectl-lws/partition-before-pause": "0"}})
    )
    assert said(held)[0].endswith("It is paused: `kubectl lws rollout resume s` lets it go on.")
    assert not waits(diagnose(held))


def test_an_update_that_stands_names_the_groups_it_waits_for() -> None:
    """A broken group uses the budget up: the update says so (L12); with Kueue, surge has a way out (Q1)."""
    broken = pod("s-0", group=0, worker=0, key="old", status=terminated(1))
    facts = healthy(groups=(group(0, broken, key="old"), group(1, key="old")))
    assert said(facts)[-1].endswith("maxUnavailable 1, maxSurge 0); it is waiting for group 0.")
    surge = group(
        2, pod("s-2", group=2, worker=0, status=unscheduled(NO_GPU), spec={"nodeName": ""}), None, workers=None
    )
    queued = set_facts(metadata={"labels": {"kueue.x-k8s.io/queue-name": "q"}}, max_surge=1)
    facts = healthy(groups=(group(0, key="old"), group(1), surge), lws=queued)
    assert "takes a percentage in maxSurge for 0: write a number, such as 1." in said(facts)[-1]


def test_the_owner_of_a_set_is_named() -> None:
    """What somebody else's controller writes is to be changed there (V4)."""
    owner = {"kind": "LLMInferenceService", "name": "pd", "uid": "x", "controller": True}
    facts = healthy(lws=set_facts(metadata={"ownerReferences": [owner]}))
    assert owner_notice(facts) == "s is owned by LLMInferenceService pd: change it there."
    assert owner_notice(healthy()) == ""
    assert said(facts) == ()


def test_equal_reasons_are_said_once_and_all_is_short() -> None:
    """32 groups with the same trouble, in words that differ in names, times and identifiers only, are one sentence."""
    groups, warnings = [], []
    for index in range(32):
        name = f"s-{index}"
        groups.append(group(index, pod(name, group=index, worker=0, status=STARTING), None, workers=None))
        words = (
            f'Failed to create pod sandbox for "{name}": network of sandbox "{index:064x}" after {index}s: ' + "x" * 900
        )
        warnings.append(event("Pod", name, "FailedCreatePodSandBox", words))
    found = said(healthy(32, groups=tuple(groups), events=tuple(warnings)))
    assert found[0].startswith("Groups 0-31: each of 32 leader pods (s-0, s-1 and 30 more) on node-1 cannot start")
    assert len("\n".join(found)) < 1000


def test_different_reasons_are_counted_beyond_a_limit() -> None:
    """However many reasons there are, few are shown, the causes first."""
    groups = [
        group(index, pod(f"s-{index}", group=index, worker=0, status=terminated(index + 1)), None)
        for index in range(20)
    ]
    found = sentences(diagnose(healthy(20, groups=tuple(groups))), 5)
    assert len(found) == 6
    assert found[-1].endswith("more reasons are not shown; `kubectl lws tree` shows every pod.")


@pytest.mark.parametrize("asked", [False, True])
def test_exhausted_group_is_told_with_its_remedy(*, asked: bool) -> None:
    """A group whose restart budget is spent is told in one sentence, with the command that recreates it (next 5.5)."""
    marks = {labels.RESTART_BUDGET_EXHAUSTED: "true", **({labels.RECOVER: "true"} if asked else {})}
    first = leader(metadata={**ENDING, "annotations": marks, "finalizers": [labels.RESTART_BUDGET_CLEANUP]})
    remedy = (
        "Its recovery is asked for: if this lasts, check that the controller runs, and its log."
        if asked
        else "Look at its pods, then have it recreated with a full budget: "
        "`kubectl annotate pod s-0 -n ns leaderworkerset.sigs.k8s.io/recover=true`."
    )
    tail = "whose pods have ended and are kept."
    assert said(with_group_0(group(0, first, worker(metadata=ENDING)))) == (
        f"Group 0: leader pod s-0 has exhausted the restart budget of its group (maxGroupRestarts), {tail} {remedy}",
    )


def test_a_group_that_waits_to_be_recreated_is_told_of_though_its_pods_are_ready() -> None:
    """A group in back-off is not ready, whatever its probes say, and the remedy is named (resilience 3.2)."""
    facts = healthy(2)
    leader = facts.groups[1].leader
    assert leader is not None
    waits = {leader.metadata.uid: "failed 3 times and is recreated at 12:00:00"}
    held = replace(facts, lws=replace(facts.lws, waits=waits))
    (sentence,) = said(held)
    assert sentence.startswith("Group 1: the group failed 3 times and is recreated at 12:00:00. Who deletes pod ")
