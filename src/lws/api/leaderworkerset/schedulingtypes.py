"""``spec.scheduling``, declared once (next 7.2): how the pods of a set are placed together, for a scheduler that can.

Planners and admission read it as the JSON that was stored; the definition is generated from these models.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from lws.api.customresource import Model
from lws.api.fields import Keyed, Listed, int32, text

MOST_CLAIMS: Final = 4


class Nothing(Model):
    """A member whose presence is all that it says."""


class GroupGang(Model):
    """All or nothing, for whole groups."""

    min_group_count: Annotated[int | None, int32()] = Field(None, description="Not supported.")


class GroupPolicy(Model):
    """How pods are placed: one of the two."""

    basic: Nothing | None = Field(None, description="One by one.")
    gang: GroupGang | None = Field(None, description="All together or not at all.")


class LeafGang(Model):
    """All or nothing, for the pods of one role of a group."""

    min_count: Annotated[int | None, int32()] = Field(None, description="All pods of the role; the only value.")


class LeafPolicy(Model):
    """How the pods of one role of a group are placed: one of the two."""

    basic: Nothing | None = Field(None, description="One by one.")
    gang: LeafGang | None = Field(None, description="All together or not at all.")


class Topology(Model):
    """A kind of place."""

    required = ("key",)

    key: Annotated[str, text()] = Field("", description="Label of nodes whose value all pods share.")


class Constraints(Model):
    """Where pods are placed together."""

    topology: Annotated[tuple[Topology, ...], Listed({})] = Field((), description="At most one.")


class DisruptionMode(Model):
    """What is preempted together: one of the two."""

    single: Nothing | None = Field(None, description="Each pod by itself.")
    all: Nothing | None = Field(None, description="All pods.")


class ResourceClaim(Model):
    """A claim that pods share: one of the two names."""

    required = ("name",)

    name: Annotated[str, text()] = Field("", description="Name of the claim in the pod templates.")
    resource_claim_name: Annotated[str, text()] = Field("", description="A ResourceClaim.")
    resource_claim_template_name: Annotated[str, text()] = Field("", description="A ResourceClaimTemplate.")


class LeafScheduling(Model):
    """The pods of one role of each group."""

    scheduling_policy: LeafPolicy | None = Field(None, description="How they are placed; basic when absent.")
    scheduling_constraints: Constraints | None = Field(None, description="Where they are placed together.")
    disruption_mode: DisruptionMode | None = Field(None, description="What is preempted together.")
    resource_claims: Annotated[tuple[ResourceClaim, ...], Keyed("name", {"maxItems": MOST_CLAIMS})] = Field(
        (), description="Claims that they share."
    )


class ReplicaScheduling(Model):
    """Each group by itself."""

    scheduling_policy: GroupPolicy | None = Field(None, description="How its pods are placed; gang when absent.")
    scheduling_constraints: Constraints | None = Field(None, description="Where they are placed together.")
    disruption_mode: DisruptionMode | None = Field(None, description="What is preempted together.")
    leader: LeafScheduling | None = Field(None, description="Leaders apart from workers.")
    worker: LeafScheduling | None = Field(None, description="Workers apart from leaders.")


class Scheduling(Model):
    """How pods are placed together. Exactly one level: the whole set, each group, or each role of a group."""

    scheduling_policy: GroupPolicy | None = Field(None, description="How all pods of the set are placed.")
    scheduling_constraints: Constraints | None = Field(None, description="Where they are placed together.")
    disruption_mode: DisruptionMode | None = Field(None, description="What is preempted together.")
    replica: ReplicaScheduling | None = Field(None, description="Each group by itself.")
