"""Events of the ``events.k8s.io/v1`` API, recorded without ever holding up the recorder (spec 12).

Guarantees:
    * `EventRecorder.record` never blocks and never raises; at most ``capacity`` events wait to be written, more are
      dropped and counted.
    * Events that are equal in type, reason, action, reporter, regarding (resourceVersion included) and related are one
      event with a series; the note of the first is kept. Normal events are so only if their notes are equal too: two
      steps of a rollout between two writes of the status are two things to know, while a Warning quotes the server,
      which may word each refusal anew. As client-go does, the server is told at the second, every 30 minutes while the
      series goes on, and the final count six minutes after its last.
    * A note is plain text of at most 1024 bytes, cut between characters (CD-17).
    * A write that got no answer, or one that asks for patience (429, 5xx), is tried up to 12 times; one whose name is
      taken then had arrived after all. Other refusals are final: an event is never worth a loop. That events are
      forbidden is logged once, until one is written, and that there is no room once, until there is.
    * Memory is bounded: at most 10,000 events are remembered for folding.
    * An idle recorder does nothing: time passes for it only while it remembers an event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Final, Protocol

import structlog

from lws.apimachinery.actions import Fold
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import EVENTS, Resource
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import (
    AlreadyExistsError,
    ApiError,
    ForbiddenError,
    LwsError,
    NamespaceTerminatingError,
    NotFoundError,
    ServerError,
    TooManyRequestsError,
    TransportError,
)
from lws.runtime.errorfields import error_fields
from lws.runtime.eventfolds import Folds
from lws.runtime.timestamps import micro_time
from lws.workqueue import QueueShutDown, RateLimitingQueue

LARGEST_NOTE: Final = 1024  # bytes
FINISH_SECONDS: Final = 360.0
REFRESH_SECONDS: Final = 1800.0
RETRY_SECONDS: Final = 10.0
TRIES: Final = 12
CAPACITY: Final = 1000
REMEMBERED: Final = 10_000
WORKERS: Final = 4
_log = structlog.stdlib.get_logger("lws.events")


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Names an object in an event."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""

    @classmethod
    def to(cls, resource: Resource, meta: ObjectMeta) -> ObjectRef:
        """Refer to a live object."""
        return cls(resource.api_version, resource.kind, meta.namespace, meta.name, meta.uid, meta.resource_version)

    def to_json(self) -> JSON:
        """As an ``ObjectReference``, without empty members."""
        members = {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "resourceVersion": self.resource_version,
        }
        return {name: value for name, value in members.items() if value}


class Recorder(Protocol):
    """Records events without blocking."""

    def record(
        self,
        regarding: ObjectRef,
        type: str,  # noqa: A002 -- the field's own word
        reason: str,
        action: str,
        note: str,
        related: ObjectRef | None = None,
        fold: Fold | None = None,
    ) -> None:
        """Record one event."""
        ...


@dataclass(frozen=True, slots=True)
class _Sort:
    """What makes two events one; the reporter is the same for all events of a recorder."""

    type: str
    reason: str
    action: str
    regarding: ObjectRef
    related: ObjectRef | None
    note: str  # empty for Warnings


@dataclass(slots=True)
class _Remembered:
    """An event that may yet become a series."""

    manifest: JSON
    observed: datetime
    observed_at: float  # monotonic
    written_at: float  # monotonic, of the last write
    count: int = 1
    written: int = 0  # the count that the server knows; 0 before the event exists
    tries: int = 0
    waits: bool = field(default=True)  # whether it waits to be written


class EventRecorder:
    """Records events of one component; see the module for its guarantees.

    Args:
        client: writes the events.
        component: the reporting controller.
        hostname: completes the reporting instance, ``<component>-<hostname>``.
        clock: stamps events.
        random: jitter of retries.
        capacity: how many events may wait to be written.
        dropped: called with the cause whenever an event is dropped.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        component: str,
        hostname: str,
        clock: Clock,
        random: Random,
        capacity: int = CAPACITY,
        dropped: Callable[[str], None] | None = None,
    ) -> None:
        self._client = client
        self._component = component
        self._instance = f"{component}-{hostname}"
        self._clock = clock
        self._random = random
        self._capacity = capacity
        self._dropped = dropped
        self._queue: RateLimitingQueue[_Sort] = RateLimitingQueue(random, clock=clock)
        self._remembered: dict[_Sort, _Remembered] = {}
        self._waiting = 0  # how many of them wait to be written
        self._full = False  # whether the event before was dropped for want of room
        self._forbidden = ""  # the refusal that was logged last, until one is written
        self._last_stamp = 0
        self._folds = Folds(clock, self._tell)

    def record(
        self,
        regarding: ObjectRef,
        type: str,  # noqa: A002 -- the field's own name
        reason: str,
        action: str,
        note: str,
        related: ObjectRef | None = None,
        fold: Fold | None = None,
    ) -> None:
        """Record an event about an object, to be written by `run`. Never blocks, never raises.

        One with ``fold`` may be told together with others of its kind; it needs a running event loop.
        """
        sort = _Sort(type, reason, action, regarding, related, note if type == "Normal" else "")
        if fold is None:
            self._take(sort, note)
        else:
            self._folds.add(regarding.uid or (regarding.namespace, regarding.name), (sort, note), fold)

    def _tell(self, event: tuple[_Sort, str], several: str | None) -> None:
        sort, note = event
        self._take(sort if several is None else replace(sort, note=several), several or note)

    def _take(self, sort: _Sort, note: str) -> None:
        known = self._remembered.get(sort)
        if known is not None:
            known.count += 1
            known.observed, known.observed_at = self._clock.now(), self._clock.monotonic()
            if known.count == 2 and not known.waits:
                self._wait(known)
                self._queue.add(sort)
            return
        if self._waiting >= self._capacity:
            self._drop("queue full", sort)
            self._full = True
            return
        self._full = False
        self._make_room()
        now = self._clock.now()
        monotonic = self._clock.monotonic()
        self._remembered[sort] = _Remembered(self._manifest(sort, note, now), now, monotonic, monotonic)
        self._waiting += 1
        self._queue.add(sort)

    async def run(self) -> None:
        """Write events until cancelled; then make one last attempt, of at most a second, for those that wait."""
        workers = [asyncio.create_task(self._work(), name=f"events-{i}") for i in range(WORKERS)]
        try:
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._folds.flush()
            self._queue.shut_down(drain=True)
            try:
                await asyncio.wait(workers, timeout=1.0)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                sort = await self._queue.get()
            except QueueShutDown:
                return
            try:
                if (event := self._remembered.get(sort)) is not None:
                    await self._look(sort, event)
            except Exception:
                _log.exception("internal error, event dropped", reason=sort.reason, name=sort.regarding.name)
                self._forget(sort)
            finally:
                self._queue.done(sort)

    async def _look(self, sort: _Sort, event: _Remembered) -> None:
        """Write what the server does not know yet, and decide when to look again."""
        now = self._clock.monotonic()
        over = now - event.observed_at >= FINISH_SECONDS
        refresh = event.count > 1 and now - event.written_at >= REFRESH_SECONDS
        if event.waits or refresh or (over and event.count != event.written):
            try:
                await self._write(event)
            except LwsError as error:
                self._refused(sort, event, error)
                return
            event.tries = 0
            event.written_at = now
            self._forbidden = ""
            self._settle(event)
            if event.written == 1 < event.count:  # it became a series meanwhile
                self._wait(event)
                self._queue.add(sort)
                return
        elif over:
            self._forget(sort)
            return
        until = min(event.observed_at + FINISH_SECONDS, event.written_at + REFRESH_SECONDS)
        # Looking a moment too early would only lead to looking again.
        self._queue.add_after(sort, max(0.001, until - self._clock.monotonic()))

    async def _write(self, event: _Remembered) -> None:
        count, manifest = event.count, event.manifest
        series = {"count": count, "lastObservedTime": micro_time(event.observed)} if count > 1 else None
        try:
            if event.written:
                await self._continue(manifest, series)
            else:
                await self._create(manifest, series)
        except NotFoundError:  # it has outlived its time to live, if it is no namespace that is gone
            if not event.written:
                raise
            await self._create(manifest, series)
        except AlreadyExistsError:
            if not event.tries:
                raise
            if series:  # the try that seemed lost may have been of the first event alone
                await self._continue(manifest, series)
        event.written = count

    async def _continue(self, manifest: JSON, series: JSON | None) -> None:
        metadata = manifest["metadata"]
        patch = {"series": series}
        await self._client.patch(EVENTS, metadata["namespace"], metadata["name"], patch)

    async def _create(self, manifest: JSON, series: JSON | None) -> None:
        await self._client.create(EVENTS, {**manifest, "series": series} if series else manifest)

    def _refused(self, sort: _Sort, event: _Remembered, error: LwsError) -> None:
        event.tries += 1
        patience = isinstance(error, TransportError | TooManyRequestsError | ServerError)
        if patience and event.tries < TRIES:
            self._wait(event)
            asked = error.retry_after if isinstance(error, ApiError) and error.retry_after else 0.0
            self._queue.add_after(sort, max(asked, RETRY_SECONDS * (1 + self._random.random() / 4)))
            return
        self._forget(sort)
        self._drop("no answer" if patience else "refused", sort, error)

    def _wait(self, event: _Remembered) -> None:
        if not event.waits:
            event.waits = True
            self._waiting += 1

    def _settle(self, event: _Remembered) -> None:
        if event.waits:
            event.waits = False
            self._waiting -= 1

    def _forget(self, sort: _Sort) -> None:
        event = self._remembered.pop(sort, None)
        if event is not None:
            self._settle(event)

    def _make_room(self) -> None:
        """Forget the oldest events that are written, should there be very many; the same again is then a new event."""
        while len(self._remembered) >= REMEMBERED:
            oldest = next((sort for sort, event in self._remembered.items() if not event.waits), None)
            if oldest is None:
                return
            self._forget(oldest)

    def _drop(self, cause: str, sort: _Sort, error: LwsError | None = None) -> None:
        if self._dropped is not None:
            self._dropped(cause)
        what = {"reason": sort.reason, "namespace": sort.regarding.namespace, "name": sort.regarding.name}
        if isinstance(error, NamespaceTerminatingError):
            _log.debug("namespace is being deleted, event dropped", **what)
        elif isinstance(error, ForbiddenError):
            known, self._forbidden = self._forbidden == error.message, error.message
            _log.log(logging.DEBUG if known else logging.WARNING, "events are forbidden", **error_fields(error), **what)
        else:
            level = logging.DEBUG if self._full and error is None else logging.WARNING
            _log.log(level, "event dropped", cause=cause, error=str(error) if error else None, **what)

    def _manifest(self, sort: _Sort, note: str, now: datetime) -> JSON:
        namespace = sort.regarding.namespace or "default"
        manifest: JSON = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": self._name(sort.regarding.name, now), "namespace": namespace},
            "eventTime": micro_time(now),
            "reportingController": self._component,
            "reportingInstance": self._instance,
            "action": sort.action,
            "reason": sort.reason,
            "regarding": sort.regarding.to_json(),
            "note": cut_note(note),
            "type": sort.type,
        }
        if sort.related is not None:
            manifest["related"] = sort.related.to_json()
        return manifest

    def _name(self, regarding: str, now: datetime) -> str:
        """As client-go has it: the object's name and the time in nanoseconds, here never the same twice."""
        self._last_stamp = max(self._last_stamp + 1, round(now.timestamp() * 1_000_000) * 1000)
        return f"{regarding[: 253 - 17]}.{self._last_stamp:x}"


def cut_note(note: str) -> str:
    """The longest prefix of a note that the API takes: 1024 bytes, whole characters (CD-17)."""
    raw = note.encode(errors="replace")
    return note if len(raw) <= LARGEST_NOTE else raw[:LARGEST_NOTE].decode(errors="ignore")
