"""Taking the operand away, and nothing of its users (operator 5.8).

Definitions, sets, their StatefulSets, Services, pods and every Secret stay, so that groups go on running and the
operand can come back without a restart of theirs.
"""

from __future__ import annotations

from enum import Enum

from lws.api.operand import names
from lws.api.operand.types import OPERAND, REMOVED, UNMANAGED, WHEN_UNUSED, LeaderWorkerSetOperatorSpec
from lws.apimachinery.actions import Action, Delete, Patch
from lws.apimachinery.manifests import JSON, labels_of, name_of, namespace_of
from lws.apimachinery.resources import CONFIGMAPS, CUSTOMRESOURCEDEFINITIONS, DEPLOYMENTS, Resource
from lws.planning.operand import claims, definitions, events, health, record
from lws.planning.operand.desired import Desired, stage
from lws.planning.operand.plan import Decision
from lws.planning.operand.world import Key, Workloads, World

_DEPLOYMENT = (DEPLOYMENTS.kind, names.DEPLOYMENT)
_WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


class Course(Enum):
    """What a pass does."""

    MAINTAIN = "maintain"  # install and heal
    LEAVE = "leave"  # write nothing but the status
    REMOVE = "remove"


def course(spec: LeaderWorkerSetOperatorSpec, workloads: Workloads | None) -> Course:
    """What the spec asks for; while it is not known whether sets exist, they are taken to."""
    if spec.management_state == UNMANAGED:
        return Course.LEAVE
    if spec.management_state != REMOVED:
        return Course.MAINTAIN
    if spec.removal.policy == WHEN_UNUSED:
        return Course.REMOVE if workloads is not None and not workloads.sets else Course.MAINTAIN
    return Course.REMOVE if spec.removal.policy == OPERAND else Course.LEAVE


def removal(world: World, kept: JSON | None) -> Decision:
    """The next step of taking the operand away: its pods, then its webhooks, then the rest.

    Args:
        world: what was observed.
        kept: the ConfigMap that says what became of rollouts; it goes with the rest.
    """
    actions = definitions.released(world.owned_definitions)
    deployment = world.live.get(_DEPLOYMENT)
    ours = deployment is not None and _ours(_DEPLOYMENT, deployment)
    if deployment is not None and ours and health.wanted_replicas(deployment):
        meta = deployment["metadata"]
        change = {"spec": {"replicas": 0}}
        actions.append(Patch(DEPLOYMENTS, meta["namespace"], meta["name"], meta["uid"], change))
    if ours and world.pods:
        return Decision(actions, waits=("Removing", f"{len(world.pods)} pods of the operand are ending"))
    found = {key: live for key, live in world.live.items() if _ours(key, live) and _resource(world, key, live)}
    webhooks = [key for key in found if key[0] in _WEBHOOKS]
    gone: list[Action] = [_delete(world, key, found[key]) for key in webhooks]
    if not gone:
        rest = sorted((key for key in found if key[0] != CUSTOMRESOURCEDEFINITIONS.kind), key=stage, reverse=True)
        gone = [_delete(world, key, found[key]) for key in rest]
        gone += [_delete_of(CONFIGMAPS, kept)] if kept is not None and name_of(kept) == record.NAME else []
        gone += [events.operand_removed(told(world.workloads))] if gone else []
    return Decision(
        [*actions, *gone], waits=("Removing", "the operand's objects are being deleted") if gone else ("", "")
    )


def told(workloads: Workloads | None) -> str:
    """What goes on without an operand, and what it lacks."""
    counts = workloads or Workloads()
    return (
        f"{counts.sets} sets with {counts.groups_ready} ready groups and {counts.pods} pods stay and go on running;"
        " nothing restarts, scales or updates them, and a pod that is recreated has no identity variables"
    )


def remaining(wanted: Desired, world: World) -> Desired:
    """Of what is wanted, that which is there."""
    return Desired(tuple(each for each in wanted.objects if each.key in world.live), wanted.config, wanted.config_map)


def _ours(key: Key, live: JSON) -> bool:
    labelled = labels_of(live).get(names.MANAGED_BY) == names.MANAGED_BY_VALUE
    return (labelled or key in names.LEFTOVERS) and bool(claims.owned_by_operator(live))


def _resource(world: World, key: Key, live: JSON) -> Resource | None:
    return world.resources.get((str(live.get("apiVersion")), key[0]))


def _delete(world: World, key: Key, live: JSON) -> Delete:
    resource = _resource(world, key, live)
    assert resource is not None
    return _delete_of(resource, live)


def _delete_of(resource: Resource, live: JSON) -> Delete:
    return Delete(
        resource,
        namespace_of(live),
        name_of(live),
        live["metadata"]["uid"],
        on_success=(events.removed(resource, live),),
    )
