"""Server-side apply, and tracking of who changed what by other writes.

Layers of a real server, in their order: the version that is applied, the upgrade from kubectl's client-side apply,
objects whose owners nobody recorded, the cap on updaters, times, and fields of metadata that nobody owns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from lws.apimachinery.manifests import JSON
from lws_sandbox.copying import copied
from lws_sandbox.managedfields import entries
from lws_sandbox.managedfields.entries import Managed, Manager, Owned
from lws_sandbox.managedfields.fieldset import FieldSet
from lws_sandbox.managedfields.paths import Path, shown_path
from lws_sandbox.managedfields.typed import KeyError_, TypedError, compare, field_set, validate
from lws_sandbox.managedfields.types import Type, type_of
from lws_sandbox.managedfields.updater import ConflictsError, Updater
from lws_sandbox.schema import pruning
from lws_sandbox.schema.gostruct import GoConverter, zero
from lws_sandbox.schema.schema import Schema
from lws_sandbox.status import Cause, StatusError, bad_request

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
MAX_ANNOTATIONS: Final = 256 * 1024
BEFORE_FIRST_APPLY: Final = "before-first-apply"
_NEVER_OWNED: Final = FieldSet.of(
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
)
_SELF: Final = Manager("current-operation", "", "", "")


def fields_of(paths: Sequence[str]) -> FieldSet:
    """The set of dotted paths such as ``status`` or ``metadata.labels``."""
    return FieldSet.of(*(tuple(f"f:{name}" for name in path.split(".")) for path in paths))


def _updater(schema: Schema, reset: Sequence[str], versions: Mapping[str, Schema] | None) -> Updater:
    kinds = {schema.api_version: schema, **(versions or {})}
    types = {version: type_of(kind) for version, kind in kinds.items()}
    ignored = fields_of(reset)
    ignoring = dict.fromkeys(types, ignored) if reset else {}
    return Updater(types, schema.api_version, ignoring, strict=schema.custom)


def _empty(schema: Schema) -> JSON:
    """An object that does not exist yet."""
    identity = {"apiVersion": schema.api_version, "kind": schema.kind}
    return identity if schema.custom else {**zero(schema.root), **identity}


def _without_entries(obj: JSON) -> JSON:
    metadata = {name: value for name, value in obj.get("metadata", {}).items() if name != "managedFields"}
    return {**obj, "metadata": metadata} if "metadata" in obj else obj


def _with_entries(obj: JSON, managed: Managed) -> JSON:
    encoded = entries.encode(managed)
    bare = _without_entries(obj)
    return {**bare, "metadata": {**bare.get("metadata", {}), "managedFields": encoded}} if encoded else bare


def _managed(entries_of: Any) -> Managed:
    try:
        return entries.decode(entries_of or [])
    except entries.EntryError:
        return Managed()


def track(
    old: JSON | None,
    new: JSON,
    *,
    manager: str,
    operation: str = entries.UPDATE,
    subresource: str = "",
    schema: Schema,
    now: datetime,
    api_version: str = "",
    reset: Sequence[str] = (),
    versions: Mapping[str, Schema] | None = None,
) -> JSON:
    """``new`` with managedFields that say what this create, update or patch changed.

    Args:
        old: the stored object, or None at creation.
        new: the object to be stored, complete; not changed.
        manager: name of who writes; empty is ``unknown``.
        operation: always ``Update``.
        subresource: through which the write goes, or empty.
        schema: of the kind in the request's version.
        now: the time of day.
        api_version: as recorded, when it is not that of ``schema``.
        reset: dotted paths of fields that this write cannot change, such as ``status``.
        versions: schemas of the kind's other versions, by apiVersion.
    """
    managed = _given(old, new, subresource)
    if managed is None:
        return _without_entries(new)
    if not managed.owned and old is not None:
        return _without_entries(new)
    live = _without_entries(old) if old is not None else _empty(schema)
    bare = _without_entries(new)
    who = entries.Manager(manager or "unknown", operation, api_version or schema.api_version, subresource)
    try:
        tracked = _tracked(_updater(schema, reset, versions), live, bare, managed, who, now)
    except (TypedError, KeyError_, KeyError):  # what cannot be compared has no owners
        return bare
    return _with_entries(bare, entries.capped(tracked))


def _given(old: JSON | None, new: JSON, subresource: str) -> Managed | None:
    """The owners to start from: those in the request if it gives any, else the live ones; None to forget them all."""
    live = ((old or {}).get("metadata") or {}).get("managedFields")
    if subresource:
        return _managed(live)
    given = (new.get("metadata") or {}).get("managedFields")
    if given is not None and (given in ([], [{}])):
        return Managed() if old is None else None
    try:
        managed = entries.decode(given or [])
    except entries.EntryError:
        managed = Managed()
    return managed if managed.owned else _managed(live)


def _tracked(updater: Updater, live: JSON, new: JSON, managed: Managed, who: Manager, now: datetime) -> Managed:
    owners = updater.update(live, new, dict(managed.owned), _SELF)
    result = Managed(owners, dict(managed.times))
    changed = owners.pop(_SELF, None)
    fields = changed.fields.difference(_NEVER_OWNED) if changed is not None else FieldSet()
    if changed is not None and fields:
        before = owners.get(who)
        owners[who] = Owned(fields.union(before.fields) if before is not None else fields, changed.api_version)
        result.times[who] = entries.stamp(now)
    return result


def server_side_apply(
    live: JSON | None,
    applied: JSON,
    *,
    manager: str,
    force: bool,
    subresource: str = "",
    schema: Schema,
    now: datetime,
    api_version: str = "",
    reset: Sequence[str] = (),
    versions: Mapping[str, Schema] | None = None,
) -> JSON:
    """The object after an apply, with its managedFields; defaults are not filled in yet.

    Args:
        live: the stored object in the version of ``schema``, or None if it is not there.
        applied: the body, as sent; not changed.
        manager: the field manager; ``kubectl`` also upgrades from its client-side apply.
        force: take over what others own.
        subresource: to which it is applied, or empty.
        schema: of the kind in the request's version.
        now: the time of day.
        api_version: as recorded, when it is not that of ``schema``.
        reset: dotted paths of fields that this apply cannot change, such as ``status``.
        versions: schemas of the kind's other versions, by apiVersion.

    Raises:
        StatusError: 400 for another kind or version, 409 for conflicts, 500 for what does not fit the schema.
    """
    _check_kind(applied, schema)
    updater = _updater(schema, reset, versions)
    who = entries.Manager(manager, entries.APPLY, "", subresource)
    try:
        managed = entries.decode(((live or {}).get("metadata") or {}).get("managedFields") or [])
    except entries.EntryError as error:
        raise StatusError(500, "", f"failed to decode managed fields: {error}") from None
    bare = _without_entries(live) if live is not None else _empty(schema)
    if not managed.owned:
        managed = _before_first_apply(updater, schema, bare, now, api_version)
    try:
        _validate(updater.type, applied, schema)
        merged, owners = _apply(updater, bare, applied, managed, who, force=force)
    except (TypedError, KeyError_) as error:
        raise StatusError(500, "", f"failed to merge config: {error}") from None
    return _applied(bare, merged, applied, Managed(owners, dict(managed.times)), who, schema, now)


def _check_kind(applied: JSON, schema: Schema) -> None:
    given = (applied.get("apiVersion"), applied.get("kind"))
    api_version, kind = (value if isinstance(value, str) else "" for value in given)
    if (api_version, kind) != (schema.api_version, schema.kind):
        group, _, version = api_version.rpartition("/")
        raise bad_request(f"invalid object type: {group}/{version}, Kind={kind}")
    if _metadata(applied).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")


def _metadata(applied: JSON) -> JSON:
    """The metadata of a body in which nothing is sure yet."""
    metadata = applied.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _validate(kind: Type, applied: JSON, schema: Schema) -> None:
    try:
        validate(kind, applied)
    except TypedError as error:
        metadata = _metadata(applied)
        where = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
        what = f"{where}; {schema.api_version}, Kind={schema.kind}"
        raise StatusError(500, "", f"failed to create typed patch object ({what}): {error}") from None


def _before_first_apply(updater: Updater, schema: Schema, live: JSON, now: datetime, api_version: str) -> Managed:
    """Fields that somebody wrote before anybody recorded it."""
    who = entries.updater(BEFORE_FIRST_APPLY, api_version or schema.api_version)
    return _tracked(updater, _empty(schema), live, Managed(), who, now)


def _apply(
    updater: Updater, live: JSON, applied: JSON, managed: Managed, who: Manager, *, force: bool
) -> tuple[JSON | None, dict[Manager, Owned]]:
    try:
        return updater.apply(live, applied, dict(managed.owned), who, force=force)
    except ConflictsError as error:
        allowed = _allowed_conflicts(updater, live) if who.name == "kubectl" else None
        left = [one for one in error.conflicts if allowed is None or not allowed.has(one[2])]
        if left:
            raise _conflict(left) from None
        return updater.apply(live, applied, dict(managed.owned), who, force=True)


def _allowed_conflicts(updater: Updater, live: JSON) -> FieldSet | None:
    """Fields that kubectl's client-side apply wrote and nobody changed since."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return None
    try:
        last = orjson.loads(text)
        if last.get("apiVersion") != updater.version:
            return None
        validate(updater.type, last)
        changed = compare(updater.type, last, live)
    except (ValueError, AttributeError):
        return None
    fields = field_set(updater.type, last)
    return fields.difference(changed.modified).difference(changed.added).difference(changed.removed)


def _conflict(conflicts: list[tuple[Manager, str, Path]]) -> StatusError:
    causes = [
        Cause("FieldManagerConflict", f"conflict with {who.shown(version)}", shown_path(path))
        for who, version, path in conflicts
    ]
    details = {"causes": [cause.to_json() for cause in causes]}
    if len(conflicts) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
        return StatusError(409, "Conflict", message, details)
    lines: dict[str, list[str]] = {}
    for (who, version, _), cause in zip(conflicts, causes, strict=True):
        lines.setdefault(f"conflicts with {who.shown(version)}:", []).append(f"- {cause.field}")
    text = "\n".join(line for head, paths in lines.items() for line in (head, *paths))
    return StatusError(409, "Conflict", f"Apply failed with {len(conflicts)} conflicts: {text}", details)


def _applied(
    live: JSON, merged: JSON | None, applied: JSON, managed: Managed, who: Manager, schema: Schema, now: datetime
) -> JSON:
    owned = managed.owned.get(who)
    if owned is not None:
        fields = owned.fields.difference(_NEVER_OWNED)
        if fields:
            managed.owned[who] = Owned(fields, owned.api_version)
        else:
            del managed.owned[who]
    if merged is None:
        result = live
    else:
        managed.times[who] = entries.stamp(now)
        result = _settled(merged, schema)
    if who.name == "kubectl":
        result = _with_last_applied(result, applied)
    return _with_entries(result, managed)


def _settled(merged: JSON, schema: Schema) -> JSON:
    """A merged object in the form of its kind: nulls mean what they mean there."""
    if not schema.custom:
        reader = GoConverter()
        read: JSON = reader.read(schema.root, merged)
        if reader.error:
            raise StatusError(500, "", reader.error)
        return read
    settled = copied(merged)
    pruning.drop_nulls(settled, schema.root)
    pruning.read_metadata(settled)
    return settled


def _with_last_applied(obj: JSON, applied: JSON) -> JSON:
    """Keep kubectl's annotation in step with what kubectl applies, if the object has it."""
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return obj
    body = copied(applied)
    (body.get("metadata", {}).get("annotations") or {}).pop(LAST_APPLIED, None)
    if not body.get("metadata", {}).get("annotations"):
        body.get("metadata", {}).pop("annotations", None)
    text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    kept = {**annotations, LAST_APPLIED: text}
    if sum(len(name) + len(value) for name, value in kept.items()) > MAX_ANNOTATIONS:
        del kept[LAST_APPLIED]
    return {**obj, "metadata": {**obj["metadata"], "annotations": kept}}


def same_but_times(new: JSON, old: JSON) -> bool:
    """Whether two objects differ in nothing but the times of their managedFields and their resourceVersion."""
    return _timeless(new) == _timeless(old)


def _timeless(obj: JSON) -> JSON:
    metadata = dict(obj.get("metadata") or {})
    metadata.pop("resourceVersion", None)
    if metadata.get("managedFields"):
        metadata["managedFields"] = [
            {name: value for name, value in entry.items() if name != "time"} for entry in metadata["managedFields"]
        ]
    return {**obj, "metadata": metadata}
