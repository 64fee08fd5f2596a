"""What the failure of a group costs, row by row (next 5.4 to 5.7)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lws.api.leaderworkerset import labels, restartcounts, revisions
from lws.apimachinery.actions import Delete, EmitEvent, Patch
from lws.apimachinery.objects import ObjectMeta
from lws.planning.leaderworkerset import restartbudget, retention
from lws.planning.leaderworkerset.leader_pod import plan_leader_pod
from lws.planning.leaderworkerset.sets import plan_leaderworkerset
from lws.planning.leaderworkerset.worker_pod import plan_worker_pod
from tests.planning import making
from tests.planning.group import FAILED, Group
from tests.planning.world import World

MARK = {labels.RESTART_BUDGET_EXHAUSTED: "true"}
HELD: dict[str, Any] = {"finalizers": (labels.RESTART_BUDGET_CLEANUP,)}
GOING: dict[str, Any] = {"deletion_timestamp": making.STAMP}


def group(limit: int | None, count: int | None = None, *, charged: str = "", **metadata: Any) -> Group:
    """A group of three whose leader failed, in a set of this limit and stored count."""
    made = Group()
    section: dict[str, Any] = {} if limit is None else {"maxGroupRestarts": limit}
    key = made.key
    annotations = {} if count is None else {labels.GROUP_RESTART_COUNTS: json.dumps({f"{key}/0": count})}
    if charged:
        annotations[labels.RESTART_CHARGED] = json.dumps({f"{key}/0": charged})
    made.lws = making.lws(size=3, section=section, metadata={"annotations": annotations, **metadata})
    made.leader = making.leader(0, key, size=3, **FAILED)
    return made


def shape(made: Group) -> list[str]:
    """The plan of a pass over the leader, in short."""
    return [_short(each) for each in plan_leader_pod(made.snapshot()).plan.actions]


def _short(action: Any) -> str:
    if isinstance(action, Patch) and action.resource.plural == "leaderworkersets":
        return f"store {action.change['metadata']['annotations'][labels.GROUP_RESTART_COUNTS]}"
    if isinstance(action, Patch):
        return f"{'mark' if 'annotations' in action.change['metadata'] else 'hold'} {action.name}"
    if isinstance(action, Delete):
        return f"delete {action.name}: {', '.join(event.reason for event in action.on_success)}"
    return type(action).__name__


RECREATE = "delete sample-0: RecreateGroup, GroupFailed"
END = [
    "mark sample-0",
    "hold sample-0-1",
    "hold sample-0-2",
    "delete sample-0: ReplicaRestartBudgetExceeded, GroupFailed",
]


@pytest.mark.parametrize(
    ("limit", "count", "charged", "expected"),
    [
        (None, None, "", [RECREATE]),
        (None, 5, "", [RECREATE]),
        (2, None, "", ["store", RECREATE]),
        (2, 1, "", ["store", RECREATE]),
        (2, 2, "", END),
        (2, 3, "", END),
        (0, None, "", END),
        (2, 2, "uid-leader-0", [RECREATE]),
        (2, 2, "uid-former", END),
    ],
)
def test_n26_n27_rows_9a_to_9c(limit: int | None, count: int | None, charged: str, expected: list[str]) -> None:
    """Below the limit the count is stored before the leader goes; at the limit the group ends; no limit, no cost."""
    made = group(limit, count, charged=charged)
    stored = f'store {{"{made.key}/0":{(count or 0) + 1}}}'
    assert shape(made) == [stored if each == "store" else each for each in expected]


def test_row_8a_and_a_crash_before_the_deletion() -> None:
    """A marked leader that nobody has deleted yet is terminated, and what is held already is not held again."""
    made = group(5)
    made.leader = making.leader(0, made.key, size=3, annotations=MARK, **HELD)
    made.workers[0] = making.worker(0, 1, made.key, **HELD)
    assert shape(made) == ["hold sample-0-2", "delete sample-0: ReplicaRestartBudgetExceeded"]
    made.workers[1] = making.worker(0, 2, made.key, **FAILED)
    planned = plan_worker_pod(made.snapshot(), "sample-0-2", made.workers[1])
    assert [_short(each) for each in planned.plan.actions] == ["hold sample-0-2", END[-1]]
    assert planned.exhausted


def test_only_live_members_are_held() -> None:
    """A worker that is being deleted, or belongs to another leader or revision, is left alone."""
    made = group(0)
    made.workers = [
        making.worker(0, 1, made.key, **GOING),
        making.worker(0, 2, made.key, owner=making.controller("StatefulSet", "sample-0", "uid-former")),
    ]
    assert shape(made) == [END[0], END[-1]]


def test_claimed_leader_is_not_terminated_again() -> None:
    """Its deletion was asked for, though no cache shows it yet."""
    made = group(0)
    made.leader = making.leader(0, made.key, size=3, annotations=MARK, **HELD)
    made.going = made.leader.metadata.uid
    assert shape(made) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"recover": "true"}, ["store None", "free 1", "free leader"]),
        ({"recover": "yes"}, []),
        ({"replicas": 0}, ["free 1", "free leader"]),
        ({"other": True, "partition": 0}, ["free 1", "free leader"]),
        ({"other": True, "partition": 1}, []),
        ({"gone": True}, ["free 1", "free leader"]),
        ({"unmarked": True}, ["free 1", "free leader"]),
    ],
)
def test_5_5_and_5_6_who_releases_a_retained_group(change: dict[str, Any], expected: list[str]) -> None:
    """Recovery, a scale-down, a rollout that reaches it and the end of its set release a group, workers first."""
    made = group(1, 1)
    marks = {**({} if "unmarked" in change else MARK)}
    if "recover" in change:
        marks[labels.RECOVER] = change["recover"]
    made.leader = making.leader(0, made.key, size=3, annotations=marks, **HELD, **GOING)
    made.workers = [making.worker(0, 1, made.key, **HELD, **GOING)]
    key = "otherkey" if "other" in change else made.key
    made.leader_set = making.leader_set(key, replicas=change.get("replicas", 2), partition=change.get("partition", 0))
    if "gone" in change:
        made.lws = making.lws(metadata={"deletionTimestamp": making.STAMP})
    actions = plan_leader_pod(made.snapshot()).plan.actions
    names = {"sample-0": "free leader", "sample-0-1": "free 1"}
    assert [names[each.name] if each.name in names else _short(each) for each in actions] == expected  # type: ignore[union-attr]


def test_nd_26_worker_without_a_marked_leader_is_released() -> None:
    """A held worker goes once nobody can recover its group; one of a marked leader stays."""
    made = group(1, 1)
    held = making.worker(0, 1, made.key, **HELD, **GOING)
    made.leader = making.leader(0, made.key, size=3, annotations=MARK, **HELD, **GOING)
    assert retention.plan_worker(made.snapshot(), held) is None
    made.leader = making.leader(0, made.key, size=3)
    assert retention.plan_worker(made.snapshot(), held)
    made.leader = None
    assert retention.plan_worker(made.snapshot(), held)


@pytest.mark.parametrize(
    ("stored", "replicas", "kept"),
    [
        ({"/0": 1, "/1": 2}, 2, None),
        ({"/0": 1, "/2": 2}, 2, {"/0": 1}),
        ({"/2": 2}, 2, {}),
        ({"old/0": 1, "/0": 1}, 2, {"/0": 1}),
    ],
)
def test_5_7_counts_are_kept_in_step(stored: dict[str, int], replicas: int, kept: dict[str, int] | None) -> None:
    """Counts of groups that are no more go at once, those of other revisions once the update is done."""
    world = World.at_rest(replicas=replicas)
    key = making.key_of(world.lws)

    def full(counts: dict[str, int]) -> dict[str, int]:
        return {(key + entry if entry.startswith("/") else entry): count for entry, count in counts.items()}

    meta = {"annotations": {labels.GROUP_RESTART_COUNTS: json.dumps(full(stored))}}
    world.lws = making.lws(replicas=replicas, metadata=meta).model_copy(update={"status": world.lws.status})
    patches = [each for each in plan_leaderworkerset(world.snapshot(), making.NOW).actions if isinstance(each, Patch)]
    if kept is None:
        assert patches == []
        return
    (patch,) = patches
    written = patch.change["metadata"]["annotations"][labels.GROUP_RESTART_COUNTS]
    assert (None if written is None else json.loads(written)) == (full(kept) or None)
    assert patch.change["metadata"]["resourceVersion"] == world.lws.metadata.resource_version


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("{", "invalid group restart counts: expected a JSON object"),
        ("null", "invalid group restart counts: expected a JSON object"),
        ("[]", "invalid group restart counts: expected a JSON object"),
        ('{"k/0":"1"}', "invalid group restart counts: expected a JSON object"),
        ('{"k/0":-1}', 'invalid group restart count for group "k/0": must be non-negative'),
        ('{"k":1}', 'invalid group restart count key "k"'),
        ('{"k/x":1}', 'invalid group restart count key "k/x": strconv.Atoi: parsing "x": invalid syntax'),
    ],
)
def test_n55_texts_of_unreadable_counts(value: str, error: str) -> None:
    """Every text of next 5.3, told by an event of the set and by the group that cannot be judged."""
    meta = {"annotations": {labels.GROUP_RESTART_COUNTS: value}}
    owner = making.lws(size=3, section={"maxGroupRestarts": 1}, metadata=meta)
    with pytest.raises(ValueError, match="invalid") as caught:
        restartcounts.counts(owner.metadata)
    assert str(caught.value) == error
    (event,) = restartbudget.prune(owner, 2, "k", done=False)
    assert isinstance(event, EmitEvent)
    assert (event.reason, event.note.startswith(error)) == ("InvalidGroupRestartCounts", True)
    made = group(1)
    made.lws = owner
    plan = plan_leader_pod(made.snapshot()).plan
    assert (plan.actions, plan.error, plan.terminal) == ((), error, False)


def test_hash_indices_are_no_numbers() -> None:
    """Groups that are identified by a hash have entries that an ordinal set refuses."""
    meta = ObjectMeta(annotations={labels.GROUP_RESTART_COUNTS: '{"k/c6da7bcc":1}'})
    assert restartcounts.counts(meta, ordinal=False) == {"k/c6da7bcc": 1}


def test_5_2_limit_is_no_part_of_the_revision() -> None:
    """Neither stored nor compared; a restored revision has the live limit, whatever its data holds."""
    without, limited = making.lws(), making.lws(section={"maxGroupRestarts": 0})
    data = revisions.revision_data(without)
    assert revisions.revision_data(limited) == data
    assert revisions.same_content(limited, data)
    assert revisions.restore(limited, data).spec.leader_worker_template.max_group_restarts == 0
    old = {"spec": {"leaderWorkerTemplate": {"size": 2, "maxGroupRestarts": 7, "workerTemplate": making.template()}}}
    assert revisions.restore(without, old).spec.leader_worker_template.max_group_restarts is None


def _conditions(world: World) -> dict[str, tuple[str, str]]:
    written = making.status_of(world.plan())
    assert written is not None
    return {each["type"]: (each["status"], each["reason"]) for each in written["conditions"]}


EXCEEDED = "ReplicaRestartBudgetExceeded"


@pytest.mark.parametrize(
    ("marked", "unready", "old", "expected"),
    [
        ({1}, set(), set(), {"Available": "False", "Progressing": "False", "UpdateInProgress": "False"}),
        ({1}, {0}, set(), {"Available": "False", "Progressing": "True", "UpdateInProgress": "False"}),
        ({1}, set(), {0}, {"Available": "False", "Progressing": "True", "UpdateInProgress": "True"}),
        ({2}, set(), set(), {"Available": "True"}),
    ],
)
def test_5_4_conditions(marked: set[int], unready: set[int], old: set[int], expected: dict[str, str]) -> None:
    """The four cases of an Ordinal set with exhausted groups, and Degraded beside each."""
    world = World.at_rest(replicas=2)
    key = making.key_of(world.lws)
    world.leaders = [making.leader(i, key if i not in old else "old", ready=i not in unready) for i in (0, 1)]
    world.leaders = [each for i, each in enumerate(world.leaders) if i not in marked]
    world.leaders += [making.leader(i, key, annotations=MARK, **HELD, **GOING) for i in marked]
    found = _conditions(world)
    assert {kind: status for kind, (status, _) in found.items() if kind != "Degraded"} == expected
    assert found["Degraded"] == ("True", EXCEEDED)
    if expected.get("Progressing") == "False":
        assert found["Progressing"] == found["UpdateInProgress"] == found["Available"] == ("False", EXCEEDED)


def test_marked_leader_that_is_still_ready_counts_as_ready_but_not_as_well() -> None:
    """Between the mark and the deletion the counters stay, and the set is not Available any more."""
    world = World.at_rest(replicas=2)
    key = making.key_of(world.lws)
    world.leaders[0] = making.leader(0, key, annotations=MARK)
    written = making.status_of(world.plan())
    assert written is not None
    assert written["readyReplicas"] == 2
    assert _conditions(world)["Available"] == ("False", EXCEEDED)
