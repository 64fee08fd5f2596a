"""ResourceQuotas: their status after objects went. New objects are charged as they are created."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, Resource
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Done, Key, KeyedLoop, Raw, RequeueAfter, Toolbox, Verdict, key_of, raws
from lws_sandbox.controllers.discovery import discover
from lws_sandbox.controllers.pods import is_finished
from lws_sandbox.quotas import keys_of, status_of, used_of

RESOURCEQUOTAS: Final = Resource("", "v1", "resourcequotas", "ResourceQuota")
_RESYNC: Final = 300.0  # --resource-quota-sync-period: what is not watched is counted anew so often


class ResourceQuotaLoop(KeyedLoop[Key]):
    """Counts what is used of every quota: pods as they end or go, other objects every five minutes."""

    def __init__(self, tools: Toolbox) -> None:
        self._quotas: Raw = tools.watch(RESOURCEQUOTAS)
        self._pods: Raw = tools.watch(PODS)
        caches = (self._quotas, self._pods)
        super().__init__(tools, "resourcequota-controller", self.sync, workers=2, caches=caches)
        self._client = tools.client()
        self._clock = tools.clock
        self._quotas.on_change(self._on_quota)
        self._pods.on_change(self._on_pod)

    def _on_quota(self, _old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is not None:
            self.queue.add(key_of(new), initial)

    def _on_pod(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if old is None or not (new is None or (is_finished(new.raw) and not is_finished(old.raw))):
            return
        for quota in self._quotas.store.list(old.metadata.namespace):
            self.queue.add(key_of(quota), initial)

    async def sync(self, key: Key) -> Verdict:
        """Count for one quota."""
        found = self._quotas.store.get(*key)
        if found is None:
            return Done()
        quota = found.raw
        stored = await self._stored(key[0], keys_of((quota.get("spec") or {}).get("hard") or {}))
        status = status_of(quota, used_of(quota, lambda each: stored.get(each, ()), self._clock.now()))
        if status != quota.get("status"):
            written = await self._client.update(RESOURCEQUOTAS, {**quota, "status": status}, subresource="status")
            self.wrote(key, self._quotas, written)
        return RequeueAfter(_RESYNC)

    async def _stored(self, namespace: str, keys: set[str]) -> dict[str, list[JSON]]:
        found = {"pods": raws(self._pods.store.list(namespace))} if "pods" in keys else {}
        others = keys - {"pods"}
        served = [item.resource for item in await discover(self._client)] if others else []
        for resource in served:
            key = f"{resource.plural}.{resource.group}".rstrip(".")
            if key in others and resource.namespaced:
                found[key] = (await self._client.list(resource, namespace))["items"]
        return found
