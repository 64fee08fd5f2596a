"""Claims are kept while a pod uses them (``pvc-protection``), and tell whether one does, as from Kubernetes 1.37 on."""

from __future__ import annotations

import contextlib
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PERSISTENTVOLUMECLAIMS, PODS
from lws.errors import ConflictError, NotFoundError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Done, Key, KeyedLoop, Raw, Toolbox, Verdict, key_of
from lws_sandbox.controllers.objects import meta, set_condition
from lws_sandbox.controllers.pods import is_finished

PROTECTION: Final = "kubernetes.io/pvc-protection"
CLAIM_INDEX: Final = "claims"
UNUSED: Final = {
    "type": "Unused",
    "status": "True",
    "reason": "NoPodsUsingPVC",
    "message": "No pods are currently referencing this PVC",
}
USED: Final = {
    "type": "Unused",
    "status": "False",
    "reason": "PodUsingPVC",
    "message": "A pod is currently referencing this PVC",
}


def claim_values(pod: RawObject) -> list[Key]:
    """Index pods by the claims that they use; ended pods use none."""
    if is_finished(pod.raw):
        return []
    names = (
        (volume.get("persistentVolumeClaim") or {}).get("claimName") for volume in pod.raw["spec"].get("volumes") or ()
    )
    return [(pod.metadata.namespace, name) for name in names if name]


def told_use(claim: JSON, used: bool) -> JSON | None:
    """What a bound claim has yet to be told of its use: the condition, or nothing."""
    status = claim.get("status") or {}
    wanted = USED if used else UNUSED
    told = next((each for each in status.get("conditions") or () if each["type"] == wanted["type"]), None)
    if status.get("phase") != "Bound" or (told is not None and told["status"] == wanted["status"]):
        return None
    return wanted


class ClaimProtectionLoop(KeyedLoop[Key]):
    """Takes the protection off a claim that is deleted once no pod uses it.

    Args:
        tools: shared by all loops.
        tell_unused: set the condition ``Unused`` of bound claims.
    """

    def __init__(self, tools: Toolbox, *, tell_unused: bool = False) -> None:
        self._tell_unused = tell_unused
        self._clock = tools.clock
        self._claims: Raw = tools.watch(PERSISTENTVOLUMECLAIMS)
        self._pods: Raw = tools.watch(PODS)
        self._pods.add_index(CLAIM_INDEX, claim_values)
        super().__init__(
            tools,
            "persistentvolumeclaim-protection-controller",
            self.sync,
            workers=2,
            caches=(self._claims, self._pods),
        )
        self._client = tools.client()
        self._claims.on_change(self._on_claim)
        self._pods.on_change(self._on_pod)

    def _on_claim(self, _old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is not None and (self._tell_unused or new.metadata.deleting):
            self.queue.add(key_of(new), initial)

    def _on_pod(self, old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        freed = claim_values(old) if old is not None and (new is None or is_finished(new.raw)) else []
        taken = claim_values(new) if self._tell_unused and old is None and new is not None else []
        for value in (*freed, *taken):
            self.queue.add(value)

    async def sync(self, key: Key) -> Verdict:
        """Free one claim, if it is deleted and no pod uses it, or tell it whether one does."""
        found = self._claims.store.get(*key)
        if found is None:
            return Done()
        used = bool(self._pods.store.by_index(CLAIM_INDEX, key))
        if found.metadata.deleting:
            if not used:
                await self._free(found.raw)
        elif self._tell_unused and (condition := told_use(found.raw, used)) is not None:
            await self._tell(found.raw, condition)
        return Done()

    async def _free(self, claim: JSON) -> None:
        finalizers = meta(claim).get("finalizers") or []
        if PROTECTION not in finalizers:
            return
        left = [item for item in finalizers if item != PROTECTION]
        with contextlib.suppress(NotFoundError):
            await self._client.update(
                PERSISTENTVOLUMECLAIMS, {**claim, "metadata": {**meta(claim), "finalizers": left}}
            )

    async def _tell(self, claim: JSON, condition: JSON) -> None:
        status = claim["status"]
        conditions = set_condition(status.get("conditions") or [], condition, self._clock.now())
        with contextlib.suppress(NotFoundError, ConflictError):  # who changed it meanwhile brings it back here
            await self._client.update(
                PERSISTENTVOLUMECLAIMS, {**claim, "status": {**status, "conditions": conditions}}, subresource="status"
            )
