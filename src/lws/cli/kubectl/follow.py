"""Following a set until it is done: on a terminal in place, else a line for each change.

A look that fails is no end: that the API server is away is said, and it is asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from lws.cli.kubectl.observe import Observation, read_only_set
from lws.cli.kubectl.progress import Progress, Watched, of_rollout
from lws.cli.kubectl.session import Session
from lws.cli.kubectl.terminal import Terminal
from lws.errors import LwsError, NotFoundError, ServerError, TooManyRequestsError, TransportError
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, waits
from lws.planning.leaderworkerset.diagnosis.facts import Facts, SetFacts
from lws.planning.leaderworkerset.diagnosis.words import sentences

if TYPE_CHECKING:
    from rich.live import Live

    from lws.cli.kubectl.documents import Document

T = TypeVar("T")
INTERVAL: Final = 1.0  # seconds between two looks
BESIDE: Final = 9  # lines of a status beside its sentences
_PASSING: Final = (ServerError, TooManyRequestsError, TransportError)


class DeletedError(LwsError):
    """The set was deleted while it was followed."""


class Watch:
    """Looks at one set again and again.

    Attributes:
        trouble: why the last look failed; empty if it did not.
    """

    def __init__(self, name: str, kind: str = "leaderworkerset") -> None:
        self.trouble = ""
        self._name = f'{kind} "{name}"'
        self._uid = ""

    async def look(self, reading: Callable[[], Awaitable[T]], uid_of: Callable[[T], str]) -> T | None:
        """One look; None if the server could not be read this time.

        Raises:
            DeletedError: the set that was seen before is gone, or another one has its name.
            LwsError: the first look failed, or a later one in a way that will not pass.
        """
        try:
            found = await reading()
        except NotFoundError as error:
            if not self._uid:
                raise
            raise DeletedError(f"{self._name} was deleted") from error
        except _PASSING as error:
            if not self._uid:
                raise
            self.trouble = f"the API server cannot be read: {error}"
            return None
        self.trouble = ""
        if self._uid and uid_of(found) != self._uid:
            raise DeletedError(f"{self._name} was deleted and created anew")
        self._uid = uid_of(found)
        return found


async def rollout(session: Session) -> int:
    """As ``kubectl rollout status``: a line whenever something changes, until the rollout is complete.

    Returns:
        0 when it is complete, or was only looked at.

    Raises:
        LwsError: the time given was not enough, or the set was deleted.
    """
    asked, watching, told = session.arguments, Watch(session.name), ""

    async def reading() -> SetFacts:
        return await read_only_set(session.client, session.namespace, session.name)

    try:
        async with asyncio.timeout(asked.timeout):
            while True:
                lws = await watching.look(reading, lambda one: one.metadata.uid)
                progress = of_rollout(lws) if lws is not None else Progress(watching.trouble)
                if progress.text != told:
                    report(session, progress)
                    told = progress.text
                if not asked.watch or progress.complete:
                    return 0
                await asyncio.sleep(INTERVAL)
    except TimeoutError:
        raise LwsError("timed out waiting for the rollout to finish") from None


def report(session: Session, progress: Progress) -> None:
    """Print how far a rollout is."""

    def document() -> Document:
        from lws.cli.kubectl.documents import RolloutStatus

        return RolloutStatus(
            set_kind=session.set_kind,
            namespace=session.namespace,
            name=session.name,
            complete=progress.complete,
            message=progress.text,
        )

    names = [session.full_name] if progress.complete else []
    session.show(document, lambda: [progress.text], names, stream=True)


class _Display(Protocol):
    def show(self, seen: Watched) -> None:
        """Show what is now."""

    def __enter__(self) -> _Display: ...

    def __exit__(self, *_: object) -> None: ...


async def status(session: Session, observe: Callable[[], Awaitable[Observation]]) -> int:
    """Show a set's status until it waits for nothing.

    Raises:
        LwsError: the set was deleted, or the first look failed.
    """
    watching = Watch(session.name)
    facts: Facts | None = None
    with _display(session) as display:
        while True:
            seen = await watching.look(observe, lambda one: one.facts.lws.metadata.uid)
            facts = seen.facts if seen is not None else facts
            if facts is not None:
                display.show(Watched(facts, watching.trouble))
            if seen is not None and not waits(diagnose(seen.facts)):
                return 0
            await asyncio.sleep(INTERVAL)


def _display(session: Session) -> _Display:
    if not session.text:
        return _Documents(session)
    return _InPlace(session.terminal) if session.terminal.live else _Lines(session.terminal)


class _Documents(AbstractContextManager["_Documents"]):
    """A document whenever anything in it changes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._last: Document | None = None

    def show(self, seen: Watched) -> None:
        """Print it if it is new."""
        from lws.cli.kubectl.export import watched

        document = watched(seen)
        if document != self._last:
            first, self._last = self._last is None, document
            names = [self._session.full_name] if first else []
            self._session.show(lambda: document, list, names, stream=True)

    def __exit__(self, *_: object) -> None:
        """Nothing is to be put right."""


class _Lines(AbstractContextManager["_Lines"]):
    """A line whenever the numbers change, and each sentence when it is new."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._numbers = ""
        self._said: frozenset[str] = frozenset()

    def show(self, seen: Watched) -> None:
        """Print what is new."""
        facts, trouble = seen.facts, seen.trouble
        lws = facts.lws
        numbers = f"{lws.ready}/{lws.replicas} groups ready, {lws.updated}/{lws.replicas} updated"
        said = [*([trouble] if trouble else []), *sentences(diagnose(facts))]
        if numbers != self._numbers:
            self._terminal.line(numbers)
        for sentence in said:
            if sentence not in self._said:
                self._terminal.line(f"  {sentence}")
        self._numbers, self._said = numbers, frozenset(said)

    def __exit__(self, *_: object) -> None:
        """Nothing is to be put right."""


class _InPlace(AbstractContextManager["_InPlace"]):
    """Drawn over and over, no taller than the terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._live: Live | None = None

    def show(self, seen: Watched) -> None:
        """Draw what is now."""
        facts, trouble = seen.facts, seen.trouble
        from rich.console import Group
        from rich.live import Live
        from rich.text import Text

        from lws.cli.kubectl import render

        console = self._terminal.console
        most = max(1, (console.height - BESIDE) // 2)
        picture = Group(render.status(facts, most), *([Text(trouble, style="red")] if trouble else []))
        if self._live is None:
            self._live = Live(picture, console=console, auto_refresh=False)
            self._live.start()
        self._live.update(picture, refresh=True)

    def __exit__(self, *_: object) -> None:
        """Leave the last picture."""
        if self._live is not None:
            self._live.stop()
