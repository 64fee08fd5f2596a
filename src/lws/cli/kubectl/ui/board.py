"""Keeps the documents of all views that somebody looks at up to date."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import structlog

from lws.apimachinery.objects import Key
from lws.cli.kubectl.observe import Surroundings, look_around, own_revisions, with_surroundings
from lws.cli.kubectl.ui import details, overview, pictures, places, rollouts
from lws.cli.kubectl.ui.caches import OF_SET, Caches, Touched
from lws.cli.kubectl.ui.kinds import ds_of
from lws.cli.kubectl.ui.strips import Strips
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import LwsError
from lws.planning.leaderworkerset.diagnosis.facts import Facts

COALESCE: Final = 0.03  # seconds that changes are collected
REST: Final = 8  # times as long as a document took, until it is made again
LOOKS: Final = 5.0  # seconds between two looks around a set that waits
QUIET_LOOKS: Final = 30.0  # and around one that does not
BATCH: Final = 25  # rows between two turns of the event loop
_log = structlog.get_logger("lws.ui")


class View(NamedTuple):
    """What is looked at: ``sets``, ``places`` by a node label, or one set's ``set``, ``rollout`` or ``ds-rollout``."""

    kind: str
    namespace: str = ""
    name: str = ""

    @property
    def key(self) -> Key:
        """The set's."""
        return self.namespace, self.name


@dataclass(eq=False, slots=True)
class Topic:
    """A document that somebody looks at.

    Attributes:
        view: what it is of.
        document: as it was made last.
        dirty: set when it is to be made again.
        made: counts the makings; readers wait on `changed`.
        changed: notified after each.
        users: how many look at it.
        around: what was seen around the set.
    """

    view: View
    document: dict[str, Any] = field(default_factory=dict)
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    made: int = 0
    users: int = 0
    around: Surroundings = field(default_factory=Surroundings)


class Board:
    """Documents of views, as the caches have them.

    Args:
        caches: what is watched.
        client: reads what explains trouble and is not watched.
        clock: tells the time of day.
        about: what every document says of the page: server, namespace, whether there are actions.
    """

    def __init__(self, caches: Caches, client: ApiClient, clock: Clock, about: dict[str, Any]) -> None:
        self.caches = caches
        self._client = client
        self._clock = clock
        self._about = about
        self._rows: dict[str, dict[str, Any]] = {}
        self._strips = Strips(clock.now())
        self._touched: dict[Touched, None] = {}
        self._wake = asyncio.Event()
        self._topics: dict[View, Topic] = {}
        self._keepers: dict[View, list[asyncio.Task[None]]] = {}
        self._page: dict[str, Any] = {**about, "synced": False, "troubles": [], "missing": []}
        caches.listen(self._touch)

    def _touch(self, touched: Touched) -> None:
        self._touched[touched] = None
        self._wake.set()

    @asynccontextmanager
    async def looking(self, view: View) -> AsyncIterator[Topic]:
        """The document of a view, kept up to date as long as somebody looks."""
        topic = self._topics.setdefault(view, Topic(view))
        topic.users += 1
        if topic.users == 1:
            tasks = [asyncio.create_task(self._keep(topic), name=f"view {view.kind}")]
            if view.kind in ("set", "rollout"):
                tasks.append(asyncio.create_task(self._look_around(topic), name="surroundings"))
            self._keepers[view] = tasks
            topic.dirty.set()
        try:
            yield topic
        finally:
            topic.users -= 1
            if not topic.users:
                self._topics.pop(view, None)
                for task in self._keepers.pop(view, ()):
                    task.cancel()

    async def run(self) -> None:
        """Keep rows up to date until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick(), name="troubles")
            while True:
                await self._wake.wait()
                await asyncio.sleep(COALESCE)
                self._wake.clear()
                touched, self._touched = self._touched, {}
                await self._update(touched)

    async def _tick(self) -> None:
        """What is wrong with the watches, each second; and a new minute for the strips."""
        minute = -1
        while True:
            registry = self.caches.registry
            missing = registry.unavailable
            troubles = [one for one in registry.troubles if one not in missing]
            page = {**self._about, "synced": registry.synced, "troubles": troubles, "missing": missing}
            now = int(self._clock.now().timestamp() // 60)
            if page != self._page or now != minute:
                self._page, minute = page, now
                for topic in self._topics.values():
                    topic.dirty.set()
            await asyncio.sleep(1.0 if page["synced"] else 0.1)

    async def _update(self, touched: dict[Touched, None]) -> None:
        sets = {one.key for one in touched if one.kind == "set"}
        ds = {one.key for one in touched if one.kind == "ds"}
        for number, key in enumerate(sorted(sets)):
            parent = self._row(key)
            if parent[1]:
                ds.add(parent)
            if number % BATCH == BATCH - 1:
                await asyncio.sleep(0)
        for key in sorted(ds):
            self._ds_row(key)
        self._tell(sets, ds, places=any(one.kind == "places" for one in touched))

    def _tell(self, sets: set[Key], ds: set[Key], *, places: bool) -> None:
        """Mark the documents that are to be made again."""
        for view, topic in self._topics.items():
            mine = {"set": sets, "rollout": sets, "ds-rollout": ds}.get(view.kind, set())
            if view.kind == "sets" or (view.kind == "places" and (places or sets)) or view.key in mine:
                topic.dirty.set()

    def _row(self, key: Key) -> Key:
        """Make the row of a set; returns the key of its DisaggregatedSet."""
        name, record = "lws/{}/{}".format(*key), self.caches.sets.store.get(*key)
        if record is None:
            self._rows.pop(name, None)
            self._strips.drop(key)
            return key[0], ""
        parent = ds_of(record)
        facts = self._facts(key)
        assert facts is not None
        made = overview.row(facts, record.status, parent)
        if made != self._rows.get(name):
            self._rows[name] = made
        self._strips.note(key, self._clock.now(), made["ready"], made["want"])
        return key[0], parent

    def _ds_row(self, key: Key) -> None:
        name = "ds/{}/{}".format(*key)
        picture = pictures.of(self.caches, key)
        if picture is None:
            self._rows.pop(name, None)
        else:
            self._rows[name] = overview.disaggregated_row(picture)

    def _facts(self, key: Key) -> Facts | None:
        """Facts with what was seen around the set by those who look at it closely."""
        facts = self.caches.facts(*key)
        around = next((t.around for v, t in self._topics.items() if v.key == key and v.kind != "ds-rollout"), None)
        return with_surroundings(facts, around) if facts is not None and around is not None else facts

    async def _keep(self, topic: Topic) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await topic.dirty.wait()
            topic.dirty.clear()
            begin = loop.time()
            await self._make(topic)
            await asyncio.sleep(COALESCE + REST * (loop.time() - begin))

    async def _make(self, topic: Topic) -> None:
        try:
            topic.document = {"page": self._page, **self._document(topic.view)}
        except Exception:  # one view that fails is said there, and hurts no other
            if "failed" not in topic.document:
                _log.exception("a view failed", view=topic.view.kind)
            topic.document = {"page": self._page, "failed": {"text": "This view cannot be shown: see the terminal."}}
        async with topic.changed:
            topic.made += 1
            topic.changed.notify_all()

    def _document(self, view: View) -> dict[str, Any]:
        match view.kind:
            case "sets":
                return self._rows
            case "places":
                return self._places(view.name)
            case "ds-rollout":
                picture = pictures.of(self.caches, view.key)
                return rollouts.disaggregated(picture) if picture is not None else _GONE
        record, facts = self.caches.sets.store.get(*view.key), self._facts(view.key)
        if record is None or facts is None:
            return _GONE
        if view.kind == "rollout":
            stored = own_revisions(facts.lws, self.caches.revisions.store.by_index(OF_SET, view.key))
            return rollouts.document(facts, record, stored, ds_of(record))
        strip = self._strips.of(view.key, self._clock.now())
        return {**details.document(facts, record, ds_of(record)), "strip": strip}

    def _places(self, key: str) -> dict[str, Any]:
        caches = self.caches
        return places.document(caches.nodes.store.list(), caches.pods.store.list(), caches.sets.store.list(), key)

    async def _look_around(self, topic: Topic) -> None:
        """Read again and again what explains a set's trouble and is not watched."""
        while True:
            facts = self.caches.facts(*topic.view.key)
            if facts is not None:
                try:
                    seen = await look_around(self._client, facts)
                except LwsError:
                    seen = topic.around
                if seen != topic.around:
                    topic.around = seen
                    self._touch(Touched("set", topic.view.key))
            waits = facts is not None and not all(group.state.ready for group in facts.groups)
            await asyncio.sleep(LOOKS if waits else QUIET_LOOKS)


_GONE: Final[dict[str, Any]] = {"gone": {"text": "There is no such set any more, or not yet."}}
