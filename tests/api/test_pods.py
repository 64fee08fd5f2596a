"""Admission of pods: spec 4.1 to 4.3, 4.5, and what holds for all of it."""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws.api.leaderworkerset import labels as keys
from lws.api.leaderworkerset.pods import MalformedPodError, mutate_pod
from lws.apimachinery.manifests import JSON
from lws.errors import AdmissionError
from tests.api.podmaking import container, labels_of, leader, pod, worker

UNIQUE = {keys.SUBDOMAIN_POLICY: "UniquePerReplica"}


def sha1(text: str) -> str:
    """Lower-case hex SHA-1."""
    return hashlib.sha1(text.encode()).hexdigest()


def refusal(manifest: JSON, *, gang: Collection[str] = ()) -> str:
    """The text with which a pod is refused."""
    with pytest.raises(AdmissionError) as caught:
        mutate_pod(manifest, gang=gang)
    return str(caught.value)


def answer(manifest: JSON, *, gang: Collection[str]) -> str:
    """The admitted pod, or the text of its refusal, as text."""
    try:
        return str(mutate_pod(manifest, gang=gang))
    except AdmissionError as error:
        return str(error)


def without(manifest: JSON, kind: str, key: str) -> JSON:
    """A copy without one label or annotation."""
    made = copy.deepcopy(manifest)
    del made["metadata"][kind][key]
    return made


def test_4_pod_of_another_kind_is_unchanged() -> None:
    """A pod without the set's label passes as it is, whatever else it carries."""
    other = without(leader(annotations={keys.EXCLUSIVE_TOPOLOGY: "rack"}), "labels", keys.NAME)
    assert mutate_pod(other, gang=("volcano",)) == other


def test_4_1_missing_size() -> None:
    """A pod without size annotation is refused."""
    expected = "size annotation is unexpectedly missing for pod m-0"
    assert refusal(without(leader(), "annotations", keys.SIZE)) == expected
    assert refusal({**leader(), "metadata": {"name": "m-0", "labels": {keys.NAME: "m"}}}) == expected


@pytest.mark.parametrize("text", ["", "four", "4.0", "1_0", "１", "10\n", " 4", "0x4", "--4", "+"])
def test_4_1_size_is_no_integer(text: str) -> None:
    """A size that is no plain decimal integer is refused in Go's words."""
    escaped = text.replace("\n", "\\n")
    assert refusal(leader(size=text)) == f'strconv.Atoi: parsing "{escaped}": invalid syntax'


def test_4_1_size_beyond_64_bits() -> None:
    """A size beyond 64 bits is refused without being converted."""
    digits = "9" * 100_000
    assert refusal(leader(size=digits)) == f'strconv.Atoi: parsing "{digits}": value out of range'


@pytest.mark.parametrize("name", ["m", "m-", "m-a", "m-2147483648", "m-0.x"])
@pytest.mark.parametrize("make", [leader, worker])
def test_4_1_name_without_ordinal(name: str, make: Any) -> None:
    """A leader or worker whose name gives no ordinal is refused."""
    assert refusal(make(name)) == f"parsing pod ordinal for pod {name}"


def test_4_1_greatest_ordinal() -> None:
    """2147483647 is still an ordinal."""
    assert labels_of(mutate_pod(leader("m-2147483647"), gang=()))["group-index"] == "2147483647"


@pytest.mark.parametrize(("label", "is_leader"), [("0", True), ("00", False), ("", False), ("1", False), (None, False)])
def test_4_1_leader_is_told_by_its_label(label: str | None, is_leader: bool) -> None:
    """Only a worker-index of exactly 0 makes a leader."""
    labels = {keys.GROUP_INDEX: "7"} | ({} if label is None else {keys.WORKER_INDEX: label})
    found = labels_of(mutate_pod(pod("m-0-3", labels=labels), gang=()))
    assert found["worker-index"] == ("0" if is_leader else "3")
    assert ("group-key" in found) is is_leader


def test_4_2_leader_identity() -> None:
    """A leader gets its group's index and key from its name and namespace."""
    found = labels_of(mutate_pod(leader("my-lws-0", lws="my-lws"), gang=()))
    assert found == {
        "name": "my-lws",
        "template-revision-hash": "k",
        "worker-index": "0",
        "group-index": "0",
        "group-key": "85c75a5bcf357a993c958ca839ff3faf70ec6b0b",
    }


def test_4_2_labels_that_are_there_stay() -> None:
    """A group index or key that is there already is not written again, not even when the name has no ordinal."""
    found = labels_of(mutate_pod(leader("odd", labels={keys.GROUP_INDEX: "9", keys.GROUP_KEY: "own"}), gang=()))
    assert (found["group-index"], found["group-key"]) == ("9", "own")


def test_4_2_2_unique_subdomain() -> None:
    """Under UniquePerReplica a leader's subdomain is its own name; under any other value it stays."""
    assert mutate_pod(leader("m-3", annotations=UNIQUE), gang=())["spec"]["subdomain"] == "m-3"
    shared = leader("m-3", annotations={keys.SUBDOMAIN_POLICY: "Shared"})
    assert mutate_pod(shared, gang=())["spec"]["subdomain"] == "m"


def test_4_2_5_leader_in_subgroup_0() -> None:
    """A leader belongs to subgroup 0, whose key has no namespace in it."""
    found = labels_of(mutate_pod(leader("my-lws-0", lws="my-lws", annotations={keys.SUBGROUP_SIZE: "2"}), gang=()))
    assert found["subgroup-index"] == "0"
    assert found["subgroup-key"] == "5deee8c4a097c2901d4bc8feeb358a6e7ef32eac"


@pytest.mark.parametrize(
    ("annotations", "labels"),
    [
        ({}, {}),
        ({keys.SUBGROUP_SIZE: "2", keys.SUBGROUP_POLICY_TYPE: "LeaderExcluded"}, {}),
        ({keys.SUBGROUP_SIZE: "2"}, {keys.SUBGROUP_INDEX: "5"}),
    ],
)
def test_4_2_5_leader_in_no_subgroup(annotations: JSON, labels: JSON) -> None:
    """A leader gets no subgroup without a size, when excluded, or when it has one."""
    found = labels_of(mutate_pod(leader(annotations=annotations, labels=labels), gang=()))
    assert "subgroup-key" not in found
    assert found.get("subgroup-index") == labels.get(keys.SUBGROUP_INDEX)


def test_4_3_1_worker_index_is_overwritten() -> None:
    """A worker's index is the ordinal of its name, whatever its label said."""
    found = labels_of(mutate_pod(worker("m-0-2", labels={keys.WORKER_INDEX: "9"}), gang=()))
    assert found["worker-index"] == "2"


@pytest.mark.parametrize(
    ("size", "subgroup_size", "expected"),
    [
        (8, 4, "0 0 0 1 1 1 1"),
        (9, 4, "0 0 0 0 1 1 1 1"),
        (5, 2, "0 0 1 1"),
        (6, 3, "0 0 1 1 1"),
        (3, 1, "1 2"),
    ],
)
@pytest.mark.parametrize("policy", ["LeaderWorker", "LeaderExcluded"])
def test_4_3_2_worked_examples(size: int, subgroup_size: int, expected: str, policy: str) -> None:
    """Each row of the table of spec 4.3, under either policy type."""
    marks = {keys.SUBGROUP_SIZE: str(subgroup_size), keys.SUBGROUP_POLICY_TYPE: policy}
    for ordinal, index in enumerate(expected.split(), start=1):
        found = labels_of(mutate_pod(worker(f"m-0-{ordinal}", size=size, annotations=marks), gang=()))
        assert (ordinal, found["subgroup-index"]) == (ordinal, index)
        assert found["subgroup-key"] == sha1(f"m-0/{index}")


def test_4_3_sha1_example() -> None:
    """The key of a worker's subgroup is made of the leader's name and the index."""
    marks = {keys.SUBGROUP_SIZE: "2"}
    found = labels_of(mutate_pod(worker("my-lws-0-2", size=4, annotations=marks), gang=()))
    assert found["subgroup-key"] == "342acf7ff6f85b42bb1b926ba95b46e5f1d93839"


def test_4_3_2_a_subgroup_that_is_there_stays() -> None:
    """A worker that already has a subgroup keeps it and gets no key."""
    marks = {keys.SUBGROUP_SIZE: "2"}
    found = labels_of(mutate_pod(worker("m-0-1", annotations=marks, labels={keys.SUBGROUP_INDEX: "7"}), gang=()))
    assert found["subgroup-index"] == "7"
    assert "subgroup-key" not in found


def test_4_3_subgroup_size_is_no_integer() -> None:
    """A subgroup size that is no integer, or not positive, refuses a worker instead of crashing."""
    assert refusal(worker("m-0-1", annotations={keys.SUBGROUP_SIZE: "x"})) == (
        'strconv.Atoi: parsing "x": invalid syntax'
    )
    for size in ("0", "-3"):
        assert refusal(worker("m-0-1", annotations={keys.SUBGROUP_SIZE: size})) == (
            "subgroup size must be at least 1 for pod m-0-1"
        )


def test_4_3_ordinal_0_gives_a_valid_label() -> None:
    """A worker with ordinal 0 lands in subgroup 0 under either branch of the formula."""
    for size in (8, 9):
        found = labels_of(mutate_pod(worker("m-0-0", size=size, annotations={keys.SUBGROUP_SIZE: "4"}), gang=()))
        assert found["subgroup-index"] == "0"


@given(size=st.integers(1, 64), subgroup_size=st.integers(1, 64), data=st.data())
def test_4_3_2_formula(size: int, subgroup_size: int, data: st.DataObject) -> None:
    """The index follows the formula of spec 4.3 for every size, subgroup size and ordinal."""
    ordinal = data.draw(st.integers(1, 200))
    extra = (size - 1) % subgroup_size == 0 and size % subgroup_size != 0
    expected = (ordinal - 1) // subgroup_size if extra else ordinal // subgroup_size
    manifest = worker(f"m-0-{ordinal}", size=size, annotations={keys.SUBGROUP_SIZE: str(subgroup_size)})
    assert labels_of(mutate_pod(manifest, gang=()))["subgroup-index"] == str(expected)


def mark_of(manifest: JSON, *schedulers: str) -> str | None:
    """The PodGroup that an admitted pod names, where these schedulers start gangs."""
    found: str | None = mutate_pod(manifest, gang=schedulers)["metadata"]["annotations"].get(keys.POD_GROUP_NAME)
    return found


def test_4_5_a_leader_of_the_gang_scheduler_names_its_pod_group() -> None:
    """A leader is marked if it names one of the gang schedulers, whichever, and gang scheduling is on."""
    assert mark_of(leader("m-2", schedulerName="volcano"), "volcano") == "m-2-k"
    assert mark_of(leader("m-2", schedulerName="vc2"), "volcano", "vc2") == "m-2-k"
    assert mark_of(leader("m-2", schedulerName="volcano")) is None


@pytest.mark.parametrize("scheduler", [{}, {"schedulerName": None}, {"schedulerName": "default-scheduler"}])
def test_g3_pods_of_other_schedulers_are_not_marked(scheduler: JSON) -> None:
    """A leader that Volcano does not place is no member of a gang, so nothing holds the queue for it (CD-31)."""
    assert mark_of(leader("m-2", **scheduler), "volcano") is None


def test_g2_a_worker_is_marked_by_its_template_alone() -> None:
    """A worker of a leader from before gang scheduling is not marked for a PodGroup that nobody makes (CD-33)."""
    assert mark_of(worker("m-2-1", schedulerName="volcano"), "volcano") is None
    marked = worker("m-2-1", schedulerName="volcano", annotations={keys.POD_GROUP_NAME: "m-2-k"})
    assert mark_of(marked, "volcano") == "m-2-k"


@pytest.mark.parametrize("make", [leader, worker])
def test_g2_a_mark_of_somebody_else_is_left_alone(make: Any) -> None:
    """A pod that names another PodGroup keeps it, with gang scheduling and without (CD-33)."""
    name = "m-2" if make is leader else "m-2-1"
    manifest = make(name, schedulerName="volcano", annotations={keys.POD_GROUP_NAME: "podgroup-8a1"})
    assert mark_of(manifest, "volcano") == mark_of(manifest) == "podgroup-8a1"


def full(make: Any, name: str) -> JSON:
    """A pod that meets every rule of section 4 at once."""
    marks = {
        keys.EXCLUSIVE_TOPOLOGY: "rack",
        keys.SUBGROUP_EXCLUSIVE_TOPOLOGY: "slice",
        keys.SUBGROUP_SIZE: "2",
        keys.LEADER_REQUESTS_TPUS: "true",
        **UNIQUE,
    }
    made: JSON = make(name, annotations=marks, containers=[container(tpus=4)], init=[container("i", env=[])])
    return made


@pytest.mark.parametrize("manifest", [full(leader, "m-0"), full(worker, "m-0-2"), leader(), worker("m-0-1")])
def test_input_is_never_altered(manifest: JSON) -> None:
    """The manifest under review is the same after as before."""
    before = copy.deepcopy(manifest)
    assert mutate_pod(manifest, gang=("volcano",)) != before
    assert manifest == before


@pytest.mark.parametrize("manifest", [full(leader, "m-0"), full(worker, "m-0-2"), leader(), worker("m-0-1")])
def test_once_is_enough(manifest: JSON) -> None:
    """Asked again (reinvocation), admission changes nothing more."""
    once = mutate_pod(manifest, gang=("volcano",))
    assert mutate_pod(once, gang=("volcano",)) == once


def test_untouched_members_are_shared() -> None:
    """What section 4 does not name is passed on as it is."""
    manifest = leader(volumes=[{"name": "v"}], containers=[container()])
    manifest["status"] = {"phase": "Pending"}
    mutated = mutate_pod(manifest, gang=())
    assert mutated["spec"]["volumes"] is manifest["spec"]["volumes"]
    assert mutated["status"] is manifest["status"]


OBJECTS = ["metadata", "metadata.labels", "metadata.annotations", "spec", "spec.affinity", "spec.affinity.podAffinity"]
TEXTS = ["metadata.name", "spec.subdomain", "metadata.labels.any", "metadata.annotations.any"]
LISTS = [
    "spec.containers",
    "spec.initContainers",
    "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution",
]


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path in OBJECTS for value in (7, True, [1], "text")]
    + [(path, value) for path in TEXTS for value in (7, True, [1], {"a": "b"})]
    + [(path, value) for path in LISTS for value in (7, True, "text", {"a": "b"}, [3])],
)
def test_wrong_types_are_refused(path: str, value: Any) -> None:
    """A member of another type than the API's is refused with its place, never a crash."""
    manifest: JSON = leader()
    *parents, last = path.split(".")
    target = manifest
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value
    with pytest.raises(MalformedPodError, match=r"no pod: Expected .* at `\$"):
        mutate_pod(manifest, gang=("volcano",))


def test_random_garbage_is_refused_or_passed() -> None:
    """5,000 random JSON values in random places give a pod or a refusal with a text, never another exception."""
    chance = random.Random(4)
    values: list[Any] = [None, True, 0, -1, 1.5, "", "x", "0", [], {}, [None], {"": None}, [[]], {"name": 1}]
    spots: list[list[Any]] = [
        ["metadata"],
        ["metadata", "labels", keys.SUBGROUP_INDEX],
        ["metadata", "labels", keys.GROUP_INDEX],
        ["metadata", "annotations"],
        ["metadata", "annotations", keys.SUBGROUP_SIZE],
        ["spec", "containers", 0],
        ["spec", "containers", 0, "env"],
        ["spec", "containers", 0, "resources"],
        ["spec", "containers", 0, "resources", "limits"],
        ["spec", "affinity"],
        ["spec", "initContainers"],
    ]
    texts: list[str] = []
    for _ in range(5_000):
        manifest: Any = full(chance.choice([leader, worker]), "m-0-1")
        spot = chance.choice(spots)
        target = manifest
        for step in spot[:-1]:
            target = target[step]
        target[spot[-1]] = chance.choice(values)
        texts.append(answer(manifest, gang=chance.choice([(), ("volcano",)])))
    assert all(texts)


def test_no_pod_at_all() -> None:
    """Something that is no object is refused as no pod."""
    values: list[Any] = [None, [], "pod", 3]
    for value in values:
        with pytest.raises(MalformedPodError):
            mutate_pod(value, gang=())
