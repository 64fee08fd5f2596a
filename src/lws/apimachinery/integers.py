"""Decimal integers that somebody wrote into a label, an annotation or a name.

Guarantees: no text, however long, takes more than its length to read, and no value beyond the stated range comes back.
`natural` is for those who go on without the number; `atoi` refuses it in the words of Go's `strconv.Atoi`.
"""

from __future__ import annotations

import re
from typing import Final

from lws.apimachinery.gotext import quoted
from lws.errors import AdmissionError

MAX_INT32: Final = 2**31 - 1

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_DIGITS = 19  # of the largest 64-bit integer


def natural(text: str | None, lowest: int = 0, highest: int = MAX_INT32) -> int | None:
    """The integer from ``lowest`` to ``highest`` that ASCII digits spell; None for any other text, or none."""
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(highest)):
        return None
    value = int(digits)
    return value if lowest <= value <= highest else None


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
