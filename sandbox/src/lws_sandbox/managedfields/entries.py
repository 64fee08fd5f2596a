"""The entries of ``metadata.managedFields``: who owns what, since when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from lws.apimachinery.manifests import JSON
from lws_sandbox.managedfields.fieldset import FieldSet
from lws_sandbox.managedfields.paths import PathError
from lws_sandbox.schema import gotime

APPLY: Final = "Apply"
UPDATE: Final = "Update"
MAX_UPDATERS: Final = 10
ANCIENT: Final = "ancient-changes"


class EntryError(ValueError):
    """An entry makes no sense; the message is the server's own."""


class Manager(NamedTuple):
    """Who manages fields. An applier is the same in every version, so its ``api_version`` is empty."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    def shown(self, api_version: str) -> str:
        """As conflicts name it; an updater with the version that it used."""
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {api_version}" if self.operation == UPDATE else text


def updater(name: str, api_version: str, subresource: str = "") -> Manager:
    """The manager of a create, update or patch."""
    return Manager(name, UPDATE, api_version, subresource)


@dataclass(frozen=True, slots=True)
class Owned:
    """What a manager owns, in the version in which it wrote."""

    fields: FieldSet
    api_version: str


@dataclass(slots=True)
class Managed:
    """All managers of an object.

    Attributes:
        owned: what each of them owns.
        times: when each of them last changed something; one that never did has no time.
    """

    owned: dict[Manager, Owned] = field(default_factory=dict)
    times: dict[Manager, str] = field(default_factory=dict)

    def copy(self) -> Managed:
        """A copy that may be changed."""
        return Managed(dict(self.owned), dict(self.times))


def decode(entries: Iterable[Any]) -> Managed:
    """Read ``metadata.managedFields``.

    Raises:
        EntryError: an entry makes no sense.
    """
    managed = Managed()
    for index, entry in enumerate(entries):
        operation, api_version = entry.get("operation"), entry.get("apiVersion") or ""
        if operation not in (APPLY, UPDATE):
            raise EntryError("operation must be `Apply` or `Update`")
        if not api_version:
            raise EntryError("apiVersion must not be empty")
        if not entry.get("fieldsType"):
            raise EntryError(f"missing fieldsType in managed fields entry {index}")
        if entry["fieldsType"] != "FieldsV1":
            raise EntryError(f'invalid fieldsType "{entry["fieldsType"]}" in managed fields entry {index}')
        manager = Manager(
            entry.get("manager") or "",
            operation,
            "" if operation == APPLY else api_version,
            entry.get("subresource") or "",
        )
        try:
            fields = FieldSet.from_json(entry.get("fieldsV1") or {})
        except (PathError, AttributeError) as error:
            raise EntryError(f"error decoding set: {error}") from None
        managed.owned[manager] = Owned(fields, api_version)
        if entry.get("time"):
            managed.times[manager] = entry["time"]
    return managed


def encode(managed: Managed) -> list[JSON]:
    """``metadata.managedFields``: appliers first, then by time, name, version and subresource."""
    entries = [_entry(manager, owned, managed.times.get(manager)) for manager, owned in managed.owned.items()]
    entries.sort(key=_order)
    return entries


def _entry(manager: Manager, owned: Owned, time: str | None) -> JSON:
    entry: JSON = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": owned.api_version,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned.fields.to_json(),
        "subresource": manager.subresource,
    }
    return {name: value for name, value in entry.items() if value or name == "fieldsV1"}


def _order(entry: JSON) -> tuple[str, str, str, str, str]:
    return (
        entry["operation"],
        entry.get("time") or "",
        entry.get("manager", ""),
        entry["apiVersion"],
        entry.get("subresource", ""),
    )


def capped(managed: Managed, limit: int = MAX_UPDATERS) -> Managed:
    """The same with at most ``limit`` updaters: the oldest of each version become one, named ``ancient-changes``."""
    updaters = [manager for manager in managed.owned if manager.operation == UPDATE]
    excess = len(updaters) - limit
    if excess <= 0:
        return managed
    result = managed.copy()
    first: dict[str, Manager] = {}
    for manager in sorted(updaters, key=lambda one: (managed.times.get(one, ""), one)):
        if excess <= 0:
            break
        owned = result.owned[manager]
        bucket = updater(ANCIENT, owned.api_version)
        if owned.api_version not in first:
            first[owned.api_version] = manager
            continue
        if bucket not in result.owned:
            result.owned[bucket] = result.owned.pop(first[owned.api_version])
        merged = owned.fields.union(result.owned[bucket].fields)
        result.owned[bucket] = replace(owned, fields=merged)
        del result.owned[manager]
        if manager in managed.times:
            result.times[bucket] = managed.times[manager]
        excess -= 1
    return result


def stamp(now: datetime) -> str:
    """A time as entries hold it."""
    return gotime.render(now)
