"""How the kubelet starts containers, and what it says when it cannot (``kuberuntime.SyncPod``, ``startContainer``)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import orjson

from lws_sandbox.controllers.kubelet.runtime import (
    Backoff,
    Container,
    Obstacles,
    PodRun,
    Role,
    Waiting,
    earliest,
    is_past,
)
from lws_sandbox.imagenames import tag_of

RESYNC: Final = 60.0  # seconds between two looks at a pod at most
RETRY: Final = 10.0  # seconds until the next look after a failure
RELIST: Final = 1.0  # seconds until the kubelet hears from the runtime of what it has made


def start_containers(run: PodRun, moment: datetime, obstacles: Obstacles, *, again: float) -> PodRun:
    """Start what is due: the next init container, or all containers that do not run.

    Args:
        run: of a pod with a network.
        moment: now.
        obstacles: to starts.
        again: seconds until the next look if a start fails.
    """
    for name in [item.name for item in run.of(Role.INIT, Role.SIDECAR)]:
        item = _by_name(run, name)
        if is_past(item):
            continue
        if item.running or (item.ended is not None and not run.restarts(item)):
            return run
        run = _try(run, item, moment, obstacles, again)
        if not is_past(_by_name(run, name)) and not (item.role is Role.SIDECAR and run.initialized):
            return run
    for item in run.of(Role.MAIN):
        if not item.running and (item.ended is None or run.restarts(item)):
            run = _try(run, item, moment, obstacles, again)
    return run


def _by_name(run: PodRun, name: str) -> Container:
    return next(item for item in run.containers if item.name == name)


def _try(run: PodRun, item: Container, moment: datetime, obstacles: Obstacles, again: float) -> PodRun:
    """One attempt at starting a container."""
    if item.ended is not None:
        over = item.restart_backoff.until(item.ended.finished)
        if moment < over:
            return _back_off(run, item, moment, over)
        item = replace(item, restart_backoff=item.restart_backoff.next(item.ended.finished, moment))
    run, item, failure = _pull(run, item, moment, obstacles)
    if failure is None and item.name in obstacles.configs:
        failure = Waiting("CreateContainerConfigError", obstacles.configs[item.name])
        run = run.event("Warning", "Failed", f"Error: {failure.message}", item.name)
    if failure is not None:
        return _failed(run, item, failure, moment + timedelta(seconds=again))
    run = run.event("Normal", "Created", f"Container created: {item.name}", item.name)
    run = run.event("Normal", "Started", f"Container started: {item.name}", item.name)
    return run.with_containers(
        replace(
            item,
            started=moment,
            ready_at=moment + timedelta(seconds=run.delays.ready + item.probe_delay),
            before=item.ended or item.before,
            ended=None,
            restarts=item.restarts + (item.ended is not None or item.before is not None),
            failure=None,
            reported=None,
        )
    )


def _back_off(run: PodRun, item: Container, moment: datetime, over: datetime) -> PodRun:
    """A container that crashed lately: the kubelet looks again when the rest is over, and at a probe of it before."""
    rest = duration(item.restart_backoff.seconds)
    failure = Waiting("CrashLoopBackOff", f"back-off {rest} restarting failed container={item.name} pod={run.pod}")
    run = run.event(
        "Warning", "BackOff", f"Back-off restarting failed container {item.name} in pod {run.pod}", item.name
    )
    first = item.failure != failure
    probe = item.probe_period if first and item.probe_period is not None else RESYNC
    soonest = moment + timedelta(seconds=min(RESYNC, probe))
    return _failed(run, item, failure, min(over, soonest))


def _failed(run: PodRun, item: Container, failure: Waiting, sync_at: datetime) -> PodRun:
    run = run.with_containers(replace(item, failure=failure))
    return replace(run, sync_at=earliest(run.sync_at, sync_at))


def _pull(
    run: PodRun, item: Container, moment: datetime, obstacles: Obstacles
) -> tuple[PodRun, Container, Waiting | None]:
    """See to the image: every image is on every node already, but for those that cannot be pulled."""
    image, name = item.image, item.name
    try:
        tag_of(image)
    except ValueError as error:
        message = (
            f"Failed to apply default image tag {quoted(image)}: couldn't parse image name {quoted(image)}: {error}"
        )
        run = run.event("Warning", "InspectFailed", message, name)
        return _refused(run, item, Waiting("InvalidImageName", message))
    error_text = obstacles.images.get(name)
    if error_text is None and not item.pull_error:
        words = f"Container image {quoted(image)} already present on machine and can be accessed by the pod"
        return run.event("Normal", "Pulled", words, name), item, None
    if item.pull_backoff.updated is not None and moment < item.pull_backoff.until(item.pull_backoff.updated):
        words = f"Back-off pulling image {quoted(image)}"
        run = run.event("Normal", "BackOff", words, name)
        return _refused(run, item, Waiting("ImagePullBackOff", f"{words}: {item.pull_error}"))
    run = run.event("Normal", "Pulling", f"Pulling image {quoted(image)}", name)
    if error_text is None:
        took = "1s (1s including waiting). Image size: 0 bytes."
        run = run.event("Normal", "Pulled", f"Successfully pulled image {quoted(image)} in {took}", name)
        return run, replace(item, pull_error="", pull_backoff=Backoff()), None
    run = run.event("Warning", "Failed", f"Failed to pull image {quoted(image)}: {error_text}", name)
    backoff = item.pull_backoff.next(moment, moment)
    item = replace(item, pull_backoff=backoff, pull_error=f"ErrImagePull: {error_text}")
    return _refused(run, item, Waiting("ErrImagePull", error_text))


def _refused(run: PodRun, item: Container, failure: Waiting) -> tuple[PodRun, Container, Waiting]:
    return run.event("Warning", "Failed", f"Error: {failure.reason}", item.name), item, failure


def quoted(text: str) -> str:
    """The text as Go's ``%q`` writes it, where it is printable."""
    return orjson.dumps(text).decode()


def duration(seconds: float) -> str:
    """Whole seconds as Go prints them: ``10s``, ``1m20s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
