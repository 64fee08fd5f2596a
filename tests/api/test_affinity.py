"""Exclusive placement: spec 4.4."""

from __future__ import annotations

import pytest

from lws.api.leaderworkerset import labels as keys
from lws.api.leaderworkerset.pods import mutate_pod
from lws.apimachinery.manifests import JSON
from tests.api.podmaking import leader, worker

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def pair(label: str, value: str, topology: str) -> tuple[JSON, JSON]:
    """The two terms of 4.4."""
    return (
        {
            "labelSelector": {"matchExpressions": [{"key": label, "operator": "In", "values": [value]}]},
            "topologyKey": topology,
        },
        {
            "labelSelector": {
                "matchExpressions": [
                    {"key": label, "operator": "Exists"},
                    {"key": label, "operator": "NotIn", "values": [value]},
                ]
            },
            "topologyKey": topology,
        },
    )


def affinity(*terms: tuple[JSON, JSON]) -> JSON:
    """An affinity of these pairs."""
    return {
        "podAffinity": {REQUIRED: [together for together, _ in terms]},
        "podAntiAffinity": {REQUIRED: [apart for _, apart in terms]},
    }


def affinity_of(manifest: JSON) -> tuple[JSON | None, dict[str, str]]:
    """Affinity and labels after admission."""
    mutated = mutate_pod(manifest, gang=())
    return mutated["spec"].get("affinity"), mutated["metadata"]["labels"]


def test_4_4_leader_terms() -> None:
    """A leader attracts its group and repels others, by its group key."""
    found, labels = affinity_of(leader(annotations={keys.EXCLUSIVE_TOPOLOGY: "rack"}))
    assert found == affinity(pair(keys.GROUP_KEY, labels[keys.GROUP_KEY], "rack"))


def test_4_4_workers_have_no_group_terms() -> None:
    """Workers follow by node selector: no terms of the group."""
    assert affinity_of(worker("m-0-1", annotations={keys.EXCLUSIVE_TOPOLOGY: "rack"}))[0] is None


def test_4_4_existing_terms_are_kept() -> None:
    """The user's own affinity stays, and ours comes after it."""
    mine = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}
    own = {"nodeAffinity": {"x": 1}, "podAffinity": {REQUIRED: [mine], "preferred": [1]}}
    found, labels = affinity_of(leader(annotations={keys.EXCLUSIVE_TOPOLOGY: "rack"}, affinity=own))
    together, apart = pair(keys.GROUP_KEY, labels[keys.GROUP_KEY], "rack")
    assert found == {
        "nodeAffinity": {"x": 1},
        "podAffinity": {REQUIRED: [mine, together], "preferred": [1]},
        "podAntiAffinity": {REQUIRED: [apart]},
    }


@pytest.mark.parametrize(
    ("own", "skipped"),
    [
        (("rack", "rack"), True),
        (("rack", None), False),
        ((None, "rack"), False),
        (("zone", "rack"), False),
    ],
)
def test_4_4_skipped_when_both_are_there(own: tuple[str | None, str | None], skipped: bool) -> None:
    """Nothing is added only if both kinds of term exist for the topology key, whoever wrote them."""
    given: JSON = {
        kind: {REQUIRED: [{"topologyKey": topology}]}
        for kind, topology in zip(("podAffinity", "podAntiAffinity"), own, strict=True)
        if topology
    }
    found, _ = affinity_of(leader(annotations={keys.EXCLUSIVE_TOPOLOGY: "rack"}, affinity=given))
    assert (found == given) is skipped


def test_4_4_subgroups() -> None:
    """Every pod of a subgroup gets terms on the subgroup's key."""
    marks = {keys.SUBGROUP_SIZE: "2", keys.SUBGROUP_EXCLUSIVE_TOPOLOGY: "slice"}
    for manifest in (leader(annotations=marks), worker("m-0-3", annotations=marks)):
        found, labels = affinity_of(manifest)
        assert found == affinity(pair(keys.SUBGROUP_KEY, labels[keys.SUBGROUP_KEY], "slice"))


def test_4_4_excluded_leader_has_none() -> None:
    """A leader outside the subgroups gets no terms of them."""
    marks = {
        keys.SUBGROUP_SIZE: "2",
        keys.SUBGROUP_EXCLUSIVE_TOPOLOGY: "slice",
        keys.SUBGROUP_POLICY_TYPE: "LeaderExcluded",
    }
    assert affinity_of(leader(size=5, annotations=marks))[0] is None


def test_10_2_both_annotations() -> None:
    """With both annotations a leader has two pairs of terms, a worker one."""
    marks = {
        keys.SUBGROUP_SIZE: "2",
        keys.SUBGROUP_EXCLUSIVE_TOPOLOGY: "slice",
        keys.EXCLUSIVE_TOPOLOGY: "rack",
    }
    found, labels = affinity_of(leader(annotations=marks))
    group = pair(keys.GROUP_KEY, labels[keys.GROUP_KEY], "rack")
    subgroup = pair(keys.SUBGROUP_KEY, labels[keys.SUBGROUP_KEY], "slice")
    assert found == affinity(group, subgroup)
    found, labels = affinity_of(worker("m-0-1", annotations=marks))
    assert found == affinity(pair(keys.SUBGROUP_KEY, labels[keys.SUBGROUP_KEY], "slice"))


def test_4_4_same_key_twice() -> None:
    """If both annotations name the same topology key, the second pair is skipped on the leader."""
    marks = {keys.SUBGROUP_SIZE: "2", keys.SUBGROUP_EXCLUSIVE_TOPOLOGY: "rack", keys.EXCLUSIVE_TOPOLOGY: "rack"}
    found, labels = affinity_of(leader(annotations=marks))
    assert found == affinity(pair(keys.GROUP_KEY, labels[keys.GROUP_KEY], "rack"))


def test_cd_21_empty_topology_is_none() -> None:
    """An empty topology annotation counts as absent."""
    assert affinity_of(leader(annotations={keys.EXCLUSIVE_TOPOLOGY: ""}))[0] is None


def test_4_4_null_members() -> None:
    """Null where a list or object could stand reads as absent."""
    given: JSON = {"podAffinity": None, "podAntiAffinity": {REQUIRED: None}}
    found, labels = affinity_of(leader(annotations={keys.EXCLUSIVE_TOPOLOGY: "rack"}, affinity=given))
    assert found == affinity(pair(keys.GROUP_KEY, labels[keys.GROUP_KEY], "rack"))
