"""An informer drives one watcher and keeps one store.

Flow: a command of the watcher is carried out, what comes back is given to the watcher, and what it puts out is written
to the store and passed to handlers, synchronously and in order; what a list changed a few changes at a time, the store
being whole before.

Guarantees: the store reflects exactly what the server has reported; handlers see every change exactly once; no error
ends an informer, only its cancellation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final, Generic, TypeVar

import structlog

from lws.apimachinery.objects import Object
from lws.client.api import ApiClient
from lws.client.transport import Stream
from lws.clock import Clock
from lws.errors import ApiError, TransportError
from lws.informers import inputs
from lws.informers.backoff import Backoff
from lws.informers.decode import Bookmark, GarbledPageError, Lines
from lws.informers.handlers import Handler, Handlers
from lws.informers.health import FAULT_GRACE, Counters, WatchHealth
from lws.informers.kinds import Kind
from lws.informers.requests import Selection, closing, page_request, refusal, watch_request
from lws.informers.store import Change, IndexFunction, StoreReader, StoreWriter
from lws.informers.watcher import Phase, State, step

T = TypeVar("T", bound=Object)
log = structlog.get_logger("lws.informers")

WATCH_SECONDS: Final = 300.0  # how long a server is asked to keep a watch open, at least; up to a fifth more at random
BRIEF_SECONDS: Final = 20.0  # the same after a fault
GRACE_SECONDS: Final = 15.0  # silence beyond the server's own timeout is a fault
BOOKMARK_SILENCE: Final = 120.0  # as is silence for twice the time between two bookmarks of a server that sends them
LIST_SILENCE: Final = 30.0  # silence within a list is a fault


class Informer(Generic[T]):
    """Keeps the objects of one selection.

    Args:
        kind: what is watched.
        selection: which objects of it.
        client: how the server is reached.
        clock: for ages.
        random: for jitter.
        resync: seconds between resyncs; None for never.
        optional: whether the process does without these objects while the server does not serve or grant them.
        on_demand: whether nothing is asked for before somebody wants it; see `demand`.
    """

    def __init__(
        self,
        kind: Kind[T],
        selection: Selection,
        client: ApiClient,
        *,
        clock: Clock,
        random: Random,
        resync: float | None = None,
        optional: bool = False,
        on_demand: bool = False,
    ) -> None:
        self.kind = kind
        self.selection = selection
        self.optional = optional
        self.on_demand = on_demand
        self.counters = Counters()
        self._client = client
        self._clock = clock
        self._random = random
        self._resync = resync
        self._backoff = Backoff(random)
        self._decoder = kind.decoder()
        self._writer: StoreWriter[T] = StoreWriter()
        self._state = State()
        self._untold: Iterator[Change[T]] | None = None  # what the list that was swapped in last changed
        self._position = 0
        self._progress: list[Callable[[], None]] = []
        self._synced = asyncio.Event()
        self._settled = asyncio.Event()  # synced, or optional and found to be unavailable
        self._demanded = asyncio.Event()
        (self._settled if on_demand else self._demanded).set()
        self._availability: list[Callable[[], None]] = []
        self._health = WatchHealth(kind.resource, clock, optional=optional)
        self._bookmarks = False  # whether this server was seen to send them
        self._log = log.bind(resource=str(kind), **dict(selection.query()))
        self._handlers: Handlers[T] = Handlers(self.store, self._log)

    # For readers.

    @property
    def store(self) -> StoreReader[T]:
        """The objects."""
        return self._writer.reader

    def add_index(self, name: str, function: IndexFunction[T]) -> None:
        """Index the store; see `StoreWriter.add_index`."""
        self._writer.add_index(name, function)

    def on_change(self, handler: Handler[T]) -> None:
        """Call the handler for every change from now on, and at once, as initial, for what is in the store."""
        self._handlers.add(handler)

    async def follow(self, handler: Handler[T]) -> None:
        """`on_change` for a store that may be large: what is in it already is passed on a few at a time."""
        await self._handlers.follow(handler)

    def on_progress(self, callback: Callable[[], None]) -> None:
        """Call it, synchronously, whenever the position may have moved."""
        self._progress.append(callback)

    def on_availability(self, callback: Callable[[], None]) -> None:
        """Call it, synchronously, whenever `unavailable` becomes empty or non-empty."""
        self._availability.append(callback)

    @property
    def synced(self) -> bool:
        """Whether a list has been whole once."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until `synced`; for an optional informer, or until the server has said that there is nothing to have."""
        await self._settled.wait()

    @property
    def position(self) -> int:
        """The version up to which everything is in the store."""
        return self._position

    def has_seen(self, namespace: str, name: str, resource_version: int | str) -> bool:
        """Whether the store is at least as new as a write of this object that was answered with this version."""
        wanted = int(resource_version)
        if self._position >= wanted:
            return True
        obj = self.store.get(namespace, name)
        return obj is not None and int(obj.metadata.resource_version or 0) >= wanted

    # Its health.

    @property
    def last_event_age(self) -> float:
        """Seconds since the server last said anything; 0 while nothing is asked of it."""
        return self._health.age if self._demanded.is_set() else 0.0

    @property
    def trouble(self) -> str:
        """What is wrong now, in one sentence; empty if nothing is."""
        return self._health.problem

    @property
    def missing(self) -> bool:
        """Whether the server does not serve the resource; see `WatchHealth.missing`."""
        return self._health.missing

    @property
    def unavailable(self) -> str:
        """Why an optional informer is done without; see `WatchHealth.unavailable`.

        What the store holds meanwhile is what was last seen.
        """
        return self._health.unavailable

    @property
    def healthy(self) -> bool:
        """Whether it works, or may yet by itself; see `WatchHealth.healthy`."""
        return self._health.healthy

    @property
    def broken(self) -> bool:
        """Whether a restart may help; see `WatchHealth.broken`."""
        return self._health.broken

    # Running.

    def demand(self) -> None:
        """Have an informer on demand begin. Idempotent."""
        if not self._demanded.is_set():
            self._health.heard()  # its silence begins now
            self._demanded.set()

    async def run(self) -> None:
        """Follow the server until cancelled."""
        await self._demanded.wait()
        resync = asyncio.create_task(self._resync_forever()) if self._resync else None
        failures = 0
        try:
            while True:
                begun = self._clock.monotonic()
                try:
                    await self._follow()
                except Exception as error:
                    failures = 1 if self._clock.monotonic() - begun >= FAULT_GRACE else failures + 1
                    self._log.exception("informer failed, restarting")
                    self._health.failed()
                    self._troubled(inputs.Trouble(f"internal error: {type(error).__name__}", 0))
                    self._state = State(streaming=self._state.streaming)
                    await asyncio.sleep(self._backoff.delay(failures))
        finally:
            if resync is not None:
                resync.cancel()

    async def _follow(self) -> None:
        command = self._step(inputs.Begin())
        while True:
            await self._tell_list()
            match command:
                case inputs.Wait():
                    await asyncio.sleep(self._backoff.delay(command.failures, command.at_least))
                    command = self._step(inputs.Begin())
                case inputs.Fetch():
                    command = self._step(await self._fetch(command))
                case inputs.Open():
                    command = await self._watch(command)
                case None:
                    raise RuntimeError("the watcher asked for nothing")

    async def _fetch(self, command: inputs.Fetch) -> inputs.Input:
        try:
            response = await self._client.send(page_request(self.kind, self.selection, command))
            self._health.heard()
            return self._decoder.page(response.body)
        except ApiError as error:
            self._health.heard()
            return refusal(error)
        except (TransportError, GarbledPageError) as error:
            return inputs.Broke(str(error))

    async def _watch(self, command: inputs.Open) -> inputs.Command | None:
        """Follow one watch to its end; the command that came of it."""
        seconds = BRIEF_SECONDS if command.brief else WATCH_SECONDS * (1 + self._random.random() / 5)
        request = watch_request(self.kind, self.selection, command, int(seconds), LIST_SILENCE)
        begin = asyncio.get_running_loop().time()
        self.counters.watches += 1
        end: inputs.Input
        try:
            async with (
                asyncio.timeout(LIST_SILENCE) as silence,
                self._client.stream(request) as answer,
            ):
                asked = self._step(inputs.Opened())
                end_at = begin + seconds + GRACE_SECONDS
                asked = asked or await self._read(answer, silence, end_at)
                if asked is not None:
                    return asked
                lasted = asyncio.get_running_loop().time() - begin
                end = inputs.Ended(early=lasted < int(seconds) - 2)
        except ApiError as error:
            self._health.heard()
            end = refusal(error)
        except TransportError as error:
            end = inputs.Broke(str(error))
        except TimeoutError:
            end = inputs.Stalled()
        return self._step(end)

    async def _read(self, answer: Stream, silence: asyncio.Timeout, end_at: float) -> inputs.Command | None:
        """Read a watch until its end (None) or until the watcher asks for something else."""
        lines = Lines()
        loop = asyncio.get_running_loop()
        silence.reschedule(self._silent_at(loop.time(), end_at))
        async with closing(answer.chunks()) as chunks:
            async for chunk in chunks:
                self._health.heard()
                for event in self._decoder.events(lines.feed(chunk)):
                    self._bookmarks |= isinstance(event, Bookmark) and self._state.phase is Phase.WATCHING
                    asked = self._step(event)
                    if self._untold is not None:
                        silence.reschedule(None)  # it is not the server that is silent
                        await self._tell_list()
                        silence.reschedule(self._silent_at(loop.time(), end_at))
                    if asked is not None:
                        return asked
                self._moved()
                silence.reschedule(self._silent_at(loop.time(), end_at))
                await asyncio.sleep(0)  # a busy stream must not starve other tasks
        return self._step(inputs.Broke("the watch was cut within a line")) if lines.cut else None

    def _silent_at(self, now: float, end_at: float) -> float:
        """When silence that begins now is a fault."""
        if self._state.phase is Phase.STREAMING:
            return now + LIST_SILENCE
        return max(now, min(end_at, now + BOOKMARK_SILENCE) if self._bookmarks else end_at)

    # Outputs of the watcher.

    def _step(self, given: inputs.Input) -> inputs.Command | None:
        self._state, outputs = step(self._state, given)
        for output in outputs:
            match output:
                case inputs.Put():
                    self._tell(self._writer.put(output.object))
                case inputs.Removed():
                    self._tell(self._writer.remove(*output.object.metadata.key))
                case inputs.Wait() | inputs.Fetch() | inputs.Open():
                    self._moved()
                    return output
                case _:
                    self._rarely(output)
        return None

    def _rarely(self, output: inputs.Output) -> None:
        match output:
            case inputs.Items():
                for obj in output.objects:
                    self._writer.buffer(obj)
            case inputs.Erased():
                self._writer.unbuffer(*output.object.metadata.key)
            case inputs.ListBegun():
                self._writer.begin()
            case inputs.ListDropped():
                self._writer.drop()
            case inputs.ListEnded():
                self._listed()
            case inputs.Skipped():
                self._skipped(output)
            case inputs.Trouble():
                self._troubled(output)
            case inputs.Recovered():
                self._recovered()

    def _listed(self) -> None:
        self.counters.lists += 1
        self._position = self._state.position
        self._untold = self._writer.swap()

    async def _tell_list(self) -> None:
        """Tell of the list that was swapped in, if one was; nothing else is read from the server meanwhile."""
        if self._untold is None:
            return
        changes, self._untold = self._untold, None
        self.counters.events += await self._handlers.tell_list(changes, initial=not self.synced)
        self._synced.set()
        self._settled.set()
        self._moved()

    def _skipped(self, output: inputs.Skipped) -> None:
        bad = output.unreadable
        self.counters.unreadable += 1
        self._log.error("object cannot be decoded", namespace=bad.namespace, name=bad.name, problem=bad.problem)
        if output.listed:
            self._writer.keep(bad.namespace, bad.name)
        elif bad.deleted:
            self._tell(self._writer.remove(bad.namespace, bad.name))

    def _troubled(self, trouble: inputs.Trouble) -> None:
        self.counters.faults += 1
        before = self.unavailable
        if self._health.troubled(trouble):
            expected = self.optional or (self.synced and not trouble.status)
            level = self._log.info if expected else self._log.warning
            level("watch failing", problem=self.trouble, status=trouble.status or None)
        if self.unavailable:
            self._settled.set()
        self._tell_availability(before)

    def _recovered(self) -> None:
        before = self.unavailable
        if self._health.recovered():
            self._log.info("watch recovered")
            self._tell_availability(before)

    def _tell_availability(self, before: str) -> None:
        if bool(before) != bool(self.unavailable):
            self._call(self._availability)

    def _moved(self) -> None:
        if self._state.phase in (Phase.WATCHING, Phase.RESUME):
            self._position = self._state.position
        self._call(self._progress)

    def _call(self, callbacks: Sequence[Callable[[], None]]) -> None:
        for callback in callbacks:
            try:
                callback()
            except Exception:
                self._log.exception("callback failed")

    # Handlers.

    def _tell(self, changes: Sequence[Change[T]]) -> None:
        self.counters.events += len(changes)
        self._handlers.tell(changes)

    async def _resync_forever(self) -> None:
        assert self._resync is not None
        while True:
            await asyncio.sleep(self._resync * (1 + self._random.random() / 10))
            await self._handlers.resync()
