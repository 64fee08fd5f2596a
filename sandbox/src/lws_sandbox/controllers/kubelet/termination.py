"""How a pod ends: preStop hooks, the signal, the grace period, and what is told of it (``SyncTerminatingPod``)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from lws_sandbox.controllers.kubelet.runtime import (
    KILLED,
    Container,
    Exit,
    PodRun,
    Role,
    earliest,
    exit_reason,
    seconds_until,
)

MINIMUM_GRACE: Final = 2.0  # seconds that a container has after its preStop hook, whatever the grace period
EVICTION_GRACE: Final = 1.0


def stop(run: PodRun, grace: float, now: datetime) -> PodRun:
    """Give the order to stop; a later order can only shorten the time that is left. Nothing is started any more.

    A container that is ready stays ready until it exits; one that is not yet ready does not become so.
    """
    deadline = earliest(now + timedelta(seconds=grace), run.deadline)
    if run.stopping is None:
        for item in run.containers:
            if item.running:
                run = killing(run, item)
        run = run.each(lambda item: replace(item, failure=None, ready_at=_kept(item, now)))
    return replace(run, stopping=run.stopping or now, deadline=deadline, sync_at=None, unreported=False)


def fail(run: PodRun, reason: str, message: str, now: datetime) -> PodRun:
    """Let the node give the pod up: its containers are ended within a second or two, then its phase is Failed."""
    if run.stopped:
        return run
    run = stop(run.event("Warning", reason, message), EVICTION_GRACE, now)
    return replace(run, failed=run.failed or (reason, message))


def advance(run: PodRun, now: datetime) -> tuple[PodRun, float | None]:
    """Move a pod that ends on to now; see `lifecycle.advance`."""
    for item in (*run.of(Role.INIT, Role.MAIN), *run.of(Role.SIDECAR)):
        if item.running and (end := _end(run, item)) and end[0] <= now:
            moment, code = end
            ended = Exit(code, exit_reason(code), item.started or moment, moment)
            run = run.with_containers(replace(item, started=None, ready_at=None, ended=ended))
    running = [item for item in run.containers if item.running]
    if running:
        ends = [end[0] for item in running if (end := _end(run, item))]
        return run, seconds_until(earliest(*ends), now)
    return replace(run, stopped=True), None


def killing(run: PodRun, item: Container) -> PodRun:
    """The event that a container is told to stop."""
    return run.event("Normal", "Killing", f"Stopping container {item.name}", item.name)


def _kept(item: Container, now: datetime) -> datetime | None:
    return item.ready_at if item.ready_at is not None and item.ready_at <= now else None


def _end(run: PodRun, item: Container) -> tuple[datetime, int] | None:
    """When a container exits and with what code; None: it is a sidecar that waits for the others."""
    begun, deadline = run.stopping, run.deadline
    if begun is None or deadline is None:
        return None
    told = begun
    if item.role is Role.SIDECAR:
        mains = run.of(Role.MAIN, Role.INIT)
        if any(other.running for other in mains):
            return None
        told = max([begun, *(other.ended.finished for other in mains if other.ended is not None)])
    grace = (deadline - begun).total_seconds()
    told += timedelta(seconds=min(item.pre_stop, grace))
    killed = max(deadline, told + timedelta(seconds=MINIMUM_GRACE if grace > 0 else 0.0))
    willing = told + timedelta(seconds=run.delays.stop)
    if run.hung or willing > killed:
        return killed, KILLED
    return willing, 0
