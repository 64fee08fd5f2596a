"""PATCH: JSON patch, merge patch, strategic merge patch, and server-side apply."""

from __future__ import annotations

from lws.apimachinery.manifests import JSON
from lws_sandbox.codec import schema_of
from lws_sandbox.copying import copied
from lws_sandbox.patching import APPLY_PATCH, patch_type
from lws_sandbox.rest.call import Call, WriteOptions, write_options
from lws_sandbox.rest.core import Core
from lws_sandbox.rest.creating import check_name, check_namespace, store_new
from lws_sandbox.rest.updating import store_change
from lws_sandbox.status import conflict, not_found, of


async def patch(core: Core, call: Call) -> tuple[JSON, bool]:
    """PATCH of an object or its status; returns it as stored, and whether it was created.

    Raises:
        StatusError: it was not written.
    """
    kind = patch_type(call.headers.get("content-type", ""), schema_of(call.strategy))
    options = write_options(call.query, "PatchOptions", patch_type=kind)
    if kind == APPLY_PATCH:
        return await _apply(core, call, options)
    return await _patch(core, call, options)


async def _patch(core: Core, call: Call, options: WriteOptions) -> tuple[JSON, bool]:
    strategy = call.strategy

    async def produce(live: JSON) -> JSON:
        new, warnings = core.codec.patch(call, live, strategy, options.field_validation)
        call.warnings += [text for text in warnings if text not in call.warnings]
        check_patched(call, new)
        return new

    return await store_change(core, call, produce, options, "UpdateOptions", manager=call.manager(options))


def check_patched(call: Call, new: JSON) -> None:
    """A patch may not move an object.

    Raises:
        StatusError: 400.
    """
    new.setdefault("metadata", {})
    check_name(call, new)
    check_namespace(call, new)


async def _apply(core: Core, call: Call, options: WriteOptions) -> tuple[JSON, bool]:
    strategy, info = call.strategy, call.info
    applied, warnings = core.codec.decode_applied(call, options.field_validation)
    call.warnings += warnings
    meta = applied.get("metadata") or {}

    def merged(live: JSON | None) -> JSON:
        new = core.codec.apply(
            live,
            copied(applied),
            strategy,
            manager=options.field_manager,
            force=bool(options.force),
            subresource=info.subresource,
            now=core.clock.now(),
        )
        check_patched(call, new)
        return new

    async def produce(live: JSON) -> JSON:
        new = merged(live)
        new["metadata"]["resourceVersion"] = meta.get("resourceVersion") or live["metadata"]["resourceVersion"]
        return new

    if core.storage.get(strategy.storage_key, info.namespace, info.name) is None:
        if info.subresource:
            raise not_found(of(strategy.resource), info.name)
        new = merged(None)
        if meta.get("uid"):
            raise conflict(of(strategy.resource), info.name, _gone(meta["uid"]))
        await core.allow(call, "create")
        new["metadata"].pop("resourceVersion", None)
        return await store_new(core, call, new, options, "CreateOptions", lambda obj: obj), True
    return await store_change(
        core, call, produce, options, "UpdateOptions", manager=options.field_manager, tracked=False
    )


def _gone(uid: str) -> str:
    return f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
