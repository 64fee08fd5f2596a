"""What a StatefulSet does next, step by step."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from sandbox.tests.controllers.builders import NOW, at, ending, statefulset, stored_pod

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import name_of
from lws_sandbox.controllers.statefulset.plan import (
    CreateClaims,
    CreatePod,
    DeletePod,
    StatefulSetPlan,
    UpdateClaims,
    UpdatePod,
    final_status,
    plan_statefulset,
    status_differs,
)
from lws_sandbox.controllers.statefulset.revisions import new_revision

CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}


def _revision(owner: JSON, image: str = "app:1", number: int = 1) -> JSON:
    template = copy.deepcopy(owner["spec"]["template"])
    template["spec"]["containers"][0]["image"] = image
    return new_revision({**owner, "spec": {**owner["spec"], "template": template}}, number, 0)


def _plan(
    owner: JSON, pods: list[JSON], claims: list[JSON] | None = None, update: JSON | None = None
) -> StatefulSetPlan:
    current = _revision(owner)
    by_name = {name_of(claim): claim for claim in claims or ()}
    return plan_statefulset(owner, pods, by_name, current, update or current, 0, NOW)


def _told(plan: StatefulSetPlan) -> list[str]:
    """The steps in words, such as ``create a-0``."""
    words = []
    for step in (step for stage in plan.stages for steps in stage for step in steps):
        match step:
            case CreatePod():
                words.append(f"create {name_of(step.pod)}")
            case DeletePod():
                words.append(f"{'replace' if step.for_update else 'delete'} {name_of(step.pod)}")
            case UpdatePod():
                words.append(f"update {name_of(step.pod)}")
            case CreateClaims():
                words.append(f"claims of {name_of(step.pod)}")
            case UpdateClaims():
                words.append(f"own {' '.join(map(name_of, step.claims))}")
    return words


def _pods(owner: JSON, *states: str, revision: JSON | None = None) -> list[JSON]:
    """Pods by ordinal from 0: ready, unready, pending, ending, failed, or - for none."""
    name = name_of(revision or _revision(owner))
    made = []
    for ordinal, state in enumerate(states):
        if state == "-":
            continue
        phase = {"pending": "Pending", "failed": "Failed"}.get(state, "Running")
        pod = stored_pod(owner, ordinal, name, phase=phase, ready=state != "unready")
        made.append(ending(pod) if state == "ending" else pod)
    return made


ORDERED = [
    ("nothing yet", [], ["create a-0"]),
    ("the first is pending", ["pending"], []),
    ("the first is not ready", ["unready"], []),
    ("the first is ready", ["ready"], ["create a-1"]),
    ("a hole below", ["-", "ready", "ready"], ["create a-0"]),
    ("one is ending", ["ready", "ending"], []),
    ("one has failed", ["ready", "failed"], ["delete a-1"]),
    ("all are there", ["ready", "ready", "ready"], []),
    ("too many", ["ready", "ready", "ready", "ready", "ready"], ["delete a-4"]),
    ("too many, and one is ending", ["ready", "ready", "ready", "ready", "ending"], []),
    ("too many, and the highest is not ready", ["ready", "ready", "ready", "ready", "unready"], ["delete a-4"]),
    ("too many, and a wanted one is not ready", ["ready", "unready", "ready", "ready"], []),
]


@pytest.mark.parametrize(("case", "states", "steps"), ORDERED, ids=[case for case, _, _ in ORDERED])
def test_ordered_sets_go_one_by_one(case: str, states: list[str], steps: list[str]) -> None:
    """An ordered set does one thing at a time, and waits for each pod before the next."""
    owner = statefulset()
    assert _told(_plan(owner, _pods(owner, *states))) == steps


PARALLEL = [
    ("nothing yet", [], ["create a-0", "create a-1", "create a-2"]),
    ("one is not ready", ["unready"], ["create a-1", "create a-2"]),
    ("one has failed", ["failed", "ready", "ready"], ["delete a-0"]),
    ("too many", ["ready", "ready", "ready", "ready", "unready"], ["delete a-4", "delete a-3"]),
    ("too many, one ending", ["ready", "ready", "ready", "ready", "ending"], ["delete a-3"]),
]


@pytest.mark.parametrize(("case", "states", "steps"), PARALLEL, ids=[case for case, _, _ in PARALLEL])
def test_parallel_sets_do_all_at_once(case: str, states: list[str], steps: list[str]) -> None:
    """A parallel set waits for nobody when it grows or shrinks."""
    owner = statefulset(podManagementPolicy="Parallel")
    assert _told(_plan(owner, _pods(owner, *states))) == steps


def _update(partition: int = 0, unavailable: Any = None, policy: str = "Parallel", kind: str = "RollingUpdate") -> JSON:
    rolling: JSON = {"partition": partition}
    if unavailable is not None:
        rolling["maxUnavailable"] = unavailable
    strategy = {"type": kind, "rollingUpdate": rolling} if kind == "RollingUpdate" else {"type": kind}
    owner = statefulset(podManagementPolicy=policy, updateStrategy=strategy, replicas=4)
    owner["status"]["currentReplicas"] = 4
    return owner


UPDATES = [
    ("from the highest down", _update(), "oooo", ["replace a-3"]),
    ("waits for the one before", _update(), "ooon", []),
    ("goes on when it is ready", _update(), "oooN", ["replace a-2"]),
    ("stops at the partition", _update(2), "ooNN", []),
    ("a partition beyond the end", _update(9), "oooo", []),
    ("an outdated one that is not ready is replaced", _update(), "oobN", ["replace a-2"]),
    ("but none below it", _update(), "obNN", ["replace a-1"]),
    ("several at once", _update(unavailable=2), "oooo", ["replace a-3", "replace a-2"]),
    ("a percentage, rounded down", _update(unavailable="70%"), "oooo", ["replace a-3", "replace a-2"]),
    ("at least one", _update(unavailable="10%"), "oooo", ["replace a-3"]),
    ("unavailable ones count", _update(unavailable=2), "ooon", ["replace a-2"]),
    ("and can use all up", _update(unavailable=2), "oonn", []),
    ("by hand only", _update(kind="OnDelete"), "oooo", []),
    ("ordered sets too", _update(policy="OrderedReady"), "oooo", ["replace a-3"]),
]


@pytest.mark.parametrize(("case", "owner", "pods", "steps"), UPDATES, ids=[case for case, *_ in UPDATES])
def test_updates_replace_pods_from_the_highest_ordinal(case: str, owner: JSON, pods: str, steps: list[str]) -> None:
    """Old pods (o, b if not ready) give way to new ones (N, n if not ready) within partition and budget."""
    current, update = name_of(_revision(owner)), _revision(owner, "app:2", 2)
    made = [
        stored_pod(owner, ordinal, name_of(update) if kind in "nN" else current, ready=kind in "oN")
        for ordinal, kind in enumerate(pods)
    ]
    assert _told(_plan(owner, made, update=update)) == steps


def test_missing_pods_below_the_partition_come_back_as_they_were() -> None:
    """Below the partition a pod is made from the current revision, from it on from the update revision."""
    owner = _update(2)
    current, update = _revision(owner), _revision(owner, "app:2", 2)
    steps = [step for stage in _plan(owner, [], update=update).stages for steps in stage for step in steps]
    made = {name_of(step.pod): step.pod for step in steps if isinstance(step, CreatePod)}
    revisions = {name: pod["metadata"]["labels"]["controller-revision-hash"] for name, pod in made.items()}
    old, new = name_of(current), name_of(update)
    assert revisions == {"a-0": old, "a-1": old, "a-2": new, "a-3": new}
    assert made["a-3"]["spec"]["containers"][0]["image"] == "app:2"


def test_ordinals_begin_where_they_are_told_to() -> None:
    """With a start ordinal the names run from it, and pods below it are surplus."""
    owner = statefulset(podManagementPolicy="Parallel", replicas=2, ordinals={"start": 2})
    assert _told(_plan(owner, _pods(owner, "ready"))) == ["create a-2", "create a-3", "delete a-0"]


def test_a_set_that_is_deleted_only_counts() -> None:
    """Once its deletion has begun a set does nothing but tell its status."""
    owner = ending(statefulset())
    plan = _plan(owner, _pods(owner, "ready"))
    assert plan.stages == ()
    assert plan.status["replicas"] == 1


def test_status_counts_what_is_stored() -> None:
    """Ready and stored pods count even while they end; current and updated ones only while they do not."""
    owner = statefulset()
    status = _plan(owner, _pods(owner, "ready", "ending", "pending")).status
    counts = {key: status[key] for key in ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas")}
    assert counts == {"replicas": 3, "readyReplicas": 2, "currentReplicas": 2, "updatedReplicas": 2}


def test_a_complete_update_makes_its_revision_current() -> None:
    """When every wanted pod is updated and ready the update revision is the current one."""
    owner = _update()
    update = _revision(owner, "app:2", 2)
    pods = [stored_pod(owner, ordinal, name_of(update)) for ordinal in range(4)]
    final = final_status(owner, _plan(owner, pods, update=update).status, 0)
    assert final["currentRevision"] == name_of(update)
    assert final["currentReplicas"] == 4


def test_an_incomplete_update_does_not() -> None:
    """One pod that is not ready keeps the current revision; a pod deleted for the update is no longer current."""
    owner = _update()
    update = _revision(owner, "app:2", 2)
    pods = _pods(owner, "ready", "ready", "ready", "unready", revision=_revision(owner))
    final = final_status(owner, _plan(owner, pods, update=update).status, 1)
    assert final["currentRevision"] == name_of(_revision(owner))
    assert final["currentReplicas"] == 3


def test_a_status_is_written_when_it_says_something_new() -> None:
    """Absent and zero counts are the same; a newer generation alone is worth a write."""
    owner = statefulset(replicas=0)
    final = final_status(owner, _plan(owner, []).status, 0)
    live = {key: value for key, value in final.items() if value}
    assert not status_differs(live, final)
    assert status_differs({**live, "observedGeneration": 0}, final)
    assert status_differs({**live, "replicas": 1}, final)


def test_min_ready_seconds_hold_the_next_pod() -> None:
    """A pod that is ready but not yet available holds an ordered set, which looks again when it will be."""
    owner = statefulset(minReadySeconds=40)
    plan = _plan(owner, _pods(owner, "ready"))
    assert _told(plan) == []
    assert plan.status["readyReplicas"] == 1
    assert plan.status["availableReplicas"] == 0
    assert plan.requeue_after == pytest.approx(10.0)


def test_pods_carry_their_identity() -> None:
    """A new pod has its name as host name, the set's service as subdomain, its labels, owner and claims."""
    owner = statefulset(volumeClaimTemplates=[CLAIM])
    owner["spec"]["template"]["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}, {"name": "data", "emptyDir": {}}]
    plan = _plan(owner, [])
    step = plan.stages[0][0][0]
    assert isinstance(step, CreatePod)
    made = step.pod
    assert made["metadata"]["labels"] == {
        "app": "a",
        "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": name_of(_revision(owner)),
        "statefulset.kubernetes.io/pod-name": "a-0",
    }
    assert (made["metadata"]["generateName"], made["spec"]["hostname"], made["spec"]["subdomain"]) == (
        "a-",
        "a-0",
        "svc",
    )
    assert made["metadata"]["ownerReferences"][0]["uid"] == "set-uid"
    claimed = {"name": "data", "persistentVolumeClaim": {"claimName": "data-a-0"}}
    assert made["spec"]["volumes"] == [claimed, {"name": "tmp", "emptyDir": {}}]
    assert [name_of(claim) for claim in step.claims] == ["data-a-0"]
    assert step.claims[0]["metadata"]["labels"] == {"app": "a"}


def test_without_a_service_there_is_no_subdomain() -> None:
    """A set without a service name makes pods without a subdomain."""
    owner = statefulset(serviceName="")
    step = _plan(owner, []).stages[0][0][0]
    assert isinstance(step, CreatePod)
    assert "subdomain" not in step.pod["spec"]


def test_existing_claims_are_found_again() -> None:
    """A claim that is there is not made twice; one that is being deleted holds its pod."""
    owner = statefulset(volumeClaimTemplates=[CLAIM])
    live = {"metadata": {"name": "data-a-0", "uid": "c", "namespace": "ns"}, "spec": {}}
    step = _plan(owner, [], [live]).stages[0][0][0]
    assert isinstance(step, CreatePod)
    assert step.claims == ()
    blocked = _plan(owner, [], [ending(live)]).stages[0][0][0]
    assert isinstance(blocked, CreatePod)
    assert blocked.ending_claims == ("data-a-0",)


def test_an_adopted_pod_gets_its_labels() -> None:
    """A pod without the labels of its identity gets them; its template is not looked at."""
    owner = statefulset(replicas=1)
    adopted = _pods(owner, "ready")[0]
    adopted["metadata"]["labels"] = {"app": "a"}
    owner["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 5
    plan = _plan(owner, [adopted])
    step = plan.stages[0][0][0]
    assert isinstance(step, UpdatePod)
    assert step.changed is not None
    assert step.changed["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "a-0"


def _claim(ordinal: int, *owners: JSON) -> JSON:
    metadata = {"name": f"data-a-{ordinal}", "namespace": "ns", "uid": f"claim-{ordinal}"}
    return {"metadata": {**metadata, "ownerReferences": list(owners)}, "spec": {}}


def _owner(kind: str, name: str, uid: str) -> JSON:
    version = "apps/v1" if kind == "StatefulSet" else "v1"
    reference = {"apiVersion": version, "kind": kind, "name": name, "uid": uid}
    return {**reference, "controller": True, "blockOwnerDeletion": True}


SET, POD = _owner("StatefulSet", "a", "set-uid"), _owner("Pod", "a-1", "uid-1")
RETENTION = [
    ("Retain", "Retain", False, [], []),
    ("Retain", "Retain", True, [SET], []),
    ("Retain", "Delete", False, [], [SET]),
    ("Retain", "Delete", True, [SET], [SET]),
    ("Delete", "Retain", False, [POD], []),
    ("Delete", "Retain", True, [], [POD]),
    ("Delete", "Delete", False, [], [SET]),
    ("Delete", "Delete", True, [SET], [POD]),
    ("Delete", "Delete", True, [_owner("Pod", "a-1", "an-earlier-one")], [_owner("Pod", "a-1", "an-earlier-one")]),
    ("Delete", "Delete", False, [_owner("ConfigMap", "x", "x")], [_owner("ConfigMap", "x", "x")]),
]


@pytest.mark.parametrize(("scaled", "deleted", "surplus", "before", "after"), RETENTION)
def test_claims_are_owned_as_the_policy_asks(
    scaled: str, deleted: str, surplus: bool, before: list[JSON], after: list[JSON]
) -> None:
    """What goes with the set is owned by it, what goes with a surplus pod by the pod; foreign claims stay alone."""
    policy = {"whenScaled": scaled, "whenDeleted": deleted}
    owner = statefulset(
        podManagementPolicy="Parallel",
        replicas=1 if surplus else 2,
        volumeClaimTemplates=[CLAIM],
        persistentVolumeClaimRetentionPolicy=policy,
    )
    claims = [_claim(0, *([SET] if deleted == "Delete" else [])), _claim(1, *before)]
    plan = _plan(owner, _pods(owner, "ready", "ready"), claims)
    steps = [step for stage in plan.stages for steps in stage for step in steps]
    written = [
        claim
        for step in steps
        if isinstance(step, UpdatePod | UpdateClaims)
        for claim in (step.owned_claims if isinstance(step, UpdatePod) else step.claims)
    ]
    owners = {name_of(claim): claim["metadata"]["ownerReferences"] for claim in written}
    assert owners.get("data-a-1", before) == after
    assert ("data-a-1" in owners) == (before != after)


def test_a_stale_claim_holds_its_pod() -> None:
    """A claim that an earlier pod of the name owns will be collected: its successor waits for that."""
    owner = statefulset(replicas=1, volumeClaimTemplates=[CLAIM])
    stale = {**_claim(0), "metadata": {**_claim(0)["metadata"], "ownerReferences": [_owner("Pod", "a-0", "old")]}}
    assert _told(_plan(owner, [], [stale])) == []


def test_ready_since_matters_not_without_min_ready_seconds() -> None:
    """Without minReadySeconds a ready pod is available at once, whenever it became ready."""
    owner = statefulset(replicas=1)
    pod = _pods(owner, "ready")[0]
    pod["status"]["conditions"][0]["lastTransitionTime"] = at(5)
    assert _plan(owner, [pod]).status["availableReplicas"] == 1
