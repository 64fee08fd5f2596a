"""What the page keeps of each object: no more than its views show, and no text without a limit."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import msgspec
import orjson
from msgspec.structs import force_setattr

from lws.api.disaggregatedset import labels as ds_labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.disaggregatedset.types import DisaggregatedSet, DisaggregatedSetRoleScaler
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, Deployment, NodeStatus, StatefulSet
from lws.api.leaderworkerset.policykeys import EVACUATE
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import CONTROLLERREVISIONS, CORE_EVENTS, DEPLOYMENTS, NODES, PODS, STATEFULSETS
from lws.cli.kubectl.reading import read_set
from lws.informers.kinds import Kind, pool_condition, pool_member, pool_metadata, typed_kind
from lws.planning.disaggregatedset.snapshots import Child
from lws.planning.leaderworkerset.diagnosis.facts import SetFacts
from lws.planning.leaderworkerset.diagnosis.objects import Event, NodeReport, PodReport

LONGEST: Final = 2_000  # characters that are kept of any message: a diagnosis quotes 256
_CONDITIONS: Final = ("Ready", "PodScheduled", "DisruptionTarget")  # of pods, that some view reads


class SetRecord:
    """A LeaderWorkerSet: its facts, and its spec as it is stored."""

    def __init__(self, raw: JSON) -> None:
        metadata = {name: value for name, value in raw["metadata"].items() if name != "managedFields"}
        annotations = metadata.get("annotations") or {}
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != labels.LAST_APPLIED}
        self._raw: JSON = {**raw, "metadata": metadata}
        self.facts: SetFacts = read_set(self._raw)
        self.metadata: ObjectMeta = self.facts.metadata
        pool_metadata(self.metadata, lambda _: True)

    @property
    def spec(self) -> JSON:
        """The spec as it is stored."""
        spec = self._raw.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def status(self) -> JSON:
        """The status as it is stored."""
        status = self._raw.get("status")
        return status if isinstance(status, dict) else {}

    @cached_property
    def declared(self) -> LeaderWorkerSet:
        """What is wanted, with the defaults of the API, and no status; of sets that are looked at closely."""
        return LeaderWorkerSet.from_json({"metadata": self._raw["metadata"], "spec": self.spec})

    @cached_property
    def child(self) -> Child:
        """As a DisaggregatedSet sees it."""
        return Child(LeaderWorkerSet.from_json(self._raw))


class DisaggregatedRecord:
    """A DisaggregatedSet."""

    def __init__(self, raw: JSON) -> None:
        self.model = DisaggregatedSet.from_json(raw)
        self.metadata: ObjectMeta = self.model.metadata


class ScalerRecord:
    """The scaler of an External role."""

    def __init__(self, raw: JSON) -> None:
        self.model = DisaggregatedSetRoleScaler.from_json(raw)
        self.metadata: ObjectMeta = self.model.metadata


class PlaceStatus(NodeStatus, frozen=True):
    """Conditions, and what there is to allocate."""

    allocatable: dict[str, str | int] | None = None


class Place(NodeReport, frozen=True):
    """A node."""

    status: PlaceStatus = PlaceStatus()


def _kept(key: str) -> bool:
    return key in (labels.SIZE, labels.LEADER_NAME, labels.POD_GROUP_NAME, labels.EXCLUSIVE_TOPOLOGY)


def _finish_pod(pod: PodReport) -> None:
    """Only the conditions that are read, texts within limits."""
    pool_member(pod.spec, "node_name")
    pool_member(pod.spec, "scheduler_name")
    pool_member(pod.status, "phase")
    conditions = tuple(one for one in pod.status.conditions or () if one.type in _CONDITIONS)
    for one in conditions:
        _shorten(one, "message")
        pool_condition(one)
    force_setattr(pod.status, "conditions", conditions)
    _shorten(pod.status, "message")
    _shorten(pod.status, "reason")
    for status in (*(pod.status.container_statuses or ()), *(pod.status.init_container_statuses or ())):
        pool_member(status, "name")
        pool_member(status, "image")
        for state in (status.state, status.last_state):
            for part in (state.waiting, state.terminated) if state is not None else ():
                if part is not None:
                    _shorten(part, "message")


def _finish_event(event: Event) -> None:
    _shorten(event, "message")
    for member in ("type", "reason"):
        _shorten(event, member)
        pool_member(event, member)


def _finish_node(node: Place) -> None:
    for one in node.status.conditions or ():
        _shorten(one, "message")
        pool_condition(one)


def _shorten(struct: msgspec.Struct, member: str) -> None:
    value = getattr(struct, member)
    if isinstance(value, str) and len(value) > LONGEST:
        force_setattr(struct, member, value[:LONGEST])


def _records(make: Any) -> Any:
    """Whole documents, made into records."""
    return lambda raw: make(orjson.loads(memoryview(raw)))


SETS: Final[Kind[SetRecord]] = Kind(LEADERWORKERSETS, msgspec.Raw, _records(SetRecord))
DISAGGREGATED: Final[Kind[DisaggregatedRecord]] = Kind(DISAGGREGATEDSETS, msgspec.Raw, _records(DisaggregatedRecord))
SCALERS: Final[Kind[ScalerRecord]] = Kind(ROLESCALERS, msgspec.Raw, _records(ScalerRecord))
DEPLOYED: Final = typed_kind(DEPLOYMENTS, Deployment, annotations=lambda _: False)
STATEFUL: Final = typed_kind(STATEFULSETS, StatefulSet, annotations=lambda _: False)
MEMBERS: Final = typed_kind(PODS, PodReport, annotations=_kept, finish=_finish_pod)
REVISIONS: Final = typed_kind(CONTROLLERREVISIONS, ControllerRevision, annotations=lambda _: False)
WARNINGS: Final = typed_kind(CORE_EVENTS, Event, annotations=lambda _: False, finish=_finish_event)
PLACES: Final = typed_kind(NODES, Place, annotations=lambda key: key == EVACUATE, finish=_finish_node)


def ds_of(record: SetRecord) -> str:
    """The name of the DisaggregatedSet that the set is a child of; empty without."""
    owner = record.metadata.controller
    mine = owner is not None and owner.kind == DISAGGREGATEDSETS.kind
    return record.metadata.label(ds_labels.NAME) if mine else ""
