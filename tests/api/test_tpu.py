"""Variables of TPU processes: spec 4.6."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from lws.api.leaderworkerset import labels as keys
from lws.api.leaderworkerset.pods import mutate_pod
from lws.api.leaderworkerset.tpu import requests_tpus
from lws.apimachinery.manifests import JSON
from lws.errors import AdmissionError
from tests.api.podmaking import container, env_of, leader, worker

A = {keys.LEADER_REQUESTS_TPUS: "true"}
TWO = [container("a", tpus=4), container("b", tpus=4)]


def port(value: str) -> list[JSON]:
    """An environment that sets the process port."""
    return [{"name": "TPU_PROCESS_PORT", "value": value}]


@dataclass
class Case:
    """A row of the worked examples: the pod, and what its TPU containers are told."""

    about: str
    pod: JSON
    ids: list[str]
    hosts: str
    addresses: str | None = None
    ports: list[str | None] = field(default_factory=lambda: ["8476"])


def l(**rest: Any) -> JSON:  # noqa: E743 -- the table's own letter
    """The leader of group 0, with TPUs unless containers are given."""
    return leader("m-0", **{"containers": [container(tpus=4)], **rest})


def w(ordinal: int, **rest: Any) -> JSON:
    """A worker of group 0, with TPUs unless containers are given."""
    return worker(f"m-0-{ordinal}", **{"containers": [container(tpus=4)], **rest})


def subgroup(size: int, marks: JSON | None = None, policy: str = "LeaderWorker") -> JSON:
    """Annotations of a subgrouped pod."""
    return {keys.SUBGROUP_SIZE: str(size), keys.SUBGROUP_POLICY_TYPE: policy, **(marks or {})}


def rows() -> list[Case]:
    """The table of spec 4.6, row by row, ranges spelled out."""
    address_a = "m-0.m:8476,m-0-1.m:8476,m-0-2.m:8476,m-0-3.m:8476"
    two_a = "m-0.m:8476,m-0.m:8477,m-0-1.m:8476,m-0-1.m:8477"
    two_ports: list[str | None] = ["8476", "8477"]
    cases = [
        Case("n=4 leader requests, leader", l(), ["0"], "L,1,2,3", address_a),
        Case("n=4 A, worker 2", w(2, annotations=A), ["2"], "L,1,2,3", address_a),
        Case("n=4 leader does not, worker 2", w(2), ["1"], "1,2,3"),
        Case("n=1 leader", l(size=1), ["0"], "L"),
        Case("n=2 two containers A, leader", l(size=2, annotations=A, containers=TWO), ["0", "1"], "L,L,1,1", two_a,
             two_ports),
        Case("n=2 two containers A, worker 1", w(1, size=2, annotations=A, containers=TWO), ["2", "3"], "L,L,1,1",
             two_a, two_ports),
        Case("n=3 two containers not A, worker 1", w(1, size=3, containers=TWO), ["0", "1"], "1,1,2,2",
             ports=two_ports),
        Case("n=3 two containers not A, worker 2", w(2, size=3, containers=TWO), ["2", "3"], "1,1,2,2",
             ports=two_ports),
        Case("n=2 port 9000 A, worker 1",
             w(1, size=2, annotations=A, containers=[container("a", env=port("9000"), tpus=4), TWO[1]]), ["2", "3"],
             "L,L,1,1", "m-0.m:9000,m-0.m:8477,m-0-1.m:9000,m-0-1.m:8477", ["9000", "8477"]),
        Case("n=8 s=4 A, leader", l(size=8, annotations=subgroup(4, A)), ["0"], "L,1,2,3"),
        Case("n=3 s=1 A, leader", l(size=3, annotations=subgroup(1, A)), ["0"], "L"),
        Case("n=8 s=4 not A, worker 4", w(4, size=8, annotations=subgroup(4)), ["3"], "1,2,3,4"),
        Case("n=5 s=2 A, worker 2", w(2, size=5, annotations=subgroup(2, A)), ["0"], "L,1"),
    ]  # fmt: skip
    cases += [
        Case(f"n=8 s=4 A, worker {o}", w(o, size=8, annotations=subgroup(4, A)), [str(o)], "L,1,2,3") for o in (1, 2, 3)
    ]
    cases += [
        Case(f"n=8 s=4 A, worker {o}", w(o, size=8, annotations=subgroup(4, A)), [str(o - 4)], "4,5,6,7")
        for o in (4, 5, 6, 7)
    ]
    cases += [
        Case(f"n=9 s=4 not A, worker {o}", w(o, size=9, annotations=subgroup(4)), [str((o - 1) % 4)], hosts)
        for o, hosts in [(o, "1,2,3,4" if o < 5 else "5,6,7,8") for o in range(1, 9)]
    ]
    cases += [
        Case(
            f"n=5 s=2 excluded, worker {o}", w(o, size=5, annotations=subgroup(2, policy="LeaderExcluded")), [i], hosts
        )
        for o, i, hosts in [(1, "0", "1,2"), (2, "1", "1,2"), (3, "0", "3,4"), (4, "1", "3,4")]
    ]
    cases += [Case(f"n=3 s=1 A, worker {o}", w(o, size=3, annotations=subgroup(1, A)), ["0"], str(o)) for o in (1, 2)]
    cases += [Case(f"n=3 s=1 not A, worker {o}", w(o, size=3, annotations=subgroup(1)), ["0"], str(o)) for o in (1, 2)]
    return cases


def spelled(hosts: str) -> list[str]:
    """The table's abbreviations as host names."""
    return ["m-0.m" if host == "L" else f"m-0-{host}.m" for host in hosts.split(",")]


@pytest.mark.parametrize("case", rows(), ids=lambda case: case.about)
def test_4_6_worked_examples(case: Case) -> None:
    """Each row of the table of 4.6."""
    mutated = mutate_pod(case.pod, gang=())
    for index, worker_id in enumerate(case.ids):
        env = env_of(mutated, index)
        assert env["TPU_WORKER_ID"] == worker_id
        assert env["TPU_WORKER_HOSTNAMES"].split(",") == spelled(case.hosts)
        assert env["TPU_NAME"] == "m-0"
        assert env.get("TPU_PROCESS_PORT") == case.ports[index]
        expected = case.addresses or ",".join(
            f"{host}:{8476 + place % len(case.ids)}" for place, host in enumerate(spelled(case.hosts))
        )
        assert env["TPU_PROCESS_ADDRESSES"] == expected


def test_4_6_labels_of_s_1_without_leader() -> None:
    """n=3, s=1, leader does not request: the labels are 1 and 2 although hosts are counted anew."""
    for ordinal in (1, 2):
        mutated = mutate_pod(w(ordinal, size=3, annotations=subgroup(1)), gang=())
        assert mutated["metadata"]["labels"][keys.SUBGROUP_INDEX] == str(ordinal)


def test_4_6_unique_subdomain() -> None:
    """n=3, UniquePerReplica, group 1: the leader's own name is the subdomain."""
    manifest = leader(
        "m-1", size=3, annotations={keys.SUBDOMAIN_POLICY: "UniquePerReplica"}, containers=[container(tpus=4)]
    )
    env = env_of(mutate_pod(manifest, gang=()))
    assert env["TPU_WORKER_HOSTNAMES"] == "m-1.m-1,m-1-1.m-1,m-1-2.m-1"
    assert (env["TPU_WORKER_ID"], env["TPU_NAME"]) == ("0", "m-1")


@pytest.mark.parametrize(
    ("limits", "requests", "uses"),
    [
        (None, None, False),
        ({}, {}, False),
        ({"cpu": "1"}, None, False),
        ({"google.com/tpu": "4"}, None, True),
        ({"google.com/tpu": 4}, None, True),
        ({"google.com/tpu": "0"}, {"google.com/tpu": "4"}, True),
        ({"google.com/tpu": 0}, {"google.com/tpu": "0"}, False),
        (None, {"google.com/tpu": "1k"}, True),
        ({"google.com/tpu": "100m"}, None, True),
        ({"google.com/tpu": "0.0"}, None, False),
        ({"google.com/tpu": None}, None, False),
    ],
)
def test_4_6_request_test(limits: JSON | None, requests: JSON | None, uses: bool) -> None:
    """A container uses TPUs if its limit, else its request, is not zero."""
    assert requests_tpus(limits, requests) is uses


def test_4_6_malformed_quantity() -> None:
    """A quantity that is none refuses the pod."""
    with pytest.raises(AdmissionError, match=r"quantity of google\.com/tpu"):
        mutate_pod(l(containers=[container(tpus="many")]), gang=())


@pytest.mark.parametrize("known", ["TPU_WORKER_HOSTNAMES", "TPU_WORKER_ID"])
@pytest.mark.parametrize("marks", [{}, subgroup(2)])
def test_4_6_user_brings_their_own(known: str, marks: JSON) -> None:
    """If the first TPU container already names hosts or an id, nothing is injected anywhere."""
    env: list[JSON] = [{"name": known, "valueFrom": {}}]
    mutated = mutate_pod(l(containers=[container(env=env, tpus=4), TWO[1]], annotations=marks), gang=())
    assert [name for index in (0, 1) for name in env_of(mutated, index) if name.startswith("TPU")] == [known]


def test_4_6_only_tpu_containers() -> None:
    """Containers without TPUs get nothing; regular containers are numbered before init containers."""
    manifest = l(
        size=1, containers=[container(), container("t", tpus=1)], init=[container("i", tpus=1), container("j")]
    )
    mutated = mutate_pod(manifest, gang=())
    assert "TPU_NAME" not in env_of(mutated, 0)
    assert env_of(mutated, 1)["TPU_WORKER_ID"] == "0"
    assert env_of(mutated, 0, "initContainers")["TPU_WORKER_ID"] == "1"
    assert "TPU_NAME" not in env_of(mutated, 1, "initContainers")
    assert env_of(mutated, 1)["TPU_PROCESS_ADDRESSES"] == "m-0.m:8476,m-0.m:8477"


def test_4_6_subgroup_serves_first_container_only() -> None:
    """With subgroups only the first TPU container is told its peers."""
    mutated = mutate_pod(l(containers=TWO, annotations=subgroup(2)), gang=())
    assert "TPU_NAME" in env_of(mutated, 0)
    assert "TPU_NAME" not in env_of(mutated, 1)


def test_4_6_subgroup_own_port() -> None:
    """A port of one's own is used in the addresses and not set again."""
    mutated = mutate_pod(l(size=4, containers=[container(env=port("9000"), tpus=4)], annotations=subgroup(2)), gang=())
    assert env_of(mutated)["TPU_PROCESS_ADDRESSES"] == "m-0.m:9000,m-0-1.m:9000"
    names = [entry["name"] for entry in mutated["spec"]["containers"][0]["env"]]
    assert names.count("TPU_PROCESS_PORT") == 1


def test_4_6_excluded_leader_with_tpus() -> None:
    """An excluded leader that requests TPUs has no subgroup label and is refused."""
    marks = subgroup(2, policy="LeaderExcluded")
    with pytest.raises(AdmissionError) as caught:
        mutate_pod(l(size=5, annotations=marks), gang=())
    assert str(caught.value) == 'strconv.Atoi: parsing "": invalid syntax'


@pytest.mark.parametrize(("member", "key"), [("annotations", keys.SUBGROUP_SIZE), ("labels", keys.SUBGROUP_INDEX)])
def test_4_6_integers_of_subgroups(member: str, key: str) -> None:
    """Size and index of a subgroup must be integers."""
    given = {"annotations": subgroup(2), "labels": {keys.SUBGROUP_INDEX: "0"}}
    given[member][key] = "1_0"
    with pytest.raises(AdmissionError) as caught:
        mutate_pod(l(**given), gang=())
    assert str(caught.value) == 'strconv.Atoi: parsing "1_0": invalid syntax'


@pytest.mark.parametrize("size", ["0", "-1"])
def test_4_6_subgroup_size_below_1(size: str) -> None:
    """A subgroup size below one refuses the pod instead of dividing by it."""
    with pytest.raises(AdmissionError, match="subgroup size must be at least 1 for pod m-0"):
        mutate_pod(l(annotations={keys.SUBGROUP_SIZE: size}), gang=())


@pytest.mark.parametrize("marks", [{}, subgroup(2)])
def test_4_6_no_parent_name(marks: JSON) -> None:
    """A worker whose name is nothing but an ordinal has no leader."""
    manifest = worker("-3", annotations=marks, containers=[container(tpus=1)])
    with pytest.raises(AdmissionError) as caught:
        mutate_pod(manifest, gang=())
    assert str(caught.value) == "parsing parent name from pod -3"


@pytest.mark.parametrize(
    "marks", [{keys.SIZE: "9000000000000000000"}, {keys.SIZE: "2", keys.SUBGROUP_SIZE: "900000000000000000"}]
)
def test_4_6_more_hosts_than_a_pod_can_hold(marks: JSON) -> None:
    """A size whose host names no API server would store is refused at once, without building them."""
    with pytest.raises(AdmissionError, match="TPU hosts do not fit into pod m-0"):
        mutate_pod(l(annotations=marks), gang=())


def test_4_6_empty_host_list() -> None:
    """n=1, leader without TPUs: a worker of such a group gets an empty list, written without value."""
    mutated = mutate_pod(w(1, size=1), gang=())
    assert {"name": "TPU_WORKER_HOSTNAMES"} in mutated["spec"]["containers"][0]["env"]
