"""How many groups were ready in each minute of the last hour, as far back as anybody looked."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Final

from lws.apimachinery.objects import Key

MINUTES: Final = 60


class Strips:
    """The lowest number of ready groups in each minute, by set.

    Args:
        began: when looking began.
    """

    def __init__(self, began: datetime) -> None:
        self._began = began
        self._seen: dict[Key, OrderedDict[int, tuple[int, int]]] = {}

    def note(self, key: Key, now: datetime, ready: int, want: int) -> None:
        """So many groups are ready now, of so many that are wanted."""
        minutes, minute = self._seen.setdefault(key, OrderedDict()), _minute(now)
        before = minutes.get(minute)
        if before is None and minutes:
            last = next(reversed(minutes.values()))
            before = last if last[1] == want else None  # it was so when the minute began
        lowest = ready if before is None or before[1] != want else min(before[0], ready)
        minutes[minute] = (lowest, want)
        self._pending(key, minute, ready, want)
        while len(minutes) > 1 and list(minutes)[1] <= minute - MINUTES:
            minutes.popitem(last=False)

    def _pending(self, key: Key, minute: int, ready: int, want: int) -> None:
        """What holds from the next minute on is what is now, not the lowest of this one."""
        minutes = self._seen[key]
        minutes.pop(minute + 1, None)
        if minutes[minute] != (ready, want):
            minutes[minute + 1] = (ready, want)

    def drop(self, key: Key) -> None:
        """The set is gone."""
        self._seen.pop(key, None)

    def of(self, key: Key, now: datetime) -> dict[str, Any]:
        """For each minute of the last hour, oldest first, ``[ready, wanted]``; None before anybody looked."""
        minutes, last = self._seen.get(key, OrderedDict()), _minute(now)
        bins: list[list[int] | None] = []
        value: tuple[int, int] | None = None
        for minute in sorted(one for one in minutes if one <= last - MINUTES):
            value = minutes[minute]
        for minute in range(last - MINUTES + 1, last + 1):
            value = minutes.get(minute, value)
            bins.append(None if value is None else [*value])
        return {"since": self._began.isoformat(timespec="seconds").replace("+00:00", "Z"), "bins": bins}


def _minute(now: datetime) -> int:
    return int(now.astimezone(UTC).timestamp() // 60)
