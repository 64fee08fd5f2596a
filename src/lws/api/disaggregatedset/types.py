"""The DisaggregatedSet API and its role scaler, declared once (disaggregatedset 2).

From these models both CustomResourceDefinitions are generated (`lws.api.disaggregatedset.crd`) and objects are parsed,
absent fields with their defaults. A role's LeaderWorkerSet spec is the one of that API, pod templates included.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from lws.api.customresource import Conditions, Model, read
from lws.api.fields import EmbeddedMetadata, Keyed, Shape, enum, int32, int64, text
from lws.api.leaderworkerset.types import LeaderWorkerSetSpec
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta

STATIC: Final = "Static"
EXTERNAL: Final = "External"
NO_PLACEMENT: Final = "None"
EXCLUSIVE_SLICE: Final = "ExclusiveSlice"
EXCLUSIVE_TOPOLOGY: Final = "ExclusiveTopology"

_STATIC_ROLES: Final = "self.roles.filter(r, !has(r.scaling) || r.scaling.mode != 'External')"


class Scaling(Model):
    """Where a role's replica count comes from."""

    mode: Annotated[str, enum(STATIC, EXTERNAL, default=STATIC)] = Field(
        STATIC, description="Static reads spec.replicas of the role, External its DisaggregatedSetRoleScaler."
    )


class Role(Model):
    """One role: a LeaderWorkerSet in every slice."""

    required = ("name",)

    name: Annotated[
        str,
        Shape({"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}),
    ] = Field("", description="Name of the role, unique in the set.")
    scaling: Scaling | None = Field(None, description="Where the replica count comes from; Static when absent.")
    metadata: EmbeddedMetadata = Field(
        default_factory=dict, description="Labels and annotations of the role's LeaderWorkerSets; the rest is ignored."
    )
    spec: LeaderWorkerSetSpec | None = Field(
        None, description="Spec of the role's LeaderWorkerSets; replicas counts the groups of one slice."
    )

    @property
    def external(self) -> bool:
        """Whether a scaler says how many replicas there are."""
        return self.scaling is not None and self.scaling.mode == EXTERNAL

    @property
    def replicas(self) -> int:
        """Groups per slice as the set itself asks for them."""
        return 1 if self.spec is None else self.spec.replicas


class PlacementPolicy(Model):
    """How slices are placed on topology domains."""

    type: Annotated[str, enum(NO_PLACEMENT, EXCLUSIVE_SLICE, EXCLUSIVE_TOPOLOGY, default=NO_PLACEMENT)] = Field(
        NO_PLACEMENT,
        description="ExclusiveSlice keeps the slices of this set apart, ExclusiveTopology those of other sets too.",
    )
    topology: Annotated[str, text()] = Field("", description="Node label whose values are the domains.")


class DisaggregatedSetSpec(Model):
    """What is wanted."""

    required = ("roles",)
    rules: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            (
                f"{_STATIC_ROLES}.all(r, !has(r.spec.replicas) || r.spec.replicas == 0) || "
                f"{_STATIC_ROLES}.all(r, has(r.spec.replicas) && r.spec.replicas > 0)"
            ),
            "replicas must be zero for all non-External roles or non-zero for all non-External roles",
        ),
    )

    roles: Annotated[tuple[Role, ...], Keyed("name", {"minItems": 2, "maxItems": 10})] = Field(
        (), description="The roles. Their names, order and templates make the revision."
    )
    slices: Annotated[int, int32(1, minimum=1, maximum=100)] = Field(1, description="Complete copies of all roles.")
    placement_policy: PlacementPolicy | None = Field(
        None, description="Read when a LeaderWorkerSet is created; a change takes effect with the next revision."
    )


class RoleStatus(Model):
    """The groups of one role, of every slice and revision."""

    required = ("name",)

    name: Annotated[str, text()] = Field("", description="Name of the role.")
    replicas: Annotated[int, int32()] = Field(0, description="Groups that exist.")
    ready_replicas: Annotated[int, int32()] = Field(0, description="Groups that are ready.")
    updated_replicas: Annotated[int, int32()] = Field(0, description="Groups of the current revision.")


class DisaggregatedSetStatus(Model):
    """What was last seen (disaggregatedset 9)."""

    observed_generation: Annotated[int, int64()] = Field(0, description="The generation that this status describes.")
    role_statuses: Annotated[tuple[RoleStatus, ...], Keyed("name")] = Field(
        (), description="One entry for each role, in the order of the spec."
    )
    conditions: Conditions = Field((), description="Available, Progressing, Blocked.")


class DisaggregatedSet(Model):
    """Roles that are deployed, scaled and updated as one.

    ``raw_spec`` is the spec as it was stored, from which children are made and the revision is computed.
    """

    required = ("spec",)

    metadata: ObjectMeta
    spec: DisaggregatedSetSpec = Field(default_factory=DisaggregatedSetSpec, description="What is wanted.")
    status: DisaggregatedSetStatus = Field(default_factory=DisaggregatedSetStatus, description="What was last seen.")
    raw_spec: JSON = Field(default_factory=dict, exclude=True, repr=False)

    @property
    def raw_roles(self) -> list[JSON]:
        """The roles as they were stored."""
        found: list[JSON] = self.raw_spec.get("roles") or []
        return found

    @classmethod
    def from_json(cls, source: bytes | str | JSON) -> DisaggregatedSet:
        """Read an object from the wire or from parsed JSON, absent fields defaulted.

        Raises:
            ValueError: not JSON, or a member of the wrong type, which the CustomResourceDefinition never lets in.
        """
        parsed, metadata = read(source)
        spec = parsed.get("spec") or {}
        return cls(metadata=metadata, spec=spec, status=parsed.get("status") or {}, raw_spec=spec)


class RoleScalerSpec(Model):
    """How many groups an autoscaler wants."""

    required = ("replicas",)

    replicas: Annotated[int, int32(0, minimum=0)] = Field(
        0, description="Wanted groups of the role; the scale subresource writes it."
    )


class RoleScalerStatus(Model):
    """What an autoscaler reads."""

    conditions: Conditions = Field((), description="Ready.")
    observed_generation: Annotated[int, int64()] = Field(0, description="The generation that this status describes.")
    replicas: Annotated[int, int32()] = Field(0, description="Groups of the role, of every revision.")
    selector: Annotated[str, text()] = Field("", description="Selects one leader pod of every group.")


class DisaggregatedSetRoleScaler(Model):
    """The scale of one External role."""

    metadata: ObjectMeta
    spec: RoleScalerSpec = Field(default_factory=RoleScalerSpec, description="What is wanted.")
    status: RoleScalerStatus = Field(default_factory=RoleScalerStatus, description="What was last seen.")

    @classmethod
    def from_json(cls, source: bytes | str | JSON) -> DisaggregatedSetRoleScaler:
        """Read an object from the wire or from parsed JSON, absent fields defaulted.

        Raises:
            ValueError: not JSON, or a member of the wrong type, which the CustomResourceDefinition never lets in.
        """
        parsed, metadata = read(source)
        return cls(metadata=metadata, spec=parsed.get("spec") or {}, status=parsed.get("status") or {})
