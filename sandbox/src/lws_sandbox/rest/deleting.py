"""Deletion: preconditions, grace, finalizers, propagation (k8s.io/apiserver `registry/generic/registry/store.go`)."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime, timedelta
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.rest import lifecycle, metadata
from lws_sandbox.rest.call import Call, DeleteOptions
from lws_sandbox.rest.core import Core, Review, review
from lws_sandbox.status import GroupResource, StatusError, conflict, not_found, of
from lws_sandbox.storage import KeyMissing, VersionMismatch
from lws_sandbox.strategy import Strategy

ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
RETRIES: Final = 5
WRITE_SECONDS: Final = 0.001


@dataclasses.dataclass(frozen=True, slots=True)
class Deleted:
    """What became of an object: as it is, or was last, and whether it is gone."""

    obj: JSON
    gone: bool


@dataclasses.dataclass(slots=True)
class _Plan:
    """What a deletion does to an object that stays for now."""

    obj: JSON
    graceful: bool = False
    pending: bool = False
    changed: bool = False
    grace: int = 0


async def delete(
    core: Core, call: Call, options: DeleteOptions, *, reviewed: bool = True, shown_name: str | None = None
) -> Deleted:
    """Delete the object that the call names.

    Args:
        core: the shared parts.
        call: the request.
        options: of the deletion.
        reviewed: whether admission is asked; it is not when it was asked for what leads to the deletion.
        shown_name: the name that admission sees; by default the object's.

    Raises:
        StatusError: 404, 403, or 409 when a precondition does not hold.
    """
    strategy, info = call.strategy, call.info
    context = core.context(call.user, dry_run=options.dry_run)
    for _ in range(RETRIES):
        stored = core.storage.get(strategy.storage_key, info.namespace, info.name)
        if stored is None:
            raise not_found(of(strategy.resource), info.name)
        live = strategy.read(stored)
        lifecycle.check_deletion(call)
        strategy.admit(None, live, context)
        check_preconditions(strategy, live, options)
        asked = None
        if reviewed:
            raw = delete_json(options)
            asked = review(call, "DELETE", raw, None, live, dry_run=options.dry_run, name=shown_name)
        try:
            return await _delete(core, call, stored, live, options, asked)
        except (VersionMismatch, KeyMissing):
            continue
    raise conflict(of(strategy.resource), info.name, "the object has been modified")


async def _delete(
    core: Core, call: Call, stored: JSON, live: JSON, options: DeleteOptions, asked: Review | None
) -> Deleted:
    strategy = call.strategy
    if strategy.storage_key == lifecycle.NAMESPACE_KEY and (live.get("spec") or {}).get("finalizers"):
        return await _terminate(core, call, stored, live, options, asked)
    marked = strategy.begin_deletion(live, core.clock.now())
    if marked is not None:
        await _ask(core, call, asked)
        return Deleted(_keep(core, strategy, stored, marked, dry_run=options.dry_run)[1], gone=False)
    plan = _plan(strategy, live, options, core.clock.now())
    if plan.pending:
        return Deleted(live, gone=False)
    if asked is not None and plan.graceful:  # the strategy has written the grace period into the options by now
        asked = dataclasses.replace(asked, options=_with_grace(asked.options, plan.grace))
    if plan.changed:
        await _ask(core, call, asked)
        stored, live = _keep(core, strategy, stored, plan.obj, dry_run=options.dry_run)
        if plan.grace > 0 or live["metadata"].get("finalizers"):
            return Deleted(live, gone=False)
        asked = asked and dataclasses.replace(asked, old=live)
        # Two writes of a real server are milliseconds apart: whoever watches can act on the first one. The second takes
        # what it finds; that somebody else has finished the deletion meanwhile is no failure.
        await asyncio.sleep(WRITE_SECONDS)
        latest = core.storage.get(strategy.storage_key, call.info.namespace, call.info.name)
        if latest is None or latest["metadata"].get("uid") != live["metadata"].get("uid"):
            return Deleted(live, gone=True)
        stored = stored if options.dry_run else latest
    await _ask(core, call, asked)
    if options.dry_run:
        return Deleted(live, gone=True)
    return Deleted(remove(core, strategy, stored), gone=True)


async def _ask(core: Core, call: Call, asked: Review | None) -> None:
    if asked is not None:
        # Mutating webhooks are asked about deletions too, though there is nothing that they could change.
        _, warnings = await core.admission.mutate(asked)
        call.warnings += warnings
        await core.validate(call, asked)


def check_preconditions(strategy: Strategy, live: JSON, options: DeleteOptions) -> None:
    """The uid and version that the client expects.

    Raises:
        StatusError: 409.
    """
    resource, meta = strategy.resource, live["metadata"]
    what = GroupResource(resource.group, resource.kind)
    if options.uid is not None and options.uid != meta.get("uid"):
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({meta.get('uid')}). "
            "The object might have been deleted and then recreated"
        )
        raise conflict(what, meta["name"], why)
    if options.resource_version is not None and options.resource_version != meta.get("resourceVersion"):
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
            f"in record ({meta.get('resourceVersion')}). The object might have been modified"
        )
        raise conflict(what, meta["name"], why)


def _plan(strategy: Strategy, live: JSON, options: DeleteOptions, now: datetime) -> _Plan:
    plan = _Plan({**live, "metadata": dict(live["metadata"])})
    meta = plan.obj["metadata"]
    _set_grace(strategy, plan, options, now)
    if plan.pending:
        return plan
    finalizers = _finalizers(meta.get("finalizers") or [], options)
    if set(finalizers) != set(meta.get("finalizers") or []):
        plan.changed = True
        if finalizers:
            meta["finalizers"] = finalizers
        else:
            meta.pop("finalizers", None)
    if not plan.graceful and finalizers:
        plan.changed = True
        mark(meta, now)
    return plan


def _set_grace(strategy: Strategy, plan: _Plan, options: DeleteOptions, now: datetime) -> None:
    meta = plan.obj["metadata"]
    asked = options.grace_period_seconds
    if asked is not None and asked < 0:
        asked = 1
    grace = strategy.graceful(plan.obj, asked)
    if grace is None:
        return
    running = meta.get("deletionGracePeriodSeconds")
    if meta.get("deletionTimestamp"):
        if not running:
            return
        if asked is None or asked >= running:
            plan.pending = True
            return
        began = datetime.fromisoformat(meta["deletionTimestamp"]) - timedelta(seconds=running)
        grace = asked
    else:
        began = now
        if (meta.get("generation") or 0) > 0:
            meta["generation"] += 1
    meta["deletionTimestamp"] = metadata.timestamp(began + timedelta(seconds=grace))
    meta["deletionGracePeriodSeconds"] = grace
    plan.graceful, plan.changed, plan.grace = True, True, grace


def mark(meta: JSON, now: datetime) -> None:
    """Begin the deletion of an object that finalizers hold and that has no grace."""
    marked = meta.get("deletionTimestamp")
    if not marked and (meta.get("generation") or 0) > 0:
        meta["generation"] += 1
    if not marked or datetime.fromisoformat(marked) > now:
        meta["deletionTimestamp"] = metadata.timestamp(now)
    meta["deletionGracePeriodSeconds"] = 0


def _finalizers(present: list[str], options: DeleteOptions) -> list[str]:
    """Finalizers as the propagation asked for leaves them."""
    orphan, foreground = ORPHAN in present, FOREGROUND in present
    if options.orphan_dependents is not None:
        orphan, foreground = options.orphan_dependents, False
    elif options.propagation is not None:
        orphan, foreground = options.propagation == "Orphan", options.propagation == "Foreground"
    kept = [name for name in present if name not in (ORPHAN, FOREGROUND)]
    return kept + [ORPHAN] * orphan + [FOREGROUND] * (foreground and not orphan)


def _keep(core: Core, strategy: Strategy, stored: JSON, changed: JSON, *, dry_run: bool) -> tuple[JSON, JSON]:
    """Store what a deletion does to an object that stays; returns it as stored and as read."""
    if dry_run:
        return stored, changed
    meta = stored["metadata"]
    if changed["metadata"] == strategy.read(stored)["metadata"] and changed == strategy.read(stored):
        return stored, changed
    written = core.storage.update(
        strategy.storage_key, meta.get("namespace") or "", meta["name"], strategy.write(changed), stored
    )
    strategy.stored(written, stored)
    return written, strategy.read(written)


def remove(core: Core, strategy: Strategy, stored: JSON) -> JSON:
    """Take an object out of the store; returns it as it was last."""
    meta = stored["metadata"]
    last = core.storage.delete(strategy.storage_key, meta.get("namespace") or "", meta["name"], stored)
    strategy.stored(None, stored)
    return strategy.read(last)


def emptied(strategy: Strategy, obj: JSON) -> bool:
    """Whether a write took the last thing that held an object which is being deleted."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if strategy.storage_key == lifecycle.NAMESPACE_KEY and (obj.get("spec") or {}).get("finalizers"):
        return False
    return not meta.get("deletionGracePeriodSeconds")


async def _terminate(
    core: Core, call: Call, stored: JSON, live: JSON, options: DeleteOptions, asked: Review | None
) -> Deleted:
    """A namespace goes in two steps: it terminates, and its finalizers hold it until it is empty."""
    await _ask(core, call, asked)
    meta = dict(live["metadata"])
    if not meta.get("deletionTimestamp"):
        meta["deletionTimestamp"] = metadata.timestamp(core.clock.now())
    finalizers = _finalizers(meta.get("finalizers") or [], options)
    if finalizers:
        meta["finalizers"] = finalizers
    changed = {**live, "metadata": meta, "status": {**(live.get("status") or {}), "phase": "Terminating"}}
    _, read = _keep(core, call.strategy, stored, changed, dry_run=options.dry_run)
    return Deleted(read, gone=False)


def _with_grace(options: JSON, grace: int) -> JSON:
    """Options with the grace period that the kind decided on, in the order of their Go type."""
    rest = {name: value for name, value in options.items() if name != "gracePeriodSeconds"}
    return {"kind": rest.pop("kind"), "apiVersion": rest.pop("apiVersion"), "gracePeriodSeconds": grace, **rest}


def delete_json(options: DeleteOptions) -> JSON:
    """Options as an AdmissionReview carries them."""
    return {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", **options.raw}


async def delete_each(core: Core, call: Call, names: list[tuple[str, str]], options: DeleteOptions) -> None:
    """Delete the objects of a collection; one that is gone already is no failure.

    Raises:
        StatusError: the first refusal.
    """
    for namespace, name in names:
        info = dataclasses.replace(call.info, namespace=namespace, name=name)
        one = dataclasses.replace(call, info=info)
        try:
            await delete(core, one, options, shown_name="")
        except StatusError as error:
            if error.code != 404:
                raise
