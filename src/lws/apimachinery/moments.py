"""Times as the API writes them, and as arithmetic needs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parsed(text: str | None) -> datetime | None:
    """A time of the API; None for none, or for what is none."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else found.replace(tzinfo=UTC)


def after(moment: datetime, seconds: float) -> datetime:
    """So many seconds later; the last moment there is if that were beyond it."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def rounded_up(moment: datetime) -> datetime:
    """The first whole second that is not before it: the API keeps no fractions."""
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else after(whole, 1)
