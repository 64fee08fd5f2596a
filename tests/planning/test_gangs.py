"""minMember follows what can exist: no gang waits for members that wait for it (spec 11, CD-32)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as restruct

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import (
    PodGroup,
    PodGroupSpec,
    PodGroupStatus,
    PodTemplate,
    TemplateAnnotations,
    TemplateMeta,
)
from lws.apimachinery.actions import Create, Patch
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta
from lws.planning.leaderworkerset import podgroup
from lws.planning.leaderworkerset.leader_pod import plan_leader_pod
from lws.planning.leaderworkerset.schedulers.volcano import Volcano
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from tests.planning import making

VOLCANO = {"schedulerName": "volcano"}
SUBGROUPS = {"subGroupPolicy": {"subGroupSize": 2}}


@dataclass(frozen=True)
class Shape:
    """What of a set decides when its workers are made, and whether they are members."""

    startup: str = "LeaderCreated"
    topology: bool = False
    subgroups: bool = False
    leader_template: str = "absent"  # or the scheduler that it names
    worker_scheduler: str = "volcano"
    size: int = 4

    @property
    def section(self) -> JSON:
        """The group's template."""
        section: JSON = {"workerTemplate": making.template(schedulerName=self.worker_scheduler)}
        if self.leader_template != "absent":
            section["leaderTemplate"] = making.template(schedulerName=self.leader_template)
        return section | (SUBGROUPS if self.subgroups else {})

    def snapshot(self, node: str = "") -> GroupSnapshot:
        """The leader has been admitted, with our mark if its scheduler gangs; nothing has been made for it."""
        annotations = {labels.QUEUE_NAME: "gold"}
        if self.topology:
            annotations[labels.EXCLUSIVE_TOPOLOGY] = "rack"
        if self.subgroups:
            annotations[labels.SUBGROUP_EXCLUSIVE_TOPOLOGY] = "rack"
        lws = making.lws(
            size=self.size, section=self.section, startupPolicy=self.startup, metadata={"annotations": annotations}
        )
        key = making.key_of(lws)
        scheduler = self.worker_scheduler if self.leader_template == "absent" else self.leader_template
        marks = {labels.POD_GROUP_NAME: f"sample-0-{key}"} if scheduler == "volcano" else {}
        leader = making.leader(0, key, size=self.size, node=node, ready=False, annotations=marks, scheduler=scheduler)
        return GroupSnapshot(
            lws=lws, leader=leader, leader_statefulset=making.leader_set(key), revisions=(making.revision(lws),)
        )


def pod_group_of(body: JSON) -> PodGroup:
    """A created PodGroup as the cache has it."""
    meta, spec = body["metadata"], body["spec"]
    owner = making.controller("Pod", meta["ownerReferences"][0]["name"], meta["ownerReferences"][0]["uid"])
    return PodGroup(
        metadata=ObjectMeta(name=meta["name"], namespace="default", uid="uid-group", owner_references=(owner,)),
        spec=PodGroupSpec(min_member=spec["minMember"], queue=spec.get("queue", "default")),
    )


@dataclass
class Life:
    """A group from its leader on, with a scheduler that has room for everything and one rule: minMember."""

    shot: GroupSnapshot
    patches: list[JSON]
    members: int = 1
    bound: int = 0

    def reconcile(self) -> bool:
        """One pass; whether it wrote anything."""
        wrote = False
        for action in plan_leader_pod(self.shot, Volcano()).plan.actions:
            wrote = True
            if isinstance(action, Patch):
                self.patches.append(action.change["spec"])
                assert self.shot.pod_group is not None
                spec = restruct(self.shot.pod_group.spec, min_member=action.change["spec"]["minMember"])
                self.shot = replace(self.shot, pod_group=restruct(self.shot.pod_group, spec=spec))
            elif isinstance(action, Create) and action.resource.kind == "PodGroup":
                self.shot = replace(self.shot, pod_group=pod_group_of(action.manifest))
            elif isinstance(action, Create) and action.resource.kind == "StatefulSet":
                self._make_workers(action.manifest)
        return wrote

    def _make_workers(self, body: JSON) -> None:
        noted = body["spec"]["template"]["metadata"]["annotations"]
        mark, replicas = noted.get(labels.POD_GROUP_NAME, ""), body["spec"]["replicas"]
        made = making.worker_set(0, self.shot.leader.metadata.label(labels.REVISION), size=replicas + 1)  # type: ignore[union-attr]
        template = PodTemplate(TemplateMeta(annotations=TemplateAnnotations(size=noted[labels.SIZE], pod_group=mark)))
        self.shot = replace(self.shot, worker_statefulset=restruct(made, spec=restruct(made.spec, template=template)))
        self.members += replicas if mark else 0

    def schedule(self) -> bool:
        """Volcano's cycle: all members that exist get a node, or none; whether one did."""
        group, leader = self.shot.pod_group, self.shot.leader
        assert leader is not None
        ganged = bool(leader.metadata.annotation(labels.POD_GROUP_NAME))
        if ganged and (group is None or self.members < group.spec.min_member):
            return False
        moved, self.bound = self.bound < self.members, self.members
        ready = making.leader(0, "", node="node-1").status
        spec = restruct(leader.spec, node_name="node-1")
        self.shot = replace(
            self.shot, leader=restruct(leader, spec=spec, status=ready), node=making.node("node-1", rack="r1")
        )
        return moved

    @classmethod
    def lived(cls, shape: Shape) -> Life:
        """Passes and cycles in turn, until neither does anything more."""
        life = cls(shape.snapshot(), [])
        for _ in range(10):
            if not any([life.reconcile(), life.schedule()]):
                return life
        raise AssertionError("the group never comes to rest")


CREATED, READY = "LeaderCreated", "LeaderReady"
TABLE = [
    # startup, topology, subgroups, leader template, minMember of 4 at first, and once the leader has a node
    (CREATED, False, False, "absent", 4, 4),
    (CREATED, False, False, "volcano", 4, 4),
    (CREATED, False, True, "absent", 4, 4),
    (CREATED, False, True, "volcano", 4, 4),
    (CREATED, True, False, "absent", 1, 4),
    (CREATED, True, False, "volcano", 1, 4),
    (CREATED, True, True, "absent", 1, 4),
    (CREATED, True, True, "volcano", 1, 4),
    (READY, False, False, "absent", 1, 4),
    (READY, False, False, "volcano", 1, 4),
    (READY, False, True, "absent", 1, 4),
    (READY, False, True, "volcano", 1, 4),
    (READY, True, False, "absent", 1, 4),
    (READY, True, False, "volcano", 1, 4),
    (READY, True, True, "absent", 1, 4),
    (READY, True, True, "volcano", 1, 4),
    (CREATED, False, False, "default-scheduler", None, None),
    (READY, True, True, "default-scheduler", None, None),
]


@pytest.mark.parametrize(("startup", "topology", "subgroups", "leader", "first", "then"), TABLE)
def test_g1_g4_min_member_by_what_can_exist(
    startup: str, topology: bool, subgroups: bool, leader: str, first: int | None, then: int | None
) -> None:
    """MinMember is 1 while workers wait for their leader, and size as soon as it has a node: by one patch."""
    shape = Shape(startup, topology, subgroups, leader)
    created = [a for a in plan_leader_pod(shape.snapshot(), Volcano()).plan.actions if isinstance(a, Create)]
    groups = [each.manifest["spec"]["minMember"] for each in created if each.resource.kind == "PodGroup"]
    assert groups == ([] if first is None else [first])
    life = Life.lived(shape)
    assert life.patches == ([] if first == then else [{"minMember": then}])
    assert (None if life.shot.pod_group is None else life.shot.pod_group.spec.min_member) == then


shapes = st.builds(
    Shape,
    st.sampled_from([CREATED, READY]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["absent", "volcano", "default-scheduler"]),
    st.sampled_from(["volcano", "default-scheduler"]),
    st.sampled_from([1, 2, 4, 8]),
)


@given(shapes)
@settings(max_examples=200)
def test_g1_every_member_that_the_scheduler_waits_for_can_exist(shape: Shape) -> None:
    """In every combination every member gets a node on an empty cluster, the gang at last all or nothing, at rest."""
    life = Life.lived(shape)
    assert life.bound == life.members
    assert shape.size == 1 or life.shot.worker_statefulset is not None
    if life.shot.pod_group is not None:
        assert life.shot.pod_group.spec.min_member == life.members
    assert len(life.patches) <= 1


def test_a_min_member_that_forgets_what_waits_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The life above sees the reference's rule for what it is: with exclusive topology no member ever gets a node."""
    monkeypatch.setattr(podgroup, "_workers_wait", lambda live: live.spec.startup_policy == READY)
    assert Life.lived(Shape(topology=True)).bound == 0
    assert Life.lived(Shape(READY)).bound == 4


def test_g3_a_leader_without_its_workers_is_a_gang_of_one() -> None:
    """If only the leader's template names the gang scheduler, it waits for nobody, and its workers are not marked."""
    life = Life.lived(Shape(leader_template="volcano", worker_scheduler="default-scheduler"))
    assert life.shot.pod_group is not None
    assert (life.shot.pod_group.spec.min_member, life.members, life.bound) == (1, 1, 1)


def existing(shape: Shape, *, node: str = "", **changes: Any) -> GroupSnapshot:
    """The group with the PodGroup that it was given at first, changed."""
    life = Life(shape.snapshot(), [])
    life.reconcile()
    assert life.shot.pod_group is not None
    shot = replace(life.shot, pod_group=restruct(life.shot.pod_group, **changes))
    if node and shot.leader is not None:
        spec = restruct(shot.leader.spec, node_name=node)
        shot = replace(shot, leader=restruct(shot.leader, spec=spec), node=making.node(node, rack="r1"))
    return shot


def patches(shot: GroupSnapshot) -> list[JSON]:
    """What of the PodGroup is patched."""
    found = plan_leader_pod(shot, Volcano()).plan.actions
    return [action.change["spec"] for action in found if isinstance(action, Patch)]


@pytest.mark.parametrize(("phase", "moves"), [("", True), ("Pending", True), ("Inqueue", False), ("Running", False)])
def test_g6_a_corrected_queue_reaches_groups_that_wait(phase: str, moves: bool) -> None:
    """A PodGroup follows the queue annotation until it has been admitted to a queue (CD-34)."""
    spec = PodGroupSpec(min_member=4, queue="glod")
    shot = existing(Shape(), spec=spec, status=PodGroupStatus(phase=phase))
    assert patches(shot) == ([{"queue": "gold"}] if moves else [])


def test_the_pod_group_of_an_earlier_leader_is_left_alone() -> None:
    """It is about to be collected, and says nothing of the present group."""
    shot = existing(Shape(READY), node="node-1")
    assert patches(shot) == [{"minMember": 4}]
    assert shot.pod_group is not None
    earlier = restruct(shot.pod_group.metadata, owner_references=(making.controller("Pod", "sample-0", "uid-before"),))
    assert patches(replace(shot, pod_group=restruct(shot.pod_group, metadata=earlier))) == []


def test_workers_that_are_no_members_are_not_waited_for() -> None:
    """Worker StatefulSets of the reference have no mark in their template: minMember stays as the reference left it."""
    shot = existing(Shape(READY), node="node-1")
    unmarked = making.worker_set(0, shot.leader.metadata.label(labels.REVISION), size=4)  # type: ignore[union-attr]
    assert patches(replace(shot, worker_statefulset=unmarked)) == []


def test_every_combination_is_in_the_table() -> None:
    """The table names each combination of startup policy, topology, subgroups and leader template once."""
    expected = set(product((CREATED, READY), (False, True), (False, True), ("absent", "volcano")))
    assert expected <= {row[:4] for row in TABLE}
    assert len({row[:4] for row in TABLE}) == len(TABLE)
