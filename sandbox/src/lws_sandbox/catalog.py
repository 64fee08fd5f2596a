"""What is served: a strategy for every version of every kind, built in or declared by a CustomResourceDefinition."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from lws_sandbox.builtinresources import GROUP_ORDER, SCALE, Builtin, Subresource, storage_hash
from lws_sandbox.strategy import GenericStrategy, ScalePaths, Strategy

CUSTOM_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
NO_GENERATION: Final = frozenset(
    {"configmaps", "secrets", "leases", "services", "events", "nodes", "namespaces", "controllerrevisions"}
)


@dataclass(frozen=True, slots=True)
class Served:
    """One served version of a kind, with what discovery tells of it."""

    strategy: Strategy
    subresources: tuple[Subresource, ...] = ()
    verbs: tuple[str, ...] = ()
    storage_hash: str = ""

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name, if it is served."""
        return next((found for found in self.subresources if found.name == name), None)


@dataclass(slots=True)
class Catalog:
    """All that is served. ``changed`` is called after the custom part changed."""

    builtin: dict[tuple[str, str, str], Served] = field(default_factory=dict)
    custom: dict[tuple[str, str, str], Served] = field(default_factory=dict)
    changed: list[Callable[[], None]] = field(default_factory=list)

    def find(self, group: str, version: str, plural: str) -> Served | None:
        """What serves a resource, if anything does."""
        return self.builtin.get((group, version, plural)) or self.custom.get((group, version, plural))

    def __iter__(self) -> Iterator[Served]:
        yield from self.builtin.values()
        yield from self.custom.values()

    def strategies(self) -> Iterator[Strategy]:
        """Every strategy."""
        return (served.strategy for served in self)

    def groups(self) -> list[str]:
        """Groups in the order of discovery: built-in ones first, custom ones by name; the core group is empty."""
        builtin = {group for group, _, _ in self.builtin}
        ordered = [group for group in GROUP_ORDER if group in builtin]
        custom = {group for group, _, _ in self.custom} - builtin
        return ordered + sorted(builtin - set(ordered)) + sorted(custom)

    def versions(self, group: str) -> list[str]:
        """Served versions of a group, the preferred one first."""
        found = {version for known, version, _ in [*self.builtin, *self.custom] if known == group}
        return sorted(found, key=priority)

    def resources(self, group: str, version: str) -> list[Served]:
        """What a version of a group serves: built-in kinds by name, then custom ones in order of name."""
        keys = sorted(key for key in self.builtin if key[:2] == (group, version))
        custom = sorted(key for key in self.custom if key[:2] == (group, version))
        return [self.builtin[key] for key in keys] + [self.custom[key] for key in custom]

    def is_builtin(self, group: str) -> bool:
        """Whether a group is built in."""
        return any(known == group for known, _, _ in self.builtin)

    def serve_custom(self, name: str, strategies: Iterable[tuple[Strategy, tuple[str, str, str]]]) -> None:
        """Serve these versions for the definition ``name``, and no others; none at all ends it.

        Each comes with the (group, version, kind) under which it is stored.
        """
        plural, _, group = name.partition(".")
        for key in [key for key in self.custom if key[0] == group and key[2] == plural]:
            del self.custom[key]
        for strategy, stored in strategies:
            resource = strategy.resource
            status = (Subresource("status"),) if strategy.has_status else ()
            scale = (SCALE,) if strategy.scale is not None else ()
            served = Served(strategy, status + scale, CUSTOM_VERBS, storage_hash(*stored))
            self.custom[resource.group, resource.version, resource.plural] = served
        for notify in self.changed:
            notify()


def priority(version: str) -> tuple[int, int, int, str]:
    """Sorts versions as Kubernetes ranks them: v2, v1, v1beta1, v1alpha1, others by name."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not found:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[found[2]]
    return (stage, -int(found[1]), -int(found[3] or 0), "")


def build(builtins: Iterable[Builtin], kinds: Mapping[tuple[str, str, str], Strategy]) -> Catalog:
    """The catalog of the built-in resources; a kind without a strategy of its own gets the generic one."""
    catalog = Catalog()
    for found in builtins:
        resource = found.resource
        key = (resource.group, resource.version, resource.plural)
        stored = found.storage or (resource.group, resource.version, resource.kind)
        persistent = "list" in found.verbs and resource.plural != "componentstatuses"
        token = storage_hash(*stored) if persistent else ""
        catalog.builtin[key] = Served(kinds.get(key) or generic(found), found.subresources, found.verbs, token)
    return catalog


def generic(found: Builtin) -> GenericStrategy:
    """A strategy without rules of its own for a built-in resource."""
    resource = found.resource
    names = {sub.name for sub in found.subresources}
    stored = found.storage or (resource.group, resource.version, resource.kind)
    return GenericStrategy(
        resource,
        short_names=found.short_names,
        categories=found.categories,
        storage_key=f"{resource.plural}.{stored[0]}" if stored[0] else resource.plural,
        has_status="status" in names,
        scale=ScalePaths() if "scale" in names else None,
        generation="status" in names and resource.plural not in NO_GENERATION,
        verbs=found.verbs,
    )
