"""The CustomResourceDefinition of the LeaderWorkerSet (spec 2).

Beside the reference's own manifest it differs in descriptions, in the Kubernetes version of the embedded
schemas, and in one annotation: `controller-gen.kubebuilder.io/version` is not written, no controller-gen
having run.
"""

from __future__ import annotations

from typing import Final

from lws.api.customresource import AGE, Column, CustomResource
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON

LEADERWORKERSET: Final = CustomResource(
    LEADERWORKERSETS,
    LeaderWorkerSet,
    "A set of groups, each of one leader pod and its workers.",
    short_names=("lws",),
    columns=(
        Column("Ready", "integer", ".status.readyReplicas", "Number of ready replicas"),
        Column("Desired", "integer", ".spec.replicas", "Number of desired replicas"),
        Column("Up-to-date", "integer", ".status.updatedReplicas", "Number of up-to-date replicas"),
        AGE,
        Column(
            "Health",
            "string",
            '.status.conditions[?(@.type=="GroupsHealthy")].reason',
            "Why groups are not as wanted",
            wide=True,
        ),
    ),
    scale={
        "labelSelectorPath": ".status.hpaPodSelector",
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
    },
)


def manifest() -> JSON:
    """The CustomResourceDefinition, ready to be applied to a server."""
    return LEADERWORKERSET.manifest()
