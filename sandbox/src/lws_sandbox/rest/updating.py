"""Update, in the order of k8s.io/apiserver: fields, admission, version, rules of the kind, storage."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.copying import copied
from lws_sandbox.rest import deleting, metadata
from lws_sandbox.rest.call import Call, WriteOptions, internal, parse_version, write_options
from lws_sandbox.rest.core import Core, Review, review
from lws_sandbox.rest.creating import after_webhooks, check_name, check_namespace, normalize, refuse_causes, store_new
from lws_sandbox.status import (
    MODIFIED,
    Cause,
    conflict,
    invalid,
    not_found,
    of,
)
from lws_sandbox.storage import KeyMissing, VersionMismatch
from lws_sandbox.strategy import WriteContext

Produce = Callable[[JSON], Awaitable[JSON]]
RETRIES: Final = 5
NAME_TRIES: Final = 8


async def update(core: Core, call: Call) -> tuple[JSON, bool]:
    """PUT of an object or its status; returns it as stored, and whether it was created.

    Raises:
        StatusError: it was not written.
    """
    options = write_options(call.query, "UpdateOptions")
    sent, warnings = core.codec.decode(call, call.strategy, options.field_validation)
    call.warnings += warnings
    check_namespace(call, sent)
    check_name(call, sent)
    manager = call.manager(options)

    async def produce(live: JSON) -> JSON:
        check_uid(call, sent, live)
        return copied(sent)

    return await store_change(core, call, produce, options, "UpdateOptions", manager=manager, sent=sent)


def check_uid(call: Call, sent: JSON, live: JSON) -> None:
    """A uid in the body of a PUT is a precondition.

    Raises:
        StatusError: 409, it is another one.
    """
    uid, real = sent["metadata"].get("uid"), live["metadata"].get("uid")
    if uid and uid != real:
        resource, info = call.strategy.resource, call.info
        prefix = f"{resource.group}/{resource.plural}" if resource.group else resource.plural
        key = "/".join(part for part in ("/registry", _etcd(prefix), info.namespace, info.name) if part)
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {real}"
        text = f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: {why}"
        raise conflict(of(resource), info.name, text)


def _etcd(prefix: str) -> str:
    """Where the real server keeps a kind: built-in groups are left out of its keys."""
    group, _, plural = prefix.rpartition("/")
    return plural if not group or "." not in group or group.endswith(".k8s.io") else prefix


async def store_change(
    core: Core,
    call: Call,
    produce: Produce,
    options: WriteOptions,
    kind: str,
    *,
    manager: str,
    sent: JSON | None = None,
    tracked: bool = True,
    shown: Shown | None = None,
) -> tuple[JSON, bool]:
    """Take a changed object through admission and rules into the store.

    Args:
        core: the shared parts.
        call: the request.
        produce: makes the new object from the live one; called again when another write came first.
        options: of the write.
        kind: of the options.
        manager: who owns what changes.
        sent: the object of a PUT, which may create it.
        tracked: whether managedFields are to be written; apply writes its own.
        shown: how admission sees the object, where that is another kind.

    Raises:
        StatusError: it was not written.
    """
    strategy, info = call.strategy, call.info
    for _ in range(RETRIES):
        stored = core.storage.get(strategy.storage_key, info.namespace, info.name)
        if stored is None:
            if sent is None or not strategy.create_on_update or call.subresource:
                raise not_found(of(strategy.resource), info.name)
            return await _create_by_put(core, call, sent, options, kind, manager), True
        live = strategy.read(stored)
        new = await produce(live)
        locked = new["metadata"].get("resourceVersion") not in (None, "", "0", live["metadata"]["resourceVersion"])
        asking = Asking(core, call, options, kind, shown or Shown(None, _itself, lambda _, admitted: admitted))
        new = await _admitted(asking, live, new, manager=manager, tracked=tracked)
        try:
            return await _finish(asking, stored, live, new), False
        except (VersionMismatch, KeyMissing):
            if locked or (sent is not None and sent["metadata"].get("resourceVersion")):
                break
    raise conflict(of(strategy.resource), info.name, MODIFIED)


async def _create_by_put(core: Core, call: Call, sent: JSON, options: WriteOptions, kind: str, manager: str) -> JSON:
    def track(new: JSON) -> JSON:
        return core.codec.track(None, new, call.strategy, manager=manager, subresource="", now=core.clock.now())

    await core.allow(call, "create")
    return await store_new(core, call, copied(sent), options, kind, track)


def _itself(obj: JSON) -> JSON:
    return obj


@dataclass(frozen=True, slots=True)
class Shown:
    """How admission sees a change: as (group, version, kind), or None for the object's own, with the way back."""

    kind: tuple[str, str, str] | None
    form: Callable[[JSON], JSON]
    absorb: Callable[[JSON, JSON], JSON]


@dataclass(frozen=True, slots=True)
class Asking:
    """What is the same for both sides of admission in one write."""

    core: Core
    call: Call
    options: WriteOptions
    options_kind: str
    shown: Shown

    @property
    def context(self) -> WriteContext:
        """What the rules of kinds may know."""
        return self.core.context(self.call.user, dry_run=self.options.dry_run, subresource=self.call.subresource)

    def review(self, new: JSON, live: JSON) -> Review:
        """The review of a change."""
        form = self.shown.form
        asked = review(self.call, "UPDATE", self.options, form(new), form(live), options_kind=self.options_kind)
        return asked if self.shown.kind is None else dataclasses.replace(asked, kind=self.shown.kind)


async def _admitted(asking: Asking, live: JSON, new: JSON, *, manager: str, tracked: bool) -> JSON:
    core, call = asking.core, asking.call
    strategy = call.strategy

    def track(obj: JSON) -> JSON:
        if not tracked:
            return obj
        now = core.clock.now()
        return core.codec.track(live, obj, strategy, manager=manager, subresource=call.subresource, now=now)

    normalize(new)
    strategy.default(new)
    call.warnings += metadata.dedupe_owners(new["metadata"])
    new = track(new)
    if not call.subresource:
        call.warnings += strategy.admit(new, live, asking.context)
    asked = asking.review(new, live)
    admitted = await core.mutate(call, asked)
    if admitted is asked.obj:
        return new
    return after_webhooks(call, asking.shown.absorb(new, admitted))


async def _finish(asking: Asking, stored: JSON, live: JSON, new: JSON) -> JSON:
    core, call, strategy = asking.core, asking.call, asking.call.strategy
    dry_run, context = asking.options.dry_run, asking.context
    check_version(call, new, live)
    _prepare_change(call, new, live, context)
    _check_change(call, new, live, context)
    if not call.subresource:
        call.warnings += strategy.admit_final(new, live, context)
    await core.validate(call, asking.review(new, live))
    if deleting.emptied(strategy, new):
        if not dry_run:
            deleting.remove(core, strategy, stored)
        return new
    if same(new, live):
        return live
    if dry_run:
        return new
    written = core.storage.update(
        strategy.storage_key, call.info.namespace, call.info.name, strategy.write(new), stored
    )
    strategy.stored(written, stored)
    return strategy.read(written)


def check_version(call: Call, new: JSON, live: JSON) -> None:
    """Optimistic locking: a resourceVersion that is given must be the live one.

    Raises:
        StatusError: 409 another one, 422 none where one is needed, 500 none at all.
    """
    what, meta = of(call.strategy.resource), new["metadata"]
    try:
        version = parse_version(meta.get("resourceVersion") or "")
    except ValueError as error:
        raise internal(str(error)) from None
    if version == 0:
        if not call.strategy.unconditional_update:
            why = "Invalid value: 0: must be specified for an update"
            cause = Cause("FieldValueInvalid", why, "metadata.resourceVersion")
            raise invalid(what.resource, call.info.name, [cause], group=what.group)
    elif str(version) != live["metadata"]["resourceVersion"]:
        raise conflict(what, call.info.name, MODIFIED)
    meta["resourceVersion"] = live["metadata"]["resourceVersion"]


def _prepare_change(call: Call, new: JSON, live: JSON, context: Any) -> None:
    strategy, meta = call.strategy, new["metadata"]
    metadata.keep_system_fields(meta, live["metadata"])
    if call.subresource == "status":
        strategy.prepare_status(new, live, context)
        return
    if call.subresource != "finalize":
        strategy.prepare_update(new, live, context)
    if strategy.generation and strategy.changed(new, live):
        new["metadata"]["generation"] = (live["metadata"].get("generation") or 0) + 1


def _check_change(call: Call, new: JSON, live: JSON, context: Any) -> None:
    strategy = call.strategy
    causes = metadata.validate_update(new["metadata"], live["metadata"], custom=strategy.custom)
    causes += causes  # asked once by the server and once by the kind, and told twice
    if call.subresource == "status":
        causes += strategy.validate_status(new, live, context)
    else:
        causes += strategy.validate_update(new, live, context)
    refuse_causes(call, new, causes)
    if strategy.custom:
        call.warnings += metadata.finalizer_warnings(new["metadata"], live["metadata"])
    call.warnings += strategy.warnings(new, live)


def same(new: JSON, live: JSON) -> bool:
    """Whether a write changes nothing: times in managedFields and the version do not count."""
    if {key: value for key, value in new.items() if key != "metadata"} != {
        key: value for key, value in live.items() if key != "metadata"
    }:
        return False
    return _plain(new["metadata"]) == _plain(live["metadata"])


def _plain(meta: JSON) -> JSON:
    fields = [{k: v for k, v in entry.items() if k != "time"} for entry in meta.get("managedFields") or ()]
    return {**{k: v for k, v in meta.items() if k != "resourceVersion"}, "managedFields": fields}
