"""Carrying out the steps of a StatefulSet's plan, with the events that the real controller records."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PERSISTENTVOLUMECLAIMS, PODS, Resource
from lws.client.api import ApiClient
from lws.errors import AlreadyExistsError, ApiError, ConflictError, LwsError, NotFoundError, TransportError
from lws_sandbox.controllers.objects import name_of, namespace_of
from lws_sandbox.controllers.recorder import Recorder
from lws_sandbox.controllers.statefulset.plan import (
    CreateClaims,
    CreatePod,
    DeletePod,
    StatefulSetPlan,
    Step,
    UpdateClaims,
    UpdatePod,
)

COMPONENT = "statefulset-controller"
MAX_BATCH = 500


class StepFailed(LwsError):  # noqa: N818 -- says what happened, and ends the round
    """Some step could not be done; the key is retried with back-off."""


@dataclass(slots=True)
class Executor:
    """Runs one plan for one set.

    Attributes:
        wrote: told of every object written, so that the caches can be waited for.
        deleted_for_update: pods deleted because they were outdated.
    """

    client: ApiClient
    recorder: Recorder
    statefulset: JSON
    wrote: Callable[[Resource, JSON], None]
    deleted_for_update: int = 0

    async def run(self, plan: StatefulSetPlan) -> list[Exception]:
        """Run the stages in order; what failed ends the round after its batch."""
        for stage in plan.stages:
            failures = await (self._one_by_one(stage) if plan.ordered else self._in_batches(stage))
            if failures:
                return failures
        return []

    async def _one_by_one(self, stage: Sequence[Sequence[Step]]) -> list[Exception]:
        for steps in stage:
            failures = await self._all(steps)
            if failures:
                return failures
        return []

    async def _in_batches(self, stage: Sequence[Sequence[Step]]) -> list[Exception]:
        """1, 2, 4, ... at once, so that a cluster that refuses is asked few times."""
        start, size = 0, 1
        while start < len(stage):
            batch = stage[start : start + size]
            results = await asyncio.gather(*(self._all(steps) for steps in batch))
            failures = [failure for found in results for failure in found]
            if failures:
                return failures
            start, size = start + len(batch), min(2 * size, MAX_BATCH)
        return []

    async def _all(self, steps: Sequence[Step]) -> list[Exception]:
        for step in steps:
            try:
                await self._run(step)
            except (ApiError, TransportError, StepFailed) as error:
                return [error]
        return []

    async def _run(self, step: Step) -> None:
        match step:
            case CreatePod():
                await self._create_pod(step)
            case CreateClaims():
                await self._told("Update", step.pod, self._create_claims(step.pod, step.claims, step.ending_claims))
            case UpdatePod():
                await self._update_pod(step)
            case UpdateClaims():
                await self._update_claims(step.claims)
            case DeletePod():
                await self._delete_pod(step)

    async def _create_pod(self, step: CreatePod) -> None:
        try:
            await self._create_claims(step.pod, step.claims, step.ending_claims)
            self.wrote(PODS, await self.client.create(PODS, step.pod))
            await self._update_claims(step.owned_claims)
        except AlreadyExistsError:
            raise
        except (ApiError, TransportError, StepFailed) as error:
            self._note("Create", step.pod, error)
            raise
        self._note("Create", step.pod, None)

    async def _create_claims(self, pod: JSON, claims: Sequence[JSON], ending: Sequence[str]) -> None:
        failures = [f"pvc {name} is being deleted" for name in ending]
        for claim in claims:
            try:
                created = await self.client.create(PERSISTENTVOLUMECLAIMS, claim)
            except AlreadyExistsError as error:
                failures.append(f"failed to create PVC {name_of(claim)}: {error}")
            except (ApiError, TransportError) as error:
                failures.append(f"failed to create PVC {name_of(claim)}: {error}")
                self._note_claim(pod, claim, error)
            else:
                self.wrote(PERSISTENTVOLUMECLAIMS, created)
                self._note_claim(pod, claim, None)
        if failures:
            raise StepFailed(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")

    async def _update_pod(self, step: UpdatePod) -> None:
        await self._told("Update", step.pod, self._write_pod_parts(step))
        if step.changed is None:
            return
        try:
            self.wrote(PODS, await self.client.update(PODS, step.changed))
        except ConflictError:
            raise  # the cache was behind: look again
        except (ApiError, TransportError) as error:
            self._note("Update", step.pod, error)
            raise
        self._note("Update", step.pod, None)

    async def _write_pod_parts(self, step: UpdatePod) -> None:
        await self._create_claims(step.pod, step.claims, ())
        await self._update_claims(step.owned_claims)

    async def _update_claims(self, claims: Sequence[JSON]) -> None:
        for claim in claims:
            self.wrote(PERSISTENTVOLUMECLAIMS, await self.client.update(PERSISTENTVOLUMECLAIMS, claim))

    async def _delete_pod(self, step: DeletePod) -> None:
        try:
            answer = await self.client.delete(PODS, namespace_of(step.pod), name_of(step.pod))
        except NotFoundError as error:
            self._note("Delete", step.pod, error)
            if not step.for_update:
                raise
        except (ApiError, TransportError) as error:
            self._note("Delete", step.pod, error)
            raise
        else:
            self.wrote(PODS, answer)
            self._note("Delete", step.pod, None)
        self.deleted_for_update += step.for_update

    async def _told(self, verb: str, pod: JSON, work: Awaitable[None]) -> None:
        """Do something for a pod, with a Warning when it fails."""
        try:
            await work
        except (ApiError, TransportError, StepFailed) as error:
            self._note(verb, pod, error)
            raise

    def _note(self, verb: str, pod: JSON, error: Exception | None) -> None:
        subject = f"{verb} Pod {name_of(pod)} in StatefulSet {name_of(self.statefulset)}"
        self._record(verb, f"{subject} successful" if error is None else f"{subject} failed error: {error}", error)

    def _note_claim(self, pod: JSON, claim: JSON, error: Exception | None) -> None:
        where = f"Pod {name_of(pod)} in StatefulSet {name_of(self.statefulset)}"
        if error is None:
            self._record("Create", f"Create Claim {name_of(claim)} {where} success", None)
        else:
            self._record("Create", f"Create Claim {name_of(claim)} for {where} failed error: {error}", error)

    def _record(self, verb: str, message: str, error: Exception | None) -> None:
        kind, outcome = ("Normal", "Successful") if error is None else ("Warning", "Failed")
        if kind == "Normal":
            self.recorder.record(self.statefulset, COMPONENT, "Normal", f"{outcome}{verb}", message)
        else:
            self.recorder.record(self.statefulset, COMPONENT, "Warning", f"{outcome}{verb}", message)
