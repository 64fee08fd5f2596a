"""Keeps the last lines of a container whose end takes its group down, before its pod goes (resilience 2.2).

Guarantees: a recreation is delayed by no more than `READ_SECONDS`; nothing that goes wrong here fails or repeats a
reconcile; what we may not do is told once and not tried again.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.resources import CONFIGMAPS, PODS
from lws.client.api import ApiClient, query_of
from lws.client.transport import Request
from lws.clock import Clock
from lws.errors import ApiError, ConflictError, ForbiddenError, NotFoundError, TransportError
from lws.planning.leaderworkerset import forensics
from lws.planning.leaderworkerset.culprit import Fault
from lws.reconcilers.leaderworkerset.group import regarding
from lws.runtime.bounded import Bounded
from lws.runtime.events import Recorder

READ_SECONDS: Final = 2.0
NOT_KEPT: Final = "FailureLogNotKept"
_log = structlog.stdlib.get_logger("lws.forensics")


class BlackBox:
    """Reads logs, and keeps them.

    Args:
        client: reads and writes.
        recorder: takes events.
        clock: names what is kept.
    """

    def __init__(self, client: ApiClient, recorder: Recorder, clock: Clock) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._told: Bounded[str, bool] = Bounded()

    async def read(self, lws: LeaderWorkerSet, fault: Fault, lines: int) -> str:
        """The last lines of the culprit's container, of its previous instance if it runs again; empty if unreadable."""
        if not lines or not fault.container or fault.meta is None or self._refused(lws):
            return ""
        query = query_of(
            container=fault.container,
            tailLines=lines,
            limitBytes=forensics.LOG_BYTES,
            previous=fault.restarted or None,
        )
        path = PODS.path(fault.meta.namespace, fault.pod, "log")
        try:
            async with asyncio.timeout(READ_SECONDS):
                answer = await self._client.send(Request("GET", path, query, timeout=READ_SECONDS))
        except ForbiddenError as error:
            self._tell(lws, f"Logs of failed containers cannot be read: {error}; apply component config/forensics")
            return ""
        except (ApiError, TransportError, TimeoutError) as error:
            _log.info("the log of a failed container could not be read", pod=fault.pod, cause=str(error))
            return ""
        return forensics.last_lines(answer.body)

    async def keep(self, lws: LeaderWorkerSet, fault: Fault, text: str) -> None:
        """Put the lines into the set's ConfigMap; one that is somebody else's is left alone."""
        if not text:
            return
        try:
            try:
                await self._write(lws, fault, text)
            except ConflictError:
                await self._write(lws, fault, text)
        except ForbiddenError as error:
            self._tell(lws, f"Logs of failed containers cannot be kept: {error}; apply component config/forensics")
        except (ApiError, TransportError) as error:
            _log.info("the log of a failed container could not be kept", pod=fault.pod, cause=str(error))

    async def _write(self, lws: LeaderWorkerSet, fault: Fault, text: str) -> None:
        namespace, name = lws.metadata.namespace, forensics.name_of(lws)
        try:
            live = await self._client.get(CONFIGMAPS, namespace, name)
        except NotFoundError:
            live = None
        if live is not None and not forensics.is_ours(lws, live):
            self._tell(lws, f"Logs of failed containers cannot be kept: ConfigMap {name} is not of this set")
            return
        body = forensics.manifest(lws, live, forensics.key_of(fault.pod, self._clock.now()), text)
        if live is None:
            await self._client.create(CONFIGMAPS, body)
        else:
            await self._client.update(CONFIGMAPS, body)

    def _refused(self, lws: LeaderWorkerSet) -> bool:
        return lws.metadata.uid in self._told

    def _tell(self, lws: LeaderWorkerSet, note: str) -> None:
        about = regarding(lws)
        if about is not None and self._told.add(lws.metadata.uid, True):
            self._recorder.record(about, "Warning", NOT_KEPT, "Update", note)
