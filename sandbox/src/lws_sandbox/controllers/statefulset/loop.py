"""The StatefulSet controller: reads its caches, asks the planner, carries out the plan, writes the status."""

from __future__ import annotations

from collections.abc import Sequence

from lws.apimachinery.manifests import JSON
from lws.apimachinery.names import parent_and_ordinal
from lws.apimachinery.resources import CONTROLLERREVISIONS, PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS, Resource
from lws.errors import AlreadyExistsError, NotFoundError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.adoption import claim, sort_candidates
from lws_sandbox.controllers.base import (
    ORPHAN_INDEX,
    OWNER_INDEX,
    Done,
    Key,
    KeyedLoop,
    Raw,
    RequeueAfter,
    Toolbox,
    Verdict,
    key_of,
    orphan_values,
    owner_key,
    owner_values,
    raws,
)
from lws_sandbox.controllers.objects import labels_of, matches_labels, name_of, namespace_of, uid_of
from lws_sandbox.controllers.pods import revision_of
from lws_sandbox.controllers.statefulset import identity
from lws_sandbox.controllers.statefulset.apply import Executor, StepFailed
from lws_sandbox.controllers.statefulset.plan import final_status, plan_statefulset, status_differs
from lws_sandbox.controllers.statefulset.revisions import (
    RevisionPlan,
    equal_revisions,
    new_revision,
    plan_revisions,
    sort_revisions,
    surplus_revisions,
)


class StatefulSetLoop(KeyedLoop[Key]):
    """Keeps the pods of every StatefulSet as its spec asks."""

    def __init__(self, tools: Toolbox) -> None:
        self._client = tools.client()
        self._recorder = tools.recorder
        self._clock = tools.clock
        self._sets: Raw = tools.watch(STATEFULSETS)
        self._pods: Raw = tools.watch(PODS)
        self._revisions: Raw = tools.watch(CONTROLLERREVISIONS)
        self._claims: Raw = tools.watch(PERSISTENTVOLUMECLAIMS)
        self._by_resource = {
            PODS: self._pods,
            CONTROLLERREVISIONS: self._revisions,
            PERSISTENTVOLUMECLAIMS: self._claims,
            STATEFULSETS: self._sets,
        }
        for cache in (self._pods, self._revisions):
            cache.add_index(OWNER_INDEX, owner_values)
            cache.add_index(ORPHAN_INDEX, orphan_values)
        super().__init__(tools, "statefulset-controller", self.sync, workers=5, caches=self._by_resource.values())
        self._sets.on_change(self._on_set)
        self._pods.on_change(self._on_pod)

    def _on_set(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        changed = new or old
        if changed is not None:
            self.queue.add(key_of(changed), initial)

    def _on_pod(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        for pod in (old, new):
            owner = owner_key(pod, "StatefulSet") if pod is not None else None
            if owner is not None:
                self.queue.add(owner, initial)
        if new is not None and new.metadata.controller is None and not initial:
            self._wake_by_labels(new)

    def _wake_by_labels(self, pod: RawObject) -> None:
        """An orphan may be adopted by the set whose name and selector it has."""
        parent = parent_and_ordinal(pod.metadata.name)[0]
        candidate = self._sets.store.get(pod.metadata.namespace, parent)
        if candidate and matches_labels(candidate.raw["spec"].get("selector"), labels_of(pod.raw)):
            self.queue.add(key_of(candidate))

    async def sync(self, key: Key) -> Verdict:
        """One round for one set."""
        found = self._sets.store.get(*key)
        if found is None:
            return Done()
        statefulset = found.raw
        revisions = await self._own_revisions(statefulset)
        pods = await self._own_pods(statefulset)
        plan = plan_revisions(statefulset, revisions)
        plan = await self._write_revision(key, statefulset, plan)
        verdict = await self._round(key, statefulset, pods, plan)
        live = {name_of(plan.current), name_of(plan.update), *map(revision_of, pods)}
        for surplus in surplus_revisions(statefulset, revisions, live):
            await self._client.delete(CONTROLLERREVISIONS, namespace_of(surplus), name_of(surplus))
        return verdict

    async def _own_revisions(self, statefulset: JSON) -> list[JSON]:
        claims = sort_candidates(statefulset, self._candidates(self._revisions, statefulset))
        owned = await claim(self._client, STATEFULSETS, statefulset, CONTROLLERREVISIONS, claims)
        return sort_revisions(owned)

    async def _own_pods(self, statefulset: JSON) -> list[JSON]:
        claims = sort_candidates(
            statefulset,
            self._candidates(self._pods, statefulset),
            lambda pod: identity.is_member(statefulset, pod),
        )
        return await claim(self._client, STATEFULSETS, statefulset, PODS, claims)

    def _candidates(self, cache: Raw, statefulset: JSON) -> list[JSON]:
        store = cache.store
        return [
            *raws(store.by_index(OWNER_INDEX, uid_of(statefulset))),
            *raws(store.by_index(ORPHAN_INDEX, namespace_of(statefulset))),
        ]

    async def _write_revision(self, key: Key, statefulset: JSON, plan: RevisionPlan) -> RevisionPlan:
        """Create the update revision, or raise its number; another content under its name costs a collision."""
        if plan.raise_to is not None:
            written = await self._client.update(CONTROLLERREVISIONS, plan.update)
            self.wrote(key, self._revisions, written)
            return RevisionPlan(plan.current, written, False, None, plan.collisions)
        collisions, wanted = plan.collisions, plan.update
        while plan.create:
            try:
                written = await self._client.create(CONTROLLERREVISIONS, wanted)
            except AlreadyExistsError:
                taken = await self._client.get(CONTROLLERREVISIONS, namespace_of(wanted), name_of(wanted))
                if not equal_revisions(taken, wanted):
                    collisions += 1
                    wanted = new_revision(statefulset, wanted["revision"], collisions)
                    continue
                written = taken
            self.wrote(key, self._revisions, written)
            current = written if plan.current is plan.update else plan.current
            return RevisionPlan(current, written, False, None, collisions)
        return plan

    async def _round(self, key: Key, statefulset: JSON, pods: Sequence[JSON], revisions: RevisionPlan) -> Verdict:
        def wrote(resource: Resource, obj: JSON) -> None:
            self.wrote(key, self._by_resource[resource], obj)

        plan = plan_statefulset(
            statefulset,
            pods,
            self._claims_of(statefulset, pods),
            revisions.current,
            revisions.update,
            revisions.collisions,
            self._clock.now(),
        )
        executor = Executor(self._client, self._recorder, statefulset, wrote)
        failures = await executor.run(plan)
        status = final_status(statefulset, plan.status, executor.deleted_for_update)
        if status_differs(statefulset.get("status") or {}, status):
            await self._write_status(key, statefulset, status)
        if failures:
            raise failures[0] if len(failures) == 1 else StepFailed("; ".join(map(str, failures)))
        return Done() if plan.requeue_after is None else RequeueAfter(plan.requeue_after)

    async def _write_status(self, key: Key, statefulset: JSON, status: JSON) -> None:
        changed = {**statefulset, "status": status}
        try:
            written = await self._client.update(STATEFULSETS, changed, subresource="status")
        except NotFoundError:
            return
        self.wrote(key, self._sets, written)

    def _claims_of(self, statefulset: JSON, pods: Sequence[JSON]) -> dict[str, JSON]:
        """The claims that exist of those that the set's pods have or shall have, by name."""
        templates = statefulset["spec"].get("volumeClaimTemplates") or ()
        first = identity.first_ordinal(statefulset)
        wanted = range(first, first + identity.wanted_replicas(statefulset))
        ordinals = {*wanted, *map(identity.ordinal_of, pods)} if templates else ()
        names = [identity.claim_name(statefulset, item, ordinal) for ordinal in ordinals for item in templates]
        found = ((name, self._claims.store.get(namespace_of(statefulset), name)) for name in names)
        return {name: claim.raw for name, claim in found if claim is not None}
