"""The LeaderWorkerSets of a DisaggregatedSet: made, scaled, noted, deleted (disaggregatedset 5.4 to 5.6)."""

from __future__ import annotations

from lws.api.disaggregatedset import labels, names
from lws.api.disaggregatedset.placement import placed
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.disaggregatedset.types import DisaggregatedSet
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import POST_TERMINATION, RollingUpdateConfiguration
from lws.apimachinery.actions import Create, Delete, EmitEvent, Patch
from lws.apimachinery.intstr import scaled
from lws.apimachinery.manifests import JSON, merged, with_labels
from lws.planning.disaggregatedset import events
from lws.planning.disaggregatedset.snapshots import Child

_LOOSENED: JSON = {"rolloutStrategy": {"rollingUpdateConfiguration": {"maxUnavailable": 1}}}


def create(
    ds: DisaggregatedSet, index: int, slice_: int, revision: str, replicas: int, *on_success: EmitEvent
) -> Create:
    """Create the child of the role at this index."""
    return Create(LEADERWORKERSETS, manifest(ds, index, slice_, revision, replicas), on_success=on_success)


def manifest(ds: DisaggregatedSet, index: int, slice_: int, revision: str, replicas: int) -> JSON:
    """The child of the role at this index: the role's spec as it was stored, labelled and placed."""
    role, raw = ds.spec.roles[index], ds.raw_roles[index]
    ours = labels.system(ds.metadata.name, slice_, revision, role.name)
    metadata: JSON = {
        "name": names.child(ds.metadata.name, slice_, revision, role.name),
        "namespace": ds.metadata.namespace,
        "labels": {**(role.metadata.get("labels") or {}), **ours},
        "ownerReferences": owners(ds),
    }
    if role.metadata.get("annotations"):
        metadata["annotations"] = dict(role.metadata["annotations"])
    spec = dict(raw.get("spec") or {})
    template = dict(spec.get("leaderWorkerTemplate") or {})
    for member in ("leaderTemplate", "workerTemplate"):
        if template.get(member) is not None or member == "workerTemplate":
            labelled = with_labels(template.get(member) or {}, ours)
            template[member] = placed(labelled, ds.spec.placement_policy, ds.metadata.name, slice_)
    spec |= {"replicas": replicas, "leaderWorkerTemplate": template}
    if role.spec is not None and _stands_still(role.spec.rollout_strategy.rolling_update_configuration, replicas):
        spec = merged(spec, _LOOSENED)
    return {
        "apiVersion": LEADERWORKERSETS.api_version,
        "kind": LEADERWORKERSETS.kind,
        "metadata": metadata,
        "spec": spec,
    }


def scale(child: Child, replicas: int, *on_success: EmitEvent) -> Patch:
    """Scale a child, its own rollout loosened if its admission would refuse the count (DD-09)."""
    change: JSON = {"replicas": replicas}
    if _stands_still(child.lws.spec.rollout_strategy.rolling_update_configuration, replicas):
        change |= _LOOSENED
    return _patch(child, {"spec": change}, on_success)


def step(child: Child, replicas: int) -> Patch:
    """Scale a child by a step of a rollout, which is an event."""
    return scale(child, replicas, events.scaled(child.role, child.name, child.replicas, replicas))


def note_initial(child: Child, replicas: int) -> Patch:
    """Write down how many replicas a child stands for at the beginning of a rollout."""
    return _patch(child, {"metadata": {"annotations": {labels.INITIAL_REPLICAS: str(replicas)}}})


def follow(ds: DisaggregatedSet, child: Child) -> tuple[Patch, ...]:
    """Have a child replace its groups as its role says now, whatever its revision (next 8.2, ND-09)."""
    role = next((each for each in ds.spec.roles if each.name == child.role), None)
    spec = child.lws.spec
    if role is None or role.spec is None or child.going or not spec.hashed:
        return ()
    wanted = role.spec.group_replacement_policy or POST_TERMINATION
    if wanted == (spec.group_replacement_policy or POST_TERMINATION):
        return ()
    return (_patch(child, {"spec": {"groupReplacementPolicy": wanted}}),)


def delete(child: Child, *on_success: EmitEvent) -> Delete:
    """Delete a child."""
    meta = child.lws.metadata
    return Delete(LEADERWORKERSETS, meta.namespace, meta.name, meta.uid, on_success=on_success)


def owners(ds: DisaggregatedSet, *, blocking: bool = False) -> list[JSON]:
    """Owner references of what the set makes; only scalers block the deletion of their owner."""
    owner: JSON = {
        "apiVersion": DISAGGREGATEDSETS.api_version,
        "kind": DISAGGREGATEDSETS.kind,
        "name": ds.metadata.name,
        "uid": ds.metadata.uid,
        "controller": True,
    }
    return [owner | ({"blockOwnerDeletion": True} if blocking else {})]


def _patch(child: Child, change: JSON, on_success: tuple[EmitEvent, ...] = ()) -> Patch:
    meta = child.lws.metadata
    return Patch(LEADERWORKERSETS, meta.namespace, meta.name, meta.uid, change, on_success=on_success)


def _stands_still(configuration: RollingUpdateConfiguration, replicas: int) -> bool:
    """Whether a rollout of the child itself could replace no group, which its admission refuses."""
    try:
        unavailable = scaled(configuration.max_unavailable, replicas, round_up=False)
        surge = scaled(configuration.max_surge, replicas, round_up=True)
    except ValueError:
        return False
    return replicas > 0 and not unavailable and not surge
