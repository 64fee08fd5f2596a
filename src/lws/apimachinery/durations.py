"""Durations as Go writes them: ``1m30s``, ``1.5h``, ``300ms``."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE: Final = re.compile(rf"[+-]?({_PART.pattern})+")
_LARGEST: Final = 2.0**63 * 1e-9


def parse_duration(text: str) -> float:
    """Seconds of a Go duration; ``0`` needs no unit.

    Raises:
        ValueError: it is no Go duration.
    """
    if text in ("0", "+0", "-0"):
        return 0.0
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write it like 1m30s")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds >= _LARGEST:
        raise ValueError(f"{text!r} is out of range for a duration")
    return -seconds if text.startswith("-") else seconds


def format_duration(seconds: float) -> str:
    """The shortest of Go's own forms for a whole number of milliseconds, such as ``1m30s``."""
    millis = round(seconds * 1000)
    if millis < 1000:
        return f"{millis}ms" if millis else "0s"
    minutes, millis = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    rest = f"{millis / 1000:g}s"
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + rest
