"""The LeaderWorkerSet API, declared once (spec 2).

From these models the CustomResourceDefinition is generated (`lws.api.leaderworkerset.crd`) and objects are parsed.
Reading applies the defaults of CD-09, so an object that was stored before a default existed, or past the webhook,
still reads right.
Pod templates and volume claims are opaque JSON here: they travel as the user wrote them.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from pydantic import Field, field_validator

from lws.api.customresource import Conditions, Model
from lws.api.fields import Keyed, Listed, PodTemplate, VolumeClaims, enum, int32, int64, int_or_string, text
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.schedulingtypes import Scheduling
from lws.api.leaderworkerset.status import (
    MOST_FAILURES,
    MOST_GROUPS,
    MOST_RESTARTS,
    MOST_SUSPECTS,
    Evacuation,
    Failure,
    GroupRestarts,
    GroupStatus,
    RolloutStatus,
    SuspectNode,
)
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta

GROUP: Final = "leaderworkerset.x-k8s.io"
VERSION: Final = "v1"
KIND: Final = "LeaderWorkerSet"
API_VERSION: Final = f"{GROUP}/{VERSION}"

RECREATE_ON_RESTART: Final = "RecreateGroupOnPodRestart"
RECREATE_AFTER_START: Final = "RecreateGroupAfterStart"
RESTART_NONE: Final = "None"
RESTART_DEFAULT: Final = "Default"
ROLLING_UPDATE: Final = "RollingUpdate"
LEADER_CREATED: Final = "LeaderCreated"
LEADER_READY: Final = "LeaderReady"
SHARED: Final = "Shared"
UNIQUE_PER_REPLICA: Final = "UniquePerReplica"
LEADER_WORKER: Final = "LeaderWorker"
LEADER_EXCLUDED: Final = "LeaderExcluded"
ORDINAL: Final = "Ordinal"
HASH: Final = "Hash"
IMMEDIATE: Final = "Immediate"
POST_TERMINATION: Final = "PostTermination"


class RollingUpdateConfiguration(Model):
    """How far a rolling update may go at once (spec 7)."""

    partition: Annotated[int, int32(0)] = Field(0, description="Groups with an index below it keep their revision.")
    max_unavailable: Annotated[int | str, int_or_string(1)] = Field(
        1, description="How many groups may be down during an update; a percentage of replicas is rounded down."
    )
    max_surge: Annotated[int | str, int_or_string(0)] = Field(
        0, description="How many groups may exist beyond replicas; a percentage of replicas is rounded up."
    )


class RolloutStrategy(Model):
    """How a new revision reaches the groups."""

    required = ("type",)

    type: Annotated[str, enum(ROLLING_UPDATE, default=ROLLING_UPDATE)] = Field(
        ROLLING_UPDATE, description="Only RollingUpdate exists."
    )
    rolling_update_configuration: RollingUpdateConfiguration = Field(
        default_factory=RollingUpdateConfiguration, description="The pace of the update."
    )


class SubGroupPolicy(Model):
    """How a group is divided into subgroups (spec 10.2)."""

    sub_group_policy_type: Annotated[str, enum(LEADER_WORKER, LEADER_EXCLUDED, default=LEADER_WORKER)] = Field(
        LEADER_WORKER, description="Whether the leader belongs to the first subgroup."
    )
    sub_group_size: Annotated[int | None, int32()] = Field(
        None, description="Pods of a subgroup; it divides size, or size - 1. It cannot change."
    )


class PersistentVolumeClaimRetentionPolicy(Model):
    """What becomes of the claims made from the templates; the StatefulSet API checks the values."""

    when_deleted: Annotated[str, text()] = Field("", description="When the StatefulSet is deleted: Retain or Delete.")
    when_scaled: Annotated[str, text()] = Field("", description="When its replicas are scaled down: Retain or Delete.")


class NetworkConfig(Model):
    """How the pods of a group find each other."""

    required = ("subdomainPolicy",)

    subdomain_policy: Annotated[str, enum(SHARED, UNIQUE_PER_REPLICA)] = Field(
        SHARED, description="One headless Service for all groups, or one for each of them."
    )


class LeaderWorkerTemplate(Model):
    """What a group is made of. All but ``maxGroupRestarts`` belongs to the revision (spec 6.2, next 5.2)."""

    required = ("workerTemplate",)

    leader_template: PodTemplate | None = Field(
        None, description="Template of the leader pods; the worker template is used when it is absent."
    )
    worker_template: PodTemplate = Field(default_factory=dict, description="Template of the worker pods.")
    size: Annotated[int, int32(1)] = Field(1, description="Pods of a group, its leader included; at least 1.")
    restart_policy: Annotated[
        str,
        enum(RESTART_DEFAULT, RECREATE_ON_RESTART, RECREATE_AFTER_START, RESTART_NONE, default=RECREATE_ON_RESTART),
    ] = Field(RECREATE_ON_RESTART, description="What the failure of one pod means for its group.")
    max_group_restarts: Annotated[int | None, int32(minimum=0)] = Field(
        None,
        description="How often a group of one revision may be recreated; the next failure terminates it. "
        "Only with a restartPolicy that recreates groups; unlimited when absent.",
    )
    sub_group_policy: SubGroupPolicy | None = Field(None, description="Divides a group into subgroups.")
    volume_claim_templates: VolumeClaims = Field(
        default_factory=list, description="Claims of every pod, as in a StatefulSet."
    )
    persistent_volume_claim_retention_policy: PersistentVolumeClaimRetentionPolicy | None = Field(
        None, description="What becomes of the claims made from the templates."
    )

    @field_validator("sub_group_policy")
    @classmethod
    def _policy_needs_size(cls, policy: SubGroupPolicy | None) -> SubGroupPolicy | None:
        """A policy without a size is none (CD-09)."""
        return policy if policy is not None and policy.sub_group_size is not None else None


class LeaderWorkerSetSpec(Model):
    """What is wanted."""

    required = ("leaderWorkerTemplate",)

    replicas: Annotated[int, int32(1, minimum=0, maximum=1000000)] = Field(
        1, description="Number of groups; the scale subresource writes it."
    )
    leader_worker_template: LeaderWorkerTemplate = Field(
        default_factory=LeaderWorkerTemplate, description="What a group is made of."
    )
    rollout_strategy: RolloutStrategy = Field(
        default_factory=RolloutStrategy, description="How a new revision of the template reaches the groups."
    )
    startup_policy: Annotated[str, enum(LEADER_CREATED, LEADER_READY, default=LEADER_CREATED)] = Field(
        LEADER_CREATED, description="Whether workers start with their leader or once it is ready."
    )
    scheduling: Scheduling | None = Field(
        None,
        description="How pods are placed together, by a scheduler of the Workload API; needs feature gate "
        "WorkloadAwareScheduling. It cannot be added, removed or moved to another level.",
    )
    network_config: NetworkConfig = Field(
        default_factory=NetworkConfig, description="How the pods of a group find each other."
    )
    group_identity: Annotated[str, enum(ORDINAL, HASH, default=ORDINAL)] = Field(
        ORDINAL,
        description="What a group is known by: its index, kept across replacements, or a key that each one gets anew. "
        "It cannot change.",
    )
    group_replacement_policy: Annotated[str, enum(IMMEDIATE, POST_TERMINATION, default=POST_TERMINATION)] = Field(
        POST_TERMINATION,
        description="Whether a group that replaces another starts at once, which only groups known by a key can, or "
        "once the other is gone.",
    )

    @property
    def hashed(self) -> bool:
        """Whether groups are known by a key (next 3)."""
        return self.group_identity == HASH


class LeaderWorkerSetStatus(Model):
    """What was last seen (spec 8)."""

    conditions: Conditions = Field(
        (), description="Available, Progressing, UpdateInProgress, Degraded, Blocked, GroupsHealthy, Paused, Stalled."
    )
    disruption_budget: Annotated[str, text()] = Field(
        "", description="The PodDisruptionBudget that is kept closed for this set."
    )
    evacuation: Evacuation | None = Field(
        None, description="The group that is being moved off a node that is to be emptied."
    )
    failures: Annotated[tuple[Failure, ...], Listed({"maxItems": MOST_FAILURES})] = Field(
        (), description="Why groups were recreated, newest first."
    )
    groups: Annotated[tuple[GroupStatus, ...], Keyed("index", {"maxItems": MOST_GROUPS})] = Field(
        (), description="Groups that have not been as wanted for a minute, lowest index first."
    )
    groups_not_shown: Annotated[int, int32()] = Field(0, description="How many more such groups there are.")
    hpa_pod_selector: Annotated[str, text()] = Field(
        "", description="Selects the leader pods; for autoscalers.", alias="hpaPodSelector"
    )
    observed_generation: Annotated[int, int64()] = Field(0, description="The generation that this status describes.")
    ready_replicas: Annotated[int, int32()] = Field(0, description="Groups that are ready, of any revision.")
    replicas: Annotated[int, int32()] = Field(0, description="Groups that exist, surge included.")
    restarts: Annotated[tuple[GroupRestarts, ...], Keyed("index", {"maxItems": MOST_RESTARTS})] = Field(
        (), description="Groups that failed and are not settled again."
    )
    rollout: RolloutStatus | None = Field(None, description="What a rollout has to remember.")
    suspect_nodes: Annotated[tuple[SuspectNode, ...], Keyed("node", {"maxItems": MOST_SUSPECTS})] = Field(
        (), description="Nodes that recreated groups avoid, if the set asks for that."
    )
    updated_replicas: Annotated[int, int32()] = Field(0, description="Groups of the current revision, ready or not.")


class LeaderWorkerSet(Model):
    """A set of groups, each of one leader pod and its workers.

    ``raw_spec`` is the spec as it was stored, for revisions (spec 6.2). ``status_written`` is when a controller last
    wrote the status, by the server's clock; empty if that is not known, or somebody else wrote its Available.
    """

    metadata: ObjectMeta
    spec: LeaderWorkerSetSpec = Field(default_factory=LeaderWorkerSetSpec, description="What is wanted.")
    status: LeaderWorkerSetStatus = Field(default_factory=LeaderWorkerSetStatus, description="What was last seen.")
    raw_spec: JSON = Field(default_factory=dict, exclude=True, repr=False)
    status_written: str = Field("", exclude=True, repr=False)

    @classmethod
    def from_json(cls, source: bytes | str | JSON) -> LeaderWorkerSet:
        """Read an object from the wire or from parsed JSON, absent fields defaulted (CD-09).

        Raises:
            ValueError: not JSON, or a member of the wrong type, which the CustomResourceDefinition never lets in.
        """
        try:
            parsed = msgspec.json.decode(source, type=JSON) if isinstance(source, bytes | str) else source
            metadata = msgspec.convert(parsed.get("metadata") or {}, ObjectMeta)
            spec = parsed.get("spec") or {}
            status, written = parsed.get("status") or {}, _status_written(parsed.get("metadata") or {})
            return cls(metadata=metadata, spec=spec, status=status, raw_spec=spec, status_written=written)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error


def _status_written(metadata: JSON) -> str:
    """When a controller of these sets last wrote a status whose Available is its own, by the server's record.

    What anybody else wrote into the status proves nothing of the groups (L13).
    """
    entries = metadata.get("managedFields") or ()
    return max((entry.get("time") or "" for entry in entries if _of_controller(entry)), default="")


def _of_controller(entry: JSON) -> bool:
    if entry.get("subresource") != "status" or entry.get("manager") != labels.FIELD_MANAGER:
        return False
    conditions = ((entry.get("fieldsV1") or {}).get("f:status") or {}).get("f:conditions") or {}
    return "f:status" in (conditions.get('k:{"type":"Available"}') or {})
