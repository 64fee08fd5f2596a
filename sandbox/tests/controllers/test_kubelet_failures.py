"""Pods that go wrong: statuses, reasons and events in the order in which a kubelet 1.36 tells them."""

from __future__ import annotations

import itertools

import pytest
from sandbox.tests.controllers.podlives import (
    after,
    begun,
    conditions_of,
    events_of,
    history,
    live,
    pod_of,
    states_of,
    status_of,
)

from lws_sandbox.controllers.kubelet import lifecycle, termination
from lws_sandbox.controllers.kubelet.runtime import OOM_KILLED, Obstacles, Role, finished
from lws_sandbox.controllers.kubelet.starting import duration

POD = "p_ns(uid-p)"


def test_a_crash_loop_rests_longer_each_time() -> None:
    """The first restart is at once, the next after 10 s, 20 s, and so on up to five minutes."""
    obstacles = Obstacles(exits={"main": (1, "")})
    seen = history(pod_of(), begun(pod_of()), 1500.0, obstacles=obstacles)
    starts = [moment for moment, text in seen if text == "main: running"]
    rests = [later - earlier - 3.0 for earlier, later in itertools.pairwise(starts)]
    assert rests[:7] == [0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0]


def test_a_container_in_back_off_shows_how_it_ended_until_the_kubelet_looks_again() -> None:
    """Running, terminated, and CrashLoopBackOff only at the next look: a minute later, or when the rest is over."""
    obstacles = Obstacles(exits={"main": (9, "")})
    assert history(pod_of(), begun(pod_of()), 18.0, obstacles=obstacles) == [
        (0.0, "main: waiting ContainerCreating"),
        (1.0, "main: running"),
        (4.0, "main: terminated Error"),
        (4.0, "main: running"),
        (7.0, "main: terminated Error"),
        (17.0, "main: waiting CrashLoopBackOff"),
        (17.0, "main: running"),
    ]
    late = history(pod_of(), begun(pod_of()), 250.0, obstacles=obstacles)
    ends = [moment for moment, text in late if text == "main: terminated Error"]
    waits = [moment for moment, text in late if text == "main: waiting CrashLoopBackOff"]
    assert waits[-1] - ends[-1] == 60.0


def test_a_probed_container_in_back_off_is_looked_at_again_at_its_next_probe() -> None:
    """A probe that fails makes the kubelet look: CrashLoopBackOff after one period."""
    made = pod_of()
    made["spec"]["containers"][0]["readinessProbe"] = {"periodSeconds": 4}
    seen = history(made, begun(made), 12.0, obstacles=Obstacles(exits={"main": (9, "")}))
    assert seen[-2:] == [(7.0, "main: terminated Error"), (11.0, "main: waiting CrashLoopBackOff")]


def test_a_container_in_back_off_tells_how_its_last_runs_ended() -> None:
    """``state`` has the exit, then ``lastState``; phase, count and message are the kubelet's."""
    made = pod_of()
    run = live(lifecycle.crash(live(begun(made), 1.0), None, 3, after(1.0)), 1.0, since=1.0)
    run = live(lifecycle.crash(run, None, 137, after(2.0), OOM_KILLED), 3.0, since=2.0)
    status = status_of(made, run, 3.0)
    shown = status["containerStatuses"][0]
    assert (shown["state"]["terminated"]["exitCode"], shown["state"]["terminated"]["reason"]) == (137, "OOMKilled")
    assert (shown["lastState"]["terminated"]["exitCode"], shown["restartCount"]) == (3, 1)
    assert (status["phase"], conditions_of(status)["Ready"]) == ("Running", "False")
    run, wait = lifecycle.advance(run, after(12.0))
    assert wait == 0.0
    shown = status_of(made, run, 12.0)["containerStatuses"][0]
    words = f"back-off 10s restarting failed container=main pod={POD}"
    assert shown["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": words}}
    assert shown["lastState"]["terminated"]["reason"] == "OOMKilled"
    told = f"BackOff: Back-off restarting failed container main in pod {POD}"
    assert told in events_of(run)


def test_a_long_life_ends_the_back_off() -> None:
    """A container that ran for more than ten minutes is restarted at once again."""
    made = pod_of()
    run = lifecycle.crash(live(begun(made), 1.0), None, 1, after(1.0))
    run = lifecycle.crash(live(run, 1.0, since=1.0), None, 1, after(2.0))
    run = lifecycle.crash(live(run, 12.0, since=2.0), None, 1, after(700.0))
    run = live(run, 700.0, since=700.0)
    assert (run.of(Role.MAIN)[0].running, run.of(Role.MAIN)[0].restarts) == (True, 3)


def test_a_failing_init_container_is_named_and_holds_the_others() -> None:
    """The pod stays Pending, the init container shows its exit and backs off, the others never start."""
    made = pod_of(inits=("prep", "late"))
    obstacles = Obstacles(exits={"prep": (3, "")})
    assert history(made, begun(made), 16.0, obstacles=obstacles) == [
        (0.0, "prep: waiting PodInitializing, late: waiting PodInitializing, main: waiting PodInitializing"),
        (1.0, "prep: running, late: waiting PodInitializing, main: waiting PodInitializing"),
        (3.0, "prep: terminated Error, late: waiting PodInitializing, main: waiting PodInitializing"),
        (3.0, "prep: running, late: waiting PodInitializing, main: waiting PodInitializing"),
        (5.0, "prep: terminated Error, late: waiting PodInitializing, main: waiting PodInitializing"),
        (15.0, "prep: waiting CrashLoopBackOff, late: waiting PodInitializing, main: waiting PodInitializing"),
        (15.0, "prep: running, late: waiting PodInitializing, main: waiting PodInitializing"),
    ]
    status = status_of(made, live(begun(made), 6.0, obstacles=obstacles), 6.0)
    words = {item["type"]: item.get("message", "") for item in status["conditions"]}
    assert status["phase"] == "Pending"
    assert words["Initialized"] == "containers with incomplete status: [prep late]"
    assert words["Ready"] == "containers with unready status: [main]"


def test_a_failed_init_container_fails_a_pod_that_restarts_nothing() -> None:
    """With the policy Never the pod is Failed, and its containers have never run."""
    made = pod_of(inits=("prep",), restartPolicy="Never")
    run = live(begun(made), 10.0, obstacles=Obstacles(exits={"prep": (3, "")}))
    status = status_of(made, run, 10.0)
    assert (status["phase"], finished(run)) == ("Failed", "Failed")
    assert states_of(status) == {"main": "waiting PodInitializing"}


def test_an_image_that_cannot_be_pulled_alternates_between_error_and_back_off() -> None:
    """ErrImagePull with the runtime's words, then ImagePullBackOff with both, and so on; the pod stays Pending."""
    made, obstacles = pod_of(), Obstacles(images={"main": "no such image"})
    assert history(made, begun(made), 33.0, obstacles=obstacles) == [
        (0.0, "main: waiting ContainerCreating"),
        (2.0, "main: waiting ErrImagePull"),
        (12.0, "main: waiting ImagePullBackOff"),
        (22.0, "main: waiting ErrImagePull"),
        (32.0, "main: waiting ImagePullBackOff"),
    ]
    run = live(begun(made), 12.0, obstacles=obstacles)
    status = status_of(made, run, 12.0)
    words = 'Back-off pulling image "app:1": ErrImagePull: no such image'
    assert status["containerStatuses"][0]["state"]["waiting"]["message"] == words
    assert (status["phase"], status["containerStatuses"][0]["imageID"]) == ("Pending", "")
    assert events_of(run)[:5] == [
        'Pulling: Pulling image "app:1"',
        'Failed: Failed to pull image "app:1": no such image',
        "Failed: Error: ErrImagePull",
        'BackOff: Back-off pulling image "app:1"',
        "Failed: Error: ImagePullBackOff",
    ]


def test_an_image_that_can_be_pulled_again_is() -> None:
    """When the rest is over the image is pulled, and the container starts."""
    made = pod_of()
    run = live(begun(made), 5.0, obstacles=Obstacles(images={"main": "no such image"}))
    run = live(run, 13.0, since=5.0)
    assert states_of(status_of(made, run, 13.0)) == {"main": "running"}
    assert any(text.startswith('Pulled: Successfully pulled image "app:1"') for text in events_of(run))


def test_an_unreadable_image_name_is_told_as_such() -> None:
    """InvalidImageName, with what is wrong with it."""
    made = pod_of()
    made["spec"]["containers"][0]["image"] = "Registry/App"
    made["spec"]["containers"][0]["image"] = "UPPER"
    run = live(begun(made), 3.0)
    waiting = status_of(made, run, 3.0)["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "InvalidImageName"
    assert waiting["message"].endswith("invalid reference format: repository name (library/UPPER) must be lowercase")


def test_a_missing_config_map_in_the_environment_is_told() -> None:
    """The image is there, the container cannot be configured; it starts as soon as the kubelet finds what it needs."""
    made, obstacles = pod_of(), Obstacles(configs={"main": 'configmap "c" not found'})
    run = live(begun(made), 3.0, obstacles=obstacles)
    waiting = status_of(made, run, 3.0)["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "c" not found'}
    assert events_of(run)[1] == 'Failed: Error: configmap "c" not found'
    assert states_of(status_of(made, live(run, 12.5, since=3.0), 12.5)) == {"main": "running"}


def test_a_volume_that_cannot_be_mounted_keeps_the_pod_creating() -> None:
    """Nothing but events tells of it; the mount is tried again, later each time."""
    made, obstacles = pod_of(), Obstacles(mount="MountVolume.SetUp failed")
    run = live(begun(made), 10.0, obstacles=obstacles)
    status = status_of(made, run, 10.0)
    assert (status["phase"], states_of(status)) == ("Pending", {"main": "waiting ContainerCreating"})
    assert conditions_of(status)["PodReadyToStartContainers"] == "False"
    assert events_of(run) == ["FailedMount: MountVolume.SetUp failed"] * 5  # at 0, 0.5, 1.5, 3.5, 7.5 s
    assert states_of(status_of(made, live(run, 16.5, since=10.0), 16.5)) == {"main": "running"}


def test_a_network_that_cannot_be_set_up_keeps_the_pod_creating() -> None:
    """FailedCreatePodSandBox every ten seconds; the pod has no address."""
    made, obstacles = pod_of(), Obstacles(sandbox="no addresses")
    run = live(begun(made), 15.0, obstacles=obstacles)
    status = status_of(made, run, 15.0)
    assert states_of(status) == {"main": "waiting ContainerCreating"}
    assert "podIP" not in status
    assert events_of(run) == ["FailedCreatePodSandBox: Failed to create pod sandbox: no addresses"] * 2


def test_a_lost_network_starts_the_pod_once_more() -> None:
    """After a reboot init containers run again, and the containers count a restart."""
    made = pod_of(inits=("prep",))
    run = lifecycle.recreate(live(begun(made), 10.0), after(10.0))
    assert [text for _, text in history(made, run, 20.0, since=10.0)] == [
        "prep: waiting PodInitializing, main: terminated Error",
        "prep: running, main: terminated Error",
        "prep: terminated Completed, main: running",
    ]
    assert events_of(run)[-2:] == [
        "SandboxChanged: Pod sandbox changed, it will be killed and re-created.",
        "Killing: Stopping container main",
    ]


def test_an_eviction_by_the_node_ends_the_containers_first() -> None:
    """The pod runs until its containers have ended; then Failed, Evicted, and the target of a disruption."""
    made, words = pod_of(), "The node was low on resource: memory. "
    run = termination.fail(live(begun(made), 10.0), "Evicted", words, after(10.0))
    assert status_of(made, run, 10.0)["phase"] == "Running"
    run = live(run, 12.0, since=10.0)
    status = status_of(made, run, 12.0)
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", words)
    target = next(item for item in status["conditions"] if item["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"], target["message"]) == ("True", "TerminationByKubelet", words)
    ready = next(item for item in status["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PodFailed")
    assert events_of(run)[-2:] == [f"Evicted: {words}", "Killing: Stopping container main"]
    assert live(run, 1000.0, since=12.0).of(Role.MAIN)[0].running is False


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (60, "1m0s"), (80, "1m20s"), (300, "5m0s")])
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    """Minutes from sixty seconds on."""
    assert duration(seconds) == text
