"""What only trouble makes worth asking the API server for: who scaled workers, and why pods cannot be created.

Guarantees: nothing is asked before it would be told in a status (resilience 4); an answer is asked for once for each
state of a StatefulSet, and events once in `FRESH` seconds; what we may not read counts as unknown, and is not asked for
again within `REFUSED` seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import structlog

from lws.api.leaderworkerset.objects import StatefulSet
from lws.apimachinery.resources import STATEFULSETS, Resource
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import ApiError, ForbiddenError, TransportError
from lws.planning.leaderworkerset.diagnosis.objects import Event
from lws.planning.leaderworkerset.diagnosis.writers import scaled_by
from lws.planning.leaderworkerset.groupstatus import Question, Topic
from lws.runtime.bounded import Bounded

CORE_EVENTS: Final = Resource("", "v1", "events", "Event")
FRESH: Final = 60.0
REFUSED: Final = 600.0
MOST: Final = 20  # answers that one pass asks for
_log = structlog.stdlib.get_logger("lws.inquiries")


class Inquiries:
    """Asks, and remembers the answers.

    Args:
        client: reads.
        clock: how old answers are.
    """

    def __init__(self, client: ApiClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._managers: Bounded[str, str] = Bounded()
        self._events: Bounded[str, tuple[float, tuple[Event, ...]]] = Bounded()
        self._refused = -REFUSED

    def manager(self, workers: StatefulSet) -> str | None:
        """Who scaled a StatefulSet; None if nobody asked since it changed."""
        return self._managers.get(_state(workers))

    def warnings(self, workers: StatefulSet) -> tuple[Event, ...] | None:
        """The warnings about a StatefulSet; None if they are to be asked for. Without the right there are none."""
        now = self._clock.monotonic()
        if now - self._refused < REFUSED:
            return ()
        at, found = self._events.get(workers.metadata.uid) or (-FRESH, ())
        return None if now - at >= FRESH else found

    async def ask(self, questions: Iterable[Question]) -> None:
        """Ask; afterwards every one of these has an answer for a while."""
        for each in [*questions][:MOST]:
            if each.topic is Topic.MANAGER:
                self._managers.put(_state(each.about), await self._manager(each.about))
            else:
                self._events.put(each.about.metadata.uid, (self._clock.monotonic(), await self._warnings(each.about)))

    async def _manager(self, workers: StatefulSet) -> str:
        try:
            live = await self._client.get(STATEFULSETS, workers.metadata.namespace, workers.metadata.name)
        except (ApiError, TransportError) as error:
            _log.info("who scaled a StatefulSet could not be read", name=workers.metadata.name, cause=str(error))
            return ""
        fields: list[dict[str, Any]] = live["metadata"].get("managedFields") or []
        return scaled_by(fields)

    async def _warnings(self, workers: StatefulSet) -> tuple[Event, ...]:
        meta = workers.metadata
        selector = f"involvedObject.kind=StatefulSet,involvedObject.name={meta.name},type=Warning"
        try:
            listed = await self._client.list(CORE_EVENTS, meta.namespace, field_selector=selector)
        except ForbiddenError:  # without component config/forensics
            self._refused = self._clock.monotonic()
            return ()
        except (ApiError, TransportError) as error:
            _log.info("events of a StatefulSet could not be read", name=meta.name, cause=str(error))
            return ()
        return msgspec.convert(listed["items"], tuple[Event, ...])


def _state(workers: StatefulSet) -> str:
    return f"{workers.metadata.uid}/{workers.metadata.generation}"
