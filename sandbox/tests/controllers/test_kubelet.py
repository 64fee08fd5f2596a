"""The lives of pods: starts in order, restarts with back-off, ends with grace, and what is told of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sandbox.tests.controllers.builders import NOW, pod

from lws_sandbox.controllers.kubelet import runtime
from lws_sandbox.controllers.kubelet.runtime import Delays, PodRun, Role
from lws_sandbox.controllers.kubelet.status import pod_status

JSON = dict[str, Any]
DELAYS = Delays(start=1.0, init=2.0, ready=3.0, stop=4.0)


def _pod(*, inits: tuple[str, ...] = (), mains: tuple[str, ...] = ("main",), **spec: Any) -> JSON:
    made = pod("p", **spec)
    made["metadata"]["generation"] = 1
    made["spec"]["containers"] = [{"name": name, "image": "app:1"} for name in mains]
    if inits:
        made["spec"]["initContainers"] = [
            {"name": name.rstrip("*"), "image": "init:1", **({"restartPolicy": "Always"} if name[-1] == "*" else {})}
            for name in inits
        ]
    return made


def _after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def _live(run: PodRun, until: float, begin: float = 0.0) -> PodRun:
    """Let time pass, looking whenever the run asks to be looked at."""
    moment = begin
    while True:
        run, wait = runtime.advance(run, _after(moment))
        if wait is None or moment + wait > until:
            return runtime.advance(run, _after(until))[0]
        moment += max(wait, 0.001)


def _status(made: JSON, run: PodRun, seconds: float) -> JSON:
    return pod_status(made, run, pod_ip="10.128.0.2", host_ip="10.64.0.1", now=_after(seconds))


def _conditions(status: JSON) -> dict[str, str]:
    return {item["type"]: item["status"] for item in status["conditions"]}


def _begun(made: JSON) -> PodRun:
    return runtime.begin(made, DELAYS, NOW)


STARTS = [
    (0.5, "Pending", {"main": "ContainerCreating"}, "False"),
    (1.0, "Running", {"main": "running"}, "False"),
    (4.0, "Running", {"main": "running"}, "True"),
]


def _states(status: JSON, member: str = "containerStatuses") -> dict[str, str]:
    shown = {}
    for item in status[member]:
        (kind, detail), *_ = item["state"].items()
        shown[item["name"]] = kind if kind == "running" else detail.get("reason", kind)
    return shown


@pytest.mark.parametrize(("seconds", "phase", "states", "ready"), STARTS)
def test_pods_start_then_become_ready(seconds: float, phase: str, states: dict[str, str], ready: str) -> None:
    """Pending while the network comes up, Running, and Ready after the delay."""
    made = _pod()
    status = _status(made, _live(_begun(made), seconds), seconds)
    assert (status["phase"], _states(status), _conditions(status)["Ready"]) == (phase, states, ready)


def test_addresses_come_with_the_network() -> None:
    """A pod has its host's address at once, its own with the network."""
    made = _pod()
    early, late = _status(made, _live(_begun(made), 0.0), 0.0), _status(made, _live(_begun(made), 1.0), 1.0)
    assert "podIP" not in early
    assert early["hostIP"] == "10.64.0.1"
    assert (late["podIP"], late["podIPs"]) == ("10.128.0.2", [{"ip": "10.128.0.2"}])


def test_pods_on_the_host_network_have_the_hosts_address() -> None:
    """A pod on the host network has the address of its node."""
    made = _pod(hostNetwork=True)
    assert _status(made, _live(_begun(made), 1.0), 1.0)["podIP"] == "10.64.0.1"


def test_init_containers_run_one_after_another() -> None:
    """Each init container ends before the next starts, and all before the pod's containers."""
    made = _pod(inits=("one", "two"))
    run = _live(_begun(made), 2.0)
    status = _status(made, run, 2.0)
    assert _states(status, "initContainerStatuses") == {"one": "running", "two": "PodInitializing"}
    message = next(item["message"] for item in status["conditions"] if item["type"] == "Initialized")
    assert message == "containers with incomplete status: [one two]"
    run = _live(run, 5.0, 2.0)
    status = _status(made, run, 5.0)
    assert _states(status, "initContainerStatuses") == {"one": "Completed", "two": "Completed"}
    assert _states(status) == {"main": "running"}
    one, two = run.of(Role.INIT)
    assert one.ended is not None
    assert two.ended is not None
    assert two.ended.started == one.ended.finished


def test_sidecars_stay_and_count_for_readiness() -> None:
    """An init container that restarts runs beside the others, and the pod is ready only with it."""
    made = _pod(inits=("proxy*", "setup"))
    status = _status(made, _live(_begun(made), 3.5), 3.5)
    assert _states(status, "initContainerStatuses") == {"proxy": "running", "setup": "Completed"}
    assert _conditions(status)["Ready"] == "False"
    assert _conditions(_status(made, _live(_begun(made), 6.0), 6.0))["Ready"] == "True"


def test_probes_delay_readiness() -> None:
    """The initial delays of startup and readiness probes come on top."""
    made = _pod()
    made["spec"]["containers"][0] |= {
        "startupProbe": {"initialDelaySeconds": 5},
        "readinessProbe": {"initialDelaySeconds": 2},
    }
    assert _conditions(_status(made, _live(_begun(made), 10.5), 10.5))["Ready"] == "False"
    assert _conditions(_status(made, _live(_begun(made), 11.0), 11.0))["Ready"] == "True"


def test_crashed_containers_come_back_later_each_time() -> None:
    """The first restart is at once, the next after 10 s, 20 s, and so on up to five minutes."""
    made = _pod()
    run, moment, rests = _live(_begun(made), 1.0), 1.0, []
    for _ in range(8):
        run = runtime.crash(run, None, 1, _after(moment))
        container = run.of(Role.MAIN)[0]
        assert container.due is not None
        rest = (container.due - _after(moment)).total_seconds()
        rests.append(rest)
        moment += rest
        run = runtime.advance(run, _after(moment))[0]
        assert run.of(Role.MAIN)[0].running
    assert rests == [0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    assert run.of(Role.MAIN)[0].restarts == 8


def test_a_long_life_ends_the_back_off() -> None:
    """After ten minutes of life a container's next restart is at once again."""
    made = _pod()
    run = runtime.crash(_live(_begun(made), 1.0), None, 1, _after(1.0))
    run = runtime.crash(runtime.advance(run, _after(1.0))[0], None, 1, _after(2.0))
    run = runtime.crash(runtime.advance(run, _after(12.0))[0], None, 1, _after(700.0))
    due = run.of(Role.MAIN)[0].due
    assert due == _after(700.0)


def test_waiting_containers_say_that_they_back_off() -> None:
    """Between runs a container waits with CrashLoopBackOff, and tells how its last run ended."""
    made = _pod()
    run = runtime.crash(_live(_begun(made), 1.0), None, 1, _after(1.0))
    run = runtime.crash(runtime.advance(run, _after(1.0))[0], None, 137, _after(2.0))
    status = _status(made, run, 3.0)
    assert _states(status) == {"main": "CrashLoopBackOff"}
    shown = status["containerStatuses"][0]
    assert shown["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=main")
    last = shown["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], shown["restartCount"], shown["ready"]) == (137, "OOMKilled", 1, False)
    assert status["phase"] == "Running"


ENDS = [
    ("Always", 1, None),
    ("Always", 0, None),
    ("OnFailure", 1, None),
    ("OnFailure", 0, "Succeeded"),
    ("Never", 1, "Failed"),
    ("Never", 0, "Succeeded"),
]


@pytest.mark.parametrize(("policy", "code", "phase"), ENDS)
def test_restart_policies_decide_what_follows_an_exit(policy: str, code: int, phase: str | None) -> None:
    """Always restarts, OnFailure only after a failure, Never lets the pod end."""
    made = _pod(restartPolicy=policy)
    run = runtime.crash(_live(_begun(made), 1.0), None, code, _after(2.0))
    assert runtime.finished(run) == phase


def test_one_of_two_containers_does_not_end_the_pod() -> None:
    """A pod ends when its last container has."""
    made = _pod(mains=("a", "b"), restartPolicy="Never")
    run = runtime.crash(_live(_begun(made), 1.0), "a", 0, _after(2.0))
    assert runtime.finished(run) is None
    assert runtime.finished(runtime.crash(run, "b", 3, _after(3.0))) == "Failed"


def _stopped_at(run: PodRun, grace: float) -> float:
    run = runtime.stop(run, grace, _after(10.0))
    for tenth in range(1000):
        moved, _ = runtime.advance(run, _after(10.0 + tenth / 10))
        if moved.stopped:
            return tenth / 10
    raise AssertionError("never stopped")


def test_containers_end_within_their_grace() -> None:
    """A pod takes its own time to stop, at most its grace period; a hung one takes all of it and is killed."""
    made = _pod()
    run = _live(_begun(made), 10.0)
    assert _stopped_at(run, 30.0) == 4.0
    assert _stopped_at(run, 2.0) == 2.0
    assert _stopped_at(runtime.hang(run, hung=True), 30.0) == 30.0


def test_what_is_killed_says_so() -> None:
    """An orderly end is Completed, the end of the grace period kills."""
    made = _pod()
    run = _live(_begun(made), 10.0)
    orderly = runtime.advance(runtime.stop(run, 30.0, _after(10.0)), _after(20.0))[0]
    killed = runtime.advance(runtime.stop(run, 1.0, _after(10.0)), _after(20.0))[0]
    assert [item.ended.code for item in orderly.containers if item.ended] == [0]
    assert [item.ended.code for item in killed.containers if item.ended] == [137]
    assert _conditions(_status(made, orderly, 20.0))["Ready"] == "False"


def test_a_shorter_grace_comes_true() -> None:
    """A second order to stop can only shorten the time that is left."""
    made = _pod()
    run = runtime.hang(_live(_begun(made), 10.0), hung=True)
    run = runtime.stop(runtime.stop(run, 30.0, _after(10.0)), 5.0, _after(12.0))
    assert run.deadline == _after(17.0)
    assert runtime.stop(run, 60.0, _after(13.0)).deadline == _after(17.0)


def test_a_hung_pod_is_not_ready_and_comes_back() -> None:
    """A pod that answers no probe is not ready until it does again."""
    made = _pod()
    run = runtime.hang(_live(_begun(made), 10.0), hung=True)
    assert _conditions(_status(made, run, 10.0))["Ready"] == "False"
    assert _conditions(_status(made, runtime.hang(run, hung=False), 10.0))["Ready"] == "True"


def test_a_pod_that_is_given_up_has_failed() -> None:
    """An eviction by the node ends everything, with its reason."""
    made = _pod()
    run = runtime.fail(_live(_begun(made), 10.0), "Evicted", "The node was low on memory.", _after(10.0))
    status = _status(made, run, 10.0)
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert runtime.advance(run, _after(1000.0))[0].of(Role.MAIN)[0].running is False


def test_readiness_gates_hold_readiness() -> None:
    """A pod with a gate is ready when somebody has opened it."""
    made = _pod(readinessGates=[{"conditionType": "example.com/gate"}])
    run = _live(_begun(made), 10.0)
    ready = next(item for item in _status(made, run, 10.0)["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")
    made["status"]["conditions"] = [{"type": "example.com/gate", "status": "True"}]
    assert _conditions(_status(made, run, 10.0))["Ready"] == "True"


def test_transition_times_move_with_the_status_only() -> None:
    """A condition keeps its time while its status stays."""
    made = _pod()
    run = _live(_begun(made), 4.0)
    made["status"] = _status(made, run, 4.0)
    again = {item["type"]: item["lastTransitionTime"] for item in _status(made, run, 50.0)["conditions"]}
    assert again == {item["type"]: item["lastTransitionTime"] for item in made["status"]["conditions"]}
