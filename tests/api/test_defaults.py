"""Defaulting at admission, rule by rule (spec 3.1)."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.api.leaderworkerset.defaults import default_leaderworkerset
from lws.apimachinery.manifests import JSON
from tests.api.lwsmaking import manifest, pod_template

PACE = {"partition": 0, "maxUnavailable": 1, "maxSurge": 0}


def defaulted(obj: JSON) -> JSON:
    """The object after its patch."""
    patched: JSON = jsonpatch.apply_patch(copy.deepcopy(obj), default_leaderworkerset(obj))
    return patched


def without(member: str, *path: str) -> JSON:
    """A complete object that lacks one member."""
    obj = manifest()
    node = obj
    for step in path:
        node = node[step]
    del node[member]
    return obj


def test_a_complete_object_gets_no_patch() -> None:
    """When nothing is missing the patch is empty."""
    assert default_leaderworkerset(manifest()) == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, "RecreateGroupOnPodRestart"),
        ("", "RecreateGroupOnPodRestart"),
        ("Default", "None"),
        ("None", "None"),
        ("RecreateGroupAfterStart", "RecreateGroupAfterStart"),
    ],
)
def test_spec_3_1_rules_1_and_2_restart_policy(policy: str | None, expected: str) -> None:
    """An empty restart policy is RecreateGroupOnPodRestart, the deprecated Default is None."""
    assert defaulted(manifest(template={"restartPolicy": policy})) == manifest(template={"restartPolicy": expected})
    assert defaulted(without("restartPolicy", "spec", "leaderWorkerTemplate")) == manifest()


@pytest.mark.parametrize("kind", [None, ""])
def test_spec_3_1_rule_3_rollout_type(kind: str | None) -> None:
    """An empty rollout type is RollingUpdate."""
    strategy = {"type": kind, "rollingUpdateConfiguration": PACE}
    assert defaulted(manifest(rolloutStrategy=strategy)) == manifest()
    assert defaulted(without("type", "spec", "rolloutStrategy")) == manifest()


@pytest.mark.parametrize("strategy", [None, {}, {"type": "RollingUpdate"}, {"rollingUpdateConfiguration": None}])
def test_spec_3_1_rule_4_configuration(strategy: JSON | None) -> None:
    """An absent configuration of a rolling update is {partition 0, maxUnavailable 1, maxSurge 0}."""
    assert defaulted(manifest(rolloutStrategy=strategy)) == manifest()
    assert defaulted(without("rolloutStrategy", "spec")) == manifest()


def test_spec_3_1_rule_4_only_rolling_updates() -> None:
    """Another type gets no configuration; the schema will refuse it."""
    assert default_leaderworkerset(manifest(rolloutStrategy={"type": "Recreate"})) == []


def test_spec_3_1_a_partial_configuration_is_left_to_the_schema() -> None:
    """A configuration that is there is not completed here."""
    strategy = {"type": "RollingUpdate", "rollingUpdateConfiguration": {"maxSurge": 1}}
    assert default_leaderworkerset(manifest(rolloutStrategy=strategy)) == []


@pytest.mark.parametrize("config", [None, {}, {"subdomainPolicy": None}])
def test_spec_3_1_rule_5_network(config: JSON | None) -> None:
    """An absent configuration, or one whose policy is null, is Shared."""
    assert defaulted(manifest(networkConfig=config)) == manifest()
    assert defaulted(without("networkConfig", "spec")) == manifest()


def test_spec_3_1_the_patch_touches_nothing_else() -> None:
    """The patch names only missing members, in the order of the rules."""
    obj = {"metadata": {"name": "a"}, "spec": {"leaderWorkerTemplate": {"workerTemplate": pod_template()}, "extra": 1}}
    assert default_leaderworkerset(obj) == [
        {"op": "add", "path": "/spec/leaderWorkerTemplate/restartPolicy", "value": "RecreateGroupOnPodRestart"},
        {"op": "add", "path": "/spec/groupIdentity", "value": "Ordinal"},
        {"op": "add", "path": "/spec/groupReplacementPolicy", "value": "PostTermination"},
        {
            "op": "add",
            "path": "/spec/rolloutStrategy",
            "value": {"type": "RollingUpdate", "rollingUpdateConfiguration": PACE},
        },
        {"op": "add", "path": "/spec/networkConfig", "value": {"subdomainPolicy": "Shared"}},
    ]


@pytest.mark.parametrize("obj", [{}, {"spec": None}, {"spec": []}, {"spec": "x"}])
def test_cd_18_no_spec_is_left_to_validation(obj: JSON) -> None:
    """Without a spec there is nothing to default."""
    assert default_leaderworkerset(obj) == []


ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.lists(st.none(), max_size=1), st.just({})
)


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional={
    "leaderWorkerTemplate": st.one_of(ANYTHING, st.fixed_dictionaries({"restartPolicy": ANYTHING})),
    "rolloutStrategy": st.one_of(ANYTHING, st.fixed_dictionaries({"type": ANYTHING})),
    "networkConfig": st.one_of(ANYTHING, st.fixed_dictionaries({"subdomainPolicy": ANYTHING})),
}))  # fmt: skip
def test_defaulting_is_total_and_idempotent(spec: JSON) -> None:
    """Whatever the spec holds, the patch applies, and a second one is empty."""
    assert default_leaderworkerset(defaulted({"spec": spec})) == []
