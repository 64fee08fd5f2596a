"""Go's durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws.apimachinery.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("300ms", 0.3),
        ("2h45m", 9900),
        ("0", 0),
        ("0s", 0),
        ("-1.5m", -90),
        ("+5s", 5),
        (".5s", 0.5),
        ("1.s", 1),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("100ns", 1e-7),
        ("1h1m1s1ms", 3661.001),
    ],
)
def test_go_durations_are_read(text: str, seconds: float) -> None:
    """Every form that time.ParseDuration takes is read as it reads it."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "15", "s", "1 s", "1d", "1S", "s1", "1s-", "--1s", "1..5s", "1_0s", "１s", "15s\n", "3000000h"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """What time.ParseDuration refuses is refused, with the text in the message."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10_000_000))
def test_a_written_duration_reads_as_itself(millis: int) -> None:
    """Writing a duration and reading it again loses nothing down to the millisecond."""
    assert parse_duration(format_duration(millis / 1000)) == pytest.approx(millis / 1000)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.3, "300ms"), (15, "15s"), (90, "1m30s"), (3600, "1h0m0s"), (1.5, "1.5s")]
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    """The form is that of Go's Duration.String."""
    assert format_duration(seconds) == text
