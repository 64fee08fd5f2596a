"""No number that somebody wrote makes a step of a planner or of admission take long (K1).

The event loop is shared by webhook, lease, probes and reconcilers. So every number that a user, a pod or a server can
write is set to its extremes, one at a time and then several at once, and the CPU that one synchronous step takes is
bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.api.leaderworkerset import labels, pods, validation
from lws.api.leaderworkerset.objects import Pod, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.errors import AdmissionError, TerminalError
from lws.planning.leaderworkerset.leader_pod import plan_leader_pod
from lws.planning.leaderworkerset.podgroup import SchedulerProvider
from lws.planning.leaderworkerset.schedulers.volcano import Volcano
from lws.planning.leaderworkerset.sets import plan_leaderworkerset
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from lws.planning.leaderworkerset.worker_pod import plan_worker_pod
from tests.planning import making
from tests.planning.test_members import AVAILABLE, WRITTEN
from tests.planning.world import World

CPU_SECONDS: Final = 0.05
NUMBERS: Final = (0, 1, 7, 20_000_000, 1_000_000_000, 2**31 - 1)
TEXTS: Final = ("", "-1", "0", "7", "20000000", "2147483647", "2147483648", str(2**63 - 1), "9" * 5000, "1" * 200_000)
SPOTS: Final = {
    "replicas": (*NUMBERS[:-2], 1_000_000),
    "size": NUMBERS[1:],
    "partition": NUMBERS,
    "maxUnavailable": (*NUMBERS, "0%", "100%", "9" * 5000 + "%"),
    "maxSurge": (*NUMBERS, "0%", "100%", "9" * 5000 + "%"),
    "statefulset replicas": NUMBERS,
    "statefulset partition": NUMBERS,
    "status replicas": NUMBERS,
    "L/replicas": TEXTS,
    "L/size": TEXTS,
    "L/group-index": TEXTS,
    "L/worker-index": TEXTS,
    "L/subgroup-size": TEXTS,
    "L/subgroup-index": TEXTS,
    "name": TEXTS,
    "worker replicas": NUMBERS,
    "available replicas": NUMBERS,
    "restarts": NUMBERS,
    "quantity": ("1e4000", "9" * 128, "9" * 5000, "1" + "0" * 120 + "Ei", "0." + "0" * 120 + "1"),
}


def cheap(step: Callable[[], object]) -> object:
    """Run one synchronous step; refusals are answers too.

    The step is timed by the CPU of this process, and again if it was slow: the first run may have paid for others.
    """
    for last in (False, True):
        begun = time.process_time()
        try:
            answer = step()
        except (AdmissionError, TerminalError) as refused:
            answer = refused
        spent = time.process_time() - begun
        if spent <= CPU_SECONDS:
            return answer
        assert not last, f"one step took {spent:.3f} s of CPU"
    raise AssertionError


def step_of_everything(given: JSON) -> None:
    """A pass over the set, over a leader and a worker, and the admission of each, with these numbers in place."""
    owner = _set(given)
    former = making.key_of(making.lws(size=3))
    world = World(owner)
    world.revisions = [making.revision(making.lws(size=3), 1), making.revision(owner, 2)]
    key = making.key_of(owner)
    leaders = [_leader(index, key if index else former, given) for index in range(3)]
    world.leaders = leaders
    world.workers = {f"sample-{index}": _worker_set(index, key, given) for index in range(3)}
    world.statefulset = _leader_set(key, given)
    cheap(world.plan)
    worker = _worker(key, given)
    for policy in ("RecreateGroupOnPodRestart", "RecreateGroupAfterStart", "None"):
        lws = _set(given, restartPolicy=policy)
        for leader, present in ((leaders[0], None), (leaders[0], world.workers["sample-0"]), (leaders[1], None)):
            group = GroupSnapshot(
                lws=lws,
                leader=leader,
                worker_statefulset=present,
                leader_statefulset=world.statefulset,
                group_pods=(leader, worker),
                workers={worker.metadata.name: worker},
                revisions=tuple(world.revisions),
            )
            cheap(lambda group=group: plan_leader_pod(group, _provider()))  # type: ignore[misc]
            cheap(lambda group=group: plan_worker_pod(group, worker.metadata.name, worker))  # type: ignore[misc]
    for pod in (leaders[0], worker):
        cheap(lambda pod=pod: pods.mutate_pod(_manifest(pod, given), gang=("volcano",)))  # type: ignore[misc]
    body = {"metadata": {"name": "sample", "namespace": "default"}, "spec": owner.raw_spec}
    cheap(lambda: validation.validate_update(body, body))
    cheap(lambda: validation.warnings(body, None))


def _set(given: JSON, **section: str) -> LeaderWorkerSet:
    return making.lws(
        replicas=given.get("replicas", 3),
        size=given.get("size", 3),
        rolling={each: given[each] for each in ("partition", "maxUnavailable", "maxSurge") if each in given},
        section={"workerTemplate": {"spec": {"containers": [_container(given)]}}, **section},
        status={**AVAILABLE, "observedGeneration": 3},
    ).model_copy(update={"status_written": WRITTEN})


def _provider() -> SchedulerProvider:
    return Volcano()


def _container(given: JSON) -> JSON:
    amount = {labels.TPU_RESOURCE: "4", **({"memory": given["quantity"]} if "quantity" in given else {})}
    return {"name": "main", "image": "app:2", "resources": {"requests": amount, "limits": amount}}


def _leader_set(key: str, given: JSON) -> StatefulSet:
    made = making.leader_set(
        key, replicas=given.get("statefulset replicas", 3), partition=given.get("statefulset partition", 2)
    )
    noted = {labels.REPLICAS: given.get("L/replicas", "3")}
    status = msgspec.structs.replace(made.status, replicas=given.get("status replicas", 3))
    return msgspec.structs.replace(
        made, metadata=msgspec.structs.replace(made.metadata, annotations=noted), status=status
    )


def _marks(given: JSON, *names: str) -> dict[str, str]:
    return {f"{labels.PREFIX}{name[2:]}": given[name] for name in names if name in given}


def _leader(index: int, key: str, given: JSON) -> Pod:
    renamed: JSON = {"name": f"sample-{given['name']}"} if "name" in given and index == 0 else {}
    return making.leader(
        index,
        key,
        size=3,
        restarts=given.get("restarts", 0),
        label_map=_marks(given, "L/group-index", "L/subgroup-index"),
        scheduler="volcano",
        annotations={labels.POD_GROUP_NAME: f"sample-{index}-{key}", **_marks(given, "L/size", "L/subgroup-size")},
        **renamed,
    )


def _worker(key: str, given: JSON) -> Pod:
    made = making.worker(0, 1, key, restarts=given.get("restarts", 0))
    meta = made.metadata
    return msgspec.structs.replace(
        made,
        metadata=msgspec.structs.replace(
            meta,
            name=f"sample-0-{given['name']}" if "name" in given else meta.name,
            labels={**(meta.labels or {}), **_marks(given, "L/worker-index", "L/group-index", "L/subgroup-index")},
            annotations={**(meta.annotations or {}), **_marks(given, "L/size", "L/subgroup-size")},
        ),
    )


def _worker_set(index: int, key: str, given: JSON) -> StatefulSet:
    made = making.worker_set(index, key, size=3)
    spec = msgspec.structs.replace(made.spec, replicas=given.get("worker replicas", 2))
    status = msgspec.structs.replace(made.status, available_replicas=given.get("available replicas", 2))
    return msgspec.structs.replace(made, spec=spec, status=status)


def _manifest(pod: Pod, given: JSON) -> JSON:
    body: JSON = msgspec.to_builtins(pod)
    body["spec"] = {"subdomain": "sample", "containers": [_container(given)]}
    return body


@pytest.mark.parametrize(("spot", "value"), [(spot, value) for spot, values in SPOTS.items() for value in values])
def test_one_extreme(spot: str, value: int | str) -> None:
    """One number at its extreme costs no step more than its share."""
    step_of_everything({spot: value})


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({}, optional={spot: st.sampled_from(values) for spot, values in SPOTS.items()}))
def test_several_extremes(given: JSON) -> None:
    """Nor do several numbers at their extremes together."""
    step_of_everything(given)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("007", 7),
        ("2147483647", 2**31 - 1),
        ("0" * 5000 + "12", 12),
        *((each, None) for each in (None, "", "-1", "+1", "1.0", " 1", "٣", "2147483648", "9" * 5000)),
    ],
)
def test_one_parser_reads_every_number(text: str | None, value: int | None) -> None:
    """ASCII digits up to a bound are a number; any other text is none, however long."""
    assert natural(text) == value
    assert natural(text, lowest=1) == (value or None)


def test_cd_111_an_absurd_annotation_does_not_stop_a_set() -> None:
    """With 5,000 digits in ``L/replicas`` of its StatefulSet a set is still scaled, and its annotation put right."""
    world = World.at_rest(replicas=2)
    world.edit(replicas=5)
    assert world.statefulset is not None
    world.statefulset = making.leader_set(
        making.key_of(world.lws), replicas=2, annotations={labels.REPLICAS: "9" * 5000}
    )
    applied = making.applied(world.plan())
    assert applied is not None
    assert applied.manifest["spec"]["replicas"] == 5
    assert applied.manifest["metadata"]["annotations"][labels.REPLICAS] == "5"


def test_hand_scaled_leader_set_is_put_back() -> None:
    """After ``kubectl scale sts sample --replicas=2147483647`` the next write has the wanted number."""
    world = World.at_rest(replicas=2)
    assert world.statefulset is not None
    world.statefulset = making.leader_set(making.key_of(world.lws), replicas=2**31 - 1, recorded=2, generation=2)
    applied = making.applied(plan_leaderworkerset(world.snapshot(), making.NOW))
    assert applied is not None
    assert applied.manifest["spec"]["replicas"] == 2
