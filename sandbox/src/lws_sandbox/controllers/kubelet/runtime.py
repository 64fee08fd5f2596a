"""The state of a pod on its node: containers, their back-offs, and what its kubelet knows and has reported.

Values only. `lifecycle` moves a pod on in time, `termination` ends it, `status` writes it in the API's words. The terms
and the constants are those of the kubelet 1.36 (``pkg/kubelet``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal

BACKOFF_BASE: Final = 10.0  # seconds before the second restart, or the second pull; the first is at once
BACKOFF_CAP: Final = 300.0
KILLED: Final = 137
OOM_KILLED: Final = "OOMKilled"
EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True)
class Delays:
    """How long things take, in seconds.

    Attributes:
        start: from the pod's arrival on its node until its network is up and its first container runs.
        init: the run of an init container.
        ready: from a container's start until it is ready, besides its probes' own initial delays.
        stop: from the signal to stop until a container has exited, after its preStop hook.
        jitter: the share of each of these that is added at random, at most.
    """

    start: float = 0.5
    init: float = 0.5
    ready: float = 0.5
    stop: float = 0.5
    jitter: float = 0.0

    def scaled(self, factor: float) -> Delays:
        """The delays with a random share added; ``factor`` is between 0 and 1."""
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
class Waiting:
    """Why a container could not be started, as ``state.waiting`` has it."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class KubeletEvent:
    """An event of the kubelet; about a container if it names one, else about the pod."""

    type: EventType
    reason: str
    message: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class Backoff:
    """An entry of client-go's ``flowcontrol.Backoff``.

    Attributes:
        seconds: the rest that it asks for; 0 before the first failure.
        updated: when that was set.
    """

    seconds: float = 0.0
    updated: datetime | None = None

    def until(self, since: datetime) -> datetime:
        """When the rest is over that began at ``since``; a rest set more than twice the longest ago is forgotten."""
        return since if self._expired(since) else since + timedelta(seconds=self.seconds)

    def next(self, since: datetime, now: datetime) -> Backoff:
        """Twice as long as before, up to five minutes."""
        longer = BACKOFF_BASE if self._expired(since) else min(BACKOFF_CAP, 2 * self.seconds)
        return Backoff(longer, now)

    def _expired(self, since: datetime) -> bool:
        return self.updated is None or since - self.updated > timedelta(seconds=2 * BACKOFF_CAP)


@dataclass(frozen=True, slots=True)
class Container:
    """One container.

    Attributes:
        image: as the pod names it.
        probe_delay: seconds that its probes take at least until it can be ready.
        probe_period: seconds between the probes of it; None without probes.
        pre_stop: seconds that its preStop hook takes.
        started: since when it runs; None when it does not.
        ready_at: from when on it is ready while it runs; None: never in this run.
        ended: how its last run ended, until it runs again.
        before: how the run before this one ended.
        restarts: how often it was started again.
        restart_backoff: between its runs.
        pull_backoff: between the pulls of its image.
        pull_error: how the last pull failed.
        failure: why the last attempt to start it failed; the kubelet's ``reasonCache``.
        reported: the failure that the status shows: the one known when the kubelet last looked at the pod.
    """

    name: str
    role: Role
    image: str = ""
    probe_delay: float = 0.0
    probe_period: float | None = None
    pre_stop: float = 0.0
    started: datetime | None = None
    ready_at: datetime | None = None
    ended: Exit | None = None
    before: Exit | None = None
    restarts: int = 0
    restart_backoff: Backoff = Backoff()
    pull_backoff: Backoff = Backoff()
    pull_error: str = ""
    failure: Waiting | None = None
    reported: Waiting | None = None

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.started is not None

    @property
    def succeeded(self) -> bool:
        """Whether its last run ended well."""
        return self.ended is not None and self.ended.code == 0

    def is_ready(self, now: datetime, hung: bool) -> bool:
        """Whether it runs and answers its probes."""
        return self.started is not None and not hung and self.ready_at is not None and self.ready_at <= now


@dataclass(frozen=True, slots=True)
class Obstacles:
    """What keeps a pod from running well on its node, as long as it holds.

    Attributes:
        mount: message of the event that a volume cannot be mounted; empty: all can.
        sandbox: error of the container runtime when it sets up the pod's network; empty: none.
        images: containers whose image cannot be pulled, with the runtime's error.
        configs: containers that cannot be configured, with the cause.
        exits: containers that exit soon after each start, with their exit code and its reason.
    """

    mount: str = ""
    sandbox: str = ""
    images: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    configs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    exits: Mapping[str, tuple[int, str]] = field(default_factory=lambda: MappingProxyType({}))


NO_OBSTACLES: Final = Obstacles()


def exit_reason(code: int) -> str:
    """The runtime's reason for an exit, unless the kernel killed the container for its memory (`OOM_KILLED`)."""
    return "Completed" if code == 0 else "Error"


@dataclass(frozen=True, slots=True)
class PodRun:
    """Everything that runs in one pod on its node.

    Attributes:
        pod: ``NAME_NAMESPACE(UID)``, as the kubelet's messages have it.
        arrived: when the kubelet first saw it.
        delays: how long things take in it.
        restart_policy: the pod's own.
        containers: init containers in order, then the others.
        network: whether its network (the runtime's pod sandbox) is up.
        sandboxes: how many networks it has had.
        sandbox_due: when the one in the making is up.
        mount_attempts: how often its volumes could not be mounted.
        sync_at: when the kubelet looks at it next by itself.
        unreported: the status must be written before the kubelet goes on.
        events: what has happened and is not yet recorded.
        hung: it answers no probe and ignores the signal to stop.
        stopping: when the order to stop was given.
        deadline: when what still runs is killed.
        stopped: all containers have ended, and none is started again.
        failed: (reason, message) with which it fails once it has stopped.
    """

    pod: str
    arrived: datetime
    delays: Delays
    restart_policy: str
    containers: tuple[Container, ...]
    network: bool = False
    sandboxes: int = 0
    sandbox_due: datetime | None = None
    mount_attempts: int = 0
    sync_at: datetime | None = None
    unreported: bool = False
    events: tuple[KubeletEvent, ...] = ()
    hung: bool = False
    stopping: datetime | None = None
    deadline: datetime | None = None
    stopped: bool = False
    failed: tuple[str, str] | None = None

    def of(self, *roles: Role) -> list[Container]:
        """The containers of these roles, in order."""
        return [container for container in self.containers if container.role in roles]

    def with_containers(self, *changed: Container) -> PodRun:
        """These containers in place of those of their names."""
        by_name = {item.name: item for item in changed}
        return replace(self, containers=tuple(by_name.get(item.name, item) for item in self.containers))

    def each(self, change: Callable[[Container], Container]) -> PodRun:
        """Every container changed."""
        return replace(self, containers=tuple(map(change, self.containers)))

    def event(self, type_: EventType, reason: str, message: str, container: str = "") -> PodRun:
        """One more event to record."""
        return replace(self, events=(*self.events, KubeletEvent(type_, reason, message, container)))

    def restarts(self, container: Container) -> bool:
        """Whether the container, once ended, is started again (the pod's restart policy)."""
        if self.stopping is not None or self.stopped:
            return False
        if container.role is Role.SIDECAR:
            return True
        if container.succeeded:
            return self.restart_policy == "Always" and container.role is Role.MAIN
        return self.restart_policy != "Never"

    @property
    def initialized(self) -> bool:
        """Whether every init container has succeeded and every sidecar was started, or a container already was."""
        if any(item.running or item.ended or item.before for item in self.of(Role.MAIN)):
            return True
        return all(map(is_past, self.of(Role.INIT, Role.SIDECAR)))


def is_past(container: Container) -> bool:
    """Whether the containers after this init container may start."""
    if container.role is Role.SIDECAR:
        return container.running
    return container.succeeded


def finished(run: PodRun) -> str | None:
    """``Succeeded`` or ``Failed`` once the pod will never run again."""
    if run.failed is not None and run.stopped:
        return "Failed"
    mains = run.of(Role.MAIN)
    if run.stopped:
        failures = [item for item in mains if item.ended is None or item.ended.code]
        return "Failed" if failures else "Succeeded"
    if any(item.ended and item.ended.code and not run.restarts(item) for item in run.of(Role.INIT)):
        return None if run.stopping else "Failed"
    if run.stopping or any(item.ended is None or run.restarts(item) for item in mains):
        return None
    return "Failed" if any(item.ended and item.ended.code for item in mains) else "Succeeded"


def earliest(*moments: datetime | None) -> datetime | None:
    """The first of the moments that are set."""
    return min((moment for moment in moments if moment is not None), default=None)


def seconds_until(moment: datetime | None, now: datetime) -> float | None:
    """Seconds from now until the moment, at least 0; None for none."""
    return None if moment is None else max(0.0, (moment - now).total_seconds())
