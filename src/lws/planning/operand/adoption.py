"""An installation in another namespace: left alone, or ended and taken over (operator 5.10).

Taken over is what bears our names: its Deployment is scaled to 0 there, and once its pods are gone and nobody renews
its lease, what is of the whole cluster becomes ours like leftovers. What is in its namespace stays, and is listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from lws.api.operand import names
from lws.api.operand.types import ADOPT
from lws.apimachinery.actions import Action, Patch
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import DEPLOYMENTS
from lws.planning.operand import claims, events
from lws.planning.operand.causes import OTHER_INSTALLATION, PERMISSION_DENIED, Cause
from lws.planning.operand.desired import Wanted
from lws.planning.operand.facts import Facts
from lws.planning.operand.world import World

TAKING_OVER: Final = "TakingOver"
_HELM: Final = (
    " Helm manages it and would undo every change, and helm uninstall would delete the definition and all sets: remove"
    " the record of the release, not the release."
)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What another installation means for this pass.

    Attributes:
        blocks: whether nothing may be applied yet.
        actions: towards its end, and what is told of it.
        cause: of being degraded.
        waits: what is waited for, as reason and message; empty if nothing.
        entry: what is done to it, as an entry of the plan; None if nothing.
    """

    blocks: bool = False
    actions: tuple[Action, ...] = ()
    cause: Cause | None = None
    waits: tuple[str, str] = ("", "")
    entry: JSON | None = field(default=None)


def obstacle(facts: Facts, world: World, objects: Iterable[Wanted]) -> Obstacle:
    """Whether another installation stands in the way, and what is done about that.

    Args:
        facts: the surroundings.
        world: what was observed.
        objects: what is wanted; what of it lives in a namespace is what is left over there.
    """
    others = dict(claims.other_installation(world.live, world.leases, facts.namespace, world.now))
    if not others:
        return Obstacle()
    where, sign = next(iter(others.items()))
    helm = _HELM if claims.helm_release(world.live) else ""
    if world.operator.spec.take_over != ADOPT:
        message = f"namespace {where} has an installation ({sign}).{helm} Remove it first, or set takeOver to Adopt"
        return Obstacle(blocks=True, cause=Cause(OTHER_INSTALLATION, message))
    entry = {"verb": "scale", "resource": str(DEPLOYMENTS), "namespace": where, "name": names.DEPLOYMENT}
    if world.other_denied:
        cause = Cause(PERMISSION_DENIED, f"{world.other_denied}; {grant(facts, where)}")
        return Obstacle(blocks=True, cause=cause, waits=(TAKING_OVER, f"rights in {where} are missing"), entry=entry)
    ending = _ending(where, world)
    if ending is not None:
        return ending
    left = [f"{each.resource.kind}/{each.key[1]}" for each in objects if each.resource.namespaced]
    told = events.adopted(where, left, helm)
    return Obstacle(actions=(told,), waits=(TAKING_OVER, f"what was of {where} is being taken over"), entry=entry)


def _ending(where: str, world: World) -> Obstacle | None:
    """What is done until nothing of it runs any more; None once that is so."""
    entry = {"verb": "scale", "resource": str(DEPLOYMENTS), "namespace": where, "name": names.DEPLOYMENT}
    scale = world.other_scale
    if scale is not None and int((scale.get("spec") or {}).get("replicas") or 0):
        meta, change = scale["metadata"], {"spec": {"replicas": 0}}
        ended = Patch(DEPLOYMENTS, where, names.DEPLOYMENT, meta["uid"], change, subresource="scale")
        waits = (TAKING_OVER, f"Deployment {where}/{names.DEPLOYMENT} is scaled to 0")
        return Obstacle(blocks=True, actions=(ended,), waits=waits, entry=entry)
    pods = int(((scale or {}).get("status") or {}).get("replicas") or 0)
    if pods:
        return Obstacle(blocks=True, waits=(TAKING_OVER, f"{pods} pods in {where} are ending"), entry=entry)
    if holder := claims.leader_in(where, world.leases, world.now):
        return Obstacle(blocks=True, waits=(TAKING_OVER, f"{holder} still holds the lease in {where}"), entry=entry)
    return None


def grant(facts: Facts, where: str) -> str:
    """The commands that let us end an installation elsewhere; no bundle holds these rights."""
    name, account = "lws-operator-adopt", f"{facts.operator_namespace}:{names.OPERATOR_DEPLOYMENT}"
    return (
        f"run: kubectl create role {name} -n {where} --verb=get,patch --resource=deployments.apps/scale"
        f" --resource-name={names.DEPLOYMENT} && kubectl create rolebinding {name} -n {where} --role={name}"
        f" --serviceaccount={account}"
    )
