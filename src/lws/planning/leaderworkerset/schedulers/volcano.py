"""Volcano's PodGroups (spec 11)."""

from __future__ import annotations

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.resources import PODGROUPS
from lws.api.leaderworkerset.types import LEADER_READY, LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.planning.leaderworkerset.metadata import owned_by_pod, with_strings
from lws.planning.leaderworkerset.podgroup import min_resources, name_of


class Volcano:
    """Makes ``scheduling.volcano.sh/v1beta1`` PodGroups."""

    @property
    def resource(self) -> Resource:
        """PodGroups of Volcano."""
        return PODGROUPS

    def manifest(self, live: LeaderWorkerSet, revised: LeaderWorkerSet, section: JSON, leader: Pod) -> JSON:
        """The PodGroup of this leader. Under ``LeaderReady`` one pod is enough to begin with."""
        size = revised.spec.leader_worker_template.size
        annotations = live.metadata.annotations or {}
        spec: JSON = {
            "minMember": 1 if live.spec.startup_policy == LEADER_READY else size,
            "minResources": min_resources(section, size),
        }
        if annotations.get(labels.QUEUE_NAME):
            spec["queue"] = annotations[labels.QUEUE_NAME]
        meta = leader.metadata
        metadata = {"name": name_of(leader), "namespace": meta.namespace, "ownerReferences": owned_by_pod(leader)}
        ours = {
            labels.NAME: live.metadata.name,
            labels.GROUP_INDEX: meta.label(labels.GROUP_INDEX),
            labels.REVISION: meta.label(labels.REVISION),
        }
        inherited = {key: value for key, value in annotations.items() if key.startswith(labels.VOLCANO_PREFIX)}
        return {
            "apiVersion": PODGROUPS.api_version,
            "kind": PODGROUPS.kind,
            "metadata": with_strings(metadata, ours, inherited),
            "spec": spec,
        }
