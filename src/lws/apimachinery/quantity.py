"""Kubernetes resource quantities: parse, compare, add, and write in canonical form.

A quantity is an exact decimal number and the notation in which it was written (`100m`, `1Gi`, `1e3`). Writing it back
follows the server byte for byte, its habits included: a text that looks canonical enough is repeated as it was given
(`1.500`), values finer than a billionth are rounded away from zero, and binary quantities are capped at 2^63-1.
Values never pass through floating point. Two limits are our own: exponents above 4000 and numbers of more than 128
digits are refused, because computing with them would take the memory of the machine.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Final

_NUMBER: Final = re.compile(r"([+-]?)0*([0-9]*)(\.[0-9]*)?", re.ASCII)
_SUFFIX: Final = re.compile(r"[eEinumkKMGTP]*[-+]?[0-9]*", re.ASCII)
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)
_NANO: Final = -9
_MAX_EXPONENT: Final = 4000
_MAX_DIGITS: Final = 128
_CAP: Final = 2**63 - 1
_DECIMAL: Final = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX: Final = {exponent: suffix for suffix, exponent in _BINARY.items()}

FORMAT_MESSAGE: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
NUMERIC_MESSAGE: Final = "unable to parse numeric part of quantity"
SUFFIX_MESSAGE: Final = "unable to parse quantity's suffix"


class QuantityError(ValueError):
    """The text is not a quantity; the message is the API server's own."""


class Notation(Enum):
    """How a quantity is written."""

    DECIMAL = "DecimalSI"
    BINARY = "BinarySI"
    EXPONENT = "DecimalExponent"
    NONE = ""


@functools.total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """The number ``mantissa`` · 10^``exponent``, and its notation.

    Quantities compare by value whatever their notation. ``text`` is the form to be repeated when it was written so.
    """

    mantissa: int
    exponent: int = 0
    notation: Notation = Notation.DECIMAL
    text: str = field(default="", repr=False)

    @classmethod
    def parse(cls, value: str | int | float | None) -> Quantity:
        """Read a quantity as JSON holds it: text, a number, or null, which reads as zero.

        Raises:
            QuantityError: the text is no quantity.
        """
        if value is None:
            return ZERO
        if isinstance(value, bool):
            raise QuantityError(FORMAT_MESSAGE)
        return _parse(value.strip() if isinstance(value, str) else _number_text(value))

    def __str__(self) -> str:
        return self.text or self.canonical()

    def canonical(self) -> str:
        """The canonical form: no fraction, no digit lost, the largest suffix that allows both."""
        if not self.mantissa:
            return "0"
        if self.notation is Notation.BINARY:
            whole = self._whole()
            if whole is not None and not -1024 < whole < 1024:
                power = 0
                while whole % 1024 == 0:
                    whole //= 1024
                    power += 10
                return f"{whole}{_BINARY_SUFFIX.get(power, '')}"
        mantissa, exponent = _strip(self.mantissa, self.exponent)
        shift = exponent % 3
        mantissa, exponent = mantissa * 10**shift, exponent - shift
        if self.notation in (Notation.EXPONENT, Notation.NONE):
            return f"{mantissa}e{exponent}" if exponent else str(mantissa)
        return f"{mantissa}{_DECIMAL_SUFFIX.get(exponent, '')}"

    def scaled(self, exponent: int = 0) -> int:
        """The value in units of 10^exponent, rounded away from zero."""
        shift = self.exponent - exponent
        if shift >= 0:
            return self.mantissa * int(10**shift)
        return _round_away(self.mantissa, -shift)

    def value(self) -> int:
        """The value in whole units, rounded away from zero."""
        return self.scaled(0)

    def milli_value(self) -> int:
        """The value in thousandths, rounded away from zero."""
        return self.scaled(-3)

    def rounded_up(self, exponent: int) -> Quantity:
        """The quantity rounded away from zero to a multiple of 10^exponent; unchanged if it is coarser already."""
        if self.exponent >= exponent:
            return self
        return Quantity(self.scaled(exponent), exponent, self.notation)

    def __add__(self, other: Quantity) -> Quantity:
        notation = self.notation if self.mantissa else other.notation
        exponent = min(self.exponent, other.exponent)
        return Quantity(self.scaled(exponent) + other.scaled(exponent), exponent, notation)

    def __sub__(self, other: Quantity) -> Quantity:
        return self + -other

    def __neg__(self) -> Quantity:
        return Quantity(-self.mantissa, self.exponent, self.notation)

    def __mul__(self, factor: int) -> Quantity:
        return Quantity(self.mantissa * factor, self.exponent, self.notation)

    def __bool__(self) -> bool:
        return self.mantissa != 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Quantity):
            return NotImplemented
        return _strip(self.mantissa, self.exponent) == _strip(other.mantissa, other.exponent)

    def __lt__(self, other: Quantity) -> bool:
        if (self.mantissa > 0) is not (other.mantissa > 0) or not self.mantissa or not other.mantissa:
            return self._sign() < other._sign()
        ours, theirs = self._magnitude(), other._magnitude()
        if ours != theirs:
            return (ours < theirs) is (self.mantissa > 0)
        exponent = min(self.exponent, other.exponent)
        return self.scaled(exponent) < other.scaled(exponent)

    def __hash__(self) -> int:
        return hash(_strip(self.mantissa, self.exponent))

    def _sign(self) -> int:
        return (self.mantissa > 0) - (self.mantissa < 0)

    def _magnitude(self) -> int:
        return len(str(abs(self.mantissa))) + self.exponent

    def _whole(self) -> int | None:
        mantissa, exponent = _strip(self.mantissa, self.exponent)
        return mantissa * 10**exponent if exponent >= 0 else None


ZERO: Final = Quantity(0, 0, Notation.NONE)


def canonical(value: str | int | float | None) -> str:
    """A quantity as the server writes it back.

    Raises:
        QuantityError: the text is no quantity.
    """
    return str(Quantity.parse(value))


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> Quantity:
    if not text:
        raise QuantityError(FORMAT_MESSAGE)
    number = _NUMBER.match(text)
    assert number is not None  # every part is optional
    sign, digits, fraction = number[1], number[2], (number[3] or ".")[1:]
    suffix = text[number.end() :]
    if _SUFFIX.fullmatch(suffix) is None:
        raise QuantityError(FORMAT_MESSAGE)
    notation, exponent = _interpret(suffix)
    if len(digits) + len(fraction) > _MAX_DIGITS:
        raise QuantityError(NUMERIC_MESSAGE)
    digits = digits or "0"
    mantissa = int(digits + fraction) * (-1 if sign == "-" else 1)
    if notation is Notation.BINARY:
        if not fraction and 14 - len(digits) - exponent * 3 // 10 >= 0:
            repeat = bool(int(digits) & 7)
            return Quantity(mantissa << exponent, 0, notation, text if repeat else "")
        return _slow(number[0], mantissa << exponent, -len(fraction), notation)
    scale = exponent - len(fraction)
    if len(digits) + len(fraction) <= 18 and scale >= _NANO:
        shifted = digits + fraction
        repeat = scale % 3 == 0 and not shifted.endswith("000") and shifted[0] != "0"
        return Quantity(mantissa, scale, notation, text if repeat or text == "0" else "")
    return _slow(number[0], mantissa, scale, notation)


def _slow(number: str, mantissa: int, scale: int, notation: Notation) -> Quantity:
    """Values beyond 18 digits or a billionth: rounded up, and binary ones capped."""
    if not any(character.isdigit() for character in number):
        raise QuantityError(NUMERIC_MESSAGE)
    if mantissa and scale < _NANO:
        mantissa, scale = _round_away(mantissa, _NANO - scale), _NANO
    if notation is Notation.BINARY and mantissa:
        size = abs(mantissa)
        if size > _CAP * 10**-scale:
            mantissa, scale = (_CAP if mantissa > 0 else -_CAP), 0
        elif size < 10**-scale:
            notation = Notation.DECIMAL
    return Quantity(mantissa, scale, notation)


def _interpret(suffix: str) -> tuple[Notation, int]:
    if suffix in _DECIMAL:
        return Notation.DECIMAL, _DECIMAL[suffix]
    if suffix in _BINARY:
        return Notation.BINARY, _BINARY[suffix]
    match = _EXPONENT.fullmatch(suffix)
    exponent = int(match[1]) if match and len(match[1]) < 24 else None
    if exponent is None or not -(2**63) <= exponent < 2**63:
        raise QuantityError(SUFFIX_MESSAGE)
    exponent = (exponent + 2**31) % 2**32 - 2**31  # the server keeps 32 bits of it
    if exponent > _MAX_EXPONENT:
        raise QuantityError(SUFFIX_MESSAGE)
    return Notation.EXPONENT, exponent


def _round_away(mantissa: int, places: int) -> int:
    """The mantissa without its last decimal places, rounded away from zero."""
    size = abs(mantissa)
    rounded = 1 if places > len(str(size)) else -(-size // 10**places)
    return 0 if not mantissa else rounded if mantissa > 0 else -rounded


def _strip(mantissa: int, exponent: int) -> tuple[int, int]:
    """The same number without trailing zeros in its mantissa."""
    if not mantissa:
        return 0, 0
    while mantissa % 10 == 0:
        mantissa //= 10
        exponent += 1
    return mantissa, exponent


def _number_text(value: int | float) -> str:
    """A JSON number as the server's encoder writes it."""
    if isinstance(value, int):
        return str(value)
    text = repr(value)
    if 1e-6 <= abs(value) < 1e21 or not value:
        return format(Decimal(text), "f").removesuffix(".0")
    return text.replace("e-0", "e-")
