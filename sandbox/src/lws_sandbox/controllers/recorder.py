"""Events of the control loops, as the components of Kubernetes record them; repeats are counted, not multiplied.

Recording never waits; a queue is written by one task. An event that cannot be written is dropped: events are a help
for people, and nothing depends on them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import EVENTS, Resource
from lws.client.api import STRATEGIC_MERGE_PATCH, ApiClient
from lws.clock import Clock
from lws.errors import ApiError, NotFoundError, TransportError
from lws_sandbox.controllers.objects import format_micro_time, format_time, meta, name_of, namespace_of

CORE_EVENTS: Final = Resource("", "v1", "events", "Event")
_REMEMBERED: Final = 4096
_WAITING: Final = 20_000
_BURST: Final = 25.0  # events about one object at once
_REFILL: Final = 1 / 300  # events about it a second after that
EventType: TypeAlias = Literal["Normal", "Warning"]


@dataclass(slots=True)
class _Known:
    """An event that was written, and how often it happened."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class _Job:
    """An event to write: what makes it the same as another one, and what is patched when it is."""

    key: tuple[str, ...]
    resource: Resource
    namespace: str
    manifest: JSON
    at: str


class Recorder:
    """Writes events for several components of one cluster.

    Args:
        client: how the server is reached.
        clock: for their times.
        enabled: false drops everything, for clusters too large to watch event by event.
    """

    def __init__(self, client: ApiClient, clock: Clock, *, enabled: bool = True) -> None:
        self._client = client
        self._clock = clock
        self._enabled = enabled
        self._jobs: deque[_Job] = deque(maxlen=_WAITING)
        self._wake = asyncio.Event()
        self._known: OrderedDict[tuple[str, ...], _Known] = OrderedDict()
        self._budgets: OrderedDict[tuple[str, ...], tuple[float, float]] = OrderedDict()
        self._last_stamp = 0

    def record(
        self,
        obj: JSON,
        component: str,
        type_: EventType,
        reason: str,
        message: str,
        *,
        host: str = "",
        field_path: str = "",
        action: str = "",
    ) -> None:
        """Record something about an object, which must carry ``apiVersion`` and ``kind``.

        With an ``action`` the event is one of events.k8s.io/v1, as the scheduler writes them, else of core/v1.
        """
        regarding = _reference(obj, field_path)
        about = (component, host, regarding["kind"], regarding.get("namespace", ""), name_of(obj), regarding["uid"])
        if not self._enabled or not self._within_budget(about):
            return
        now = self._clock.now()
        self._last_stamp = max(int(now.timestamp() * 1e9), self._last_stamp + 1)
        namespace = namespace_of(obj) or "default"
        manifest: JSON = {
            "apiVersion": "events.k8s.io/v1" if action else "v1",
            "kind": "Event",
            "metadata": {"name": f"{name_of(obj)}.{self._last_stamp:x}", "namespace": namespace},
            "reason": reason,
            "type": type_,
            "reportingInstance": f"{component}-sandbox" if action else host,
        }
        if action:
            at = format_micro_time(now)
            manifest |= {"regarding": regarding, "note": message[:1024], "action": action}
            manifest |= {"eventTime": at, "reportingController": component}
        else:
            at = format_time(now)
            source = {"component": component, **({"host": host} if host else {})}
            manifest |= {"involvedObject": regarding, "message": message[:1024], "source": source, "eventTime": None}
            manifest |= {"firstTimestamp": at, "lastTimestamp": at, "count": 1, "reportingComponent": component}
        resource = EVENTS if action else CORE_EVENTS
        self._jobs.append(_Job((*about, field_path, type_, reason, message), resource, namespace, manifest, at))
        self._wake.set()

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._jobs:
                await self._write(self._jobs.popleft())

    async def _write(self, job: _Job) -> None:
        known = self._known.get(job.key)
        try:
            if known is not None and await self._repeat(job, known):
                return
            await self._client.create(job.resource, job.manifest)
        except (ApiError, TransportError):
            return
        self._known[job.key] = _Known(job.manifest["metadata"]["name"], 1)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    async def _repeat(self, job: _Job, known: _Known) -> bool:
        """Count an event once more; false when it has expired meanwhile."""
        count = known.count + 1
        change: JSON = {"count": count, "lastTimestamp": job.at}
        if job.resource is EVENTS:
            change = {"series": {"count": count, "lastObservedTime": job.at}}
        try:
            await self._client.patch(
                job.resource, job.namespace, known.name, change, content_type=STRATEGIC_MERGE_PATCH
            )
        except NotFoundError:
            return False
        known.count = count
        return True

    def _within_budget(self, about: tuple[str, ...]) -> bool:
        now = self._clock.monotonic()
        left, at = self._budgets.pop(about, (_BURST, now))
        left = min(_BURST, left + (now - at) * _REFILL)
        allowed = left >= 1.0
        self._budgets[about] = (left - 1.0 if allowed else left, now)
        if len(self._budgets) > _REMEMBERED:
            self._budgets.popitem(last=False)
        return allowed


def _reference(obj: JSON, field_path: str) -> JSON:
    reference = {
        "kind": obj["kind"],
        "namespace": namespace_of(obj),
        "name": name_of(obj),
        "uid": meta(obj).get("uid", ""),
        "apiVersion": obj["apiVersion"],
        "resourceVersion": meta(obj).get("resourceVersion", ""),
        "fieldPath": field_path,
    }
    return {key: value for key, value in reference.items() if value or key == "uid"}
