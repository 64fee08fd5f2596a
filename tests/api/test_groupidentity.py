"""Groups that are known by a key: admission of their sets and of their pods (next 3.2, 3.4)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lws.api.leaderworkerset import labels as keys
from lws.api.leaderworkerset.pods import mutate_pod
from lws.api.leaderworkerset.validation import validate_create, validate_update, warnings
from lws.apimachinery.manifests import JSON
from tests.api.lwsmaking import manifest, paced, pod_template
from tests.api.podmaking import container, env_of, labels_of, pod

HASH: dict[str, Any] = {"groupIdentity": "Hash"}
NAME = "leaderworkerset-sample"
KEY = "c6da7bccdf722954dd7b0470ffb1e81e301267bc"  # of the worked example, next 11.1
IDENTITY = {keys.GROUP_IDENTITY: "Hash"}
CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
IMMUTABLE = "groupIdentity is immutable"
NO_CLAIMS = 'spec.groupIdentity: Invalid value: "Hash": volumeClaimTemplates are not supported with groupIdentity Hash'
NO_PARTITION = (
    'spec.groupIdentity: Invalid value: "Hash": '
    "rollingUpdateConfiguration.partition is not supported with groupIdentity Hash"
)


def hash_leader(name: str = NAME, **rest: Any) -> JSON:
    """A leader as its ReplicaSet sends it to admission."""
    found = pod(
        "",
        lws=name,
        labels={keys.WORKER_INDEX: "0", **rest.pop("labels", {})},
        annotations={**IDENTITY, **rest.pop("annotations", {})},
        **rest,
    )
    found["metadata"]["generateName"] = f"{name}-6d5f-"
    del found["metadata"]["name"]
    return found


def hash_worker(ordinal: int, **rest: Any) -> JSON:
    """A worker of that leader."""
    address = f"{NAME}-c6da7bcc.{NAME}.default"
    noted = {**IDENTITY, keys.LEADER_NAME: f"{NAME}-6d5f-x1", keys.LEADER_ADDRESS: address}
    return pod(
        f"{NAME}-c6da7bcc-{ordinal}",
        lws=NAME,
        labels={keys.GROUP_INDEX: KEY, keys.GROUP_KEY: KEY},
        annotations={**noted, **rest.pop("annotations", {})},
        **rest,
    )


def admitted(given: JSON, drawn: str = "bcdfghjklmnpqrst") -> JSON:
    """The pod after admission."""
    return mutate_pod(given, gang=(), draw=lambda: drawn)


def test_n5_identity_is_immutable() -> None:
    """A set never changes what its groups are known by; absent and empty are Ordinal."""
    assert validate_update(manifest(**HASH), manifest())[-1] == (
        'spec.groupIdentity: Invalid value: "Hash": groupIdentity is immutable'
    )
    assert IMMUTABLE in validate_update(manifest(), manifest(**HASH))[-1]
    for absent in (None, ""):
        assert validate_update(manifest(), manifest(groupIdentity=absent)) == []
        assert IMMUTABLE in validate_update(manifest(**HASH), manifest(groupIdentity=absent))[-1]


def test_n7_no_claims_and_no_partition() -> None:
    """Claims and a partition need ordinals; with both there are two entries, claims first."""
    claims = {"volumeClaimTemplates": [CLAIM]}
    assert validate_create(manifest(**HASH, rolloutStrategy=paced(partition=1))) == [NO_PARTITION]
    assert validate_create(manifest(**HASH, template=claims)) == [NO_CLAIMS]
    both = manifest(**HASH, template=claims, rolloutStrategy=paced(partition=1))
    assert validate_create(both) == [NO_CLAIMS, NO_PARTITION]


@pytest.mark.parametrize(("size", "longest"), [(2, 43), (1, 54)])
def test_n8_name_lengths(size: int, longest: int) -> None:
    """A name must leave room for the digits of a key, and for the label that a StatefulSet gives its pods."""
    fits = manifest(**HASH, template={"size": size}, metadata={"name": "a" * longest})
    long = manifest(**HASH, template={"size": size}, metadata={"name": "a" * (longest + 1)})
    assert validate_create(fits) == []
    (entry,) = validate_create(long)
    assert entry.endswith(f": must be no more than {longest} characters with groupIdentity Hash")


def test_nd_05_a_name_that_was_admitted_stays() -> None:
    """Names are not judged again on updates, but when a group gets its first worker; else there is a warning."""
    name = {"metadata": {"name": "a" * 50}}
    long = manifest(**HASH, **name)
    assert validate_update(long, long) == []
    assert "must be no more than 43 characters" in warnings(long, long)[0]
    alone = manifest(**HASH, **name, template={"size": 1})
    assert "must be no more than 43 characters" in validate_update(long, alone)[0]
    assert warnings(long, None) == []


def test_n9_immediate_needs_hash() -> None:
    """Only groups without names of their own can be replaced before they are gone."""
    (entry,) = validate_create(manifest(groupReplacementPolicy="Immediate"))
    why = "Immediate is only supported with groupIdentity Hash"
    assert entry == f'spec.groupReplacementPolicy: Invalid value: "Immediate": {why}'
    assert validate_create(manifest(groupReplacementPolicy="PostTermination")) == []
    assert validate_create(manifest(**HASH, groupReplacementPolicy="Immediate")) == []


@pytest.mark.parametrize(
    "change",
    [
        {"template": {"subGroupPolicy": {"subGroupSize": 2}}},
        {"template": {"subGroupPolicy": {"subGroupSize": 1, "subGroupPolicyType": "LeaderExcluded"}}},
        {"networkConfig": {"subdomainPolicy": "UniquePerReplica"}},
        {"startupPolicy": "LeaderReady"},
        {"template": {"restartPolicy": "None"}},
        {"metadata": {"annotations": {keys.EXCLUSIVE_TOPOLOGY: "zone"}}},
        {"template": {"leaderTemplate": pod_template()}},
    ],
)
def test_next_3_2_accepted_with_hash(change: JSON) -> None:
    """All else that groups may have goes with keys."""
    assert validate_create(manifest(**HASH, **change)) == []


def test_next_3_4_leader_of_the_worked_example() -> None:
    """A leader gets key, host name, gate and address as in next 11.1, and keeps its subdomain."""
    found = admitted(hash_leader())
    named = labels_of(found)
    assert (named["group-key"], named["group-index"]) == (KEY, KEY)
    assert found["spec"]["hostname"] == f"{NAME}-c6da7bcc"
    assert found["spec"]["subdomain"] == NAME
    assert found["spec"]["schedulingGates"] == [{"name": keys.REPLACEMENT_GATE}]
    assert found["metadata"]["annotations"][keys.DELETION_COST] == "-100"
    assert env_of(found) == {
        "LWS_LEADER_ADDRESS": f"{NAME}-c6da7bcc.{NAME}.default",
        "LWS_GROUP_SIZE": "4",
        "LWS_WORKER_INDEX": "0",
    }
    assert labels_of(admitted(hash_leader(), "2456789zxwvtsrqp"))["group-key"].startswith("f17f3a089ae0")


def test_next_3_4_the_authors_own_values_stay() -> None:
    """A host name, a deletion cost and gates of the template are left alone; ours is added to the gates."""
    own = hash_leader(
        hostname="mine",
        schedulingGates=[{"name": "a/b"}],
        annotations={keys.DELETION_COST: "7", keys.LEADER_ADDRESS: "x"},
    )
    found = admitted(own)
    assert found["spec"]["hostname"] == "mine"
    assert found["metadata"]["annotations"][keys.DELETION_COST] == "7"
    assert [gate["name"] for gate in found["spec"]["schedulingGates"]] == ["a/b", keys.REPLACEMENT_GATE]
    assert env_of(found)["LWS_LEADER_ADDRESS"] == f"mine.{NAME}.default"  # ND-16


def test_next_3_4_subgroups_are_told_by_the_key() -> None:
    """Leader and workers of a subgroup have the key made of the group's key (next 11.1)."""
    marks = {keys.SUBGROUP_SIZE: "2"}
    leader = admitted(hash_leader(annotations=marks))
    first, second = (admitted(hash_worker(ordinal, annotations=marks)) for ordinal in (1, 2))
    assert labels_of(leader)["subgroup-key"] == "2a05d75a28ada4e83e2a0ea5d0222802c5f09192"
    assert labels_of(first)["subgroup-key"] == labels_of(leader)["subgroup-key"] != labels_of(second)["subgroup-key"]


def test_next_3_4_workers_have_the_address_that_the_controller_noted() -> None:
    """A worker's leader is where its template says; only one without that works it out by index."""
    assert env_of(admitted(hash_worker(2)))["LWS_LEADER_ADDRESS"] == f"{NAME}-c6da7bcc.{NAME}.default"
    assert labels_of(admitted(hash_worker(2)))["worker-index"] == "2"


def test_next_3_4_exclusive_topology_by_the_new_key() -> None:
    """A replacement keeps apart from the group that it replaces, for it has another key."""
    found = admitted(hash_leader(annotations={keys.EXCLUSIVE_TOPOLOGY: "zone"}))
    (term,) = found["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchExpressions"][0]["values"] == [KEY]


def test_n18_subdomain_of_each_group() -> None:
    """Under UniquePerReplica the subdomain of a leader is its host name, and so is its address."""
    found = admitted(hash_leader("lws", annotations={keys.SUBDOMAIN_POLICY: "UniquePerReplica"}))
    assert found["spec"]["subdomain"] == found["spec"]["hostname"] == "lws-c6da7bcc"
    assert env_of(found)["LWS_LEADER_ADDRESS"] == "lws-c6da7bcc.lws-c6da7bcc.default"


@pytest.mark.parametrize("policy", [{}, {keys.SUBDOMAIN_POLICY: "UniquePerReplica", keys.EXCLUSIVE_TOPOLOGY: "zone"}])
def test_n19_a_second_admission_changes_nothing(policy: JSON) -> None:
    """Called again, admission keeps key, host name and the one gate (ND-01)."""
    once = admitted(hash_leader(annotations=policy))
    assert admitted(copy.deepcopy(once), "zzzzzzzzzzzzzzzz") == once


def test_nd_01_a_key_of_the_template_is_replaced() -> None:
    """A key that the template carries would be every group's, so it does not count."""
    own = hash_leader(labels={keys.GROUP_KEY: "a" * 40, keys.GROUP_INDEX: "7"})
    assert {labels_of(admitted(own))[name] for name in ("group-key", "group-index")} == {KEY}


def test_nd_06_tpu_hosts_by_the_host_name() -> None:
    """A leader without a name yet is told of in host lists by its host name, as its workers tell of it."""
    leader = admitted(hash_leader(size=2, containers=[container(tpus=4)]))
    worker = admitted(
        hash_worker(1, size=2, containers=[container(tpus=4)], annotations={keys.LEADER_REQUESTS_TPUS: "true"})
    )
    hosts = f"{NAME}-c6da7bcc.{NAME},{NAME}-c6da7bcc-1.{NAME}"
    assert env_of(leader)["TPU_WORKER_HOSTNAMES"] == env_of(worker)["TPU_WORKER_HOSTNAMES"] == hosts
    assert env_of(leader)["TPU_NAME"] == env_of(worker)["TPU_NAME"] == f"{NAME}-c6da7bcc"


def test_next_3_4_ordinal_pods_are_as_before() -> None:
    """A pod of an Ordinal set gets no gate, no cost, and the address by its index, host name or not."""
    found = mutate_pod(pod("m-0", labels={keys.WORKER_INDEX: "0"}, hostname="m-0"), gang=())
    assert "schedulingGates" not in found["spec"]
    assert keys.DELETION_COST not in found["metadata"]["annotations"]
    assert env_of(found)["LWS_LEADER_ADDRESS"] == "m-0.m.default"
