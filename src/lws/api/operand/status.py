"""The status of a LeaderWorkerSetOperator, declared for its schema; written and read as JSON (operator 2.3, 5.3)."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from lws.api.customresource import CONDITION, Model
from lws.api.fields import Shape, int32, int64, text
from lws.api.operand import messages
from lws.apimachinery.manifests import JSON

_TIME: Final = Shape({"type": "string", "format": "date-time"})
_FLAG: Final = Shape({"type": "boolean"})
_TEXTS: Final = Shape({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"})


def _list_map(items: JSON, *keys: str) -> Shape:
    return Shape(
        {"type": "array", "items": items, "x-kubernetes-list-map-keys": list(keys), "x-kubernetes-list-type": "map"}
    )


def _object(required: tuple[str, ...] = (), **properties: str) -> JSON:
    schema: JSON = {"type": "object", "properties": {name: {"type": kind} for name, kind in properties.items()}}
    return schema | ({"required": list(required)} if required else {})


# As OpenShift's operators have it: time and status alone are required.
_OPERATOR_CONDITION: Final = {**CONDITION, "required": ["lastTransitionTime", "status", "type"]}
_OPERATOR_CONDITION["properties"] = {
    **CONDITION["properties"],
    "message": {"type": "string"},
    "reason": {"type": "string"},
}
_OPERATOR_CONDITION["properties"].pop("observedGeneration")
_GENERATION: Final = _object(
    ("group", "name", "namespace", "resource"), group="string", resource="string", namespace="string", name="string"
)
_GENERATION["properties"] |= {"lastGeneration": {"type": "integer", "format": "int64"}, "hash": {"type": "string"}}
_RELATED: Final = _object(("name", "resource"), group="string", resource="string", namespace="string", name="string")
_ENTRY: Final = _object(
    ("name", "resource", "verb"), verb="string", resource="string", namespace="string", name="string"
)
_ENTRY["properties"]["paths"] = {"type": "array", "items": {"type": "string"}}
_RESTART: Final = _object(("name", "namespace"), namespace="string", name="string", reason="string")
_RESTART["properties"]["groups"] = {"type": "integer", "format": "int32"}
_RESTARTS: Final = Shape({"type": "array", "items": _RESTART, "x-kubernetes-list-type": "atomic"})
_PLAN_ENTRIES: Final = Shape({"type": "array", "items": _ENTRY, "x-kubernetes-list-type": "atomic"})
_ROLLOUT: Final = _object(
    ("result",),
    version="string",
    image="string",
    configHash="string",
    started="string",
    ended="string",
    result="string",
    cause="string",
)
_HISTORY: Final = Shape({"type": "array", "items": _ROLLOUT, "x-kubernetes-list-type": "atomic"})
_RELATED_OBJECTS: Final = Shape({"type": "array", "items": _RELATED, "x-kubernetes-list-type": "atomic"})


class WebhookStatus(Model):
    """Whether the operand's webhook answers."""

    reachable: Annotated[bool, _FLAG] = Field(False, description="Whether the last probe passed.")
    last_probe: Annotated[str, _TIME] = Field("", description="When the result of the probe last changed.")


class OperandStatus(Model):
    """How the operand is doing."""

    image: Annotated[str, text()] = Field("", description="Image of the Deployment.")
    image_ids: Annotated[list[str], _TEXTS] = Field(
        default_factory=list, description="Image IDs that the pods run.", alias="imageIDs"
    )
    replicas: Annotated[int, int32()] = Field(0, description="Pods that are wanted.")
    updated_replicas: Annotated[int, int32()] = Field(0, description="Pods of the current template.")
    available_replicas: Annotated[int, int32()] = Field(0, description="Pods that are available.")
    leader: Annotated[str, text()] = Field("", description="Holder of the operand's lease.")
    webhook: WebhookStatus = Field(default_factory=WebhookStatus, description="Whether the webhook answers.")


class CertificatesStatus(Model):
    """Who makes the certificates, and when they end."""

    mode: Annotated[str, text()] = Field("", description="CertManager or Internal.")
    since: Annotated[str, _TIME] = Field("", description="Since when this mode is in force.")
    webhook_not_after: Annotated[str, _TIME] = Field("", description="End of the webhook's certificate.")
    metrics_not_after: Annotated[str, _TIME] = Field("", description="End of the metrics endpoint's certificate.")


class WorkloadsStatus(Model):
    """What the cluster's LeaderWorkerSets are doing."""

    sets: Annotated[int, int32()] = Field(0, description="LeaderWorkerSets of the cluster.")
    sets_available: Annotated[int, int32()] = Field(0, description="Sets that are Available.")
    sets_progressing: Annotated[int, int32()] = Field(0, description="Sets that are Progressing.")
    sets_blocked: Annotated[int, int32()] = Field(0, description="Sets in whose way a foreign object stands.")
    groups_desired: Annotated[int, int32()] = Field(0, description="Groups that the sets ask for.")
    groups_ready: Annotated[int, int32()] = Field(0, description="Groups that are ready.")
    groups_updated: Annotated[int, int32()] = Field(0, description="Groups of the newest revision.")
    pods: Annotated[int, int32()] = Field(0, description="Pods that the ready groups have.")
    observed_at: Annotated[str, _TIME] = Field("", description="When this was counted.")


class Release(Model):
    """A version of the operand."""

    version: Annotated[str, text()] = Field("", description="Its version.")
    image: Annotated[str, text()] = Field("", description="Its image.")


class PlanStatus(Model):
    """What the next rollout would change, or the one under way changes."""

    hash: Annotated[str, text()] = Field("", description="Names this plan; approving it names the hash.")
    from_: Release = Field(default_factory=Release, description="The release that is in force.", alias="from")
    to: Release = Field(default_factory=Release, description="The release that is planned.")
    entries: Annotated[list[JSON], _PLAN_ENTRIES] = Field(default_factory=list, description="Objects that change.")
    truncated: Annotated[int, int32()] = Field(0, description="Entries that are left out.")
    restarts_operand: Annotated[bool, _FLAG] = Field(False, description="Whether pods of the operand are replaced.")
    groups_restarted: Annotated[int, int32()] = Field(0, description="Groups of sets that would restart, if known.")
    sets: Annotated[list[JSON], _RESTARTS] = Field(default_factory=list, description="Sets whose groups would restart.")
    sets_truncated: Annotated[int, int32()] = Field(0, description="Sets that are left out.")


class LeaderWorkerSetOperatorStatus(Model):
    """What was last seen."""

    conditions: Annotated[list[JSON], _list_map(_OPERATOR_CONDITION, "type")] = Field(
        default_factory=list, description="Available, Degraded, TargetConfigControllerDegraded, Progressing and others."
    )
    generations: Annotated[list[JSON], _list_map(_GENERATION, "group", "resource", "namespace", "name")] = Field(
        default_factory=list, description="Every object that was applied, with its generation, or a hash of its data."
    )
    ready_replicas: Annotated[int, int32()] = Field(0, description="Available pods of the operand.")
    observed_generation: Annotated[int, int64()] = Field(0, description="The generation that this status describes.")
    version: Annotated[str, text()] = Field("", description="The operand's version, once all of its pods serve.")
    latest_available_revision: Annotated[
        int,
        Shape(
            {
                "type": "integer",
                "format": "int32",
                "x-kubernetes-validations": [{"rule": "self >= oldSelf", "message": messages.MUST_INCREASE}],
            }
        ),
    ] = Field(0, description="Not used.")
    operand: OperandStatus = Field(default_factory=OperandStatus, description="How the operand is doing.")
    certificates: CertificatesStatus = Field(
        default_factory=CertificatesStatus, description="Who makes the certificates, and when they end."
    )
    workloads: WorkloadsStatus = Field(
        default_factory=WorkloadsStatus, description="What the cluster's LeaderWorkerSets are doing."
    )
    plan: PlanStatus = Field(default_factory=PlanStatus, description="The rollout that is planned or under way.")
    history: Annotated[list[JSON], _HISTORY] = Field(default_factory=list, description="The last five rollouts.")
    related_objects: Annotated[list[JSON], _RELATED_OBJECTS] = Field(
        default_factory=list, description="Everything that is applied; for oc adm inspect."
    )
