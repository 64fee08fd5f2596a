"""The lives of pods: starts in order, restarts with back-off, ends with grace, and what is told of them."""

from __future__ import annotations

import pytest
from sandbox.tests.controllers.podlives import after, begun, conditions_of, live, pod_of, states_of, status_of

from lws_sandbox.controllers.kubelet import lifecycle, termination
from lws_sandbox.controllers.kubelet.runtime import PodRun, Role, finished

STARTS = [
    (0.5, "Pending", {"main": "waiting ContainerCreating"}, "False"),
    (1.0, "Running", {"main": "running"}, "False"),
    (4.0, "Running", {"main": "running"}, "True"),
]


@pytest.mark.parametrize(("seconds", "phase", "states", "ready"), STARTS)
def test_pods_start_then_become_ready(seconds: float, phase: str, states: dict[str, str], ready: str) -> None:
    """Pending while the network comes up, Running, and Ready after the delay."""
    made = pod_of()
    status = status_of(made, live(begun(made), seconds), seconds)
    assert (status["phase"], states_of(status), conditions_of(status)["Ready"]) == (phase, states, ready)


def test_addresses_come_with_the_network() -> None:
    """A pod has its host's address at once, its own with the network."""
    made = pod_of()
    early, late = status_of(made, live(begun(made), 0.0), 0.0), status_of(made, live(begun(made), 1.0), 1.0)
    assert "podIP" not in early
    assert early["hostIP"] == "10.64.0.1"
    assert (late["podIP"], late["podIPs"]) == ("10.128.0.2", [{"ip": "10.128.0.2"}])


def test_pods_on_the_host_network_have_the_hosts_address() -> None:
    """A pod on the host network has the address of its node."""
    made = pod_of(hostNetwork=True)
    assert status_of(made, live(begun(made), 1.0), 1.0)["podIP"] == "10.64.0.1"


def test_init_containers_run_one_after_another() -> None:
    """Each init container ends before the next starts, and all before the pod's containers."""
    made = pod_of(inits=("one", "two"))
    run = live(begun(made), 2.0)
    status = status_of(made, run, 2.0)
    assert states_of(status, "initContainerStatuses") == {"one": "running", "two": "waiting PodInitializing"}
    message = next(item["message"] for item in status["conditions"] if item["type"] == "Initialized")
    assert message == "containers with incomplete status: [one two]"
    run = live(run, 5.0, since=2.0)
    status = status_of(made, run, 5.0)
    assert states_of(status, "initContainerStatuses") == {"one": "terminated Completed", "two": "terminated Completed"}
    assert states_of(status) == {"main": "running"}
    one, two = run.of(Role.INIT)
    assert one.ended is not None
    assert two.ended is not None
    assert two.ended.started == one.ended.finished


def test_sidecars_stay_and_count_for_readiness() -> None:
    """An init container that restarts runs beside the others, and the pod is ready only with it."""
    made = pod_of(inits=("proxy*", "setup"))
    status = status_of(made, live(begun(made), 3.5), 3.5)
    assert states_of(status, "initContainerStatuses") == {"proxy": "running", "setup": "terminated Completed"}
    assert conditions_of(status)["Ready"] == "False"
    assert conditions_of(status_of(made, live(begun(made), 6.0), 6.0))["Ready"] == "True"


def test_probes_delay_readiness() -> None:
    """The initial delays of startup and readiness probes come on top."""
    made = pod_of()
    made["spec"]["containers"][0] |= {
        "startupProbe": {"initialDelaySeconds": 5},
        "readinessProbe": {"initialDelaySeconds": 2},
    }
    assert conditions_of(status_of(made, live(begun(made), 10.5), 10.5))["Ready"] == "False"
    assert conditions_of(status_of(made, live(begun(made), 11.0), 11.0))["Ready"] == "True"


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
    made = pod_of(restartPolicy=policy)
    run = lifecycle.crash(live(begun(made), 1.0), None, code, after(2.0))
    assert finished(run) == phase


def test_one_of_two_containers_does_not_end_thepod_of() -> None:
    """A pod ends when its last container has."""
    made = pod_of(mains=("a", "b"), restartPolicy="Never")
    run = lifecycle.crash(live(begun(made), 1.0), "a", 0, after(2.0))
    assert finished(run) is None
    assert finished(lifecycle.crash(run, "b", 3, after(3.0))) == "Failed"


def _stopped_at(run: PodRun, grace: float) -> float:
    run = termination.stop(run, grace, after(10.0))
    for tenth in range(1000):
        moved, _ = lifecycle.advance(run, after(10.0 + tenth / 10))
        if moved.stopped:
            return tenth / 10
    raise AssertionError("never stopped")


def test_containers_end_within_their_grace() -> None:
    """A pod takes its own time to stop, at most its grace period; a hung one takes all of it and is killed."""
    made = pod_of()
    run = live(begun(made), 10.0)
    assert _stopped_at(run, 30.0) == 4.0
    assert _stopped_at(run, 2.0) == 2.0
    assert _stopped_at(lifecycle.hang(run, hung=True), 30.0) == 30.0


def test_what_is_killed_says_so() -> None:
    """An orderly end is Completed, the end of the grace period kills."""
    made = pod_of()
    run = live(begun(made), 10.0)
    orderly = lifecycle.advance(termination.stop(run, 30.0, after(10.0)), after(20.0))[0]
    killed = lifecycle.advance(termination.stop(run, 1.0, after(10.0)), after(20.0))[0]
    assert [item.ended.code for item in orderly.containers if item.ended] == [0]
    assert [item.ended.code for item in killed.containers if item.ended] == [137]
    assert conditions_of(status_of(made, orderly, 20.0))["Ready"] == "False"


def test_a_shorter_grace_comes_true() -> None:
    """A second order to stop can only shorten the time that is left."""
    made = pod_of()
    run = lifecycle.hang(live(begun(made), 10.0), hung=True)
    run = termination.stop(termination.stop(run, 30.0, after(10.0)), 5.0, after(12.0))
    assert run.deadline == after(17.0)
    assert termination.stop(run, 60.0, after(13.0)).deadline == after(17.0)


def test_a_hung_pod_is_not_ready_and_comes_back() -> None:
    """A pod that answers no probe is not ready until it does again."""
    made = pod_of()
    run = lifecycle.hang(live(begun(made), 10.0), hung=True)
    assert conditions_of(status_of(made, run, 10.0))["Ready"] == "False"
    assert conditions_of(status_of(made, lifecycle.hang(run, hung=False), 10.0))["Ready"] == "True"


def test_readiness_gates_hold_readiness() -> None:
    """A pod with a gate is ready when somebody has opened it."""
    made = pod_of(readinessGates=[{"conditionType": "example.com/gate"}])
    run = live(begun(made), 10.0)
    ready = next(item for item in status_of(made, run, 10.0)["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")
    made["status"]["conditions"] = [{"type": "example.com/gate", "status": "True"}]
    assert conditions_of(status_of(made, run, 10.0))["Ready"] == "True"


def test_transition_times_move_with_the_status_only() -> None:
    """A condition keeps its time while its status stays."""
    made = pod_of()
    run = live(begun(made), 4.0)
    made["status"] = status_of(made, run, 4.0)
    again = {item["type"]: item["lastTransitionTime"] for item in status_of(made, run, 50.0)["conditions"]}
    assert again == {item["type"]: item["lastTransitionTime"] for item in made["status"]["conditions"]}
