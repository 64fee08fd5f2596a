"""Volcano's PodGroups (spec 11)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lws.api.leaderworkerset import gangs, labels
from lws.api.leaderworkerset.resources import PODGROUPS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.planning.leaderworkerset.metadata import with_strings
from lws.planning.leaderworkerset.podgroup import Gang
from lws.planning.leaderworkerset.requests import min_resources
from lws.planning.leaderworkerset.templates import leader_template


@dataclass(frozen=True, slots=True)
class Volcano:
    """Makes ``scheduling.volcano.sh/v1beta1`` PodGroups.

    Attributes:
        schedulers: the names by which pods ask for Volcano; installations with ``--scheduler-name`` have others.
    """

    schedulers: Collection[str] = gangs.SCHEDULERS

    @property
    def resource(self) -> Resource:
        """PodGroups of Volcano."""
        return PODGROUPS

    def manifest(
        self, live: LeaderWorkerSet, section: JSON, gang: Gang, marks: Mapping[str, str], owners: list[JSON]
    ) -> JSON:
        """The PodGroup of a group."""
        annotations = live.metadata.annotations or {}
        spec: JSON = {"minMember": gang.min_member, "minResources": min_resources(section, gang.members)}
        if annotations.get(labels.QUEUE_NAME):
            spec["queue"] = annotations[labels.QUEUE_NAME]
        priority = _priority_class(section)
        if priority:
            spec["priorityClassName"] = priority
        metadata = {"name": gang.name, "namespace": live.metadata.namespace, "ownerReferences": owners}
        inherited = {key: value for key, value in annotations.items() if key.startswith(labels.VOLCANO_PREFIX)}
        return {
            "apiVersion": PODGROUPS.api_version,
            "kind": PODGROUPS.kind,
            "metadata": with_strings(metadata, marks, inherited),
            "spec": spec,
        }


def _priority_class(section: JSON) -> str:
    """By which Volcano orders gangs: the leader's, else the workers' (CD-34)."""
    candidates = (leader_template(section), section["workerTemplate"])
    found = ((each.get("spec") or {}).get("priorityClassName") for each in candidates)
    return next((name for name in found if name), "")
