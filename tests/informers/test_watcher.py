"""The watcher, one step at a time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws.apimachinery.objects import ObjectMeta
from lws.informers.decode import (
    Added,
    Bookmark,
    Deleted,
    Error,
    Garbage,
    Mark,
    MarkMeta,
    Modified,
    Page,
    Status,
    Unreadable,
)
from lws.informers.inputs import (
    Begin,
    Broke,
    Ended,
    Erased,
    Fetch,
    Items,
    ListBegun,
    ListDropped,
    ListEnded,
    Open,
    Opened,
    Put,
    Recovered,
    Refused,
    Removed,
    Skipped,
    Stalled,
    Trouble,
    Wait,
)
from lws.informers.watcher import INITIAL_EVENTS_END, TRANSITIONS, Phase, State, step
from tests.informers.support import Thing


def thing(version: int) -> Thing:
    """An object of some version."""
    return Thing(ObjectMeta(name="a", namespace="ns", resource_version=str(version)))


def mark(version: int, *, end: bool = False) -> Bookmark:
    """A bookmark; ``end`` marks the end of initial events."""
    return Bookmark(Mark(MarkMeta(str(version), {INITIAL_EVENTS_END: "true"} if end else None)))


def page(version: int, token: str, *objects: Thing) -> Page[Thing]:
    """A page."""
    return Page(objects, (), token, str(version))


def error(code: int, **details: Any) -> Error:
    """An ERROR event."""
    return Error(Status(code, "Reason", "why", details))


BAD = Unreadable(False, "ns", "bad", "12", "why")
LIST, STREAMING, PAGING = State(), State(phase=Phase.STREAMING), State(phase=Phase.PAGING, streaming=False)
RESUME = State(phase=Phase.RESUME, position=10)
WATCHING = State(phase=Phase.WATCHING, position=10)
LIVELY = State(phase=Phase.WATCHING, position=10, alive=True)
TOO_NEW = [{"reason": "ResourceVersionTooLarge"}]

STEPS: list[tuple[str, State, Any, State, tuple[Any, ...]]] = [
    # A list is due.
    ("stream a list", LIST, Begin(), LIST, (ListBegun(), Open(None, False))),
    (
        "list by pages where streaming is not served",
        State(streaming=False),
        Begin(),
        State(phase=Phase.PAGING, streaming=False),
        (ListBegun(), Fetch("", 500)),
    ),
    (
        "streaming is refused",
        LIST,
        Refused(422, "no"),
        State(phase=Phase.PAGING, streaming=False),
        (ListDropped(), ListBegun(), Fetch("", 500)),
    ),
    (
        "listing is forbidden",
        LIST,
        Refused(403, "no"),
        State(failures=1),
        (ListDropped(), Trouble("no", 403), Wait(1, None)),
    ),
    (
        "the server sheds load",
        LIST,
        Refused(429, "no", 7.0),
        State(failures=1),
        (ListDropped(), Trouble("no", 429), Wait(1, 7.0)),
    ),
    # A streamed list.
    ("an initial object", STREAMING, Added(thing(5)), STREAMING, (Items((thing(5),)),)),
    ("gone before the list is whole", STREAMING, Deleted(thing(5)), STREAMING, (Erased(thing(5)),)),
    ("unreadable within a list", STREAMING, BAD, STREAMING, (Skipped(BAD, listed=True),)),
    ("a bookmark that is not the end", STREAMING, mark(9), STREAMING, ()),
    (
        "the end of initial events",
        STREAMING,
        mark(9, end=True),
        State(phase=Phase.WATCHING, position=9, alive=True),
        (ListEnded(), Recovered()),
    ),
    (
        "a streamed list breaks",
        STREAMING,
        Broke("cut"),
        State(failures=1, detour=True),
        (ListDropped(), Trouble("cut", 0), Wait(1, None)),
    ),
    # Pages.
    (
        "a first page",
        PAGING,
        page(7, "t", thing(3)),
        State(phase=Phase.PAGING, streaming=False, token="t", listed_at=7),
        (Items((thing(3),)), Fetch("t", 500)),
    ),
    (
        "the last page; the watch begins at the first",
        State(phase=Phase.PAGING, token="t", listed_at=7),
        page(99, "", thing(4)),
        State(phase=Phase.RESUME, listed_at=7, position=7),
        (Items((thing(4),)), ListEnded(), Recovered(), Open(7, False)),
    ),
    (
        "a token expires; the next list is one piece",
        State(phase=Phase.PAGING, token="t", listed_at=7),
        Refused(410, "old"),
        State(listed_at=7, failures=1, whole=True),
        (ListDropped(), Trouble("old", 410), Wait(1, None)),
    ),
    # A watch is due.
    ("resume", RESUME, Begin(), RESUME, (Open(10, False),)),
    ("a watch opens", RESUME, Opened(), WATCHING, (Recovered(),)),
    (
        "the position is too old",
        RESUME,
        Refused(410, "old"),
        State(position=10, failures=1),
        (ListBegun(), Open(None, False)),
    ),
    (
        "the resource is gone",
        RESUME,
        Refused(404, "no"),
        State(position=10, failures=1),
        (Trouble("no", 404), Wait(1, None)),
    ),
    (
        "watching is forbidden",
        RESUME,
        Refused(403, "no"),
        State(phase=Phase.RESUME, position=10, failures=1),
        (Trouble("no", 403), Wait(1, None)),
    ),
    (
        "the server lags behind",
        RESUME,
        Refused(504, "new", 1.0, too_new=True),
        State(phase=Phase.RESUME, position=10, failures=1, behind=1),
        (Trouble("new", 504), Wait(1, 1.0)),
    ),
    (
        "the server lags behind for the third time",
        State(phase=Phase.RESUME, position=10, failures=2, behind=2),
        Refused(504, "new", 1.0, too_new=True),
        State(position=10, failures=3),
        (Trouble("new", 504), Wait(3, 1.0)),
    ),
    # Changes.
    (
        "an addition",
        WATCHING,
        Added(thing(11)),
        State(phase=Phase.WATCHING, position=11, alive=True),
        (Put(thing(11)),),
    ),
    (
        "a change",
        WATCHING,
        Modified(thing(11)),
        State(phase=Phase.WATCHING, position=11, alive=True),
        (Put(thing(11)),),
    ),
    (
        "a deletion",
        WATCHING,
        Deleted(thing(12)),
        State(phase=Phase.WATCHING, position=12, alive=True),
        (Removed(thing(12)),),
    ),
    ("unreadable", WATCHING, BAD, State(phase=Phase.WATCHING, position=12, alive=True), (Skipped(BAD, listed=False),)),
    ("a bookmark", WATCHING, mark(20), State(phase=Phase.WATCHING, position=20, alive=True), ()),
    ("the same bookmark again", WATCHING, mark(10), LIVELY, ()),
    ("the same event again", WATCHING, Modified(thing(10)), LIVELY, ()),
    (
        "an event from another history",
        WATCHING,
        Modified(thing(9)),
        State(position=10, failures=1),
        (Trouble("version 9 came after 10: the server's history is another one", 0), Wait(1, None)),
    ),
    (
        "life ends a row of faults",
        State(phase=Phase.WATCHING, position=10, failures=4, behind=1, brief=True),
        mark(11),
        State(phase=Phase.WATCHING, position=11, alive=True),
        (),
    ),
    # Ends.
    (
        "410 in a live watch",
        LIVELY,
        error(410),
        State(position=10, failures=1, alive=True),
        (ListBegun(), Open(None, False)),
    ),
    (
        "410 again",
        State(phase=Phase.WATCHING, position=10, failures=1),
        error(410),
        State(position=10, failures=2),
        (Wait(2, None),),
    ),
    (
        "any other error resumes",
        LIVELY,
        error(429, retryAfterSeconds=3),
        State(phase=Phase.RESUME, position=10, failures=1, alive=True, brief=True),
        (Trouble("why", 429), Wait(1, 3.0)),
    ),
    (
        "an error: the server lags behind",
        LIVELY,
        error(504, causes=TOO_NEW),
        State(phase=Phase.RESUME, position=10, failures=1, alive=True, behind=1, brief=True),
        (Trouble("why", 504), Wait(1, None)),
    ),
    (
        "its time is over, and it has lived",
        LIVELY,
        Ended(False),
        State(phase=Phase.RESUME, position=10, alive=True),
        (Open(10, False),),
    ),
    ("its time is over without a word", WATCHING, Ended(False), State(position=10), (ListBegun(), Open(None, False))),
    (
        "it ends early",
        WATCHING,
        Ended(True),
        State(phase=Phase.RESUME, position=10, failures=1, brief=True),
        (Trouble("the server ended the watch early", 0), Wait(1, None)),
    ),
    (
        "the connection breaks",
        LIVELY,
        Broke("cut"),
        State(phase=Phase.RESUME, position=10, failures=1, alive=True, brief=True),
        (Trouble("cut", 0), Wait(1, None)),
    ),
    (
        "silence after signs of life resumes",
        LIVELY,
        Stalled(),
        State(phase=Phase.RESUME, position=10, failures=1, alive=True, brief=True),
        (Trouble("the server went silent", 0), Wait(1, None)),
    ),
    (
        "silence from the start proves nothing",
        WATCHING,
        Stalled(),
        State(position=10, failures=1),
        (Trouble("the server went silent", 0), Wait(1, None)),
    ),
    (
        "garbage",
        LIVELY,
        Garbage("what?"),
        State(phase=Phase.RESUME, position=10, failures=1, alive=True, brief=True),
        (Trouble("what?", 0), Wait(1, None)),
    ),
]


@pytest.mark.parametrize(
    ("state", "given_", "after", "outputs"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS]
)
def test_step(state: State, given_: Any, after: State, outputs: tuple[Any, ...]) -> None:
    """Each step leads to exactly this state, and puts out exactly this."""
    assert step(state, given_) == (after, outputs)


VERSIONS = st.integers(0, 30)
INPUTS: dict[type, st.SearchStrategy[Any]] = {
    Begin: st.just(Begin()),
    Opened: st.just(Opened()),
    Ended: st.builds(Ended, st.booleans()),
    Broke: st.just(Broke("cut")),
    Stalled: st.just(Stalled()),
    Refused: st.builds(
        Refused, st.sampled_from([400, 403, 404, 410, 422, 429, 500, 504]), st.just("no"), st.none(), st.booleans()
    ),
    Page: st.builds(page, VERSIONS, st.sampled_from(["", "t"]), st.builds(thing, VERSIONS)),
    Added: st.builds(Added, st.builds(thing, VERSIONS)),
    Modified: st.builds(Modified, st.builds(thing, VERSIONS)),
    Deleted: st.builds(Deleted, st.builds(thing, VERSIONS)),
    Unreadable: st.builds(Unreadable, st.booleans(), st.just("ns"), st.just("a"), VERSIONS.map(str), st.just("why")),
    Bookmark: st.builds(lambda version, end: mark(version, end=end), VERSIONS, st.booleans()),
    Error: st.builds(error, st.sampled_from([400, 410, 429, 504])),
    Garbage: st.just(Garbage("what?")),
}


@given(st.data())
def test_brackets_and_commands(data: st.DataObject) -> None:
    """Lists are bracketed without nesting, nothing of a list is put out outside, and commands come last and alone."""
    state, listing = State(), False
    waiting_for: set[type] = {Begin}
    for _ in range(data.draw(st.integers(1, 40))):
        kinds = [
            kind for phase, kind in TRANSITIONS if phase is state.phase and (not waiting_for or kind in waiting_for)
        ]
        before = state
        state, outputs = step(state, data.draw(INPUTS[data.draw(st.sampled_from(kinds))]))
        for output in outputs:
            if isinstance(output, ListBegun):
                assert not listing
                listing = True
            elif isinstance(output, ListEnded | ListDropped):
                assert listing
                listing = False
            elif isinstance(output, Items | Erased):
                assert listing
            elif isinstance(output, Put | Removed):
                assert not listing
                assert int(output.object.metadata.resource_version) == state.position > before.position
        commands = [output for output in outputs if isinstance(output, Open | Fetch | Wait)]
        assert commands in ([], [outputs[-1]] if outputs else [])
        waiting_for = answers(commands[0]) if commands else set()


def answers(command: Any) -> set[type]:
    """The inputs that can follow a command."""
    if isinstance(command, Wait):
        return {Begin}
    if isinstance(command, Fetch):
        return {Page, Refused, Broke}
    return {Opened, Refused, Broke, Stalled}
