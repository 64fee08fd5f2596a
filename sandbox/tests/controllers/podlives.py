"""Lives of pods without a cluster: made, moved on in time, and watched."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sandbox.tests.controllers.builders import NOW, pod

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.kubelet import lifecycle
from lws_sandbox.controllers.kubelet.arrival import begin
from lws_sandbox.controllers.kubelet.runtime import NO_OBSTACLES, Delays, Obstacles, PodRun
from lws_sandbox.controllers.kubelet.status import pod_status

DELAYS = Delays(start=1.0, init=2.0, ready=3.0, stop=4.0)


def pod_of(*, inits: tuple[str, ...] = (), mains: tuple[str, ...] = ("main",), **spec: Any) -> JSON:
    """A pod with these containers; an init container with a star at its end is a sidecar."""
    made = pod("p", **spec)
    made["metadata"]["generation"] = 1
    made["spec"]["containers"] = [{"name": name, "image": "app:1"} for name in mains]
    if inits:
        made["spec"]["initContainers"] = [
            {"name": name.rstrip("*"), "image": "init:1", **({"restartPolicy": "Always"} if name[-1] == "*" else {})}
            for name in inits
        ]
    return made


def after(seconds: float) -> datetime:
    """The moment so long after the pod's arrival."""
    return NOW + timedelta(seconds=seconds)


def begun(made: JSON) -> PodRun:
    """The pod as it arrives."""
    return begin(made, DELAYS, NOW)


def live(run: PodRun, until: float, since: float = 0.0, obstacles: Obstacles = NO_OBSTACLES) -> PodRun:
    """Let time pass, looking whenever the run asks to be looked at."""
    moment = since
    while True:
        run, wait = lifecycle.advance(run, after(moment), obstacles)
        if wait is None or moment + wait > until:
            return lifecycle.advance(run, after(until), obstacles)[0]
        moment += wait


def status_of(made: JSON, run: PodRun, seconds: float) -> JSON:
    """The status that the kubelet writes at that moment."""
    return pod_status(made, run, pod_ip="10.128.0.2", host_ip="10.64.0.1", now=after(seconds))


def conditions_of(status: JSON) -> dict[str, str]:
    """Each condition's status."""
    return {item["type"]: item["status"] for item in status["conditions"]}


def states_of(status: JSON, member: str = "containerStatuses") -> dict[str, str]:
    """Each container's state in a word: ``running``, or the reason of the other states."""
    shown = {}
    for item in status[member]:
        (kind, detail), *_ = item["state"].items()
        shown[item["name"]] = kind if kind == "running" else f"{kind} {detail['reason']}"
    return shown


def history(
    made: JSON, run: PodRun, until: float, since: float = 0.0, obstacles: Obstacles = NO_OBSTACLES
) -> list[tuple[float, str]]:
    """What a watcher sees of the containers' states, in order: (seconds, states), each change once."""
    seen: list[tuple[float, str]] = []
    moment = since
    while True:
        run, wait = lifecycle.advance(run, after(moment), obstacles)
        status = status_of(made, run, moment)
        every = {**states_of({"containerStatuses": status.get("initContainerStatuses", [])}), **states_of(status)}
        text = ", ".join(f"{name}: {state}" for name, state in every.items())
        if not seen or seen[-1][1] != text:
            seen.append((moment, text))
        if wait is None or moment + wait > until:
            return seen
        moment += wait


def events_of(run: PodRun) -> list[str]:
    """The events in order, each as ``reason: message``."""
    return [f"{event.reason}: {event.message}" for event in run.events]
