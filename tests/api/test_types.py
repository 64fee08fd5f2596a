"""Reading LeaderWorkerSets."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from lws.api.leaderworkerset import types
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from tests.api.lwsmaking import manifest


def test_cd_09_absent_fields_have_their_defaults() -> None:
    """An object without any optional field reads with the defaults of CD-09."""
    lws = LeaderWorkerSet.from_json({"metadata": {"name": "a", "namespace": "b"}})
    assert lws.metadata.key == ("b", "a")
    assert lws.spec.replicas == 1
    assert lws.spec.leader_worker_template.size == 1
    assert lws.spec.leader_worker_template.restart_policy == types.RECREATE_ON_RESTART
    assert lws.spec.leader_worker_template.leader_template is None
    assert lws.spec.leader_worker_template.volume_claim_templates == []
    pace = lws.spec.rollout_strategy.rolling_update_configuration
    assert (pace.partition, pace.max_unavailable, pace.max_surge) == (0, 1, 0)
    assert lws.spec.startup_policy == types.LEADER_CREATED
    assert lws.spec.network_config.subdomain_policy == types.SHARED
    assert lws.status.conditions == ()
    assert lws.raw_spec == {}


@pytest.mark.parametrize(
    "spec",
    [
        {"replicas": None, "rolloutStrategy": None, "networkConfig": None, "leaderWorkerTemplate": None},
        {"rolloutStrategy": {"rollingUpdateConfiguration": None}, "networkConfig": {"subdomainPolicy": None}},
        {"rolloutStrategy": {"rollingUpdateConfiguration": {"partition": None, "maxSurge": None}}},
        {"leaderWorkerTemplate": {"size": None, "restartPolicy": None, "subGroupPolicy": None}},
    ],
)
def test_null_reads_as_absent(spec: JSON) -> None:
    """A null member at any depth is as good as none."""
    assert LeaderWorkerSet.from_json({"metadata": {}, "spec": spec}).spec == LeaderWorkerSet.from_json({}).spec


def test_cd_09_a_subgroup_policy_without_a_size_is_none() -> None:
    """A policy counts only with a size, and its type defaults to LeaderWorker."""
    without = LeaderWorkerSet.from_json(manifest(template={"subGroupPolicy": {"subGroupPolicyType": "LeaderWorker"}}))
    assert without.spec.leader_worker_template.sub_group_policy is None
    policy = LeaderWorkerSet.from_json(
        manifest(template={"subGroupPolicy": {"subGroupSize": 2}})
    ).spec.leader_worker_template.sub_group_policy
    assert policy is not None
    assert (policy.sub_group_size, policy.sub_group_policy_type) == (2, types.LEADER_WORKER)


def test_templates_travel_as_written() -> None:
    """Pod templates and the raw spec are kept as they are, unknown members included."""
    written = manifest(template={"workerTemplate": {"spec": {"containers": [], "futureField": 1}}})
    lws = LeaderWorkerSet.from_json(json.dumps(written).encode())
    assert lws.spec.leader_worker_template.worker_template == {"spec": {"containers": [], "futureField": 1}}
    assert lws.raw_spec == written["spec"]


def test_status_is_read() -> None:
    """Counters, selector and conditions of the status are read."""
    condition = {"type": "Available", "status": "True", "reason": "AllGroupsReady", "observedGeneration": 2}
    status = {
        "replicas": 3,
        "readyReplicas": 2,
        "updatedReplicas": 1,
        "hpaPodSelector": "a=b",
        "conditions": [condition],
    }
    lws = LeaderWorkerSet.from_json({**manifest(), "status": {**status, "observedGeneration": 2}})
    assert (lws.status.replicas, lws.status.ready_replicas, lws.status.updated_replicas) == (3, 2, 1)
    assert (lws.status.hpa_pod_selector, lws.status.observed_generation) == ("a=b", 2)
    assert [(each.type, each.status, each.observed_generation) for each in lws.status.conditions] == [
        ("Available", "True", 2)
    ]


@pytest.mark.parametrize("spec", [{"replicas": -3}, {"startupPolicy": "Sometime"}, {"rolloutStrategy": {"type": "X"}}])
def test_values_past_the_schema_still_read(spec: JSON) -> None:
    """Values that the schema would refuse do not keep an object from being read."""
    LeaderWorkerSet.from_json({"metadata": {}, "spec": spec})


@pytest.mark.parametrize("source", [b"{", b"[]", b'{"metadata": {"name": 1}}', b'{"spec": {"replicas": "many"}}'])
def test_garbage_is_a_value_error(source: bytes) -> None:
    """What is no object of this kind raises ValueError and nothing else."""
    with pytest.raises(ValueError):  # noqa: PT011 -- any text will do
        LeaderWorkerSet.from_json(source)


def test_objects_are_frozen() -> None:
    """Nobody can change a cached object."""
    lws = LeaderWorkerSet.from_json(manifest())
    with pytest.raises(ValidationError):
        lws.spec.replicas = 3  # type: ignore[misc]
