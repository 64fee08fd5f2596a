"""Pod templates and volume claims of both StatefulSets (spec 5.3, 5.6).

Templates are taken in their normal form (spec appendix A): what a client of typed objects, such as the reference
controller, sends for the same set, so that taking over changes no pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.metadata import merged, with_strings


def pod_template(user: JSON, our_labels: Mapping[str, str], our_annotations: Mapping[str, str]) -> JSON:
    """The user's template with our metadata laid over its own; our entries win (spec 1.4)."""
    metadata = user.get("metadata") or {}
    laid = with_strings(
        metadata,
        merged(metadata.get("labels"), our_labels),
        merged(metadata.get("annotations"), our_annotations),
    )
    return {**user, "metadata": laid}


def leader_template(section: JSON) -> JSON:
    """The template of leader pods: the leader's own, else the workers'."""
    own: JSON | None = section.get("leaderTemplate")
    return section["workerTemplate"] if own is None else own


def storage(section: JSON, namespace: str) -> JSON:
    """The members of a StatefulSet spec that concern volume claims; absent when the section has none."""
    out: JSON = {}
    claims = section.get("volumeClaimTemplates")
    if claims:
        out["volumeClaimTemplates"] = [_claim(claim, namespace) for claim in claims]
    retention = section.get("persistentVolumeClaimRetentionPolicy")
    if retention is not None:
        out["persistentVolumeClaimRetentionPolicy"] = {
            "whenDeleted": retention.get("whenDeleted", ""),
            "whenScaled": retention.get("whenScaled", ""),
        }
    return out


def _claim(claim: JSON, namespace: str) -> JSON:
    """One claim template. Everything that is not named here is dropped, as the reference drops it."""
    given = claim.get("spec") or {}
    members = ("accessModes", "storageClassName", "volumeMode")
    spec: dict[str, Any] = {member: given[member] for member in members if given.get(member) is not None}
    resources = {
        kind: given["resources"][kind] for kind in ("requests", "limits") if (given.get("resources") or {}).get(kind)
    }
    if resources:
        spec["resources"] = resources
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": (claim.get("metadata") or {}).get("name", ""), "namespace": namespace},
        "spec": spec,
    }
