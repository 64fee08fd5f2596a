"""Carries out plans: runs the actions in order and stops at the first failure.

Guarantees:
    * Nothing is written that is not in the plan; nothing that belongs to others is written at all.
    * Every answer's version is noted in the ledger before the next action, so a key never acts on a cache that is
      older than its own last write.
    * Events of success are recorded after the write they tell of, once; events of failure with its cause.
    * Already there and ours is success, gone and to be deleted is success.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import msgspec

from lws.apimachinery import drift
from lws.apimachinery.actions import (
    Action,
    Applied,
    Apply,
    Create,
    Delete,
    EmitEvent,
    JsonPatch,
    Patch,
    Plan,
    Reference,
    Relabel,
    Update,
    UpdateStatus,
    Write,
)
from lws.apimachinery.manifests import JSON, merged
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.ownership import OwnershipRule, Relation, controller_of
from lws.apimachinery.packing import unpacked
from lws.apimachinery.resources import Resource
from lws.client.api import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, ApiClient
from lws.clock import Clock, SystemClock
from lws.errors import (
    AlreadyExistsError,
    ApiError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NamespaceTerminatingError,
    NotFoundError,
    PauseError,
    StaleError,
    TransportError,
)
from lws.runtime.bounded import Bounded
from lws.runtime.creations import Creations, Identity, identity_of
from lws.runtime.events import ObjectRef, Recorder
from lws.runtime.freshness import InformerSource, Ledger
from lws.runtime.outcomes import FoundError, Outcome

K = TypeVar("K", bound=Hashable)


class Executor(Generic[K]):
    """Runs plans of one controller.

    Args:
        client: writes, under its field manager.
        recorder: takes events.
        caches: whose versions the ledger compares with.
        ledger: remembers what the controller's keys wrote.
        ownership: whose a live object is that has the name of one to be created: called with its resource, the wanted
            manifest and the live one.
        clock: measures the pauses between creations of the same object.
    """

    def __init__(
        self,
        client: ApiClient,
        recorder: Recorder,
        caches: InformerSource,
        ledger: Ledger[K],
        *,
        ownership: OwnershipRule,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._caches = caches
        self._ledger = ledger
        self._ownership = ownership
        self._creations = Creations(clock or SystemClock())
        self._told: Bounded[str, bool] = Bounded()  # what was told once
        self._ended: Bounded[str, bool] = Bounded()  # UIDs of what is gone, though a cache may hold it still

    async def run(self, key: K, plan: Plan, regarding: ObjectRef | None, outcome: Outcome | None = None) -> Outcome:
        """Carry out a plan for this key; events are about the given object, and dropped if there is none.

        Args:
            key: whose plan it is.
            plan: what to do.
            regarding: what events are about.
            outcome: filled in as the run goes, for a caller that wants to know how far an unsuccessful one got.

        Raises:
            FoundError: an object has the name of one to be applied that should not exist yet.
            StaleError: the live object is not the one that was planned for.
            PauseError: an object that is to be made was made and undone more than once.
            ApiError: the server refused an action.
            TransportError: no answer.
        """
        run = _Run(self, key, regarding, Outcome() if outcome is None else outcome)
        for action in plan.actions:
            run.outcome.failed = action
            await run.do(action)
        run.outcome.failed = None
        return run.outcome

    async def find(self, reference: Reference) -> JSON | None:
        """The object as the server has it, whatever the caches show; None if there is none of that name."""
        try:
            return await self._client.get(reference.resource, reference.namespace, reference.name)
        except NotFoundError:
            return None

    async def confirm_exists(self, witness: Reference) -> None:
        """Ask the server whether it still has an object that a plan rests on.

        Raises:
            StaleError: it has not; the caches will know soon.
            ApiError: the server refused to tell.
            TransportError: no answer.
        """
        live = await self.find(witness)
        if live is None or live["metadata"].get("uid") != witness.uid:
            raise StaleError(f"{witness.resource} {witness.name} is gone")


@dataclass(slots=True)
class _Run(Generic[K]):
    """One plan being carried out."""

    executor: Executor[K]
    key: K
    regarding: ObjectRef | None
    outcome: Outcome
    seen: dict[tuple[Resource, str], JSON] = field(default_factory=dict)

    async def do(self, action: Action) -> None:
        """Carry out one action."""
        if isinstance(action, EmitEvent):
            self.tell((action,))
            return
        try:
            answer = await self._write(action)
        except NamespaceTerminatingError:
            raise
        except (ApiError, TransportError) as error:
            self.tell(getattr(action, "on_failure", ()), str(error))
            raise
        if answer is not None:
            self.tell(getattr(action, "on_success", ()))

    async def _write(self, action: Write) -> JSON | None:
        """Write; the answer, or None if there was nothing to write."""
        match action:
            case Create():
                return await self._create(action)
            case Apply():
                return await self._apply(action)
            case Update():
                return await self._update(action)
            case Patch():
                return await self._patch(action)
            case JsonPatch():
                return await self._json_patch(action)
            case UpdateStatus():
                return await self._update_status(action)
            case Delete():
                return await self._delete(action)
            case Relabel():
                return await self._relabel(action)

    async def _create(self, action: Create) -> JSON | None:
        client, meta = self.executor._client, action.manifest["metadata"]
        identity, creations = identity_of(action.resource, action.manifest), self.executor._creations
        if not action.required and creations.taken_for(identity):
            self.outcome.name_taken = True
            return None
        await self._may_make(action, identity)
        try:
            answer = await client.create(action.resource, action.manifest)
        except AlreadyExistsError as error:
            live = await self.executor.find(Reference(action.resource, meta.get("namespace", ""), meta["name"]))
            if live is None:
                raise StaleError(f"{action.resource} {meta['name']} was there and is gone") from None
            self._note(action.resource, live)
            whose = self.executor._ownership(action.resource, action.manifest, live)
            if whose is Relation.OURS and not self._shown(action.resource, live):
                await self._show(action, live, identity)
            if action.required and whose is Relation.EARLIER:
                raise ConflictError(
                    error.status, "Conflict", f"an earlier owner's {meta['name']} is not gone"
                ) from None
            if action.required and whose is Relation.FOREIGN:
                raise
            if whose is Relation.FOREIGN:
                self.outcome.name_taken = True
                creations.taken(identity)
                uid = live["metadata"].get("uid", "")
                self.tell(tuple(replace(event, once=uid) for event in action.on_foreign))
            return None
        creations.made(identity)
        return self._wrote("create", action.resource, answer)

    async def _may_make(self, action: Create | Apply, identity: Identity) -> None:
        """Before an object is made again: not too often, and not for an owner that is gone (K3)."""
        creations, name = self.executor._creations, action.manifest["metadata"]["name"]
        pause = creations.pause(identity)
        if pause:
            raise PauseError(f"{action.resource} {name} ends as soon as it is made: see who deletes it", pause)
        if action.owner is not None and creations.again(identity):
            await self.executor.confirm_exists(action.owner)

    def _shown(self, resource: Resource, live: JSON) -> bool:
        """Whether some cache shows this object, or will."""
        informer = self.executor._caches.informer(resource)
        return informer is None or informer.selection.selects(live.get("metadata") or {})

    async def _show(self, action: Create, live: JSON, identity: Identity) -> None:
        """Put the labels back that an object of ours lost, so that the caches have it; leave one that others made."""
        wanted, found = action.manifest["metadata"], live["metadata"]
        owner = controller_of(wanted)
        self.outcome.name_taken = True
        self.executor._creations.taken(identity)
        if owner is None or (controller := controller_of(found)) is None or controller.uid != owner.uid:
            return
        where = (action.resource, wanted.get("namespace", ""), wanted["name"], found.get("uid", ""))
        await self._put_back(where, wanted.get("labels") or {})

    async def _relabel(self, action: Relabel) -> JSON | None:
        where = (action.resource, action.namespace, action.name, action.uid)
        if self.executor._creations.taken_for(where):
            return None
        self.executor._creations.taken(where)
        live = await self.executor.find(Reference(action.resource, action.namespace, action.name))
        if live is None or live["metadata"].get("uid") != action.uid or self._shown(action.resource, live):
            return None
        owner = controller_of(live["metadata"])
        return None if owner is None or owner.uid != action.controller else await self._put_back(where, action.labels)

    async def _put_back(self, where: Identity, labels: Mapping[str, str]) -> JSON | None:
        """Label an object of ours, unless that is not among our rights."""
        with suppress(ForbiddenError):
            return await self._patch(Patch(*where, {"metadata": {"labels": dict(labels)}}))
        return None

    async def _apply(self, action: Apply) -> JSON | None:
        meta = action.manifest["metadata"]
        if action.look_first:
            where = Reference(action.resource, meta.get("namespace", ""), meta["name"])
            live = unpacked(action.live) if action.live else await self.executor.find(where)
            if live is not None and self._as_applied(action, live):
                return None
        identity = identity_of(action.resource, action.manifest)
        creates = action.look_first and action.expected is None  # without a look it may well be an update
        if creates:
            await self._may_make(action, identity)
        answer = await self.executor._client.apply(action.resource, action.manifest)
        if creates:
            self.executor._creations.made(identity)
        self.outcome.applied = Applied.left(action.digest, _meta(answer))
        return self._wrote("apply", action.resource, answer)

    def _as_applied(self, action: Apply, live: JSON) -> bool:
        """Whether the live object, read before the first apply, is as the apply would leave it."""
        if action.expected is None:
            raise FoundError(live)
        meta = _meta(live)
        if (meta.uid, meta.generation) != action.expected:
            raise StaleError(f"{action.resource} {meta.name} has changed since the plan was made")
        if drift.would_change(action.manifest, live, self.executor._client.field_manager):
            return False
        self.outcome.applied = Applied.left(action.digest, meta)
        return True

    async def _update(self, action: Update) -> JSON | None:
        live = await self.executor._client.get(action.resource, action.namespace, action.name)
        if live["metadata"].get("resourceVersion") != action.resource_version:
            raise StaleError(f"{action.resource} {action.name} has changed")
        try:
            answer = await self.executor._client.update(action.resource, merged(live, action.change))
        except InvalidError:
            if action.otherwise is None:
                raise
            await self.do(action.otherwise)
            return None
        return self._wrote("update", action.resource, answer)

    async def _patch(self, action: Patch) -> JSON | None:
        where = (action.resource, action.namespace, action.name, action.uid)
        if action.optional and self.executor._creations.taken_for(where):
            return None
        change = {**action.change, "metadata": {**action.change.get("metadata", {}), "uid": action.uid}}
        content_type = STRATEGIC_MERGE_PATCH if action.strategic else MERGE_PATCH
        try:
            answer = await self.executor._client.patch(
                *where[:3], change, content_type=content_type, subresource=action.subresource
            )
        except NotFoundError:
            raise StaleError(f"{action.resource} {action.name} is gone") from None
        except ForbiddenError as error:
            if not action.optional:
                raise
            self.executor._creations.taken(where)
            self.tell(action.on_failure, str(error))
            return None
        self.outcome.status_written |= action.subresource == "status"
        return self._wrote(f"patch {action.subresource}".rstrip(), action.resource, answer)

    async def _json_patch(self, action: JsonPatch) -> JSON | None:
        version = {"op": "replace", "path": "/metadata/resourceVersion", "value": action.resource_version}
        where, operations = (action.resource, action.namespace, action.name), [version, *action.operations]
        try:
            answer = await self.executor._client.patch(*where, operations, content_type=JSON_PATCH)
        except (BadRequestError, ForbiddenError, InvalidError) as error:
            if action.otherwise is None:
                raise
            self.tell(action.on_refusal, str(error))
            await self.do(action.otherwise)
            return None
        return self._wrote("patch", action.resource, answer)

    async def _update_status(self, action: UpdateStatus) -> JSON:
        answer = await self.executor._client.update(action.resource, action.manifest, subresource="status")
        self.outcome.status_written = True
        return self._wrote("update status", action.resource, answer)

    async def _delete(self, action: Delete) -> JSON | None:
        if action.uid in self.executor._ended:
            return None
        try:
            where, grace = (action.resource, action.namespace, action.name), action.grace
            answer = await self.executor._client.delete(
                *where, uid=action.uid, propagation=action.propagation, grace_period_seconds=grace
            )
        except (NotFoundError, ConflictError):
            return None  # gone, or another object has its name: both are what was wanted
        self.outcome.deleted.append(action.uid)
        self.outcome.written.append(("delete", action.resource, action.name))
        if (answer.get("metadata") or {}).get("name") == action.name:
            self._note(action.resource, answer)
        else:  # a Status without a version for which a cache could be awaited
            self.executor._ended.put(action.uid, True)
        return answer

    def _wrote(self, verb: str, resource: Resource, answer: JSON) -> JSON:
        name = answer["metadata"]["name"]
        self.outcome.written.append((verb, resource, name))
        self.seen[resource, name] = answer
        self._note(resource, answer)
        return answer

    def _note(self, resource: Resource, answer: JSON) -> None:
        """Have the key wait until the caches know this version."""
        informer = self.executor._caches.informer(resource)
        meta = answer.get("metadata") or {}
        version = meta.get("resourceVersion", "")
        if informer is not None and version and informer.selection.selects(meta):
            self.executor._ledger.record(self.key, informer, meta.get("namespace", ""), meta["name"], version)

    def tell(self, events: Sequence[EmitEvent], error: str = "") -> None:
        """Record events; those to be told once are, and references are completed from what was written."""
        regarding = self.regarding
        if regarding is None:
            return
        for event in events:
            if event.once and not self.executor._told.add(event.once, True):
                continue
            note = event.note.replace("{error}", error) if error else event.note
            related = None if event.related is None else self._reference(event.related)
            more = {} if event.fold is None else {"fold": event.fold}
            self.executor._recorder.record(regarding, event.type, event.reason, event.action, note, related, **more)

    def _reference(self, reference: Reference) -> ObjectRef:
        meta: Mapping[str, Any] = (self.seen.get((reference.resource, reference.name)) or {}).get("metadata") or {}
        return ObjectRef(
            reference.resource.api_version,
            reference.resource.kind,
            reference.namespace,
            reference.name,
            reference.uid or meta.get("uid", ""),
            meta.get("resourceVersion", "") or reference.resource_version,
        )


def _meta(answer: JSON) -> ObjectMeta:
    return msgspec.convert(answer["metadata"], ObjectMeta)
