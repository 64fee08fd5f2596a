"""``spec.scheduling`` at admission, and the names that follow from it (next 7.2 to 7.6, N39 to N46)."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.leaderworkerset import labels, scheduling
from lws.api.leaderworkerset.schedulingrules import Support, rules
from lws.api.leaderworkerset.workloadapi import V1ALPHA2
from lws.apimachinery.manifests import JSON
from tests.api.lwsmaking import manifest

UID = "9f1d3c1e-6a55-4c0e-8f2b-1d2f3a4b5c6d"
WORKLOAD = "leaderworkerset-sample-855897d88f"
THERE = Support(enabled=True, provider="kubernetes")
GANG: JSON = {"gang": {}}
LEAF: JSON = {"worker": {"schedulingPolicy": GANG}}


def refused(asked: JSON | None, old: JSON | None = None, support: Support = THERE, **arguments: Any) -> list[str]:
    """What is said about a set that asks for this; ``old`` asked for that."""
    arguments.setdefault("template", {"size": 4})
    extra = {} if asked is None else {"scheduling": asked}
    return list(rules(manifest(**arguments, **extra), old, support))


def was(asked: JSON | None, **arguments: Any) -> JSON:
    """The set as it was."""
    return manifest(**{"template": {"size": 4}, **arguments}, **({} if asked is None else {"scheduling": asked}))


def test_names_are_those_of_the_worked_example() -> None:
    """Next 11.2, at every level; a name that is too long is cut before the hash."""
    assert scheduling.workload_name("leaderworkerset-sample", UID) == WORKLOAD
    assert scheduling.pod_group_name(WORKLOAD, "replica", "0", "6859c84d69") == f"{WORKLOAD}-0-6859c84d69"
    assert scheduling.pod_group_name(WORKLOAD, "lws", "", "") == f"{WORKLOAD}-lws"
    assert scheduling.pod_group_name(WORKLOAD, "role", "0", "k", "worker") == f"{WORKLOAD}-0-worker-k"
    cut = scheduling.pod_group_name(scheduling.workload_name("x" * 253, UID), "replica", "0", "k")
    assert (len(cut), cut.endswith("-855897d88f-0-k")) == (253, True)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["replica"]),
        ({"replica": {}}, ["replica"]),
        ({"schedulingPolicy": GANG}, ["lws"]),
        ({"replica": {"disruptionMode": {"all": {}}}}, ["replica"]),
        ({"replica": LEAF}, ["role"]),
        ({"schedulingPolicy": GANG, "replica": {}}, ["lws", "replica"]),
        ({"replica": {**LEAF, "schedulingPolicy": GANG}}, ["replica", "role"]),
    ],
)
def test_level(asked: JSON, expected: list[str]) -> None:
    """What is given decides, and nothing given is each group by itself."""
    assert scheduling.levels(asked) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [{"name": "replica", "schedulingPolicy": {"gang": {"minCount": 4}}}]),
        ({"schedulingPolicy": GANG}, [{"name": "lws", "schedulingPolicy": {"gang": {"minCount": 8}}}]),
        (
            {"disruptionMode": {"all": {}}},
            [{"name": "lws", "schedulingPolicy": {"basic": {}}, "disruptionMode": {"all": {}}}],
        ),
        (
            {"replica": LEAF},
            [
                {"name": "leader", "schedulingPolicy": {"basic": {}}},
                {"name": "worker", "schedulingPolicy": {"gang": {"minCount": 3}}},
            ],
        ),
    ],
)
def test_templates(asked: JSON, expected: list[JSON]) -> None:
    """The default policies and counts of next 7.2."""
    assert scheduling.templates({"replicas": 2, "leaderWorkerTemplate": {"size": 4}, "scheduling": asked}) == expected


def test_pods_find_their_group() -> None:
    """By their marks; a pre-release's are read, any other level is refused, and no mark is no group (next 7.6)."""
    marked = {labels.NAME: "s", labels.GROUP_INDEX: "1", labels.REVISION: "k", labels.WORKER_INDEX: "2"}
    level = {labels.SCHEDULING_LEVEL: "role", labels.WORKLOAD_NAME: "s-h"}
    assert scheduling.group_of_pod(marked, level) == "s-h-1-worker-k"
    assert scheduling.group_of_pod(marked | {labels.WORKER_INDEX: "0"}, level) == "s-h-1-leader-k"
    assert scheduling.group_of_pod(marked, level | {labels.SCHEDULING_LEVEL: "true"}) == "s-h-1-k"
    assert scheduling.group_of_pod(marked, {}) == ""
    with pytest.raises(ValueError, match='unsupported workload-aware scheduling mode "x"'):
        scheduling.group_of_pod(marked, {labels.SCHEDULING_LEVEL: "x"})


def test_n39_gate_and_provider() -> None:
    """Without the gate a new field is refused; without a provider, or its API, every set is told."""
    gate = "spec.scheduling: Forbidden: requires the WorkloadAwareScheduling feature gate"
    provider = "spec.scheduling: Required value: requires a configured scheduler provider"
    assert refused({}, support=Support()) == [gate, provider]
    assert refused({}, was({}), Support(provider="kubernetes")) == []
    assert refused(None, support=Support()) == []
    gone = Support(True, "kubernetes", {"Workload": "not served", "PodGroup": "not served"})
    assert refused({}, support=gone) == [
        f"spec.scheduling: Forbidden: scheduling.k8s.io/v1beta1 {kind} API is not available: not served"
        for kind in ("Workload", "PodGroup")
    ]


def test_n42_n43_counts_of_roles() -> None:
    """A gang of workers is all of them, and needs some."""
    assert refused({"replica": {"worker": {"schedulingPolicy": {"gang": {"minCount": 2}}}}}) == [
        (
            "spec.scheduling.replica.worker.schedulingPolicy.gang.minCount: Invalid value: 2: must equal complete leaf "
            "membership 3"
        )
    ]
    assert refused({"replica": LEAF}, template={"size": 1})[-1] == (
        "spec.leaderWorkerTemplate.size: Invalid value: 1: leader/worker scheduling requires size >= 2"
    )


def test_n44_leader_ready() -> None:
    """A gang of leader and workers never starts where workers wait for their leader; one of workers does."""
    why = "a gang containing the leader and workers is incompatible with startupPolicy LeaderReady"
    for asked in ({}, {"schedulingPolicy": GANG}):
        assert refused(asked, startupPolicy="LeaderReady") == [f"spec.scheduling: Forbidden: {why}"]
    assert refused({"replica": LEAF}, startupPolicy="LeaderReady") == []


def test_n45_one_level() -> None:
    """Two levels are refused, and nothing more is said of them."""
    (why,) = refused({"schedulingPolicy": GANG, "replica": {"disruptionMode": {}}})
    assert why.startswith("spec.scheduling: Invalid value: ")
    assert why.endswith(": exactly one active scheduling level is required, got [lws replica]")


def test_n46_what_cannot_change() -> None:
    """The field comes and goes with its set, at its level, and priorities stay."""
    assert refused(None, was({})) == ["spec.scheduling: Forbidden: cannot remove scheduling after creation"]
    assert refused({}, was(None)) == ["spec.scheduling: Forbidden: cannot add scheduling after creation"]
    switched = "spec.scheduling: Forbidden: cannot switch the active scheduling level after creation"
    assert refused({"schedulingPolicy": GANG}, was({})) == [switched]
    pods = {"workerTemplate": {"spec": {"containers": [{"name": "c"}], "priorityClassName": "high"}}}
    assert refused({}, was({}), template={"size": 4, **pods}) == [
        (
            "spec.leaderWorkerTemplate: Forbidden: cannot change priorityClassName while workload-aware scheduling is "
            "configured"
        )
    ]
    assert refused({"replica": {"schedulingPolicy": {"basic": {}}}}, was({})) == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"schedulingPolicy": {}}, 'schedulingPolicy: Invalid value: "": must specify one of: `basic`, `gang`'),
        (
            {"schedulingPolicy": {"basic": {}, "gang": {}}},
            'schedulingPolicy: Invalid value: "{basic, gang}": must specify exactly one of: `basic`, `gang`',
        ),
        (
            {"schedulingPolicy": {"gang": {"minGroupCount": 1}}},
            "schedulingPolicy.gang.minGroupCount: Forbidden: minGroupCount is not supported",
        ),
        (
            {"schedulingConstraints": {"topology": [{"key": "a"}, {"key": "b"}]}},
            "schedulingConstraints.topology: Too many: 2: must have at most 1 item",
        ),
    ],
)
def test_builder(asked: JSON, expected: str) -> None:
    """Unions have one member, counts at least one, topologies at most one."""
    assert refused(asked) == [f"spec.scheduling.{expected}"]


def test_company_of_a_gang() -> None:
    """Exclusive topologies, templates of two priorities, groups of the user's own and unmatched claims are refused."""
    metadata = {"annotations": {labels.EXCLUSIVE_TOPOLOGY: "rack"}}
    (exclusive,) = refused({}, metadata=metadata)
    assert exclusive.endswith("cannot be combined with exclusive topology in alpha")
    leader = {"spec": {"containers": [{"name": "c"}], "priorityClassName": "high", "schedulingGroup": {}}}
    claims = [{"name": "gpu", "resourceClaimName": "g"}]
    asked = {"replica": {"leader": {"resourceClaims": claims}}}
    assert refused(asked, template={"size": 4, "leaderTemplate": leader}) == [
        "spec.scheduling: Invalid value: null: all managed pod templates must use the same priorityClassName",
        "spec.scheduling: Forbidden: managed pod templates must not set spec.schedulingGroup",
        (
            'spec.scheduling.replica.leader.resourceClaims[0]: Invalid value: "gpu": must have a matching reference in '
            "every member pod template"
        ),
    ]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, []),
        ({"replica": {"schedulingPolicy": GANG}}, []),
        (
            {"schedulingPolicy": GANG},
            [": Forbidden: the Volcano provider supports the typed API only at replica level"],
        ),
        ({"replica": LEAF}, [": Forbidden: the Volcano provider supports the typed API only at replica level"]),
        (
            {
                "replica": {
                    "schedulingPolicy": {"basic": {}},
                    "schedulingConstraints": {"topology": [{"key": "rack"}]},
                    "disruptionMode": {"all": {}},
                }
            },
            [
                ".replica.schedulingPolicy: Forbidden: the Volcano provider does not support Basic policy",
                (
                    ".replica.schedulingConstraints: Forbidden: the Volcano provider does not support typed "
                    "scheduling constraints"
                ),
                ".replica.disruptionMode: Forbidden: the Volcano provider does not support typed disruption mode",
            ],
        ),
    ],
)
def test_volcano_has_gangs_of_groups(asked: JSON, expected: list[str]) -> None:
    """What its PodGroups cannot say is refused (next 7.3)."""
    assert refused(asked, support=Support(True, "volcano")) == [f"spec.scheduling{each}" for each in expected]


def test_older_api_has_no_gang_of_the_whole_set() -> None:
    """Its counts do not change; gangs of groups and a set without a gang are as ever, and errors name it (ND-31)."""
    support = Support(True, "kubernetes", api=V1ALPHA2)
    (why,) = refused({"schedulingPolicy": GANG}, support=support)
    assert why.startswith("spec.scheduling: Forbidden: a gang of the whole set needs scheduling.k8s.io/v1beta1")
    assert refused({}, support=support) == refused({"schedulingPolicy": {"basic": {}}}, support=support) == []
    (gone,) = refused({}, support=Support(True, "kubernetes", {"Workload": "no"}, V1ALPHA2))
    assert gone == "spec.scheduling: Forbidden: scheduling.k8s.io/v1alpha2 Workload API is not available: no"


OWNED = {"ownerReferences": [{"kind": "TrainJob", "name": "t", "uid": "u", "controller": True}]}
TEMPLATE = "metadata.annotations[scheduling.k8s.io/group-template-name]"
PARENT = "metadata.annotations[scheduling.k8s.io/parent-compositepodgroup]"


@pytest.mark.parametrize(
    ("notes", "owned", "asked", "expected"),
    [
        ({"group-template-name": "t"}, OWNED, {}, []),
        ({"group-template-name": "t", "parent-compositepodgroup": "p"}, OWNED, {"schedulingPolicy": GANG}, []),
        (
            {"group-template-name": "t"},
            {},
            {},
            [f"{TEMPLATE}: Forbidden: delegated scheduling requires a controller owner"],
        ),
        ({"group-template-name": ""}, OWNED, {}, [f"{TEMPLATE}: Required value: must name a parent Workload template"]),
        (
            {"group-template-name": "t"},
            OWNED,
            {"replica": LEAF},
            [f"{TEMPLATE}: Forbidden: delegated scheduling supports only whole-LWS or replica mode"],
        ),
        (
            {"parent-compositepodgroup": "p"},
            OWNED,
            {},
            [f"{PARENT}: Forbidden: requires the group-template-name delegation annotation"],
        ),
        (
            {"group-template-name": "t", "parent-compositepodgroup": ""},
            OWNED,
            {},
            [f"{PARENT}: Required value: must name a parent CompositePodGroup"],
        ),
    ],
)
def test_delegation_names_a_parent(notes: JSON, owned: JSON, asked: JSON, expected: list[str]) -> None:
    """The annotations go with an owner, a template and a level that a parent can plan for (next 7.3, 7.8)."""
    noted = {"annotations": {f"scheduling.k8s.io/{key}": value for key, value in notes.items()}}
    assert refused(asked, metadata={**noted, **owned}) == expected


def test_pods_keep_the_incarnation_that_they_were_admitted_with() -> None:
    """The name that a newer release of the reference gave a leader is known again; any other is not (next 7.9)."""
    assert scheduling.noted_workload("s-h", "s-h.b2xyz") == "s-h.b2xyz"
    for other in (None, "", "s-h", "s-h.b2xy", "s-h.b2.yz", "t-h.b2xyz", "s-h.b2xyz.b2xyz"):
        assert scheduling.noted_workload("s-h", other) == "s-h"
    assert scheduling.pod_group_name("s-h.b2xyz", "replica", "0", "k") == "s-h.b2xyz-0-k"
