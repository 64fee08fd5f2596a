"""Workloads and PodGroups by every version of their API, and as other releases left them (next 7.4 to 7.9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from lws.api.leaderworkerset import labels, scheduling
from lws.api.leaderworkerset.objects import SchedulingPodGroup, Workload
from lws.api.leaderworkerset.workloadapi import V1ALPHA2, V1BETA1, WorkloadApi
from lws.apimachinery.actions import Create, Delete, Patch
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.prerequisites import Parent, Prerequisites, Seen
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.planning.leaderworkerset.workloads import plan
from tests.planning import making

GANG: JSON = {"gang": {}}
RICH: JSON = {
    "replica": {
        "schedulingPolicy": GANG,
        "schedulingConstraints": {"topology": [{"key": "rack"}]},
        "disruptionMode": {"all": {}},
    }
}


class Made:
    """A set that asks for this, and what was made of it."""

    def __init__(self, asked: JSON, api: WorkloadApi = V1BETA1, **arguments: Any) -> None:
        self.lws = making.lws(scheduling=asked, **{"replicas": 1, "size": 4, **arguments})
        self.seen = Seen(True, api=api)
        self.leaders: tuple[Any, ...] = ()

    def plan(self, **seen: Any) -> Prerequisites:
        """A pass that sees this besides."""
        self.seen = replace(self.seen, **seen)
        return plan(SetSnapshot(self.lws, leaders=self.leaders, scheduling=self.seen), "k1", self.lws.spec.replicas)

    def settle(self) -> JSON:
        """Carry out what is planned until nothing is; the bodies that were written, by kind."""
        written: JSON = {}
        for _ in range(3):
            for action in self.plan().actions:
                assert isinstance(action, Create)
                kind, body = action.manifest["kind"], _stored(action.manifest)
                written[kind] = body
                if kind == "Workload":
                    self.seen = replace(self.seen, workloads=(msgspec.convert(body, Workload),))
                else:
                    groups = {**self.seen.groups, body["metadata"]["name"]: msgspec.convert(body, SchedulingPodGroup)}
                    self.seen = replace(self.seen, groups=groups)
        assert self.plan() == Prerequisites()
        return written


def _stored(body: JSON) -> JSON:
    return {**body, "metadata": {**body["metadata"], "uid": f"uid-{body['metadata']['name']}"}}


def test_forms_of_both_versions() -> None:
    """What v1alpha2 spells in another way is spelled so, and read back as nothing that would have to change (ND-31)."""
    newer, older = Made(RICH).settle(), Made(RICH, V1ALPHA2).settle()
    assert {each["apiVersion"] for each in older.values()} == {"scheduling.k8s.io/v1alpha2"}
    (template,) = older["Workload"]["spec"]["podGroupTemplates"]
    assert template == {
        "name": "replica",
        "schedulingPolicy": {"gang": {"minCount": 4}},
        "schedulingConstraints": {"topology": [{"key": "rack"}]},
        "disruptionMode": "PodGroup",
    }
    name = older["Workload"]["metadata"]["name"]
    reference = {"workload": {"workloadName": name, "podGroupTemplateName": "replica"}}
    assert older["PodGroup"]["spec"]["podGroupTemplateRef"] == reference
    assert "workloadRef" not in older["PodGroup"]["spec"]
    assert newer["PodGroup"]["spec"]["workloadRef"] == {"workloadName": name, "templateName": "replica"}
    assert newer["PodGroup"]["spec"]["disruptionMode"] == {"all": {}}


@pytest.mark.parametrize("api", [V1BETA1, V1ALPHA2])
def test_size_of_groups_changes(api: WorkloadApi) -> None:
    """New groups have their own count; the Workload's follows where it can, and is left where it cannot (ND-31)."""
    made = Made({}, api)
    made.settle()
    made.lws = making.lws(scheduling={}, replicas=1, size=6)
    snapshot = SetSnapshot(made.lws, scheduling=made.seen)
    found = plan(snapshot, "k2", 1).actions
    (created,) = [each for each in found if isinstance(each, Create)]
    assert created.manifest["spec"]["schedulingPolicy"] == {"gang": {"minCount": 6}}
    assert len([each for each in found if isinstance(each, Patch)]) == (1 if api.counts_change else 0)
    assert len([each for each in found if isinstance(each, Delete)]) == 1


def test_gang_of_the_whole_set_needs_counts_that_change() -> None:
    """By v1alpha2 it is refused in words, and nothing is made (ND-31)."""
    problem = Made({"schedulingPolicy": GANG}, V1ALPHA2).plan().problem
    assert problem is not None
    assert problem.reason == "UnsupportedProviderCapability"
    assert "needs scheduling.k8s.io/v1beta1" in problem.message
    assert Made({"schedulingPolicy": {"basic": {}}}, V1ALPHA2).settle().keys() == {"Workload", "PodGroup"}


def test_priority_that_an_older_server_drops_is_no_drift() -> None:
    """Servers without that feature keep no priorityClassName; the pods carry it themselves (ND-31)."""
    section = {"workerTemplate": {"spec": {"containers": [{"name": "c"}], "priorityClassName": "high"}}}
    made = Made({}, V1ALPHA2, section=section)
    (created,) = made.plan().actions
    assert isinstance(created, Create)
    body = _stored(created.manifest)
    assert body["spec"]["podGroupTemplates"][0].pop("priorityClassName") == "high"
    assert made.plan(workloads=(msgspec.convert(body, Workload),)).problem is None


def test_n54_a_leader_of_an_incarnation_has_its_own_pod_groups() -> None:
    """PodGroups are made by the name that its admission gave it, and no other for its group (next 7.9)."""
    made = Made({})
    made.settle()
    workload = scheduling.workload_name(made.lws.metadata.name, made.lws.metadata.uid)
    notes = {labels.SCHEDULING_LEVEL: "replica", labels.WORKLOAD_NAME: f"{workload}.b2xyz", labels.SIZE: "4"}
    made.leaders = (making.leader(0, "k1", annotations=notes),)
    found = made.plan().actions
    assert [each.manifest["metadata"]["name"] for each in found if isinstance(each, Create)] == [
        f"{workload}.b2xyz-0-k1"
    ]
    assert [each.name for each in found if isinstance(each, Delete)] == [f"{workload}-0-k1"]


PARENTS: JSON = {
    "metadata": {"name": "train", "namespace": "default", "uid": "p"},
    "spec": {"podGroupTemplates": [{"name": "nodes", "schedulingPolicy": {"gang": {"minCount": 7}}}]},
}


@pytest.mark.parametrize(
    ("template", "parent", "reason"),
    [
        ("nodes", Parent(problem="no parent Workload matches"), "ParentWorkloadNotReady"),
        ("other", Parent(msgspec.convert(PARENTS, Workload)), "InvalidSchedulingConfiguration"),
        ("nodes", Parent(msgspec.convert(PARENTS, Workload)), ""),
    ],
)
def test_delegation_7_8(template: str, parent: Parent, reason: str) -> None:
    """PodGroups are made of the named template of the parent's Workload, which does not own them; none without it."""
    made = Made({}, metadata={"annotations": {labels.GROUP_TEMPLATE_NAME: template}})
    found = made.plan(parent=parent)
    assert (found.problem.reason if found.problem else "") == reason
    if reason:
        assert found.actions == ()
        return
    (created,) = found.actions
    assert isinstance(created, Create)
    body = created.manifest
    assert body["kind"] == "PodGroup"
    assert body["spec"] == {
        "workloadRef": {"workloadName": "train", "templateName": "nodes"},
        "schedulingPolicy": {"gang": {"minCount": 7}},
    }
    assert [each["kind"] for each in body["metadata"]["ownerReferences"]] == ["LeaderWorkerSet"]
