"""Leader and worker StatefulSets: content, metadata, and when they are written (spec 1.2 to 1.5, 5.3, 5.6)."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.leaderworkerset import groupkeys, labels
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Applied
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset import leader_statefulset, worker_statefulset
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.rollout import Budget, Decision
from tests.planning import making
from tests.planning.world import World

KEY = "k1"
POLICY = {"subGroupPolicy": {"subGroupPolicyType": "LeaderWorker", "subGroupSize": 2}}
CLAIM = {
    "metadata": {"name": "data", "labels": {"a": "b"}},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "volumeMode": "Block",
        "resources": {"requests": {"storage": "1024Mi"}},
        "selector": {"matchLabels": {"x": "y"}},
        "volumeName": "volume",
        "volumeAttributesClassName": "gold",
        "dataSource": {"kind": "VolumeSnapshot", "name": "s"},
    },
}


def leader(lws: LeaderWorkerSet) -> JSON:
    """The leader StatefulSet of this set, partition 1, five replicas."""
    section = Contents().sections(lws)
    return leader_statefulset.manifest(
        lws, section, KEY, Decision("5", 1, 5), Budget.of(lws).statefulset_max_unavailable
    )


def worker(live: LeaderWorkerSet, revised: LeaderWorkerSet | None = None, **leader_arguments: Any) -> JSON:
    """The worker StatefulSet of group 1."""
    revised = revised or live
    pod = making.leader(1, KEY, **leader_arguments)
    return worker_statefulset.manifest(live, revised, Contents().sections(revised), pod, {})


def test_leader_content_5_3() -> None:
    """Exactly the fields of 5.3 are sent, and none more."""
    lws = making.lws(replicas=4, size=3, rolling={"maxUnavailable": 2, "maxSurge": 1})
    assert leader(lws) == {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": "sample",
            "namespace": "default",
            "labels": {labels.NAME: "sample", labels.REVISION: KEY, labels.ROLE: "leader"},
            "annotations": {labels.REPLICAS: "4"},
            "ownerReferences": [
                {
                    "apiVersion": "leaderworkerset.x-k8s.io/v1",
                    "kind": "LeaderWorkerSet",
                    "name": "sample",
                    "uid": "uid-lws",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "replicas": 5,
            "serviceName": "sample",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {labels.NAME: "sample", labels.WORKER_INDEX: "0"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1, "maxUnavailable": 3}},
            "template": {
                "metadata": {
                    "labels": {labels.NAME: "sample", labels.WORKER_INDEX: "0", labels.REVISION: KEY},
                    "annotations": {labels.SIZE: "3"},
                },
                "spec": {"containers": [{"name": "main", "image": "app:1", "resources": {}}]},
            },
        },
    }


def test_worker_content_5_6() -> None:
    """Exactly the fields of 5.6 are created, and none more."""
    group = {
        labels.GROUP_INDEX: "1",
        labels.NAME: "sample",
        labels.GROUP_KEY: groupkeys.group_key("default", "sample-1"),
    }
    assert worker(making.lws(size=3)) == {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": "sample-1",
            "namespace": "default",
            "labels": {**group, labels.REVISION: KEY, labels.ROLE: "worker"},
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": "sample-1",
                    "uid": "uid-leader-1",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "replicas": 2,
            "ordinals": {"start": 1},
            "serviceName": "sample",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": group},
            "template": {
                "metadata": {
                    "labels": {**group, labels.REVISION: KEY},
                    "annotations": {
                        labels.SIZE: "3",
                        labels.LEADER_NAME: "sample-1",
                        labels.LEADER_ADDRESS: "sample-1.sample.default",
                    },
                },
                "spec": {"containers": [{"name": "main", "image": "app:1", "resources": {}}]},
            },
        },
    }


def test_own_leader_template_5_3() -> None:
    """Leaders follow the leader template where there is one; workers never do."""
    lws = making.lws(section={"leaderTemplate": making.template("leader:1")})
    assert leader(lws)["spec"]["template"]["spec"]["containers"][0]["image"] == "leader:1"
    assert worker(lws)["spec"]["template"]["spec"]["containers"][0]["image"] == "app:1"


def test_metadata_merge_1_4() -> None:
    """The set's metadata reaches both StatefulSets but no template, the user's the templates; our values win."""
    user = {
        "metadata": {
            "labels": {"tier": "gpu", labels.NAME: "mine", labels.WORKER_INDEX: "9"},
            "annotations": {"note": "x", labels.SIZE: "99"},
        },
        **making.template(),
    }
    lws = making.lws(
        metadata={
            "labels": {"team": "a", labels.NAME: "other"},
            "annotations": {"owner": "b", labels.REPLICAS: "77"},
        },
        section={"workerTemplate": user},
    )
    for body in (leader(lws), worker(lws)):
        meta, template = body["metadata"], body["spec"]["template"]["metadata"]
        assert (meta["labels"]["team"], meta["labels"][labels.NAME]) == ("a", "sample")
        assert meta["annotations"]["owner"] == "b"
        assert "team" not in template["labels"]
        assert "owner" not in template["annotations"]
        assert (template["labels"]["tier"], template["labels"][labels.NAME]) == ("gpu", "sample")
        assert (template["annotations"]["note"], template["annotations"][labels.SIZE]) == ("x", "2")
    assert leader(lws)["metadata"]["annotations"][labels.REPLICAS] == "2"
    assert leader(lws)["spec"]["template"]["metadata"]["labels"][labels.WORKER_INDEX] == "0"


def test_cd_08_last_applied_configuration_is_not_inherited() -> None:
    """Kubectl's own record stays with the set."""
    lws = making.lws(metadata={"annotations": {labels.LAST_APPLIED: "{}", "kept": "yes"}})
    for body in (leader(lws), worker(lws)):
        assert labels.LAST_APPLIED not in body["metadata"]["annotations"]
        assert body["metadata"]["annotations"]["kept"] == "yes"


def test_cd_19_reserved_labels_stay_off_the_leader_set() -> None:
    """Labels that name a group are dropped, so that the leader StatefulSet is not mistaken for a worker one."""
    reserved = {
        labels.GROUP_INDEX: "0",
        labels.GROUP_KEY: "x",
        labels.WORKER_INDEX: "0",
        labels.SUBGROUP_INDEX: "0",
        labels.SUBGROUP_KEY: "x",
    }
    found = leader(making.lws(metadata={"labels": {**reserved, "kept": "yes"}}))["metadata"]["labels"]
    assert found == {"kept": "yes", labels.NAME: "sample", labels.REVISION: KEY, labels.ROLE: "leader"}


def test_cd_19_worker_sets_are_known_by_name() -> None:
    """A leader StatefulSet that carries a group index, as the reference leaves it, counts for no group."""
    world = World.at_rest(replicas=2)
    assert world.statefulset is not None
    key = making.key_of(world.lws)
    spoiled = {labels.NAME: "sample", labels.REVISION: key, labels.GROUP_INDEX: "0"}
    world.statefulset = making.leader_set(key, partition=1, labels=spoiled)
    apply = making.applied(world.plan())
    assert apply is not None
    assert apply.manifest["spec"]["updateStrategy"]["rollingUpdate"]["partition"] == 0


def test_topology_and_subgroups_1_3() -> None:
    """Topology annotations come from the live set, subgroup ones from the spec of the template."""
    annotations = {labels.EXCLUSIVE_TOPOLOGY: "rack", labels.SUBGROUP_EXCLUSIVE_TOPOLOGY: "host"}
    lws = making.lws(size=4, metadata={"annotations": annotations}, section=POLICY)
    wanted = {
        labels.EXCLUSIVE_TOPOLOGY: "rack",
        labels.SUBGROUP_EXCLUSIVE_TOPOLOGY: "host",
        labels.SUBGROUP_SIZE: "2",
        labels.SUBGROUP_POLICY_TYPE: "LeaderWorker",
        labels.SIZE: "4",
    }
    assert leader(lws)["spec"]["template"]["metadata"]["annotations"] == wanted
    of_leader = {labels.LEADER_NAME: "sample-1", labels.LEADER_ADDRESS: "sample-1.sample.default"}
    assert worker(lws)["spec"]["template"]["metadata"]["annotations"] == {**wanted, **of_leader}


def test_subgroup_topology_needs_a_policy_1_3() -> None:
    """Without a subgroup policy its topology annotation does not reach the templates; an empty one never does."""
    bare = making.lws(metadata={"annotations": {labels.SUBGROUP_EXCLUSIVE_TOPOLOGY: "host"}})
    assert leader(bare)["spec"]["template"]["metadata"]["annotations"] == {labels.SIZE: "2"}
    empty = making.lws(metadata={"annotations": {labels.EXCLUSIVE_TOPOLOGY: ""}})
    assert leader(empty)["spec"]["template"]["metadata"]["annotations"] == {labels.SIZE: "2"}


def test_unique_subdomains_5_6() -> None:
    """Leaders are told of unique subdomains, and workers' sets name the leader's Service."""
    lws = making.lws(networkConfig={"subdomainPolicy": "UniquePerReplica"})
    annotations = leader(lws)["spec"]["template"]["metadata"]["annotations"]
    assert annotations[labels.SUBDOMAIN_POLICY] == "UniquePerReplica"
    assert leader(lws)["spec"]["serviceName"] == "sample"
    unique = {labels.SUBDOMAIN_POLICY: "UniquePerReplica"}
    assert worker(lws, annotations=unique)["spec"]["serviceName"] == "sample-1"


def test_tpus_of_the_leader_1_3() -> None:
    """Workers learn whether their actual leader requests TPUs."""
    found = worker(making.lws(), tpus=True)["spec"]["template"]["metadata"]["annotations"]
    assert found[labels.LEADER_REQUESTS_TPUS] == "true"


def test_claims_5_3() -> None:
    """Of a claim only the named members are sent; unset retention members are sent empty."""
    lws = making.lws(
        section={
            "volumeClaimTemplates": [CLAIM],
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
        }
    )
    for body in (leader(lws), worker(lws)):
        assert body["spec"]["volumeClaimTemplates"] == [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "data", "namespace": "default"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "fast",
                    "volumeMode": "Block",
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }
        ]
        assert body["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Delete", "whenScaled": ""}


def test_template_is_sent_in_normal_form_1_5() -> None:
    """What typed clients drop is dropped: nulls, empty lists, explicit zeros that mean nothing."""
    loose = {
        "metadata": {"creationTimestamp": None},
        "spec": {
            "hostNetwork": False,
            "volumes": [],
            "containers": [{"name": "main", "image": "a", "ports": [{"containerPort": 80}], "env": None}],
        },
    }
    spec = leader(making.lws(section={"workerTemplate": loose}))["spec"]["template"]["spec"]
    assert spec == {
        "containers": [
            {"name": "main", "image": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {}}
        ]
    }


def test_rebuilt_group_keeps_its_revision_5_6() -> None:
    """In mid-rollout size, template, subgroups, network and claims of an old group come from its own revision."""
    before = making.lws(size=4, section={**POLICY, "volumeClaimTemplates": [CLAIM]})
    after = making.lws(
        size=2,
        image="app:2",
        metadata={"annotations": {"now": "yes"}},
        networkConfig={"subdomainPolicy": "UniquePerReplica"},
    )
    body = worker(after, before)
    template = body["spec"]["template"]
    assert body["spec"]["replicas"] == 3
    assert body["spec"]["serviceName"] == "sample"
    assert template["metadata"]["annotations"][labels.SIZE] == "4"
    assert template["metadata"]["annotations"][labels.SUBGROUP_SIZE] == "2"
    assert template["spec"]["containers"][0]["image"] == "app:1"
    assert "volumeClaimTemplates" in body["spec"]
    assert body["metadata"]["annotations"] == {"now": "yes"}


def test_node_selector_5_6() -> None:
    """Exclusive placement adds to the user's node selector, and its value wins."""
    lws = making.lws(section={"workerTemplate": making.template(nodeSelector={"disk": "ssd", "rack": "r9"})})
    pod = making.leader(1, KEY)
    body = worker_statefulset.manifest(lws, lws, Contents().sections(lws), pod, {"rack": "r1"})
    assert body["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd", "rack": "r1"}


@pytest.mark.parametrize(
    ("change", "applies"),
    [
        ({}, False),
        ({"resource_version": "999"}, False),
        ({"generation": 2}, True),
        ({"uid": "uid-other"}, True),
        ({"labels": {labels.NAME: "sample"}}, True),
        ({"annotations": {}}, True),
        ({"owner_references": ()}, True),
    ],
)
def test_cd_11_unchanged_apply_is_skipped(change: JSON, applies: bool) -> None:
    """At rest nothing is applied; drift of the live object, but not of its status, brings an apply."""
    world = World.at_rest()
    assert not world.plan()
    assert world.statefulset is not None
    meta = {name: change.get(name, getattr(world.statefulset.metadata, name)) for name in change}
    if "owner_references" in change or "uid" in change:
        applied = world.applied
        assert applied is not None
        live = making.leader_set(making.key_of(world.lws), **meta).metadata
        assert leader_statefulset.unchanged(applied, applied.digest, live) is not applies
        return
    world.statefulset = making.leader_set(making.key_of(world.lws), **meta)
    assert (making.applied(world.plan()) is not None) is applies


def test_cd_11_first_pass_after_a_start_looks() -> None:
    """With nothing remembered the apply is planned, and told to look at the live object first."""
    world = World.at_rest()
    world.applied = None
    apply = making.applied(world.plan())
    assert apply is not None
    assert (apply.look_first, apply.expected) == (True, (making.STATEFULSET_UID, 1))


def test_cd_11_digest_does_not_depend_on_order() -> None:
    """Two manifests that are equal have one digest; a change gives another."""
    assert leader_statefulset.digest({"a": 1, "b": {"c": 2, "d": 3}}) == leader_statefulset.digest(
        {"b": {"d": 3, "c": 2}, "a": 1}
    )
    assert leader_statefulset.digest({"a": 1}) != leader_statefulset.digest({"a": 2})


def test_applied_memory_is_of_one_object() -> None:
    """Memory of an apply names the object by UID."""
    one = Applied.left("d", making.leader_set("k").metadata)
    assert one != Applied.left("d", making.leader_set("k", uid="uid-other").metadata)


def test_cd_28_names_that_are_taken() -> None:
    """Waiting is for pods that end or whose owner is gone; a living foreign pod blocks its own name, and no other."""
    leader = making.leader(0, KEY, size=7)
    by_hand = making.controller("Pod", "sample-0", "uid-leader-0")
    earlier = making.controller("Pod", "sample-0", "uid-of-an-earlier-leader")
    ending = making.worker(0, 1, KEY, deletion_timestamp=making.STAMP)
    orphan = making.worker(0, 2, KEY, owned=False)
    strange = making.worker(0, 3, KEY, owned=False, labels={labels.NAME: "sample"})
    made_by_hand = making.worker(0, 4, KEY, owner=by_hand)
    left = making.worker(0, 5, KEY, owner=earlier)
    of_former_set = making.worker(0, 6, KEY)
    beyond = making.worker(0, 7, KEY, deletion_timestamp=making.STAMP)
    every = (ending, orphan, strange, made_by_hand, left, of_former_set, beyond)
    taken = worker_statefulset.names_taken({each.metadata.name: each for each in every}, leader, 7)
    assert taken.ending == (ending, left, of_former_set)
    assert taken.foreign == (strange, made_by_hand)
