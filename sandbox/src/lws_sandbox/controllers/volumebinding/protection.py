"""Claims are kept while a pod uses them (``pvc-protection``)."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.resources import PERSISTENTVOLUMECLAIMS, PODS
from lws.errors import NotFoundError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Done, Key, KeyedLoop, Raw, Toolbox, Verdict, key_of
from lws_sandbox.controllers.objects import meta
from lws_sandbox.controllers.pods import is_finished

PROTECTION: Final = "kubernetes.io/pvc-protection"
CLAIM_INDEX: Final = "claims"


def claim_values(pod: RawObject) -> list[Key]:
    """Index pods by the claims that they use; ended pods use none."""
    if is_finished(pod.raw):
        return []
    names = (
        (volume.get("persistentVolumeClaim") or {}).get("claimName") for volume in pod.raw["spec"].get("volumes") or ()
    )
    return [(pod.metadata.namespace, name) for name in names if name]


class ClaimProtectionLoop(KeyedLoop[Key]):
    """Takes the protection off a claim that is deleted once no pod uses it."""

    def __init__(self, tools: Toolbox) -> None:
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
        if new is not None and new.metadata.deleting:
            self.queue.add(key_of(new), initial)

    def _on_pod(self, old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        if old is not None and (new is None or is_finished(new.raw)):
            for value in claim_values(old):
                self.queue.add(value)

    async def sync(self, key: Key) -> Verdict:
        """Free one claim, if it is deleted and no pod uses it."""
        found = self._claims.store.get(*key)
        finalizers = (meta(found.raw).get("finalizers") or []) if found else []
        if found is None or not found.metadata.deleting or PROTECTION not in finalizers:
            return Done()
        if self._pods.store.by_index(CLAIM_INDEX, key):
            return Done()
        left = [item for item in finalizers if item != PROTECTION]
        changed = {**found.raw, "metadata": {**meta(found.raw), "finalizers": left}}
        try:
            await self._client.update(PERSISTENTVOLUMECLAIMS, changed)
        except NotFoundError:
            return Done()
        return Done()
