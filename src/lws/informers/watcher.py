"""How a collection is followed, as data: one step maps (state, input) to (state, outputs).

Flow: a list, streamed where the server can and by pages where not, then a watch from where the list ended, reopened
from the last version seen for as long as the server still has it, and a new list when it has not.

Guarantees:
    * A relist is bracketed by `ListBegun` and `ListEnded` (or `ListDropped`), so that its objects can be buffered and
      swapped in at once, and what vanished meanwhile be reported.
    * The position never passes an event that was not put out.
    * A version below the position is never acted upon: it means that the server's history is another one (it was
      restored or restarted), so everything is listed again.
    * A watch that lasted its whole time without one event or bookmark has not proven that the server knows our
      position; everything is listed again. After a fault the next watch is brief, to find this out soon.

Caveats: steps use neither time nor randomness; waiting and its jitter are the driver's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, TypeAlias

import msgspec

from lws.informers.decode import Added, Bookmark, Deleted, Error, Garbage, Modified, Page, Unreadable
from lws.informers.inputs import (
    Begin,
    Broke,
    Command,
    Ended,
    Erased,
    Fetch,
    Input,
    Items,
    ListBegun,
    ListDropped,
    ListEnded,
    Open,
    Opened,
    Output,
    Put,
    Recovered,
    Refused,
    Removed,
    Skipped,
    Stalled,
    Trouble,
    Wait,
)

PAGE_SIZE: Final = 500
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
TOO_NEW_LIMIT: Final = 3  # times that a server may lag behind our position before we list again


class Phase(Enum):
    """What the next input answers."""

    LIST = "list"  # a list is due
    STREAMING = "streaming"  # initial events arrive
    PAGING = "paging"  # a page is asked for
    RESUME = "resume"  # a watch is due, or asked for
    WATCHING = "watching"  # changes arrive


class State(msgspec.Struct, frozen=True, gc=False):
    """Everything that a watcher remembers.

    Attributes:
        phase: what the next input answers.
        position: version up to which everything has been put out.
        token: continuation of the next page.
        listed_at: version of the first page.
        failures: faults in a row.
        streaming: whether the server is believed to stream lists.
        detour: list by pages this once, because a streamed list failed.
        whole: list in one piece this once, because a page's token expired.
        alive: whether this watch has sent anything.
        behind: times in a row that the server had not reached our position.
        brief: whether the next watch shall be short, to prove the position.
    """

    phase: Phase = Phase.LIST
    position: int = 0
    token: str = ""
    listed_at: int = 0
    failures: int = 0
    streaming: bool = True
    detour: bool = False
    whole: bool = False
    alive: bool = False
    behind: int = 0
    brief: bool = False


Step: TypeAlias = tuple[State, tuple[Output, ...]]
Transition: TypeAlias = Callable[[State, Any], Step]
_with = msgspec.structs.replace


def step(state: State, given: Input) -> Step:
    """One step. Outputs are in order; a command, if there is one, is last and asks for the next input."""
    return TRANSITIONS[state.phase, type(given)](state, given)


# A list is due.


def _list(state: State, _: Begin) -> Step:
    if state.streaming and not state.detour:
        return state, (ListBegun(), Open(None, False))
    return _with(state, phase=Phase.PAGING, token=""), (ListBegun(), Fetch("", 0 if state.whole else PAGE_SIZE))


def _list_opened(state: State, _: Opened) -> Step:
    return _with(state, phase=Phase.STREAMING, alive=False), ()


def _list_refused(state: State, refusal: Refused) -> Step:
    """A streamed list that makes no sense to the server is one that it does not serve."""
    if refusal.status in (400, 405, 406, 415, 422):
        state, outputs = _list(_with(state, streaming=False), Begin())
        return state, (ListDropped(), *outputs)
    return _list_failed(state, refusal)


def _list_failed(state: State, fault: Refused | Broke | Stalled | Ended | Error | Garbage) -> Step:
    """Whatever went wrong, nothing of this list counts."""
    streamed = state.phase is Phase.STREAMING
    failures = state.failures + 1
    state = _with(state, phase=Phase.LIST, token="", failures=failures, detour=streamed)
    return state, (ListDropped(), _trouble(fault), Wait(failures, _asked(fault)))


def _initial_object(state: State, event: Added[Any] | Modified[Any]) -> Step:
    return state, (Items((event.object,)),)


def _initial_deletion(state: State, event: Deleted[Any]) -> Step:
    return state, (Erased(event.object),)


def _initial_unreadable(state: State, event: Unreadable) -> Step:
    return state, (Skipped(event, listed=True),)


def _initial_mark(state: State, event: Bookmark) -> Step:
    meta = event.object.metadata
    if (meta.annotations or {}).get(INITIAL_EVENTS_END) != "true":
        return state, ()
    return _listed(_with(state, phase=Phase.WATCHING, alive=True), meta.resource_version, ())


def _listed(state: State, version: str, before: tuple[Output, ...], *after: Command) -> Step:
    """The list is whole. Failures stay counted until the watch after it shows life."""
    position = _number(version)
    if position is None:
        return _list_failed(state, Garbage(f"the list has the resourceVersion {version!r}"))
    state = _with(state, position=position, token="", detour=False, whole=False, brief=False)
    return state, (*before, ListEnded(), Recovered(), *after)


# Pages.


def _page(state: State, page: Page[Any]) -> Step:
    items: tuple[Output, ...] = (
        Items(page.objects),
        *(Skipped(unreadable, listed=True) for unreadable in page.unreadable),
    )
    # Changes since the first page are in the watch, which therefore starts at the first page's version.
    first = str(state.listed_at) if state.token else page.resource_version
    position = _number(first)
    if not page.token or position is None:
        return _listed(_with(state, phase=Phase.RESUME), first, items, Open(position, False))
    return _with(state, token=page.token, listed_at=position), (*items, Fetch(page.token, PAGE_SIZE))


def _page_refused(state: State, refusal: Refused) -> Step:
    """A token expires when a list takes longer than the server keeps its past."""
    expired = refusal.status == 410 and bool(state.token)
    return _list_failed(_with(state, whole=expired), refusal)


# A watch is due.


def _resume(state: State, _: Begin) -> Step:
    return state, (Open(state.position, state.brief),)


def _opened(state: State, _: Opened) -> Step:
    return _with(state, phase=Phase.WATCHING, alive=False), (Recovered(),)


def _watch_refused(state: State, refusal: Refused) -> Step:
    if refusal.status == 410:
        return _expired(state)
    failures = state.failures + 1
    behind = state.behind + 1 if refusal.too_new else 0
    lost = refusal.status in (400, 404, 422) or behind >= TOO_NEW_LIMIT
    phase = Phase.LIST if lost else Phase.RESUME
    state = _with(state, phase=phase, failures=failures, behind=0 if lost else behind)
    return state, (_trouble(refusal), Wait(failures, refusal.retry_after))


# Changes arrive.


def _changed(state: State, event: Added[Any] | Modified[Any]) -> Step:
    version = _number(event.object.metadata.resource_version)
    if version is None or version <= state.position:
        return _not_after(state, version)
    return _alive(state, version), (Put(event.object),)


def _deleted(state: State, event: Deleted[Any]) -> Step:
    version = _number(event.object.metadata.resource_version)
    if version is None or version <= state.position:
        return _not_after(state, version)
    return _alive(state, version), (Removed(event.object),)


def _unreadable(state: State, event: Unreadable) -> Step:
    version = _number(event.resource_version)
    if version is None or version <= state.position:
        return _not_after(state, version)
    state = _alive(state, version)
    return state, (Skipped(event, listed=False),)


def _mark(state: State, event: Bookmark) -> Step:
    version = _number(event.object.metadata.resource_version)
    if version is None or version < state.position:
        return _not_after(state, version)
    return _alive(state, version), ()


def _alive(state: State, version: int) -> State:
    return _with(state, position=version, alive=True, failures=0, behind=0, brief=False)


def _not_after(state: State, version: int | None) -> Step:
    """The last event again is nothing new; anything older is from another history."""
    if version == state.position:
        return _with(state, alive=True), ()
    fault = Garbage(f"version {version} came after {state.position}: the server's history is another one")
    return _list_again(state, fault)


def _error(state: State, event: Error) -> Step:
    status = event.object
    if status.code == 410 or status.reason in ("Expired", "Gone"):
        return _expired(state)
    failures = state.failures + 1
    behind = state.behind + 1 if _too_new(status) else 0
    lost = status.code == 400 or behind >= TOO_NEW_LIMIT
    phase = Phase.LIST if lost else Phase.RESUME
    state = _with(state, phase=phase, failures=failures, behind=0 if lost else behind, brief=True)
    return state, (_trouble(event), Wait(failures, _asked(event)))


def _expired(state: State) -> Step:
    """Our position is out of the server's window. The first time in a row there is no need to wait."""
    failures = state.failures + 1
    state = _with(state, phase=Phase.LIST, failures=failures)
    if failures > 1:
        return state, (Wait(failures, None),)
    return _list(state, Begin())


def _ended(state: State, end: Ended) -> Step:
    if end.early:
        return _broke(state, end)
    if state.alive:
        return _resume(_with(state, phase=Phase.RESUME, failures=0), Begin())
    return _list(_with(state, phase=Phase.LIST, failures=0), Begin())


def _stalled(state: State, stall: Stalled) -> Step:
    return _broke(state, stall) if state.alive else _list_again(state, stall)


def _broke(state: State, fault: Broke | Ended | Stalled | Garbage) -> Step:
    failures = state.failures + 1
    state = _with(state, phase=Phase.RESUME, failures=failures, brief=True)
    return state, (_trouble(fault), Wait(failures, None))


def _list_again(state: State, fault: Stalled | Garbage) -> Step:
    failures = state.failures + 1
    return _with(state, phase=Phase.LIST, failures=failures), (_trouble(fault), Wait(failures, None))


# Words.


def _trouble(fault: Refused | Broke | Stalled | Ended | Error | Garbage) -> Trouble:
    if isinstance(fault, Refused):
        return Trouble(fault.message, fault.status)
    if isinstance(fault, Error):
        return Trouble(fault.object.message or "the server gave up the watch", fault.object.code or 500)
    if isinstance(fault, Stalled):
        return Trouble("the server went silent", 0)
    if isinstance(fault, Ended):
        return Trouble("the server ended the watch early", 0)
    return Trouble(fault.problem, 0)


def _asked(fault: Refused | Broke | Stalled | Ended | Error | Garbage) -> float | None:
    """Seconds that the server asks us to wait."""
    if isinstance(fault, Refused):
        return fault.retry_after
    if isinstance(fault, Error):
        seconds = (fault.object.details or {}).get("retryAfterSeconds")
        return float(seconds) if isinstance(seconds, int) else None
    return None


def _too_new(status: Any) -> bool:
    causes = (status.details or {}).get("causes") or ()
    return any(isinstance(cause, Mapping) and cause.get("reason") == "ResourceVersionTooLarge" for cause in causes)


def _number(version: str) -> int | None:
    """Versions are decimal numbers, comparable within one collection."""
    return int(version) if version.isdecimal() else None


TRANSITIONS: Final[Mapping[tuple[Phase, type], Transition]] = {
    (Phase.LIST, Begin): _list,
    (Phase.LIST, Opened): _list_opened,
    (Phase.LIST, Refused): _list_refused,
    (Phase.LIST, Broke): _list_failed,
    (Phase.LIST, Stalled): _list_failed,
    (Phase.STREAMING, Added): _initial_object,
    (Phase.STREAMING, Modified): _initial_object,
    (Phase.STREAMING, Deleted): _initial_deletion,
    (Phase.STREAMING, Unreadable): _initial_unreadable,
    (Phase.STREAMING, Bookmark): _initial_mark,
    (Phase.STREAMING, Error): _list_failed,
    (Phase.STREAMING, Garbage): _list_failed,
    (Phase.STREAMING, Ended): _list_failed,
    (Phase.STREAMING, Broke): _list_failed,
    (Phase.STREAMING, Stalled): _list_failed,
    (Phase.PAGING, Page): _page,
    (Phase.PAGING, Refused): _page_refused,
    (Phase.PAGING, Broke): _list_failed,
    (Phase.RESUME, Begin): _resume,
    (Phase.RESUME, Opened): _opened,
    (Phase.RESUME, Refused): _watch_refused,
    (Phase.RESUME, Broke): _broke,
    (Phase.RESUME, Stalled): _broke,
    (Phase.WATCHING, Added): _changed,
    (Phase.WATCHING, Modified): _changed,
    (Phase.WATCHING, Deleted): _deleted,
    (Phase.WATCHING, Unreadable): _unreadable,
    (Phase.WATCHING, Bookmark): _mark,
    (Phase.WATCHING, Error): _error,
    (Phase.WATCHING, Garbage): _broke,
    (Phase.WATCHING, Ended): _ended,
    (Phase.WATCHING, Broke): _broke,
    (Phase.WATCHING, Stalled): _stalled,
}
