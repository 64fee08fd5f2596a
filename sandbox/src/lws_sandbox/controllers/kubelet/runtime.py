"""What runs in a pod: containers as little state machines, moved on by time and by what is done to them.

Pure: `advance` takes the state and the time and gives the next state and when to look again. The order is the
kubelet's: the pod's network first, init containers one after another (those with ``restartPolicy: Always`` are
sidecars and stay), then the containers together; what exits comes back by the pod's restart policy, later each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from lws_sandbox.controllers.objects import JSON

BACKOFF_BASE: Final = 10.0  # seconds before the second restart; the first is at once
BACKOFF_CAP: Final = 300.0
BACKOFF_RESET: Final = 600.0  # seconds of life after which a container starts afresh
KILLED: Final = 137


@dataclass(frozen=True, slots=True)
class Delays:
    """How long things take, in seconds.

    Attributes:
        start: from the pod's arrival on its node until its network is up and its first container runs.
        init: the run of an init container.
        ready: from a container's start until it is ready, besides its probes' own initial delays.
        stop: from the order to stop until a container has ended, at most the pod's grace period.
        jitter: the share of each of these that chance may add.
    """

    start: float = 0.5
    init: float = 0.5
    ready: float = 0.5
    stop: float = 0.5
    jitter: float = 0.0

    def scaled(self, factor: float) -> Delays:
        """The delays with chance's share added; ``factor`` is between 0 and 1."""
        more = 1.0 + self.jitter * factor
        return Delays(self.start * more, self.init * more, self.ready * more, self.stop * more)


class Role(Enum):
    """What a container is to its pod."""

    INIT = "init"
    SIDECAR = "sidecar"
    MAIN = "main"


@dataclass(frozen=True, slots=True)
class Exit:
    """How a run of a container ended."""

    code: int
    reason: str
    started: datetime
    finished: datetime


@dataclass(frozen=True, slots=True)
class Container:
    """One container.

    Attributes:
        started: since when it runs; None when it does not.
        ready_at: from when on it is ready while it runs.
        ended: how its last run ended, until it runs again.
        before: how the run before this one ended.
        restarts: how often it came back.
        due: when it comes back; None: it does not, or was never started.
        backoff: the rest before the next return, in seconds.
    """

    name: str
    role: Role
    started: datetime | None = None
    ready_at: datetime | None = None
    ended: Exit | None = None
    before: Exit | None = None
    restarts: int = 0
    due: datetime | None = None
    backoff: float = 0.0

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.started is not None

    def is_ready(self, now: datetime, hung: bool) -> bool:
        """Whether it runs and answers its probes."""
        return self.started is not None and not hung and self.ready_at is not None and self.ready_at <= now


@dataclass(frozen=True, slots=True)
class PodRun:
    """Everything that runs in one pod on its node.

    Attributes:
        arrived: when the kubelet first saw it.
        delays: how long things take in it.
        restart_policy: the pod's own.
        containers: init containers in order, then the others.
        network: whether its network is up.
        hung: it answers no probe and ignores the order to stop.
        stopping: when the order to stop was given.
        deadline: when what still runs is killed.
        stopped: all has ended, and nothing comes back.
        failed: (reason, message) when the node gave it up.
    """

    arrived: datetime
    delays: Delays
    restart_policy: str
    containers: tuple[Container, ...]
    probes: tuple[tuple[str, float], ...] = ()
    network: bool = False
    hung: bool = False
    stopping: datetime | None = None
    deadline: datetime | None = None
    stopped: bool = False
    failed: tuple[str, str] | None = field(default=None)

    def of(self, *roles: Role) -> list[Container]:
        """The containers of these roles, in order."""
        return [container for container in self.containers if container.role in roles]

    @property
    def initialized(self) -> bool:
        """Whether every init container has succeeded and every sidecar was started."""
        return all(_passed(container) for container in self.of(Role.INIT, Role.SIDECAR))


def begin(pod: JSON, delays: Delays, now: datetime) -> PodRun:
    """A pod that has just arrived on its node."""
    spec = pod["spec"]
    inits = [
        Container(item["name"], Role.SIDECAR if item.get("restartPolicy") == "Always" else Role.INIT)
        for item in spec.get("initContainers") or ()
    ]
    mains = [Container(item["name"], Role.MAIN) for item in spec["containers"]]
    everything = [*(spec.get("initContainers") or ()), *spec["containers"]]
    return PodRun(
        arrived=now,
        delays=delays,
        restart_policy=spec.get("restartPolicy") or "Always",
        containers=(*inits, *mains),
        probes=tuple((item["name"], probe_delay(item)) for item in everything),
    )


def probe_delay(container: JSON) -> float:
    """Seconds that a container's probes take at least until it can be ready."""
    probes = (container.get("startupProbe") or {}, container.get("readinessProbe") or {})
    return float(sum(int(probe.get("initialDelaySeconds") or 0) for probe in probes))


def advance(run: PodRun, now: datetime) -> tuple[PodRun, float | None]:
    """Move the pod on to now.

    Returns:
        The state, and seconds until time alone will change it again (None: never).
    """
    if run.stopped:
        return run, None
    if run.stopping is not None:
        return _stop(run, now)
    up_at = run.arrived + timedelta(seconds=run.delays.start)
    if now < up_at:
        return run, _seconds(up_at, now)
    run = replace(run, network=True)
    for _ in range(2 * len(run.containers) + 2):  # every container can start and end once in one step of time
        moved = _step(run, now)
        if moved == run:
            break
        run = moved
    return run, _next_change(run, now)


def stop(run: PodRun, grace: float, now: datetime) -> PodRun:
    """Give the order to stop; a later order can only shorten the time that is left."""
    deadline = now + timedelta(seconds=grace)
    if run.deadline is not None:
        deadline = min(deadline, run.deadline)
    return replace(run, stopping=run.stopping or now, deadline=deadline)


def crash(run: PodRun, container: str | None, code: int, now: datetime) -> PodRun:
    """Let a running container exit; by default the first one that is neither init nor sidecar."""
    target = container or next((item.name for item in run.of(Role.MAIN) if item.running), "")
    reason = "Completed" if code == 0 else "OOMKilled" if code == KILLED else "Error"
    return _with(
        run,
        *(_exit(run, item, code, reason, now) for item in run.containers if item.name == target and item.running),
    )


def fail(run: PodRun, reason: str, message: str, now: datetime) -> PodRun:
    """Let the node give the pod up: everything is killed and nothing comes back."""
    ended = [_exit(run, item, KILLED, "Error", now) for item in run.containers if item.running]
    run = _with(run, *(replace(item, due=None) for item in ended))
    return replace(run, failed=(reason, message), stopped=True)


def hang(run: PodRun, hung: bool) -> PodRun:
    """Let the pod answer no probe and ignore the order to stop, or let it come back to itself."""
    return replace(run, hung=hung)


def finished(run: PodRun) -> str | None:
    """``Succeeded`` or ``Failed`` once the pod will never run again by itself."""
    if run.failed is not None:
        return "Failed"
    inits = [item for item in run.of(Role.INIT) if item.ended is not None and item.ended.code]
    if run.restart_policy == "Never" and inits:
        return "Failed"
    mains = run.of(Role.MAIN)
    if any(item.running or item.due is not None or item.ended is None for item in mains):
        if not run.stopped:
            return None
        return "Failed" if any(item.ended is not None and item.ended.code for item in mains) else "Succeeded"
    return "Failed" if any(item.ended is not None and item.ended.code for item in mains) else "Succeeded"


def _step(run: PodRun, now: datetime) -> PodRun:
    """One thing that is due."""
    for container in run.containers:
        if container.due is not None and container.due <= now:
            return _with(run, _start(run, container, container.due))
    inits = run.of(Role.INIT, Role.SIDECAR)
    for container in inits:
        if container.role is Role.INIT and container.started is not None:
            end = container.started + timedelta(seconds=run.delays.init)
            if end > now:
                return run
            return _with(run, _exit(run, container, 0, "Completed", end))
        if not _passed(container):
            if container.running or container.ended is not None:
                return run
            return _with(run, _start(run, container, _init_moment(run, container, now)))
    waiting = [item for item in run.of(Role.MAIN) if not item.running and item.ended is None]
    moment = _mains_moment(run, now)
    return _with(run, *(_start(run, item, moment) for item in waiting))


def _init_moment(run: PodRun, container: Container, now: datetime) -> datetime:
    """When an init container starts: as the one before it ended."""
    ends = [item.ended.finished for item in run.of(Role.INIT) if item.ended is not None and item is not container]
    return min(now, max([run.arrived + timedelta(seconds=run.delays.start), *ends]))


def _mains_moment(run: PodRun, now: datetime) -> datetime:
    ends = [item.ended.finished for item in run.of(Role.INIT) if item.ended is not None]
    return min(now, max([run.arrived + timedelta(seconds=run.delays.start), *ends]))


def _passed(container: Container) -> bool:
    """Whether the containers after this one may start."""
    if container.role is Role.SIDECAR:
        return container.running or container.restarts > 0
    return container.ended is not None and container.ended.code == 0


def _start(run: PodRun, container: Container, moment: datetime) -> Container:
    probes = dict(run.probes).get(container.name, 0.0)
    again = container.ended is not None
    return replace(
        container,
        started=moment,
        ready_at=moment + timedelta(seconds=run.delays.ready + probes),
        before=container.ended or container.before,
        ended=None,
        restarts=container.restarts + again,
        due=None,
    )


def _exit(run: PodRun, container: Container, code: int, reason: str, moment: datetime) -> Container:
    """End a run, and set when the container comes back."""
    started = container.started or moment
    long_lived = (moment - started).total_seconds() >= BACKOFF_RESET
    rest = 0.0 if long_lived else container.backoff
    comes_back = run.stopping is None and (
        container.role is Role.SIDECAR
        or (run.restart_policy == "Always" and (container.role is Role.MAIN or code != 0))
        or (run.restart_policy == "OnFailure" and code != 0)
    )
    return replace(
        container,
        started=None,
        ready_at=None,
        ended=Exit(code, reason, started, moment),
        due=moment + timedelta(seconds=rest) if comes_back else None,
        backoff=min(BACKOFF_CAP, 2 * rest) if rest else BACKOFF_BASE,
    )


def _stop(run: PodRun, now: datetime) -> tuple[PodRun, float | None]:
    begun, deadline = run.stopping or now, run.deadline or now
    willing = begun + timedelta(seconds=run.delays.stop)
    killed = run.hung or willing > deadline
    end = deadline if killed else willing
    running = [item for item in run.containers if item.running]
    if running and now < end:
        return run, _seconds(end, now)
    code, reason = (KILLED, "Error") if killed else (0, "Completed")
    run = _with(run, *(_exit(run, item, code, reason, end) for item in running))
    return _with(replace(run, stopped=True), *(replace(item, due=None) for item in run.containers)), None


def _next_change(run: PodRun, now: datetime) -> float | None:
    moments = [item.due for item in run.containers if item.due is not None]
    for item in run.containers:
        if item.started is None:
            continue
        if item.role is Role.INIT:
            moments.append(item.started + timedelta(seconds=run.delays.init))
        elif item.ready_at is not None and item.ready_at > now:
            moments.append(item.ready_at)
    return min((_seconds(moment, now) for moment in moments), default=None)


def _seconds(moment: datetime, now: datetime) -> float:
    return max(0.0, (moment - now).total_seconds())


def _with(run: PodRun, *changed: Container) -> PodRun:
    if not changed:
        return run
    by_name = {item.name: item for item in changed}
    return replace(run, containers=tuple(by_name.get(item.name, item) for item in run.containers))
