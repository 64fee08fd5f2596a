"""ReplicaSets and Deployments: enough of them to show a controller's own, rolled out and scaled."""

from __future__ import annotations

import asyncio

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import DEPLOYMENTS, PODS, REPLICASETS
from lws.errors import AlreadyExistsError, ApiError, NotFoundError
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
from lws_sandbox.controllers.deployment_scaling import replicas_of
from lws_sandbox.controllers.objects import annotations_of, name_of, namespace_of, uid_of
from lws_sandbox.controllers.pods import available_in
from lws_sandbox.controllers.workload_plan import (
    REVISION,
    DeploymentPlan,
    ReplicaSetPlan,
    new_replicaset_pod,
    plan_deployment,
    plan_replicaset,
    resized,
    with_failure,
)

_BATCH = 20


class ReplicaSetLoop(KeyedLoop[Key]):
    """Keeps as many pods of every ReplicaSet as it asks for."""

    def __init__(self, tools: Toolbox) -> None:
        self._sets: Raw = tools.watch(REPLICASETS)
        self._pods: Raw = tools.watch(PODS)
        self._pods.add_index(OWNER_INDEX, owner_values)
        self._pods.add_index(ORPHAN_INDEX, orphan_values)
        super().__init__(tools, "replicaset-controller", self.sync, workers=5, caches=(self._sets, self._pods))
        self._client = tools.client()
        self._clock = tools.clock
        self._recorder = tools.recorder
        self._sets.on_change(self._on_set)
        self._pods.on_change(self._on_pod)

    def _on_set(self, _old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is not None:
            self.queue.add(key_of(new), initial)

    def _on_pod(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        for pod in (old, new):
            owner = owner_key(pod, "ReplicaSet") if pod is not None else None
            if owner is not None:
                self.queue.add(owner, initial)

    async def sync(self, key: Key) -> Verdict:
        """One round for one set."""
        found = self._sets.store.get(*key)
        if found is None:
            return Done()
        replicaset = found.raw
        store = self._pods.store
        candidates = [
            *raws(store.by_index(OWNER_INDEX, uid_of(replicaset))),
            *raws(store.by_index(ORPHAN_INDEX, namespace_of(replicaset))),
        ]
        claims = sort_candidates(replicaset, candidates)
        pods = await claim(self._client, REPLICASETS, replicaset, PODS, claims)
        now = self._clock.now()
        plan = plan_replicaset(replicaset, pods, now)
        failure = await self._run(key, replicaset, plan)
        before = (replicaset.get("status") or {}).get("conditions") or []
        conditions = with_failure(before, str(failure or ""), bool(plan.create), now)
        told = {"conditions": conditions} if conditions or before else {}
        await self._write_status(key, replicaset, plan.status | told)
        if failure is not None:
            raise failure
        minimum = int(replicaset["spec"].get("minReadySeconds") or 0)
        waits = [wait for pod in pods if (wait := available_in(pod, minimum, now))]
        return RequeueAfter(min(waits)) if waits else Done()

    async def _run(self, key: Key, replicaset: JSON, plan: ReplicaSetPlan) -> ApiError | None:
        try:
            for start in range(0, plan.create, _BATCH):
                count = min(_BATCH, plan.create - start)
                await asyncio.gather(*(self._create(key, replicaset) for _ in range(count)))
            for pod in plan.delete:
                await self._delete(key, replicaset, pod)
        except ApiError as error:
            return error
        return None

    async def _create(self, key: Key, replicaset: JSON) -> None:
        try:
            created = await self._client.create(PODS, new_replicaset_pod(replicaset))
        except ApiError as error:
            self._note(replicaset, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self.wrote(key, self._pods, created)
        self._note(replicaset, "Normal", "SuccessfulCreate", f"Created pod: {name_of(created)}")

    async def _delete(self, key: Key, replicaset: JSON, pod: JSON) -> None:
        try:
            answer = await self._client.delete(PODS, namespace_of(pod), name_of(pod))
        except NotFoundError:
            return
        self.wrote(key, self._pods, answer)
        self._note(replicaset, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")

    def _note(self, replicaset: JSON, type_: str, reason: str, message: str) -> None:
        warning = type_ == "Warning"
        self._recorder.record(replicaset, self.name, "Warning" if warning else "Normal", reason, message)

    async def _write_status(self, key: Key, replicaset: JSON, status: JSON) -> None:
        live = replicaset.get("status") or {}
        if all((live.get(member) or 0) == value for member, value in status.items()):
            return
        changed = {**replicaset, "status": {**live, **status}}
        written = await self._client.update(REPLICASETS, changed, subresource="status")
        self.wrote(key, self._sets, written)


class DeploymentLoop(KeyedLoop[Key]):
    """Rolls every Deployment out through its ReplicaSets."""

    def __init__(self, tools: Toolbox) -> None:
        self._deployments: Raw = tools.watch(DEPLOYMENTS)
        self._sets: Raw = tools.watch(REPLICASETS)
        self._sets.add_index(OWNER_INDEX, owner_values)
        self._sets.add_index(ORPHAN_INDEX, orphan_values)
        caches = (self._deployments, self._sets)
        super().__init__(tools, "deployment-controller", self.sync, workers=5, caches=caches)
        self._client = tools.client()
        self._clock = tools.clock
        self._recorder = tools.recorder
        self._deployments.on_change(self._on_deployment)
        self._sets.on_change(self._on_set)

    def _on_deployment(self, _old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is not None:
            self.queue.add(key_of(new), initial)

    def _on_set(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        for replicaset in (old, new):
            owner = owner_key(replicaset, "Deployment") if replicaset is not None else None
            if owner is not None:
                self.queue.add(owner, initial)

    async def sync(self, key: Key) -> Verdict:
        """One round for one deployment."""
        found = self._deployments.store.get(*key)
        if found is None:
            return Done()
        deployment = found.raw
        store = self._sets.store
        candidates = [
            *raws(store.by_index(OWNER_INDEX, uid_of(deployment))),
            *raws(store.by_index(ORPHAN_INDEX, namespace_of(deployment))),
        ]
        claims = sort_candidates(deployment, candidates)
        replicasets = await claim(self._client, DEPLOYMENTS, deployment, REPLICASETS, claims)
        plan = plan_deployment(deployment, replicasets, self._clock.now())
        await self._run(key, deployment, plan)
        await self._write_status(key, deployment, plan)
        return Done()

    async def _run(self, key: Key, deployment: JSON, plan: DeploymentPlan) -> None:
        if plan.create is not None:
            try:
                created = await self._client.create(REPLICASETS, plan.create)
            except AlreadyExistsError:
                return  # ours already, and the cache will show it
            self.wrote(key, self._sets, created)
            self._note_scale(deployment, created, 0, replicas_of(created))
        for replicaset, replicas in plan.scale:
            before = replicas_of(replicaset)
            changed = resized(deployment, replicaset, replicas)
            written = await self._client.update(REPLICASETS, changed)
            self.wrote(key, self._sets, written)
            self._note_scale(deployment, written, before, replicas)
        for replicaset in plan.delete:
            await self._client.delete(
                REPLICASETS, namespace_of(replicaset), name_of(replicaset), uid=uid_of(replicaset)
            )

    def _note_scale(self, deployment: JSON, replicaset: JSON, before: int, after: int) -> None:
        if before == after:
            return
        direction = "up" if after > before else "down"
        words = f"Scaled {direction} replica set {name_of(replicaset)} from {before} to {after}"
        self._recorder.record(deployment, self.name, "Normal", "ScalingReplicaSet", words)

    async def _write_status(self, key: Key, deployment: JSON, plan: DeploymentPlan) -> None:
        live = deployment.get("status") or {}
        known = annotations_of(deployment)
        settled = all((live.get(member) or 0) == value for member, value in plan.status.items())
        if settled and known.get(REVISION) == plan.revision:
            return
        # With the status, so that the annotation makes no new generation.
        metadata = {**deployment["metadata"], "annotations": {**known, REVISION: plan.revision}}
        changed = {**deployment, "metadata": metadata, "status": {**live, **plan.status}}
        written = await self._client.update(DEPLOYMENTS, changed, subresource="status")
        self.wrote(key, self._deployments, written)
