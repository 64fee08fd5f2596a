"""Drills at the API: make it slow, make it fail, break its watches, forget its history."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

from lws_sandbox.rest.call import RequestInfo
from lws_sandbox.status import StatusError


@dataclass(slots=True)
class Fault:
    """What goes wrong with requests that match.

    Attributes:
        seconds: how long such a request is held before anything else.
        code: HTTP status with which it fails, 0 for none.
        share: of the requests that match, from 0 to 1.
        count: how many of them at most; None is without end.
        verbs: such as ``create``; empty matches each.
        resources: plurals; empty matches each.
        after: the request is done before its answer is lost, as when a connection breaks late.
    """

    seconds: float = 0.0
    code: int = 0
    share: float = 1.0
    count: int | None = None
    verbs: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    after: bool = False

    def hits(self, info: RequestInfo, random: Random) -> bool:
        """Whether this request is hit; counts it."""
        if self.count == 0 or (self.verbs and info.verb not in self.verbs):
            return False
        if self.resources and info.resource not in self.resources:
            return False
        if self.share < 1.0 and random.random() >= self.share:
            return False
        if self.count is not None:
            self.count -= 1
        return True


class Faults:
    """The faults in force."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._active: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """One more."""
        self._active.append(fault)

    def clear(self) -> None:
        """None any more."""
        self._active.clear()

    @property
    def active(self) -> tuple[Fault, ...]:
        """Those that may still hit."""
        return tuple(fault for fault in self._active if fault.count != 0)

    async def before(self, info: RequestInfo) -> list[Fault]:
        """Hold or fail a request; returns the faults that hit its answer.

        Raises:
            StatusError: it fails.
        """
        late: list[Fault] = []
        for fault in list(self._active):
            if not fault.hits(info, self._random):
                continue
            if fault.seconds:
                await asyncio.sleep(fault.seconds)
            if fault.code and fault.after:
                late.append(fault)
            elif fault.code:
                raise failure(fault.code)
        self._active = [fault for fault in self._active if fault.count != 0]
        return late


def failure(code: int) -> StatusError:
    """The failure of a drill, as a server in trouble would tell it."""
    reasons = {
        429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
        500: ("InternalError", "Internal error occurred: drill"),
        503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
    }
    reason, message = reasons.get(code, ("", f"drill: status {code}"))
    headers = {"retry-after": "1"} if code in (429, 503) else {}
    details = {"retryAfterSeconds": 1} if headers else None
    return StatusError(code, reason, message, details, headers)
