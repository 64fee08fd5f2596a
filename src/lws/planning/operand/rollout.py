"""Guarded rollouts: planned, approved if asked for, watched, and rolled back if they fail (operator 5.7).

A change of the operand's pod template is a rollout; everything else is applied at once. Until a rollout has held for
the soak, roles are not narrowed and nothing is pruned, so that the installation of before can be applied again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from lws.api.operand import names
from lws.api.operand.types import FORCE, LeaderWorkerSetOperatorSpec
from lws.apimachinery.actions import EmitEvent
from lws.apimachinery.manifests import JSON, annotations_of, name_of, namespace_of
from lws.planning.operand import claims, events, health
from lws.planning.operand.causes import ROLLED_BACK, ROLLOUT_FAILED, Cause
from lws.planning.operand.desired import Desired
from lws.planning.operand.facts import Facts
from lws.planning.operand.preview import Preview
from lws.planning.operand.record import Attempt, Record, Rendering
from lws.planning.operand.status import stamp
from lws.planning.operand.world import World

APPROVED: Final = "operator.lws.x-k8s.io/approved-plan"
MOST_ENTRIES: Final = 50
_DEPLOYMENT: Final = ("Deployment", names.DEPLOYMENT)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a pass is to bring about.

    Attributes:
        target: the installation to apply; None to leave everything as it is.
        record: what is kept from now on.
        settled: whether the target has held, so that what is no longer needed may go.
        causes: of being degraded.
        waits: what is waited for, as reason and message; empty if nothing.
        plan: for the status; empty if nothing is planned.
        told: events.
        restarts: groups that the planned rollout would restart, in words; empty if none.
        look_again: seconds until the state may change by time alone.
    """

    target: Desired | None
    record: Record
    settled: bool = False
    causes: tuple[Cause, ...] = ()
    waits: tuple[str, str] = ("", "")
    plan: JSON | None = None
    told: tuple[EmitEvent, ...] = ()
    restarts: str = ""
    look_again: float = 3600.0


def to_be_planned(facts: Facts, wanted: Desired, world: World, record: Record) -> str:
    """The digest of the rollout that `choose` needs a preview of; empty if it needs none."""
    rendering = Rendering.of(facts, wanted)
    good, attempt = record.good, record.attempt
    if good is None or world.operator.spec.rollout.strategy == "Immediate" or good.template == rendering.template:
        return ""
    given_up = attempt is not None and attempt.digest == rendering.digest and attempt.failed
    return "" if given_up else rendering.digest


def choose(
    facts: Facts, wanted: Desired, world: World, record: Record, soaking: float | None, preview: Preview
) -> Choice:
    """What to apply now.

    Args:
        facts: the surroundings.
        wanted: the installation that is asked for.
        world: what was observed.
        record: what is kept of former rollouts.
        soaking: seconds for which every pod has been of this installation and has served; None if some are not.
        preview: what would change, if that `to_be_planned`.
    """
    rendering = Rendering.of(facts, wanted)
    good, spec = record.good, world.operator.spec
    if good is None or spec.rollout.strategy == "Immediate" or good.template == rendering.template:
        return _at_once(wanted, rendering, record, soaking)
    attempt = record.attempt
    if attempt is not None and attempt.digest == rendering.digest and attempt.failed:
        return _failed(record, attempt)
    plan = planned(facts, preview, good, rendering)
    told: list[EmitEvent] = []
    if attempt is None or attempt.digest != rendering.digest or attempt.failed:
        if not _approved(spec, world.operator.metadata.annotation(APPROVED), rendering, preview):
            command = f"kubectl annotate --overwrite {names.PLURAL} {names.SINGLETON} {APPROVED}={rendering.digest}"
            restarts = preview.restarts_told()
            changes = f"{len(preview.entries)} changes wait; approve them with {command}"
            waits = ("AwaitingApproval", f"{restarts}; {changes}" if restarts else changes)
            return Choice(good.desired(), record, waits=waits, plan=plan, restarts=restarts)
        attempt = Attempt(rendering.digest, stamp(world.now), world.workloads.sets_available if world.workloads else 0)
        record = replace(record, attempt=attempt)
        told.append(events.rollout_planned(plan, preview))
    choice = _watched(wanted, rendering, world, replace(record, attempt=attempt), soaking)
    over = choice.settled or choice.causes
    return replace(choice, plan=None if over else plan, told=(*told, *choice.told))


def _at_once(wanted: Desired, rendering: Rendering, record: Record, soaking: float | None) -> Choice:
    """A first installation, a change that is no rollout, and no change at all."""
    unchanged = record.good is not None and record.good.template == rendering.template
    if soaking is None:
        return Choice(wanted, record, settled=unchanged)
    if record.good is not None and record.good.digest == rendering.digest and record.attempt is None:
        return Choice(wanted, record, settled=True)
    return Choice(wanted, replace(record, good=rendering, attempt=None), settled=True)


def _watched(wanted: Desired, rendering: Rendering, world: World, record: Record, soaking: float | None) -> Choice:
    """A rollout that goes on: until its deadline, then for the soak."""
    attempt, spec = record.attempt, world.operator.spec.rollout
    assert attempt is not None
    assert record.good is not None
    started = datetime.fromisoformat(attempt.started)
    broken = _broken(world, attempt, started) if _reached(world, wanted) else ""
    left = (started + timedelta(seconds=spec.deadline_seconds) - world.now).total_seconds()
    if soaking is None and left <= 0 and not broken:
        broken = _stuck(world)
    same = (record.good.image, record.good.config_map) == (rendering.image, rendering.config_map)
    if broken and not same:  # what only the object's own spec changed is for its author to take back
        return _given_up(record, attempt, rendering, world, broken)
    if soaking is not None and soaking >= spec.soak_seconds:
        ended = _entry(rendering, attempt, world.now, "Succeeded", "")
        done = replace(record, good=rendering, attempt=None).noting(ended)
        return Choice(wanted, done, settled=True, told=(events.rollout_finished(rendering.version, rendering.image),))
    if soaking is not None:
        rest = spec.soak_seconds - soaking
        return Choice(wanted, record, waits=("Soaking", f"watched for another {rest:.0f} s"), look_again=rest)
    return Choice(wanted, record, look_again=max(1.0, left))


def _reached(world: World, wanted: Desired) -> bool:
    """Whether the Deployment is the one that is wanted, so that its pods tell of it."""
    live, deployment = world.live.get(_DEPLOYMENT), wanted.get(*_DEPLOYMENT)
    if live is None or deployment is None or health.image_of(live) != health.image_of(deployment):
        return False
    before, after = (annotations_of(each["spec"]["template"]) for each in (live, deployment))
    return before.get(names.CONFIG_HASH) == after.get(names.CONFIG_HASH)


def _broken(world: World, attempt: Attempt, started: datetime) -> str:
    """What shows, once all pods were updated, that the new installation does not hold; empty if nothing does."""
    live = world.live.get(_DEPLOYMENT) or {}
    status = live.get("status") or {}
    if int(status.get("updatedReplicas") or 0) < health.wanted_replicas(live):
        return ""
    for pod in health.pods_of(live, world.replica_sets, world.pods):
        for each in (pod.get("status") or {}).get("containerStatuses") or ():
            ended = (each.get("lastState") or {}).get("terminated") or {}
            if ended and datetime.fromisoformat(ended["finishedAt"]) >= started:
                return f"pod {name_of(pod)} restarted: {ended.get('reason')}, exit code {ended.get('exitCode')}"
    if health.rolled_out(live):
        if world.probe is not None and world.probe.fault and world.probe.at >= started:
            return f"its webhook does not answer: {world.probe.fault}"
        for lease in world.leases:
            ours = name_of(lease) == names.OPERAND_LEASE and namespace_of(lease) == namespace_of(live)
            if ours and not claims.held(_doubled(lease), world.now):
                return "nobody renews the operand's lease"
        if world.workloads is not None and world.workloads.sets_available < attempt.sets_available:
            return f"{world.workloads.sets_available} sets are Available, {attempt.sets_available} were before"
    return ""


def _doubled(lease: JSON) -> JSON:
    spec = lease.get("spec") or {}
    return {**lease, "spec": {**spec, "leaseDurationSeconds": 2 * float(spec.get("leaseDurationSeconds") or 0)}}


def _stuck(world: World) -> str:
    """Why a rollout did not get anywhere before its deadline."""
    cause = health.failing(world.live.get(_DEPLOYMENT), world.replica_sets, world.pods, world.operator.spec)
    return cause.message if cause is not None else "it was not done before its deadline"


def _given_up(record: Record, attempt: Attempt, rendering: Rendering, world: World, why: str) -> Choice:
    held = world.operator.spec.rollout.on_failure == "Hold"
    failed = replace(attempt, failed=why, held=held)
    entry = _entry(rendering, attempt, world.now, "Held" if held else "RolledBack", why)
    choice = _failed(replace(record, attempt=failed).noting(entry), failed)
    told = () if held else (events.rolled_back(rendering.version, rendering.image, why),)
    return replace(choice, told=told)


def _failed(record: Record, attempt: Attempt) -> Choice:
    """A rollout that was given up: it is not tried again until something else is wanted."""
    assert record.good is not None
    if attempt.held:
        message = f"the rollout failed and was left as it is: {attempt.failed}; change the image or the spec"
        return Choice(None, record, causes=(Cause(ROLLOUT_FAILED, message),))
    message = f"rolled back to {record.good.image}: {attempt.failed}; change the image or the spec"
    return Choice(record.good.desired(), record, causes=(Cause(ROLLED_BACK, message),))


def _approved(spec: LeaderWorkerSetOperatorSpec, given: str | None, rendering: Rendering, preview: Preview) -> bool:
    free = spec.rollout.approval == "Automatic" and (not preview.groups or spec.rollout.allow_group_restarts)
    return free or spec.management_state == FORCE or given == rendering.digest


def planned(facts: Facts, preview: Preview, good: Rendering, rendering: Rendering) -> JSON:
    """The plan as the status shows it."""
    return {
        "hash": rendering.digest,
        "from": {"version": good.version, "image": good.image},
        "to": {"version": facts.version, "image": facts.image},
        "entries": [*preview.entries[:MOST_ENTRIES]],
        "truncated": max(0, len(preview.entries) - MOST_ENTRIES),
        "restartsOperand": True,
        **preview.status(),
    }


def _entry(rendering: Rendering, attempt: Attempt, now: datetime, result: str, cause: str) -> JSON:
    entry = {
        "version": rendering.version,
        "image": rendering.image,
        "configHash": rendering.config_map.rpartition("-")[2],
        "started": attempt.started,
        "ended": stamp(now),
        "result": result,
    }
    return entry | ({"cause": cause} if cause else {})
