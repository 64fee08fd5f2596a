"""Times as Go reads and writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_LAYOUT = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
_ELEMENTS = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d{2}"),
    ("-", "-"),
    ("02", r"\d{2}"),
    ("T", "T"),
    ("15", r"\d{2}"),
    (":", ":"),
    ("04", r"\d{2}"),
    (":", ":"),
    ("05", r"\d{2}(?:[.,]\d+)?"),
    ("Z07:00", r"(?:Z|[+-]\d{2}:\d{2})"),
)
_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?(Z|[+-]\d{2}:\d{2})", re.ASCII)


class TimeError(ValueError):
    """The text is no time; the message is Go's own."""


def parse(text: str, *, micro: bool = False) -> datetime:
    """Read an RFC 3339 time as Go's ``time.Parse`` does.

    Raises:
        TimeError: it is none.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise TimeError(_complaint(text, _MICRO_LAYOUT if micro else _LAYOUT))
    year, month, day, hour, minute, second = (int(match[place]) for place in range(1, 7))
    ranges = (("month", 1 <= month <= 12), ("hour", hour < 24), ("minute", minute < 60), ("second", second < 60))
    for name, fits in ranges:
        if not fits:
            raise TimeError(f'parsing time "{text}": {name} out of range')
    micros = int((match[7] or "0")[:6].ljust(6, "0"))
    try:
        moment = datetime(max(year, 1), month, day, hour, minute, second, micros, tzinfo=_zone(match[8]))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise TimeError(f'parsing time "{text}": day out of range') from None


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[4:6])))


def _complaint(text: str, layout: str) -> str:
    rest = text
    for element, pattern in _ELEMENTS:
        match = re.match(pattern, rest, re.ASCII)
        if match is None:
            shown = ".000000Z07:00" if layout == _MICRO_LAYOUT and element == "Z07:00" else element
            return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{shown}"'
        rest = rest[match.end() :]
    return f'parsing time "{text}": extra text: "{rest}"'


def render(moment: datetime, *, micro: bool = False) -> str:
    """A time as a server writes it: UTC, to the second, or to the microsecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")
