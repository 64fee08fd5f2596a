"""The scale subresource: one number of an object, in the same form for every kind."""

from __future__ import annotations

from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws_sandbox.copying import copied
from lws_sandbox.patching import APPLY_PATCH, patch_type
from lws_sandbox.rest import creating, selectors, updating
from lws_sandbox.rest.call import Call, WriteOptions, write_options
from lws_sandbox.rest.core import Core
from lws_sandbox.schema import builtin_schema
from lws_sandbox.status import Cause, internal_error, invalid
from lws_sandbox.strategy import GenericStrategy, ScalePaths

SCALE: Final = GenericStrategy(Resource("autoscaling", "v1", "scales", "Scale"))


async def serve_scale(core: Core, call: Call) -> tuple[JSON, int]:
    """GET, PUT and PATCH of ``/scale``: body and status code.

    Raises:
        StatusError: it failed.
    """
    if call.info.verb == "get":
        return to_scale(call, core.find(call)), 200
    if call.info.verb == "update":
        options = write_options(call.query, "UpdateOptions")
        obj = await _put(core, call, options)
    else:
        media = patch_type(call.headers.get("content-type", ""), builtin_schema("autoscaling/v1", "Scale"))
        options = write_options(call.query, "PatchOptions", patch_type=media)
        obj = await (_apply(core, call, options) if media == APPLY_PATCH else _patch(core, call, options))
    return to_scale(call, obj), 200


def paths(call: Call) -> ScalePaths:
    """Where the kind keeps its numbers."""
    found = call.strategy.scale
    assert found is not None
    return found


def look(obj: JSON, path: str) -> Any:
    """What is at a dotted path, or None."""
    value: Any = obj
    for member in path.lstrip(".").split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(member)
    return value


def put(obj: JSON, path: str, value: Any) -> None:
    """Write at a dotted path, in place."""
    *parents, last = path.lstrip(".").split(".")
    for member in parents:
        obj = obj.setdefault(member, {})
    obj[last] = value


def to_scale(call: Call, obj: JSON, *, lenient: bool = False) -> JSON:
    """The Scale of an object.

    Raises:
        StatusError: 500, a custom resource has no number at its path.
    """
    where, meta = paths(call), obj["metadata"]
    replicas = look(obj, where.spec_replicas)
    if replicas is None and call.strategy.custom and not lenient:
        raise internal_error(f'the spec replicas field ".{where.spec_replicas.lstrip(".")}" does not exist')
    members = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    scale: JSON = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {member: meta[member] for member in members if meta.get(member)},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {"replicas": look(obj, where.status_replicas) or 0},
    }
    text = _selector(call, obj, where)
    if text:
        scale["status"]["selector"] = text
    return scale


def _selector(call: Call, obj: JSON, where: ScalePaths) -> str:
    if where.selector:
        return str(look(obj, where.selector) or "")
    if call.strategy.custom:
        return ""
    return selectors.to_text((obj.get("spec") or {}).get("selector"))


async def _put(core: Core, call: Call, options: WriteOptions) -> JSON:
    sent, warnings = core.codec.decode(call, SCALE, options.field_validation)
    call.warnings += warnings
    creating.check_namespace(call, sent)
    creating.check_name(call, sent)

    async def produce(live: JSON) -> JSON:
        updating.check_uid(call, sent, live)
        return _scaled(call, live, sent)

    return await _store(core, call, produce, options, "UpdateOptions")


async def _patch(core: Core, call: Call, options: WriteOptions) -> JSON:
    async def produce(live: JSON) -> JSON:
        scale = to_scale(call, live, lenient=True)
        patched, warnings = core.codec.patch(call, scale, SCALE, options.field_validation)
        call.warnings += [text for text in warnings if text not in call.warnings]
        creating.check_name(call, patched)
        creating.check_namespace(call, patched)
        return _scaled(call, live, patched)

    return await _store(core, call, produce, options, "UpdateOptions")


async def _apply(core: Core, call: Call, options: WriteOptions) -> JSON:
    """The applied Scale owns the number in the object itself."""
    applied, warnings = core.codec.decode_applied(call, options.field_validation)
    call.warnings += warnings
    resource = call.strategy.resource
    replicas = look(applied, "spec.replicas")
    wanted: JSON = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": call.info.name}}
    if replicas is not None:
        put(wanted, paths(call).spec_replicas, replicas)

    async def produce(live: JSON) -> JSON:
        new = core.codec.apply(
            live,
            copied(wanted),
            call.strategy,
            manager=options.field_manager,
            force=bool(options.force),
            subresource="scale",
            now=core.clock.now(),
        )
        _check_number(call, new)
        return new

    obj, _ = await updating.store_change(
        core, call, produce, options, "UpdateOptions", manager=options.field_manager, tracked=False, shown=_shown(call)
    )
    return obj


async def _store(core: Core, call: Call, produce: updating.Produce, options: WriteOptions, kind: str) -> JSON:
    obj, _ = await updating.store_change(
        core, call, produce, options, kind, manager=call.manager(options), shown=_shown(call)
    )
    return obj


def _shown(call: Call) -> updating.Shown:
    """Admission sees Scales."""

    def shown(obj: JSON) -> JSON:
        return to_scale(call, obj, lenient=True)

    def absorb(obj: JSON, scale: JSON) -> JSON:
        return _scaled(call, obj, scale)

    return updating.Shown(("autoscaling", "v1", "Scale"), shown, absorb)


def _scaled(call: Call, live: JSON, scale: JSON) -> JSON:
    new = copied(live)
    put(new, paths(call).spec_replicas, look(scale, "spec.replicas") or 0)
    version = scale["metadata"].get("resourceVersion")
    new["metadata"]["resourceVersion"] = version or live["metadata"]["resourceVersion"]
    _check_number(call, new)
    return new


def _check_number(call: Call, obj: JSON) -> None:
    """Built-in kinds check the Scale itself; custom ones are checked as objects are."""
    replicas = look(obj, paths(call).spec_replicas)
    if call.strategy.custom or not isinstance(replicas, int) or replicas >= 0:
        return
    why = f"Invalid value: {replicas}: must be greater than or equal to 0"
    raise invalid("Scale", call.info.name, [Cause("FieldValueInvalid", why, "spec.replicas")], group="autoscaling")
