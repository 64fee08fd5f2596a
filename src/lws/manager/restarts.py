"""Asks this release's planners which groups of running sets they would restart (operator 5.7).

The operator's rooms know nothing of another API's planners; the composition root brings them together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, Deployment, StatefulSet
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON, labels_of, name_of, namespace_of
from lws.apimachinery.resources import CONTROLLERREVISIONS, DEPLOYMENTS, STATEFULSETS, Resource
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import NotFoundError
from lws.planning.leaderworkerset.forecast import Judge, forecast
from lws.planning.leaderworkerset.sets import plan_leaderworkerset
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.planning.operand.preview import Restart

PAGE: Final = 500
_BREATH: Final = 20  # sets between two breaths of the loop
_LEADER_SETS: Final = f"{labels.NAME},!{labels.GROUP_INDEX}"  # groups' own StatefulSets have an index


class GroupRestarts:
    """Lists sets with what belongs to them, and plans for each.

    Args:
        client: lists.
        clock: the time of day.
        judge: the planner that is asked.
    """

    def __init__(self, client: ApiClient, clock: Clock, judge: Judge = plan_leaderworkerset) -> None:
        self._client = client
        self._clock = clock
        self._judge = judge

    async def __call__(self) -> tuple[Restart, ...]:
        """Sets whose groups would restart, by namespace and name.

        Raises:
            ApiError: the server refuses to tell.
            TransportError: no answer.
        """
        leaders = {_key(each): each async for each in self._list(STATEFULSETS, _LEADER_SETS)}
        leaders |= {_key(each): each async for each in self._list(DEPLOYMENTS, labels.NAME)}
        revisions: dict[tuple[str, str], list[ControllerRevision]] = {}
        async for each in self._list(CONTROLLERREVISIONS, labels.NAME):
            owner = (namespace_of(each), labels_of(each).get(labels.NAME, ""))
            revisions.setdefault(owner, []).append(msgspec.convert(each, ControllerRevision))
        found: list[Restart] = []
        seen = 0
        async for each in self._list(LEADERWORKERSETS, ""):
            live = leaders.get(_key(each))
            seen += 1
            if seen % _BREATH == 0:
                await asyncio.sleep(0)
            if live is None:
                continue
            snapshot = _snapshot(LeaderWorkerSet.from_json(each), live, tuple(revisions.get(_key(each), ())))
            said = forecast(snapshot, live, self._clock.now(), self._judge)
            if said is not None:
                found.append(Restart(*_key(each), said.groups, said.reason))
        return tuple(sorted(found, key=lambda each: (each.namespace, each.name)))

    async def _list(self, resource: Resource, selector: str) -> AsyncIterator[JSON]:
        more: str | None = None
        while True:
            try:
                page = await self._client.list(resource, label_selector=selector, limit=PAGE, continue_=more)
            except NotFoundError:  # no sets are served
                return
            for each in page["items"]:
                yield each
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return


def _snapshot(lws: LeaderWorkerSet, live: JSON, revisions: tuple[ControllerRevision, ...]) -> SetSnapshot:
    if lws.spec.hashed:
        return SetSnapshot(lws, leader_deployment=msgspec.convert(live, Deployment), revisions=revisions)
    return SetSnapshot(lws, leader_statefulset=msgspec.convert(live, StatefulSet), revisions=revisions)


def _key(manifest: JSON) -> tuple[str, str]:
    return namespace_of(manifest), name_of(manifest)
