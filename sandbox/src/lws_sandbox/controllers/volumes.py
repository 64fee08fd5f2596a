"""Claims: bound to volumes made for them, kept while a pod uses them, given back when they go."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.resources import PERSISTENTVOLUMECLAIMS, PODS, Resource
from lws.client.api import MERGE_PATCH
from lws.errors import AlreadyExistsError, NotFoundError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Done, Key, KeyedLoop, Raw, Toolbox, Verdict, get_or_none, key_of
from lws_sandbox.controllers.objects import JSON, is_terminating, meta, name_of, namespace_of, uid_of
from lws_sandbox.controllers.pods import is_finished

VOLUMES: Final = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
STORAGE_CLASS: Final = "standard"
PROVISIONER: Final = "sandbox.local/volumes"
PROTECTION: Final = "kubernetes.io/pvc-protection"
BINDING: Final = {
    "pv.kubernetes.io/bind-completed": "yes",  # without it kube-scheduler takes a claim for unbound
    "pv.kubernetes.io/bound-by-controller": "yes",
    "volume.beta.kubernetes.io/storage-provisioner": PROVISIONER,
    "volume.kubernetes.io/storage-provisioner": PROVISIONER,
}
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
        """See to one claim."""
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


class ClaimBinderLoop(KeyedLoop[Key]):
    """Makes a volume for every claim of the default class, and takes it away with the claim."""

    def __init__(self, tools: Toolbox) -> None:
        self._claims: Raw = tools.watch(PERSISTENTVOLUMECLAIMS)
        super().__init__(tools, "persistentvolume-binder-controller", self.sync, workers=4, caches=(self._claims,))
        self._client = tools.client()
        self._recorder = tools.recorder
        self._freed: dict[Key, JSON] = {}
        self._claims.on_change(self._on_claim)

    def _on_claim(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        changed = new or old
        if changed is not None:
            self.queue.add(key_of(changed), initial)
        if new is None and old is not None:
            self._freed[key_of(old)] = old.raw

    async def sync(self, key: Key) -> Verdict:
        """See to one claim."""
        gone = self._freed.pop(key, None)
        if gone is not None:
            await self._free(gone)
        found = self._claims.store.get(*key)
        if found is None or is_terminating(found.raw):
            return Done()
        claim = found.raw
        if (claim.get("status") or {}).get("phase") == "Bound" or not _ours(claim):
            return Done()
        name = f"pvc-{uid_of(claim)}"
        await self._make_volume(claim, name)
        if not claim["spec"].get("volumeName"):
            annotated = {**meta(claim), "annotations": {**(meta(claim).get("annotations") or {}), **BINDING}}
            bound = {**claim, "metadata": annotated, "spec": {**claim["spec"], "volumeName": name}}
            claim = await self._client.update(PERSISTENTVOLUMECLAIMS, bound)
        status = {
            "phase": "Bound",
            "accessModes": claim["spec"].get("accessModes") or [],
            "capacity": (claim["spec"].get("resources") or {}).get("requests") or {},
        }
        written = await self._client.update(PERSISTENTVOLUMECLAIMS, {**claim, "status": status}, subresource="status")
        self.wrote(key, self._claims, written)
        words = f"Successfully provisioned volume {name}"
        self._recorder.record(written, PROVISIONER, "Normal", "ProvisioningSucceeded", words)
        return Done()

    async def _make_volume(self, claim: JSON, name: str) -> None:
        spec = claim["spec"]
        manifest = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
            "spec": {
                "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
                "capacity": (spec.get("resources") or {}).get("requests") or {},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": namespace_of(claim),
                    "name": name_of(claim),
                    "uid": uid_of(claim),
                },
                "hostPath": {"path": f"/var/lib/sandbox/{name}"},
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": spec.get("storageClassName") or "",
                "volumeMode": spec.get("volumeMode") or "Filesystem",
            },
        }
        try:
            created = await self._client.create(VOLUMES, manifest)
        except AlreadyExistsError:
            return
        patch = {"status": {"phase": "Bound"}}
        await self._client.patch(VOLUMES, "", name_of(created), patch, content_type=MERGE_PATCH, subresource="status")

    async def _free(self, claim: JSON) -> None:
        name = claim["spec"].get("volumeName")
        volume = await get_or_none(self._client, VOLUMES, "", name) if name else None
        if volume is None or (volume["spec"].get("claimRef") or {}).get("uid") != uid_of(claim):
            return
        await self._client.delete(VOLUMES, "", name)
        finalizers = meta(volume).get("finalizers")
        if finalizers:
            patch = {"metadata": {"finalizers": None}}
            try:
                await self._client.patch(VOLUMES, "", name, patch, content_type=MERGE_PATCH)
            except NotFoundError:
                return


def _ours(claim: JSON) -> bool:
    """Claims of our class, and those without one, which the default class would take."""
    return (claim["spec"].get("storageClassName") or STORAGE_CLASS) == STORAGE_CLASS
