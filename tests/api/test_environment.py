"""The variables of every container of a group: spec 4.7."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.leaderworkerset import labels as keys
from lws.api.leaderworkerset.environment import with_group_variables
from lws.api.leaderworkerset.pods import mutate_pod
from lws.errors import AdmissionError
from tests.api.podmaking import container, env_of, leader, pod, worker

GROUP = ["LWS_LEADER_ADDRESS", "LWS_GROUP_SIZE", "LWS_WORKER_INDEX"]


def names(mutated: dict[str, Any], index: int = 0, member: str = "containers") -> list[str]:
    """Names of a container's variables, in order."""
    return [entry["name"] for entry in mutated["spec"][member][index]["env"]]


def test_4_7_values_of_a_leader() -> None:
    """A leader's variables name itself, the size and index 0."""
    assert env_of(mutate_pod(leader("m-3"), gang=())) == {
        "LWS_LEADER_ADDRESS": "m-3.m.default",
        "LWS_GROUP_SIZE": "4",
        "LWS_WORKER_INDEX": "0",
    }


def test_4_7_values_of_a_worker() -> None:
    """A worker's variables name its leader, the size and its own index."""
    assert env_of(mutate_pod(worker("m-3-2"), gang=())) == {
        "LWS_LEADER_ADDRESS": "m-3.m.default",
        "LWS_GROUP_SIZE": "4",
        "LWS_WORKER_INDEX": "2",
    }


def test_4_7_unique_subdomain() -> None:
    """Under UniquePerReplica the leader's address has its own subdomain."""
    mutated = mutate_pod(leader("m-1", annotations={keys.SUBDOMAIN_POLICY: "UniquePerReplica"}), gang=())
    assert env_of(mutated)["LWS_LEADER_ADDRESS"] == "m-1.m-1.default"


def test_4_7_which_containers() -> None:
    """Containers and init containers get them, ephemeral ones do not."""
    manifest = leader(containers=[container("a"), container("b")], init=[container("i")])
    manifest["spec"]["ephemeralContainers"] = [container("e")]
    spec = mutate_pod(manifest, gang=())["spec"]
    for made in [*spec["containers"], *spec["initContainers"]]:
        assert [entry["name"] for entry in made["env"]] == GROUP
    assert spec["ephemeralContainers"] == [container("e")]


def test_4_7_a_user_entries_are_replaced() -> None:
    """A user's own LWS_WORKER_INDEX by fieldRef is replaced, not doubled."""
    own = {"name": "LWS_WORKER_INDEX", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}
    mutated = mutate_pod(leader(containers=[container(env=[own])]), gang=())
    assert mutated["spec"]["containers"][0]["env"][2] == {"name": "LWS_WORKER_INDEX", "value": "0"}
    assert names(mutated) == GROUP


def test_4_7_b_they_come_first() -> None:
    """A user's entries follow in their order, so that they may refer to ours."""
    env = [{"name": "B", "value": "$(LWS_GROUP_SIZE)"}, {"name": "A"}, {"name": "LWS_GROUP_SIZE", "value": "9"}]
    assert names(mutate_pod(leader(containers=[container(env=env)]), gang=())) == [*GROUP, "B", "A"]


def test_4_7_c_first_duplicate_survives() -> None:
    """Of duplicate user entries the first is kept."""
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    assert env_of(mutate_pod(leader(containers=[container(env=env)]), gang=()))["A"] == "1"


def test_4_7_d_own_tpu_variables_win() -> None:
    """A user's own TPU_NAME and TPU_PROCESS_ADDRESSES beat the injected ones."""
    env = [{"name": "TPU_NAME", "value": "mine"}, {"name": "TPU_PROCESS_ADDRESSES", "value": "here:1"}]
    mutated = mutate_pod(leader(containers=[container(env=env, tpus=4)]), gang=())
    assert env_of(mutated)["TPU_NAME"] == "mine"
    assert env_of(mutated)["TPU_PROCESS_ADDRESSES"] == "here:1"


def test_4_7_final_order() -> None:
    """In a container: our three, the user's, then those of TPUs."""
    mutated = mutate_pod(leader(containers=[container(env=[{"name": "A"}], tpus=4)]), gang=())
    assert names(mutated) == [
        *GROUP,
        "A",
        "TPU_WORKER_HOSTNAMES",
        "TPU_WORKER_ID",
        "TPU_NAME",
        "TPU_PROCESS_ADDRESSES",
        "TPU_PROCESS_PORT",
    ]


@pytest.mark.parametrize(
    ("kind", "key", "what"),
    [
        ("labels", keys.NAME, "name label"),
        ("labels", keys.GROUP_INDEX, "group index label"),
        ("annotations", keys.SIZE, "size annotation"),
        ("labels", keys.WORKER_INDEX, "worker index label"),
    ],
)
@pytest.mark.parametrize(("namespace", "place"), [("default", "default/m-0"), ("", "m-0")])
def test_4_7_errors(kind: str, key: str, what: str, namespace: str, place: str) -> None:
    """What a value comes from must be there, in the words of 4.7."""
    manifest = pod("m-0", labels={keys.GROUP_INDEX: "0", keys.WORKER_INDEX: "0"})
    manifest["metadata"]["namespace"] = namespace
    del manifest["metadata"][kind][key]
    with pytest.raises(AdmissionError) as caught:
        with_group_variables(manifest)
    assert str(caught.value) == f"Failure constructing environment variables, no {what} found for pod {place}"


def test_4_7_worker_without_group_index() -> None:
    """A worker whose template lost its group index is refused as a whole."""
    manifest = worker("m-0-1")
    del manifest["metadata"]["labels"][keys.GROUP_INDEX]
    with pytest.raises(AdmissionError, match="no group index label found for pod default/m-0-1"):
        mutate_pod(manifest, gang=())
