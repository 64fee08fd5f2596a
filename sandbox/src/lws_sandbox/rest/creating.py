"""Create, in the order of k8s.io/apiserver: fields, admission, rules of the kind, storage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.copying import copied
from lws_sandbox.quotas import QUOTAS, Charge, charges
from lws_sandbox.rest import lifecycle, metadata
from lws_sandbox.rest.call import Call, WriteOptions, internal, write_options
from lws_sandbox.rest.core import Core, review
from lws_sandbox.status import (
    Cause,
    already_exists,
    bad_request,
    invalid,
    of,
)
from lws_sandbox.storage import KeyTaken
from lws_sandbox.strategy import Strategy, WriteContext

Produce = Callable[[JSON], Awaitable[JSON]]
RETRIES: Final = 5
NAME_TRIES: Final = 8


async def create(core: Core, call: Call) -> JSON:
    """POST to a collection; returns the object as stored.

    Raises:
        StatusError: it was not created.
    """
    options = write_options(call.query, "CreateOptions")
    obj, warnings = core.codec.decode(call, call.strategy, options.field_validation)
    call.warnings += warnings
    check_namespace(call, obj)
    obj["metadata"].pop("managedFields", None)
    manager = call.manager(options)

    def track(new: JSON) -> JSON:
        return core.codec.track(None, new, call.strategy, manager=manager, subresource="", now=core.clock.now())

    return await store_new(core, call, obj, options, "CreateOptions", track)


async def store_new(
    core: Core, call: Call, obj: JSON, options: WriteOptions, kind: str, track: Callable[[JSON], JSON]
) -> JSON:
    """Take a new object through admission and rules into the store; ``track`` writes its managedFields."""
    strategy, meta = call.strategy, obj["metadata"]
    context = core.context(call.user, dry_run=options.dry_run)
    name = meta.get("name") or ""
    metadata.drop_unwritable(meta)
    normalize(obj)
    call.warnings += metadata.dedupe_owners(meta)
    strategy.default(obj)
    obj = track(obj)
    lifecycle.check_creation(core, call, name)
    call.warnings += strategy.admit(obj, None, context)
    asked = review(call, "CREATE", options, obj, None, options_kind=kind, name=name)
    admitted = await core.mutate(call, asked)
    if admitted is not obj:
        obj = after_webhooks(call, admitted)
    _check_new(core, call, obj, context)
    name = obj["metadata"]["name"]
    asked = review(call, "CREATE", options, obj, None, options_kind=kind, name=name)
    call.warnings += strategy.admit_final(obj, None, context)
    await core.validate(call, asked)
    charged = _charges(strategy, obj, context)
    stored = _store(core, call, obj, dry_run=options.dry_run)
    if not options.dry_run:
        for charge in charged:
            _charge(core, charge)
    return stored


def _charges(strategy: Strategy, obj: JSON, context: WriteContext) -> list[Charge]:
    """What the new object costs the quotas of its namespace, where there are any.

    Raises:
        StatusError: 403, it is too much.
    """
    namespace = obj["metadata"].get("namespace") or ""
    quotas = context.stored(QUOTAS, namespace) if namespace else ()
    if not quotas:
        return []
    key = strategy.storage_key
    return charges(strategy.resource, key, obj, quotas, lambda other: context.stored(other, namespace), context.now)


def _charge(core: Core, charge: Charge) -> None:
    meta = charge.quota["metadata"]
    changed = {**charge.quota, "status": charge.status()}
    core.storage.update(QUOTAS, meta["namespace"], meta["name"], changed, charge.quota)


def after_webhooks(call: Call, admitted: JSON) -> JSON:
    """An object as webhooks left it, completed; what they changed is nobody's: managedFields were written before."""
    obj = copied(admitted)
    call.warnings += metadata.dedupe_owners(obj["metadata"])
    call.strategy.default(obj)
    return obj


def _check_new(core: Core, call: Call, obj: JSON, context: Any) -> None:
    strategy, meta = call.strategy, obj["metadata"]
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = _generated(core, call, meta["generateName"])
    metadata.fill_in(meta, context.now, core.random)
    if not strategy.resource.namespaced:
        meta.pop("namespace", None)
    if strategy.generation:
        meta["generation"] = 1
    strategy.prepare_create(obj, context)
    errors = strategy.name_errors(meta["name"]) if meta.get("name") else []
    causes = metadata.validate(meta, errors, custom=strategy.custom)
    if meta.get("name") or strategy.custom:
        causes += strategy.validate_create(obj, context)
    refuse_causes(call, obj, causes)
    if strategy.custom:
        call.warnings += metadata.finalizer_warnings(meta, None)
    call.warnings += strategy.warnings(obj, None)


def refuse_causes(call: Call, obj: JSON, causes: list[Cause]) -> None:
    """Raise what breaks rules, with the kind as the body names it and the group in which it is stored: twins have one.

    Raises:
        StatusError: 422, if there is a cause.
    """
    if causes:
        strategy = call.strategy
        kind = obj.get("kind") or strategy.resource.kind
        group = strategy.storage_key.partition(".")[2]
        raise invalid(kind, obj["metadata"].get("name") or "", causes, group=group)


def _store(core: Core, call: Call, obj: JSON, *, dry_run: bool) -> JSON:
    strategy, meta = call.strategy, obj["metadata"]
    if meta.pop("resourceVersion", "") not in ("", "0"):
        raise internal("resourceVersion should not be set on objects to be created")
    key, name = strategy.storage_key, meta["name"]
    namespace = meta.get("namespace") or ""
    taken = core.storage.get(key, namespace, name)
    if taken is not None:
        error = already_exists(of(strategy.resource), name)
        if taken["metadata"].get("deletionTimestamp"):
            error.message = f"object is being deleted: {error.message}"
        raise error
    if dry_run:
        return obj
    try:
        stored = core.storage.create(key, namespace, name, strategy.write(obj))
    except KeyTaken:
        raise already_exists(of(strategy.resource), name) from None
    strategy.stored(stored, None)
    return strategy.read(stored)


def _generated(core: Core, call: Call, base: str) -> str:
    name = ""
    for _ in range(NAME_TRIES):
        name = metadata.generated_name(base, core.random)
        if core.storage.get(call.strategy.storage_key, call.info.namespace, name) is None:
            return name
    return name


def check_namespace(call: Call, obj: JSON) -> None:
    """The namespace of the body is that of the path, or left out and filled in.

    Raises:
        StatusError: 400, it is another one.
    """
    meta = obj.setdefault("metadata", {})
    namespace = call.info.namespace
    if not call.strategy.resource.namespaced:
        meta.pop("namespace", None)
        return
    if meta.get("namespace") and meta["namespace"] != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    meta["namespace"] = namespace


def check_name(call: Call, obj: JSON) -> None:
    """The name of the body is that of the path.

    Raises:
        StatusError: 400, it is another one or missing.
    """
    name = obj["metadata"].get("name") or ""
    if not name:
        where = f"the name of the object ({call.info.name} based on URL)"
        raise bad_request(f"{where} was undeterminable: name must be provided")
    if name != call.info.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.info.name})")


def normalize(obj: JSON) -> None:
    """Drop what the real server's types never write: empty members of metadata.

    Empty managedFields stay: they ask to forget all owners.
    """
    meta = obj["metadata"]
    empty = [member for member, value in meta.items() if value in (None, "", [], {}) and member != "managedFields"]
    for member in empty:
        del meta[member]
