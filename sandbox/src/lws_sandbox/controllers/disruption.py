"""PodDisruptionBudgets: their status, by which the API server grants or refuses evictions."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import DEPLOYMENTS, PODS, REPLICASETS, STATEFULSETS, Resource
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Done, Key, KeyedLoop, Raw, Toolbox, Verdict, get_or_none, key_of, raws
from lws_sandbox.controllers.disruption_plan import budget_status, underway
from lws_sandbox.controllers.objects import controller_of, labels_of, matches_labels, uid_of
from lws_sandbox.partners import LEADERWORKERSETS

BUDGETS: Final = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
_SCALABLE: Final = {item.kind: item for item in (REPLICASETS, STATEFULSETS, DEPLOYMENTS, LEADERWORKERSETS)}


class DisruptionLoop(KeyedLoop[Key]):
    """Counts the healthy pods of every budget."""

    def __init__(self, tools: Toolbox) -> None:
        self._budgets: Raw = tools.watch(BUDGETS)
        self._pods: Raw = tools.watch(PODS)
        super().__init__(tools, "disruption-controller", self.sync, workers=2, caches=(self._budgets, self._pods))
        self._client = tools.client()
        self._clock = tools.clock
        self._budgets.on_change(self._on_budget)
        self._pods.on_change(self._on_pod)

    def _on_budget(self, _old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is not None:
            self.queue.add(key_of(new), initial)

    def _on_pod(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if not len(self._budgets.store):
            return
        for pod in (old, new):
            if pod is None:
                continue
            for budget in self._budgets.store.list(pod.metadata.namespace):
                if _selects(budget.raw, pod.raw):
                    self.queue.add(key_of(budget), initial)

    async def sync(self, key: Key) -> Verdict:
        """Count for one budget."""
        found = self._budgets.store.get(*key)
        if found is None:
            return Done()
        budget, now = found.raw, self._clock.now()
        pods = [pod for pod in raws(self._pods.store.list(key[0])) if _selects(budget, pod)]
        expected = await self._expected(key[0], pods)
        status = budget_status(budget, pods, expected, underway(budget, pods, now), now)
        if status == budget.get("status"):
            return Done()
        changed = {**budget, "status": status}
        written = await self._client.update(BUDGETS, changed, subresource="status")
        self.wrote(key, self._budgets, written)
        return Done()

    async def _expected(self, namespace: str, pods: list[JSON]) -> int:
        """The replicas that the pods' controllers want; a pod without one counts for itself."""
        total, seen = 0, set()
        for pod in pods:
            owner = controller_of(pod)
            resource = _SCALABLE.get(owner["kind"]) if owner else None
            if owner is None or resource is None:
                total += 1
                continue
            if owner["uid"] in seen:
                continue
            seen.add(owner["uid"])
            live = await get_or_none(self._client, resource, namespace, owner["name"])
            if live is not None and uid_of(live) == owner["uid"]:
                replicas = live["spec"].get("replicas")
                total += 1 if replicas is None else int(replicas)
        return total


def _selects(budget: JSON, pod: JSON) -> bool:
    return matches_labels((budget.get("spec") or {}).get("selector"), labels_of(pod))
