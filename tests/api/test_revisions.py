"""What revisions hold, their keys, and the way back (spec 6)."""

from __future__ import annotations

import json

import pytest

from lws.api.leaderworkerset import revisions
from lws.apimachinery.manifests import JSON
from tests.api.lwsmaking import lws, pod_template

SAMPLE: JSON = {
    "metadata": {"name": "leaderworkerset-sample"},
    "template": {
        "size": 4,
        "workerTemplate": {
            "spec": {
                "containers": [
                    {
                        "name": "nginx",
                        "image": "nginxinc/nginx-unprivileged:1.27",
                        "resources": {"limits": {"cpu": "100m"}, "requests": {"cpu": "50m"}},
                        "ports": [{"containerPort": 8080}],
                    }
                ]
            }
        },
    },
}
SAMPLE_DATA = (
    b'{"spec":{"leaderWorkerTemplate":{"$patch":"replace","restartPolicy":"RecreateGroupOnPodRestart","size":4,'
    b'"workerTemplate":{"metadata":{},"spec":{"containers":[{"image":"nginxinc/nginx-unprivileged:1.27","name":"nginx",'
    b'"ports":[{"containerPort":8080,"protocol":"TCP"}],"resources":{"limits":{"cpu":"100m"},"requests":{"cpu":"50m"}}}'
    b']}}},"networkConfig":{"$patch":"replace","subdomainPolicy":"Shared"}}}'
)


def test_spec_6_6_worked_example() -> None:
    """The sample of spec 6.6 gives its 401 bytes, its hash, its key and its name."""
    data = revisions.revision_data(lws(**SAMPLE))
    assert data == SAMPLE_DATA
    assert len(data) == 401
    assert revisions.fnv1(data) == 2415740825 == 0x8FFD4799
    assert revisions.revision_key(data) == "6859c84d69"
    assert revisions.revision_name("leaderworkerset-sample", data, 1) == "leaderworkerset-sample-6859c84d69-1"


def test_spec_6_6_another_size() -> None:
    """With size 5 the sample has the other key of spec 6.6."""
    data = revisions.revision_data(lws(**{**SAMPLE, "template": {**SAMPLE["template"], "size": 5}}))
    assert revisions.fnv1(data) == 169250686
    assert revisions.revision_key(data) == "5bf694bdb"


@pytest.mark.parametrize(("text", "value"), [(b"", 0x811C9DC5), (b"a", 0x050C5D7E), (b"foobar", 0x31F0B262)])
def test_spec_6_6_fnv1_vectors(text: bytes, value: int) -> None:
    """FNV-1 multiplies first."""
    assert revisions.fnv1(text) == value


def test_spec_6_6_long_names_are_cut_at_220_bytes() -> None:
    """The set's name is cut so that hash and number fit."""
    name = revisions.revision_name("a" * 300, SAMPLE_DATA, 12)
    assert name == "a" * 220 + "-6859c84d69-12"


def test_spec_6_2_bytes_are_escaped_as_go_escapes_them() -> None:
    """HTML characters and line separators are escaped, other characters are UTF-8."""
    container = {"name": "main", "args": ["<a> & b", "\u2028\u2029", "é"]}
    data = revisions.revision_data(lws(template={"workerTemplate": {"spec": {"containers": [container]}}}))
    assert rb'"args":["\u003ca\u003e \u0026 b","\u2028\u2029","' in data
    assert "é".encode() in data
    assert (
        json.loads(data)["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]["args"]
        == (container["args"])
    )


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 7},
        {"startupPolicy": "LeaderReady"},
        {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}},
        {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": {"partition": 3}}},
        {"networkConfig": None},
    ],
)
def test_spec_6_2_what_is_not_stored(change: JSON) -> None:
    """Replicas, rollout strategy, startup policy and metadata are no part of a revision; absent network is Shared."""
    assert revisions.revision_data(lws(**change)) == revisions.revision_data(lws())


@pytest.mark.parametrize(
    "change",
    [
        {"template": {"size": 3}},
        {"template": {"restartPolicy": "None"}},
        {"template": {"leaderTemplate": pod_template()}},
        {"template": {"workerTemplate": pod_template(hostname="x")}},
        {"template": {"subGroupPolicy": {"subGroupSize": 1}}},
        {"template": {"volumeClaimTemplates": [{"metadata": {"name": "c"}}]}},
        {"template": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}},
        {"networkConfig": {"subdomainPolicy": "UniquePerReplica"}},
    ],
)
def test_spec_6_2_what_is_stored(change: JSON) -> None:
    """Everything under the template section and the network configuration makes another revision."""
    data = revisions.revision_data(lws())
    assert revisions.revision_data(lws(**change)) != data
    assert not revisions.same_content(lws(**change), data)


def test_spec_6_3_bytes_of_older_writers_are_the_same_content() -> None:
    """Explicit nulls, empty members, written defaults and other orders in stored data are no update."""
    stored = json.loads(revisions.revision_data(lws()))
    worker = stored["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    worker["metadata"] = {"creationTimestamp": None}
    worker["spec"]["containers"][0]["env"] = []
    worker["spec"]["hostNetwork"] = False
    worker["spec"]["nodeSelector"] = None
    stored["spec"]["networkConfig"] = None
    assert revisions.same_content(lws(), stored)
    assert revisions.same_content(lws(), json.dumps(stored, indent=1))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"spec":[]}', b'{"spec":{"networkConfig":7}}', {}])
def test_spec_6_3_data_that_does_not_read_is_an_update(data: bytes | JSON) -> None:
    """Data without a spec can equal nothing, and does not raise."""
    assert not revisions.same_content(lws(), data)


def test_spec_6_4_restoring_puts_the_sections_back() -> None:
    """The revision spec has the stored sections and everything else of the live object."""
    old = lws(template={"size": 4, "workerTemplate": pod_template(hostname="old")}, replicas=2)
    live = lws(
        template={"size": 2},
        replicas=9,
        startupPolicy="LeaderReady",
        networkConfig={"subdomainPolicy": "UniquePerReplica"},
        metadata={"annotations": {"a": "b"}},
    )
    restored = revisions.restore(live, revisions.revision_data(old))
    assert restored.spec.leader_worker_template.size == 4
    assert restored.spec.leader_worker_template.worker_template["spec"]["hostname"] == "old"
    assert restored.spec.network_config.subdomain_policy == "Shared"
    assert (restored.spec.replicas, restored.spec.startup_policy) == (9, "LeaderReady")
    assert restored.metadata == live.metadata
    assert restored.status == live.status
    assert revisions.revision_data(restored) == revisions.revision_data(old)
    assert "$patch" not in restored.raw_spec["leaderWorkerTemplate"]


def test_spec_6_4_a_missing_section_stays_live() -> None:
    """What the data does not have is taken from the live object."""
    live = lws(template={"size": 3}, networkConfig={"subdomainPolicy": "UniquePerReplica"})
    restored = revisions.restore(
        live, {"spec": {"leaderWorkerTemplate": {"size": 5, "workerTemplate": pod_template()}}}
    )
    assert restored.spec.leader_worker_template.size == 5
    assert restored.spec.network_config.subdomain_policy == "UniquePerReplica"


def test_restoring_does_not_touch_its_arguments() -> None:
    """Cached objects and stored data stay as they are."""
    live, data = lws(), json.loads(SAMPLE_DATA)
    before = json.dumps(live.raw_spec), json.dumps(data)
    revisions.restore(live, data)
    assert (json.dumps(live.raw_spec), json.dumps(data)) == before
