"""What to do next to bring an installation about: observed and wanted in, actions out (operator 5.6, 5.10).

Level-triggered: nothing is remembered between two plans. What must wait for something ends the plan where it waits; the
change that it waits for wakes the key. Nothing is written over what is not ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from lws.api.operand import messages, names
from lws.api.operand.types import ADOPT, AUTO, CERT_MANAGER
from lws.apimachinery.actions import Action, Apply, Delete, EmitEvent, JsonPatch
from lws.apimachinery.drift import would_change
from lws.apimachinery.manifests import JSON, annotations_of, name_of, namespace_of
from lws.apimachinery.ownership import Relation
from lws.apimachinery.resources import CERTIFICATES, CUSTOMRESOURCEDEFINITIONS, ISSUERS, Resource
from lws.planning.operand import (
    access,
    adoption,
    certificates,
    claims,
    closed,
    definitions,
    events,
    health,
    managers,
    narrowing,
    pruning,
    switching,
)
from lws.planning.operand.causes import (
    CERTIFICATE_NOT_READY,
    CONFIG_INVALID,
    CRD_NARROWED,
    FOREIGN_OBJECT,
    MISSING_DEPENDENCY,
    OPERAND_IMAGE_MISSING,
    Cause,
)
from lws.planning.operand.desired import Desired, Wanted, stage
from lws.planning.operand.facts import Facts
from lws.planning.operand.world import Key, World

_ACCESS: Final = frozenset({"Role", "ClusterRole"})
_BINDINGS: Final = frozenset({"RoleBinding", "ClusterRoleBinding"})
_DEPLOYMENT: Final = ("Deployment", names.DEPLOYMENT)
_NEXT: Final = "-next"
_NO_IMAGE: Final = (
    "no image is known for the operand; set RELATED_IMAGE_OPERAND_IMAGE in the environment of the operator's Deployment"
)
_READERS_FILE: Final = ("ConfigMap", names.CONFIG_MAP)


@dataclass(slots=True)
class Decision:
    """What is to be done, and what stands in the way.

    Attributes:
        actions: in order.
        causes: of being degraded.
        waits: what the installation waits for, as reason and message of the condition Progressing; empty if nothing.
        other: what is done to an installation in another namespace, as an entry of the plan; None if nothing is.
    """

    actions: list[Action] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    waits: tuple[str, str] = ("", "")
    other: JSON | None = None


def plan(
    facts: Facts, wanted: Desired, world: World, *, settled: bool = True, refused: frozenset[Key] = frozenset()
) -> Decision:
    """One step towards what is wanted.

    Args:
        facts: the surroundings.
        wanted: the whole installation.
        world: what was observed.
        settled: whether no rollout is under way, so that roles may narrow and what is no longer wanted may go.
        refused: objects that the API server calls invalid as they are wanted; they stay as they are.
    """
    return _Planner(facts, wanted, world, settled, refused).plan()


class _Planner:
    def __init__(self, facts: Facts, wanted: Desired, world: World, settled: bool, refused: frozenset[Key]) -> None:
        self._facts = facts
        self._wanted = wanted
        self._world = world
        self._rolling = not settled
        self._settled = settled and serves(world, wanted)
        self._refused = refused
        self._out = Decision()

    def plan(self) -> Decision:
        self._out.actions += definitions.released(self._world.owned_definitions)
        recorded = str((self._world.operator.raw_status.get("certificates") or {}).get("mode") or "")
        if self._world.operator.spec.certificates.mode == AUTO and recorded not in ("", self._facts.certificates):
            self._out.actions.append(events.switched(recorded, self._facts.certificates))
        if self._kept_off():
            return self._out
        if self._wanted.invalid:
            self._out.causes.append(Cause(CONFIG_INVALID, self._wanted.invalid))
        if not self._facts.image_told:
            self._out.causes.append(Cause(OPERAND_IMAGE_MISSING, _NO_IMAGE))
        for each in self._wanted.objects:
            if self._must_wait(each):
                return self._out
            self._one(each)
        if self._settled:
            self._prune()
            self._out.actions += switching.clean_up(self._facts, self._world)
        return self._out

    def _kept_off(self) -> bool:
        """Whether nothing may be applied at all, and why."""
        world, facts = self._world, self._facts
        obstacle = adoption.obstacle(facts, world, self._wanted.objects)
        self._out.actions += obstacle.actions
        self._out.causes += [obstacle.cause] if obstacle.cause is not None else []
        self._out.waits, self._out.other = obstacle.waits, obstacle.entry
        if obstacle.blocks:
            return True
        if facts.certificates == CERT_MANAGER and not facts.serves(ISSUERS, CERTIFICATES):
            self._out.causes.append(Cause(MISSING_DEPENDENCY, messages.MISSING_CERT_MANAGER))
            return True
        return False

    def _must_wait(self, wanted: Wanted) -> bool:
        """Whether an object has to wait for those before it."""
        kind = wanted.resource.kind
        if stage(wanted.key) > 0 and (pending := self._not_established()):
            self._out.waits = ("RollingOut", f"definition {pending} is not served yet")
            return True
        if kind != "Deployment":
            return False
        if self._facts.certificates == CERT_MANAGER and self._not_issued(wanted):
            return True
        actions, waits = switching.preparation(self._facts, self._world)
        self._out.actions += actions
        if waits:
            self._out.waits = ("WaitingForCertificates", waits)
        return bool(waits)

    def _not_issued(self, wanted: Wanted) -> bool:
        """Whether the Deployment has to wait for certificates."""
        if missing := certificates.not_ready(self._live_certificates()):
            name, why = missing[0]
            self._out.waits = ("WaitingForCertificates", f"Certificate {name} is not Ready: {why}")
            self._out.causes += [
                Cause(CERTIFICATE_NOT_READY, f"Certificate {name} is not Ready: {why}; look at cert-manager")
                for name, why in missing
            ]
            # What runs goes on with the certificates that it has; only a change of it would have to wait.
            return not health.rolled_out(self._world.live.get(wanted.key))
        return False

    def _not_established(self) -> str:
        for each in self._wanted.objects:
            if each.resource.kind != CUSTOMRESOURCEDEFINITIONS.kind:
                continue
            live = self._world.live.get(each.key)
            conditions = ((live or {}).get("status") or {}).get("conditions") or ()
            if not any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions):
                return name_of(each.manifest)
        return ""

    def _live_certificates(self) -> list[JSON]:
        kind = CERTIFICATES.kind
        found = (each for each in self._wanted.objects if each.resource.kind == kind)
        return [self._world.live.get(each.key) or each.manifest for each in found]

    # One object.

    def _one(self, wanted: Wanted) -> None:
        live = self._world.live.get(wanted.key)
        if wanted.key in self._refused or not self._due(wanted):
            return
        if live is None:
            self._apply(wanted, None)
            return
        kind, name = wanted.key
        if claims.relation(kind, live) is Relation.FOREIGN:
            self._out.causes.append(
                Cause(FOREIGN_OBJECT, f"{kind} {name} was made by somebody else; rename or delete it")
            )
            return
        if kind == CUSTOMRESOURCEDEFINITIONS.kind and (less := narrowing.narrowed(live, wanted.manifest)):
            self._out.causes.append(
                Cause(CRD_NARROWED, f"definition {name} stays, it is newer than this operator: {less[0]}; upgrade it")
            )
            return
        if not self._later(wanted):
            self._bring_about(wanted, live)

    def _later(self, wanted: Wanted) -> bool:
        """Whether a role or binding stays as it is until the rollout is over, so that old pods never miss a right.

        What the new pods need beyond it is granted by a role beside it meanwhile. (A role that holds more than we do
        could not be changed bit by bit anyway, only replaced.)
        """
        kind = wanted.resource.kind
        if kind not in _ACCESS | _BINDINGS or not self._rolling or self._world.live.get(_DEPLOYMENT) is None:
            return False
        role = (
            wanted.key if kind in _ACCESS else (wanted.manifest["roleRef"]["kind"], wanted.manifest["roleRef"]["name"])
        )
        before, after = self._world.live.get(role), self._wanted.get(*role)
        if before is None or after is None or before.get("rules") == after["rules"]:
            return False
        if kind in _ACCESS and not access.covers(before.get("rules") or (), after["rules"]):
            for each in interim(wanted, self._wanted.objects):
                present = self._world.live.get(each.key)
                if present is None or would_change(each.manifest, _comparable(present), names.FIELD_MANAGER):
                    self._apply(each, present)
        return True

    def _due(self, wanted: Wanted) -> bool:
        """Whether the time of an object has come: of the Deployment with its image, of the readers' file last."""
        if wanted.key == _READERS_FILE:
            return self._settled
        return wanted.key != _DEPLOYMENT or bool(self._facts.image)

    def _bring_about(self, wanted: Wanted, live: JSON) -> None:
        kind = wanted.resource.kind
        if kind in _BINDINGS and live.get("roleRef") != wanted.manifest["roleRef"]:
            # It cannot be changed; without a binding for a moment, the operand's requests are tried again.
            self._out.actions.append(_delete(wanted.resource, live, ()))
            return
        # A role that holds more than we do can only be replaced: the API server refuses every other change of it.
        replaced = kind in _ACCESS and live.get("rules") != wanted.manifest["rules"]
        if replaced and self._adopting(kind, live):  # nothing that needs it runs any more
            self._out.actions.append(_delete(wanted.resource, live, ()))
            self._apply(wanted, None)
            return
        entries = None if replaced else managers.folded(live, adopting=self._adopting(kind, live))
        if entries is not None:
            operations = ({"op": "replace", "path": "/metadata/managedFields", "value": entries},)
            meta = live["metadata"]
            self._out.actions.append(
                JsonPatch(wanted.resource, namespace_of(live), name_of(live), meta["resourceVersion"], operations)
            )
            self._apply(wanted, live)
            return
        extras = closed.extras(kind, wanted.manifest, live)
        if extras:
            version = live["metadata"]["resourceVersion"]
            self._out.actions.append(
                JsonPatch(
                    wanted.resource,
                    namespace_of(live),
                    name_of(live),
                    version,
                    closed.removals(extras),
                    on_success=(events.healed(wanted.resource, live, extras),),
                )
            )
        if would_change(wanted.manifest, _comparable(closed.without(live, extras)), names.FIELD_MANAGER):
            self._apply(wanted, live)

    def _adopting(self, kind: str, live: JSON) -> bool:
        orphan = claims.relation(kind, live) is Relation.ORPHAN
        return orphan and self._world.operator.spec.take_over == ADOPT

    def _apply(self, wanted: Wanted, live: JSON | None) -> None:
        resource, manifest = wanted.resource, wanted.manifest
        if live is None:
            told, failed = events.created(resource, manifest), events.not_created(resource, manifest)
        else:
            told, failed = events.updated(resource, manifest, live), events.not_updated(resource, manifest)
        self._out.actions.append(Apply(resource, manifest, "", on_success=(told,), on_failure=(failed,)))

    # What is no longer wanted.

    def _prune(self) -> None:
        """Objects of ours that are not wanted any more, once what replaces them serves."""
        for resource, live in pruning.unwanted(self._wanted, self._world):
            self._out.actions.append(_delete(resource, live, (events.pruned(resource, live),)))


def serves(world: World, wanted: Desired) -> bool:
    """Whether all pods are of what is wanted: of its image and configuration, and available."""
    live, deployment = world.live.get(_DEPLOYMENT), wanted.get(*_DEPLOYMENT)
    if live is None or deployment is None or not health.rolled_out(live):
        return False
    before, after = (annotations_of(each["spec"]["template"]) for each in (live, deployment))
    same = before.get(names.CONFIG_HASH) == after.get(names.CONFIG_HASH)
    return same and health.image_of(live) == health.image_of(deployment)


def interim(role: Wanted, objects: Iterable[Wanted]) -> Iterator[Wanted]:
    """A role beside a role, and its bindings, for as long as a rollout lasts."""
    yield Wanted(role.resource, _renamed(role.manifest))
    for each in objects:
        reference = each.manifest.get("roleRef") or {}
        if (reference.get("kind"), reference.get("name")) == role.key:
            manifest = _renamed(each.manifest)
            yield Wanted(each.resource, {**manifest, "roleRef": {**reference, "name": f"{role.key[1]}{_NEXT}"}})


def _renamed(manifest: JSON) -> JSON:
    return {**manifest, "metadata": {**manifest["metadata"], "name": f"{name_of(manifest)}{_NEXT}"}}


def _comparable(live: JSON) -> JSON:
    """The live object without owners of others, which an apply leaves alone."""
    metadata = live["metadata"]
    owners = [each for each in metadata.get("ownerReferences") or () if each.get("kind") == names.KIND]
    return {**live, "metadata": {**metadata, "ownerReferences": owners}}


def _delete(resource: Resource, live: JSON, told: tuple[EmitEvent, ...]) -> Delete:
    meta = live["metadata"]
    return Delete(resource, namespace_of(live), name_of(live), meta["uid"], on_success=told)
