"""Fills ClusterRoles that have an aggregationRule with the rules of those it selects (kube-controller-manager)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.client.api import MERGE_PATCH
from lws.errors import NotFoundError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Done, KeyedLoop, Toolbox, Verdict
from lws_sandbox.rest.selectors import from_object

CLUSTER_ROLES: Final = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
MANAGER: Final = "clusterrole-aggregation-controller"


def aggregated(role: JSON, roles: Iterable[JSON]) -> list[JSON]:
    """The rules of all roles that the aggregationRule selects, in order of their names, each rule once."""
    selectors = [from_object(found) for found in role["aggregationRule"].get("clusterRoleSelectors") or ()]
    rules: list[JSON] = []
    for other in sorted(roles, key=lambda found: str(found["metadata"]["name"])):
        if other["metadata"]["name"] == role["metadata"]["name"]:
            continue
        labels = other["metadata"].get("labels") or {}
        if any(selector is not None and selector.matches(labels) for selector in selectors):
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


class AggregationLoop(KeyedLoop[str]):
    """Looks at every aggregating ClusterRole whenever any ClusterRole changes."""

    def __init__(self, tools: Toolbox) -> None:
        self._roles = tools.watch(CLUSTER_ROLES)
        self._client = tools.client(MANAGER)
        super().__init__(tools, "clusterrole-aggregation-controller", self._reconcile, workers=1, caches=(self._roles,))
        self._roles.on_change(self._changed)

    def _changed(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:  # noqa: ARG002 -- a handler
        for role in self._roles.store:
            if role.raw.get("aggregationRule"):
                self.queue.add(role.metadata.name, background=initial)

    async def _reconcile(self, name: str) -> Verdict:
        role = self._roles.store.get("", name)
        if role is None or not role.raw.get("aggregationRule"):
            return Done()
        rules = aggregated(role.raw, [other.raw for other in self._roles.store])
        if rules == (role.raw.get("rules") or []):
            return Done()
        patch = {"metadata": {"resourceVersion": role.metadata.resource_version}, "rules": rules}
        try:
            written = await self._client.patch(
                CLUSTER_ROLES, "", name, patch, content_type=MERGE_PATCH, field_manager=MANAGER
            )
        except NotFoundError:
            return Done()
        self.wrote(name, self._roles, written)
        return Done()
