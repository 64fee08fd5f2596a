"""What goes into a watcher and what comes out of it, besides what a server sends (`lws.informers.decode`)."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from lws.informers.decode import Page, Unreadable, WatchEvent


class _Value(msgspec.Struct, frozen=True, gc=False):
    """Shape of every input and output."""


# Inputs.


class Begin(_Value, frozen=True):
    """Start, or go on after a wait."""


class Opened(_Value, frozen=True):
    """The server has begun to answer a watch."""


class Ended(_Value, frozen=True):
    """The server ended a watch; ``early``: well before the timeout that was requested."""

    early: bool


class Broke(_Value, frozen=True):
    """There was no answer, or it broke off."""

    problem: str


class Stalled(_Value, frozen=True):
    """The server was silent for longer than it may be."""


class Refused(_Value, frozen=True):
    """The server answered with a failure.

    ``too_new`` says that our position is ahead of the server's; ``retry_after`` is in seconds.
    """

    status: int
    message: str
    retry_after: float | None = None
    too_new: bool = False


Input: TypeAlias = Begin | Opened | Ended | Broke | Stalled | Refused | Page[Any] | WatchEvent


# Outputs for the cache.


class ListBegun(_Value, frozen=True):
    """Buffer what comes until `ListEnded`."""


class Items(_Value, frozen=True):
    """Objects of the list."""

    objects: tuple[Any, ...]


class Erased(_Value, frozen=True):
    """This object left the list before it was whole."""

    object: Any


class ListEnded(_Value, frozen=True):
    """The list is whole: swap it in."""


class ListDropped(_Value, frozen=True):
    """The list came to nothing: forget the buffer."""


class Put(_Value, frozen=True):
    """This object is new or changed."""

    object: Any


class Removed(_Value, frozen=True):
    """This object is gone."""

    object: Any


class Skipped(_Value, frozen=True):
    """This object cannot be read; what the cache has of it stays, unless it was deleted."""

    unreadable: Unreadable
    listed: bool


# Outputs for health and logs.


class Trouble(_Value, frozen=True):
    """Something is wrong; ``status`` is that of the answer, 0 if there was none."""

    problem: str
    status: int


class Recovered(_Value, frozen=True):
    """The server answers as it should again."""


# Commands.


class Open(_Value, frozen=True):
    """Open a watch from ``position``; None asks for a streamed list first. A ``brief`` one ends soon."""

    position: int | None
    brief: bool


class Fetch(_Value, frozen=True):
    """Get a page; a ``limit`` of 0 asks for everything."""

    token: str
    limit: int


class Wait(_Value, frozen=True):
    """Wait, the longer the more failures there were, and at least as long as the server asks (seconds)."""

    failures: int
    at_least: float | None


Command: TypeAlias = Open | Fetch | Wait
Output: TypeAlias = (
    ListBegun | Items | Erased | ListEnded | ListDropped | Put | Removed | Skipped | Trouble | Recovered | Command
)
