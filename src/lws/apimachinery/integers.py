"""Decimal integers in annotations and labels, read and refused as Go's `strconv.Atoi` does."""

from __future__ import annotations

import re

from lws.apimachinery.gotext import quoted
from lws.errors import AdmissionError

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_DIGITS = 19  # of the largest 64-bit integer


def atoi(text: str) -> int:
    """The 64-bit integer that ``text`` spells: an optional sign and ASCII digits, nothing else.

    Raises:
        AdmissionError: it spells none, in the words of Go's ``strconv.Atoi`` (spec 4.1).
    """
    if not _INTEGER.fullmatch(text):
        raise AdmissionError(f"strconv.Atoi: parsing {quoted(text)}: invalid syntax")
    digits = text.lstrip("+-").lstrip("0") or "0"
    # Counting digits first keeps a megabyte of them from being converted.
    value = int(digits) if len(digits) <= _DIGITS else _HIGHEST + 2
    value = -value if text.startswith("-") else value
    if not _LOWEST <= value <= _HIGHEST:
        raise AdmissionError(f"strconv.Atoi: parsing {quoted(text)}: value out of range")
    return value
