"""What remains of a namespace that is being deleted, in the words of its conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws_sandbox.controllers.objects import meta, set_condition

GRACE: Final = 5.0  # seconds that caches get before the first sweep
RETRY: Final = 15.0  # seconds until the next sweep while something ends gracefully
_FINE: Final = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
)


@dataclass(slots=True)
class Remainder:
    """What a sweep left behind.

    Attributes:
        instances: objects left, by resource.
        finalizers: objects that carry each finalizer.
        failures: what could not be deleted, and why.
    """

    instances: Counter[Resource] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, resource: Resource, objects: Iterable[JSON]) -> None:
        """Take in the objects of one resource that are still there."""
        for obj in objects:
            self.instances[resource] += 1
            self.finalizers.update(meta(obj).get("finalizers") or ())

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not self.instances and not self.failures


def namespace_conditions(live: Sequence[JSON], left: Remainder, now: datetime) -> list[JSON]:
    """The namespace's conditions after a sweep."""
    bad: dict[str, tuple[str, str]] = {}
    if left.failures:
        words = "; ".join(sorted(left.failures))
        bad["NamespaceDeletionContentFailure"] = (
            "ContentDeletionFailed",
            f"Failed to delete all resource types, {len(left.failures)} remaining: {words}",
        )
    if left.instances:
        words = ", ".join(
            sorted(
                f"{item.plural}.{item.group} has {count} resource instances" for item, count in left.instances.items()
            )
        )
        bad["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {words}")
    if left.finalizers:
        words = ", ".join(sorted(f"{name} in {count} resource instances" for name, count in left.finalizers.items()))
        bad["NamespaceFinalizersRemaining"] = (
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {words}",
        )
    conditions = list(live)
    for type_, reason, message in _FINE:
        held = type_ in bad
        reason, message = bad.get(type_, (reason, message))
        entry = {"type": type_, "status": "True" if held else "False", "reason": reason, "message": message}
        conditions = set_condition(conditions, entry, now)
    return conditions


def deletion_order(resources: Iterable[Resource]) -> list[Resource]:
    """Pods go first, then everything else by group and name."""
    return sorted(resources, key=lambda item: (item.plural != "pods" or bool(item.group), item.group, item.plural))
