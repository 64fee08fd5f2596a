"""The binder: claims get a volume, made for them or found; what was made for a claim goes with it."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PERSISTENTVOLUMECLAIMS, PODS, Resource
from lws.client.api import MERGE_PATCH
from lws.errors import AlreadyExistsError, NotFoundError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Done, Key, KeyedLoop, Raw, Toolbox, Verdict, get_or_none, key_of, raws
from lws_sandbox.controllers.objects import is_terminating, meta, name_of, namespace_of, uid_of
from lws_sandbox.controllers.volumebinding.choice import PROVISIONER, Bind, Wait, decide
from lws_sandbox.controllers.volumebinding.protection import CLAIM_INDEX, claim_values

VOLUMES: Final = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
STORAGE_CLASSES: Final = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
CONTROLLER: Final = "persistentvolume-controller"
RESERVED_INDEX: Final = "claim"
FREE: Final = ("", "")
BOUND: Final = {
    "pv.kubernetes.io/bind-completed": "yes",  # without it kube-scheduler takes a claim for unbound
    "pv.kubernetes.io/bound-by-controller": "yes",
}
PROVISIONED: Final = {
    "volume.beta.kubernetes.io/storage-provisioner": PROVISIONER,
    "volume.kubernetes.io/storage-provisioner": PROVISIONER,
}


class ClaimBinderLoop(KeyedLoop[Key]):
    """Binds claims: to volumes that are there, or to new ones of the sandbox's provisioner."""

    def __init__(self, tools: Toolbox) -> None:
        self._claims: Raw = tools.watch(PERSISTENTVOLUMECLAIMS)
        self._volumes: Raw = tools.watch(VOLUMES)
        self._classes: Raw = tools.watch(STORAGE_CLASSES)
        self._pods: Raw = tools.watch(PODS)
        self._pods.add_index(CLAIM_INDEX, claim_values)
        caches = (self._claims, self._volumes, self._classes, self._pods)
        super().__init__(tools, "persistentvolume-binder-controller", self.sync, workers=4, caches=caches)
        self._client = tools.client()
        self._recorder = tools.recorder
        self._freed: dict[Key, JSON] = {}
        self._claims.on_change(self._on_claim)
        self._volumes.add_index(RESERVED_INDEX, _reserved_for)
        self._volumes.on_change(self._on_volume)
        self._classes.on_change(lambda _old, _new, _initial: self._retry_pending())
        self._pods.on_change(self._on_pod)

    def _on_claim(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        changed = new or old
        if changed is not None:
            self.queue.add(key_of(changed), initial)
        if new is None and old is not None:
            self._freed[key_of(old)] = old.raw

    def _on_pod(self, old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        if old is None and new is not None:
            for key in claim_values(new):
                self.queue.add(key)

    def _on_volume(self, _old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        if new is not None and _reserved_for(new) == [FREE]:
            self.queue.add(("", new.metadata.name))

    def _retry_pending(self) -> None:
        for claim in self._claims.store:
            if not _is_bound(claim.raw):
                self.queue.add(key_of(claim))

    async def sync(self, key: Key) -> Verdict:
        """Bind one claim, or free what was made for it; a key without a namespace is a free volume's."""
        if not key[0]:
            return await self._offer(key[1])
        gone = self._freed.pop(key, None)
        if gone is not None:
            await self._free(gone)
        found = self._claims.store.get(*key)
        if found is None or is_terminating(found.raw) or _is_bound(found.raw):
            return Done()
        claim = found.raw
        storage_class = self._classes.store.get("", claim["spec"].get("storageClassName") or "-")
        volumes = raws(found for value in (FREE, key) for found in self._volumes.store.by_index(RESERVED_INDEX, value))
        used = bool(self._pods.store.by_index(CLAIM_INDEX, key))
        decision = decide(claim, storage_class.raw if storage_class else None, volumes, used=used)
        if isinstance(decision, Wait):
            self._recorder.record(claim, CONTROLLER, decision.type, decision.reason, decision.message)
            return Done()
        if isinstance(decision, Bind):
            # Of our making, if the claim changed between the volume and the binding.
            provisioner = (meta(decision.volume).get("annotations") or {}).get("pv.kubernetes.io/provisioned-by")
            annotations = {**BOUND, **PROVISIONED} if provisioner == PROVISIONER else BOUND
            await self._bind(key, claim, await self._reserve(decision.volume, claim), annotations)
            return Done()
        volume = await self._make_volume(claim)
        written = await self._bind(key, claim, volume, {**BOUND, **PROVISIONED})
        words = f"Successfully provisioned volume {name_of(volume)}"
        self._recorder.record(written, PROVISIONER, "Normal", "ProvisioningSucceeded", words)
        return Done()

    async def _offer(self, name: str) -> Verdict:
        """Let the claims that wait see a free volume."""
        found = self._volumes.store.get("", name)
        if found is not None and (found.raw.get("status") or {}).get("phase") not in ("Available", "Released"):
            await self._set_phase(name, "Available")
        self._retry_pending()
        return Done()

    async def _bind(self, key: Key, claim: JSON, volume: JSON, annotations: dict[str, str]) -> JSON:
        """Write the claim's side of a binding."""
        known = meta(claim).get("annotations") or {}
        if claim["spec"].get("volumeName") != name_of(volume) or not annotations.items() <= known.items():
            metadata = {**meta(claim), "annotations": {**known, **annotations}}
            bound = {**claim, "metadata": metadata, "spec": {**claim["spec"], "volumeName": name_of(volume)}}
            claim = await self._client.update(PERSISTENTVOLUMECLAIMS, bound)
        status = {
            "phase": "Bound",
            "accessModes": volume["spec"].get("accessModes") or [],
            "capacity": volume["spec"].get("capacity") or {},
        }
        written = await self._client.update(PERSISTENTVOLUMECLAIMS, {**claim, "status": status}, subresource="status")
        self.wrote(key, self._claims, written)
        return written

    async def _reserve(self, volume: JSON, claim: JSON) -> JSON:
        """Write the volume's side of a binding."""
        patch = {"spec": {"claimRef": _reference(claim)}}
        reserved = await self._client.patch(VOLUMES, "", name_of(volume), patch, content_type=MERGE_PATCH)
        await self._set_phase(name_of(volume), "Bound")
        return reserved

    async def _make_volume(self, claim: JSON) -> JSON:
        spec, name = claim["spec"], f"pvc-{uid_of(claim)}"
        manifest = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
            "spec": {
                "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
                "capacity": (spec.get("resources") or {}).get("requests") or {},
                "claimRef": _reference(claim),
                "hostPath": {"path": f"/var/lib/sandbox/{name}"},
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": spec.get("storageClassName") or "",
                "volumeMode": spec.get("volumeMode") or "Filesystem",
            },
        }
        try:
            created = await self._client.create(VOLUMES, manifest)
        except AlreadyExistsError:
            return await self._client.get(VOLUMES, "", name)
        await self._set_phase(name, "Bound")
        return created

    async def _set_phase(self, volume: str, phase: str) -> None:
        patch = {"status": {"phase": phase}}
        await self._client.patch(VOLUMES, "", volume, patch, content_type=MERGE_PATCH, subresource="status")

    async def _free(self, claim: JSON) -> None:
        """Delete the volume of a claim that is gone, or keep it as released if its policy says so."""
        name = claim["spec"].get("volumeName")
        volume = await get_or_none(self._client, VOLUMES, "", name) if name else None
        if volume is None or (volume["spec"].get("claimRef") or {}).get("uid") != uid_of(claim):
            return
        if volume["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
            await self._set_phase(name, "Released")
            return
        await self._client.delete(VOLUMES, "", name)
        if meta(volume).get("finalizers"):
            try:
                unprotected = {"metadata": {"finalizers": None}}
                await self._client.patch(VOLUMES, "", name, unprotected, content_type=MERGE_PATCH)
            except NotFoundError:
                return


def _reserved_for(volume: RawObject) -> list[Key]:
    """Index volumes by the claim that they are kept for; `FREE` for none."""
    reference = volume.raw["spec"].get("claimRef") or {}
    return [(reference.get("namespace") or "", reference.get("name") or "")]


def _is_bound(claim: JSON) -> bool:
    return (claim.get("status") or {}).get("phase") == "Bound"


def _reference(claim: JSON) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": namespace_of(claim),
        "name": name_of(claim),
        "uid": uid_of(claim),
    }
