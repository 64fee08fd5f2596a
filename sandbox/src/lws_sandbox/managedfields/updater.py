"""Ownership through an update or an apply: conflicts, forced takeovers, fields that nobody owns any more.

The rules are those of structured-merge-diff; objects exist in several versions, between which nothing but
``apiVersion`` differs here, and each version has its own type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lws.apimachinery.manifests import JSON
from lws_sandbox.managedfields.entries import Manager, Owned
from lws_sandbox.managedfields.fieldset import FieldSet
from lws_sandbox.managedfields.merging import merge, reconciled, remove, with_named_fields
from lws_sandbox.managedfields.paths import Path
from lws_sandbox.managedfields.typed import ABSENT, Comparison, compare, equal, field_set, validate
from lws_sandbox.managedfields.types import Type

Owners = dict[Manager, Owned]


class ConflictsError(Exception):
    """Others own fields that an apply would change.

    Attributes:
        conflicts: manager, version that it used, and path; by manager, then in the order of paths.
    """

    def __init__(self, conflicts: list[tuple[Manager, str, Path]]) -> None:
        super().__init__(f"{len(conflicts)} conflicts")
        self.conflicts = conflicts


@dataclass(frozen=True)
class Updater:
    """Knows how objects of a kind merge.

    Attributes:
        types: type of each version that can be read; owners in other versions are forgotten.
        version: the version of the request.
        ignored: fields that nobody comes to own through this request, by version.
        strict: another version must know every field, or the write cannot be tracked.
    """

    types: Mapping[str, Type]
    version: str
    ignored: Mapping[str, FieldSet] = field(default_factory=dict)
    strict: bool = False

    @property
    def type(self) -> Type:
        """The type of the request's version."""
        return self.types[self.version]

    def update(self, live: JSON, new: JSON, owners: Owners, manager: Manager) -> Owners:
        """The owners after ``manager`` made ``new`` of ``live``."""
        owners, compared = self._compare(live, new, self._reconciled(owners), manager, force=True)
        before = owners[manager].fields if manager in owners else FieldSet()
        fields = before.difference(compared.removed).union(compared.modified).union(compared.added)
        owners[manager] = Owned(self._allowed(fields), self.version)
        return {who: owned for who, owned in owners.items() if owned.fields}

    def apply(
        self, live: JSON, applied: JSON, owners: Owners, manager: Manager, *, force: bool
    ) -> tuple[JSON | None, Owners]:
        """The object after an apply, or None if it does not change; and its owners.

        Raises:
            ConflictsError: others own what would change, and ``force`` is not given.
            TypedError: the objects cannot be merged.
        """
        owners = self._reconciled(owners)
        merged = merge(self.type, live, applied)
        last = owners.get(manager)
        owners[manager] = Owned(self._allowed(field_set(self.type, applied)), self.version)
        merged = self._prune(merged, owners, last)
        owners, _ = self._compare(live, merged, owners, manager, force=force)
        return (None if equal(live, merged) else merged), owners

    def _allowed(self, fields: FieldSet) -> FieldSet:
        ignored = self.ignored.get(self.version)
        return fields.recursive_difference(ignored) if ignored else fields

    def _reconciled(self, owners: Owners) -> Owners:
        return {
            manager: replace(owned, fields=reconciled(self.types[owned.api_version], owned.fields))
            for manager, owned in owners.items()
            if owned.api_version in self.types
        }

    def _compare(
        self, live: JSON, new: Any, owners: Owners, manager: Manager, *, force: bool
    ) -> tuple[Owners, Comparison]:
        compared = {self.version: compare(self.type, live, new).without(self.ignored.get(self.version))}
        conflicts: dict[Manager, FieldSet] = {}
        result = dict(owners)
        for other, owned in owners.items():
            if other == manager:
                continue
            version = owned.api_version
            if version not in compared:
                compared[version] = self._compare_in(version, live, new)
            changed = compared[version]
            conflict = owned.fields.intersection(changed.modified.union(changed.added))
            if conflict:
                conflicts[other] = conflict
            result[other] = replace(owned, fields=owned.fields.difference(conflict).difference(changed.removed))
        if conflicts and not force:
            raise ConflictsError(
                [(who, owners[who].api_version, path) for who in sorted(conflicts) for path in conflicts[who]]
            )
        return {who: owned for who, owned in result.items() if owned.fields}, compared[self.version]

    def _compare_in(self, version: str, live: JSON, new: Any) -> Comparison:
        """The difference as another version sees it."""
        kind = self.types[version]
        if self.strict:
            for value in (live, new):
                validate(kind, value, duplicates=True)
        return compare(kind, live, new).without(self.ignored.get(version))

    def _prune(self, merged: Any, owners: Owners, last: Owned | None) -> Any:
        """Take out what the manager applied last time, does not apply now, and nobody else owns."""
        if last is None or not last.fields:
            return merged
        kind = self.types[last.api_version]
        pruned = remove(kind, merged, with_named_fields(kind, last.fields))
        pruned = self._with_owned(merged, pruned, owners, last.api_version)
        return self._with_dangling(kind, merged, pruned, last.fields)

    def _with_owned(self, merged: Any, pruned: Any, owners: Owners, first: str) -> Any:
        by_version: dict[str, FieldSet] = {}
        for owned in owners.values():
            by_version[owned.api_version] = by_version.get(owned.api_version, FieldSet()).union(owned.fields)
        for version in sorted(by_version, key=lambda one: (one != first, one)):
            kind = self.types[version]
            there = with_named_fields(kind, field_set(kind, merged))
            kept = with_named_fields(kind, field_set(kind, pruned))
            owned_here = with_named_fields(kind, by_version[version])
            pruned = remove(kind, merged, there.difference(kept.union(owned_here)))
        return pruned

    def _with_dangling(self, kind: Type, merged: Any, pruned: Any, last: FieldSet) -> Any:
        kept = with_named_fields(kind, field_set(kind, pruned))
        there = with_named_fields(kind, field_set(kind, merged))
        gone = there.difference(kept).intersection(with_named_fields(kind, last))
        return remove(kind, merged, gone)


__all__ = ["ABSENT", "ConflictsError", "Owners", "Updater"]
