"""Decimal integers in annotations and labels, read and refused as Go reads and refuses them."""

from __future__ import annotations

import re

from lws.errors import AdmissionError

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_DIGITS = 19  # of the largest 64-bit integer
_ESCAPES = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


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


def quoted(text: str) -> str:
    """``text`` as a Go string literal (``%q``): printable characters as they are, all others escaped."""
    return '"' + "".join(_ESCAPES.get(character) or _escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
