"""Integers as Go reads them."""

from __future__ import annotations

import pytest

from lws.apimachinery.integers import atoi
from lws.errors import AdmissionError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("+7", 7),
        ("-7", -7),
        ("007", 7),
        ("-0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("0" * 5000 + "1", 1),
    ],
)
def test_integers(text: str, value: int) -> None:
    """Signs and leading zeros are read, up to 64 bits."""
    assert atoi(text) == value


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "1" * 20])
def test_out_of_range(text: str) -> None:
    """Beyond 64 bits is another error than no integer."""
    with pytest.raises(AdmissionError) as caught:
        atoi(text)
    assert str(caught.value) == f'strconv.Atoi: parsing "{text}": value out of range'


@pytest.mark.parametrize("text", ["", "+", "-", "1_0", "１", "1 ", " 1", "1\n", "0x1", "1e3", "1.0", "٣"])
def test_no_integer(text: str) -> None:
    """Anything but an optional sign and ASCII digits is invalid syntax."""
    with pytest.raises(AdmissionError, match="invalid syntax"):
        atoi(text)
