"""Int-or-percent values."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.apimachinery.intstr import is_percent, percentage, scaled


@pytest.mark.parametrize(
    ("replicas", "value", "down", "up"),
    [(10, "25%", 2, 3), (4, "30%", 1, 2), (3, "25%", 0, 1), (1, "50%", 0, 1), (0, "50%", 0, 0), (7, 3, 3, 3)],
)
def test_spec_7_1_rounding(replicas: int, value: int | str, down: int, up: int) -> None:
    """The rounding samples of spec 7.1."""
    assert scaled(value, replicas, round_up=False) == down
    assert scaled(value, replicas, round_up=True) == up


@pytest.mark.parametrize(
    "text", ["1_0%", "１０%", "10%\n", " 10%", "10", "%", "", "10%%", "1.5%", "0x1%", "9" * 30 + "%"]
)
def test_only_ascii_digits_and_a_sign_scale(text: str) -> None:
    """What Go's parser refuses is refused here too."""
    with pytest.raises(ValueError, match=r"neither|out of range"):
        scaled(text, 10, round_up=True)


@pytest.mark.parametrize("text", ["1_0%", "１０%", "10%\n", "-5%", "+5%"])
def test_is_percent_is_anchored(text: str) -> None:
    """A percentage is ASCII digits and a percent sign from the first to the last character."""
    assert not is_percent(text)
    assert percentage(text) is None


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 2**31 - 1))
def test_rounding_brackets_the_exact_value(percent: int, total: int) -> None:
    """Down is at most the exact value and up at least, and they differ by at most one."""
    down, up = scaled(f"{percent}%", total, round_up=False), scaled(f"{percent}%", total, round_up=True)
    assert down * 100 <= percent * total <= up * 100
    assert up - down in (0, 1)
