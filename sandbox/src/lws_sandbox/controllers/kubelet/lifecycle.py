"""How a pod moves on in time: volumes, network, init containers one after another, then the containers together.

Pure, and in the order of the kubelet's ``SyncPod``: at each look at the pod it first reports what it knew before, then
tries what is due. So a container in back-off shows ``terminated`` until the kubelet looks again, and only then
``waiting`` with the reason (kubelet 1.36, ``convertToAPIContainerStatuses``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from lws_sandbox.controllers.kubelet import starting, termination
from lws_sandbox.controllers.kubelet.runtime import (
    NO_OBSTACLES,
    Backoff,
    Container,
    Exit,
    Obstacles,
    PodRun,
    Role,
    earliest,
    exit_reason,
    seconds_until,
)
from lws_sandbox.controllers.kubelet.starting import RELIST, RETRY

MOUNT_RETRY: Final = 0.5  # seconds until a mount is tried again; doubled each time
MOUNT_RETRY_CAP: Final = 122.0
SIGTERM_EXIT: Final = 143
_STEPS: Final = 1000  # of one pod at once; a pod that crashes for ever takes one in ten seconds


def advance(run: PodRun, now: datetime, obstacles: Obstacles = NO_OBSTACLES) -> tuple[PodRun, float | None]:
    """Move the pod on to now.

    Returns:
        The state, and seconds until time alone will change it again (None: never; 0: as soon as it is reported).
    """
    if run.stopped:
        return run, None
    if run.stopping is not None:
        return termination.advance(run, now)
    for _ in range(_STEPS):
        moment = _next_step(run, obstacles)
        if run.unreported or moment is None or moment > now:
            break
        run = _step(run, moment, obstacles)
    if run.unreported:
        return replace(run, unreported=False), 0.0
    ready = [item.ready_at for item in run.containers if item.running and item.ready_at and item.ready_at > now]
    return run, seconds_until(earliest(_next_step(run, obstacles), *ready), now)


def crash(run: PodRun, container: str | None, code: int, now: datetime, reason: str = "") -> PodRun:
    """Let a running container exit; by default the first one that is neither init nor sidecar."""
    target = container or next((item.name for item in run.of(Role.MAIN) if item.running), "")
    for item in run.containers:
        if item.name == target and item.running:
            run = _exit(run, item, code, now, reason)
            if run.stopping is None:
                run = replace(run, unreported=True)
    return run


def recreate(run: PodRun, now: datetime) -> PodRun:
    """Let the pod's network be lost, as after a reboot: all is killed, init containers run once more."""
    if run.stopping is not None or run.stopped or not run.network:
        return run
    run = run.event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
    for item in run.containers:
        if item.running:
            run = termination.killing(run, item)
            run = _exit(run, item, SIGTERM_EXIT, now, "")
    run = run.each(lambda item: replace(item, failure=None, reported=None, restart_backoff=Backoff()))
    inits = [replace(item, ended=None, before=item.ended or item.before) for item in run.of(Role.INIT)]
    return replace(run.with_containers(*inits), network=False, sandbox_due=None, sync_at=now, unreported=True)


def hang(run: PodRun, hung: bool) -> PodRun:
    """Let the pod answer no probe and ignore the signal to stop, or let it recover."""
    return replace(run, hung=hung)


def _next_step(run: PodRun, obstacles: Obstacles) -> datetime | None:
    return earliest(run.sync_at, *(_end_of(run, item, obstacles) for item in run.containers))


def _end_of(run: PodRun, item: Container, obstacles: Obstacles) -> datetime | None:
    """When a run of a container ends by itself."""
    if item.started is None:
        return None
    if item.role is Role.INIT:
        return item.started + timedelta(seconds=run.delays.init)
    if item.name in obstacles.exits:
        return item.started + timedelta(seconds=run.delays.ready)
    return None


def _step(run: PodRun, moment: datetime, obstacles: Obstacles) -> PodRun:
    """The one thing that is due at this moment."""
    for item in run.containers:
        if _end_of(run, item, obstacles) == moment:
            code, reason = obstacles.exits.get(item.name, (0, ""))
            run = _exit(run, item, code, moment, reason)
            return replace(run, unreported=item.role is not Role.INIT or code != 0)
    return _sync(run, moment, obstacles)


def _exit(run: PodRun, item: Container, code: int, moment: datetime, reason: str) -> PodRun:
    """End a run of a container; the kubelet notices at once."""
    ended = Exit(code, reason or exit_reason(code), item.started or moment, moment)
    run = run.with_containers(replace(item, started=None, ready_at=None, ended=ended, failure=None, reported=None))
    return replace(run, sync_at=moment)


def _sync(run: PodRun, moment: datetime, obstacles: Obstacles) -> PodRun:
    """One look at the pod: report, then act."""
    shown = [item for item in run.containers if not item.running and item.reported != item.failure]
    if shown:
        return replace(run.each(lambda item: replace(item, reported=item.failure)), unreported=True)
    run = replace(run, sync_at=None)
    if not run.network:
        run = _set_up(run, moment, obstacles)
        if not run.network:
            return run
        return starting.start_containers(run, moment, obstacles, again=RELIST)
    return starting.start_containers(run, moment, obstacles, again=RETRY)


def _set_up(run: PodRun, moment: datetime, obstacles: Obstacles) -> PodRun:
    """Mount the volumes, then make the network."""
    if run.sandbox_due is None:
        if obstacles.mount:
            wait = min(MOUNT_RETRY_CAP, MOUNT_RETRY * 2.0 ** min(run.mount_attempts, 16))
            run = run.event("Warning", "FailedMount", obstacles.mount)
            return replace(run, mount_attempts=run.mount_attempts + 1, sync_at=moment + timedelta(seconds=wait))
        due = moment + timedelta(seconds=run.delays.start)
        return replace(run, sandbox_due=due, sync_at=due)
    if obstacles.sandbox:
        run = run.event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {obstacles.sandbox}")
        return replace(run, sandbox_due=None, sync_at=moment + timedelta(seconds=RETRY))
    return replace(run, network=True, sandboxes=run.sandboxes + 1, sandbox_due=None, mount_attempts=0)
