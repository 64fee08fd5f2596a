"""Resource quantities; the expectations are those of k8s.io/apimachinery's own tests and of a recorded server."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.apimachinery.quantity import Notation, Quantity, QuantityError, canonical

SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2", "e+6"]
TEXTS = st.builds(
    lambda sign, whole, fraction, suffix: f"{sign}{whole}{fraction}{suffix}",
    st.sampled_from(["", "-", "+"]),
    st.text("0123456789", min_size=1, max_size=12),
    st.one_of(st.just(""), st.text("0123456789", max_size=12).map(".{}".format)),
    st.sampled_from(SUFFIXES),
)


def number(quantity: Quantity) -> Fraction:
    """The exact value."""
    return quantity.mantissa * Fraction(10) ** quantity.exponent


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.0001", "100u"),
        ("128974848", "128974848"),
        ("129M", "129M"),
        ("1.500", "1.500"),
        ("100.035k", "100.035k"),
        ("1e3", "1e3"),
        ("1E3", "1E3"),
        ("1e14", "100e12"),
        ("-1.5Gi", "-1536Mi"),
        ("1023Ki", "1023Ki"),
        ("0.5Ki", "512"),
        ("100.035Ki", "102435840m"),
        ("0.000000000001Ki", "2n"),
        ("3.001n", "4n"),
        ("1.1E-9", "2e-9"),
        ("0.5e-9", "1e-9"),
        ("9Ei", "9223372036854775807"),
        ("12E", "12E"),
        ("0", "0"),
        ("0Ki", "0"),
        ("-0", "0"),
        (".001", "1m"),
        ("1.G", "1.G"),
        (1, "1"),
        (0.5, "500m"),
        (1.5e16, "15P"),
        (1e22, "10e21"),
        (0.00001, "10u"),
        (1e-7, "100e-9"),
        (1073741824, "1073741824"),
        (None, "0"),
        (" 1 ", "1"),
    ],
)
def test_written_back_as_the_server_does(written: str | float | None, shown: str) -> None:
    """A quantity is written back byte for byte as the server writes it."""
    assert canonical(written) == shown


@pytest.mark.parametrize(
    "text",
    ["", "1.1.M", "1+1.0M", "0.1mi", "0.1am", "aoeu", ".5i", "1i", "-3.01e-", "1e3m", "１", "1 Gi", "0x10", "1_0"],
)
def test_no_quantity(text: str) -> None:
    """What the server refuses is refused."""
    with pytest.raises(QuantityError):
        Quantity.parse(text)


def test_messages_are_the_servers() -> None:
    """The three texts of the server, each for its fault."""
    with pytest.raises(QuantityError, match="quantities must match the regular expression"):
        Quantity.parse("1e3m")
    with pytest.raises(QuantityError, match="unable to parse quantity's suffix"):
        Quantity.parse("1i")
    with pytest.raises(QuantityError, match="unable to parse numeric part of quantity"):
        Quantity.parse(".e-20")


@pytest.mark.parametrize("text", ["1e999999999", "9" * 10_000, "1e99999999999999999999"])
def test_hostile_sizes_are_refused(text: str) -> None:
    """No text makes the reader compute with numbers of unbounded size."""
    with pytest.raises(QuantityError):
        Quantity.parse(text)


@pytest.mark.parametrize(
    ("terms", "total"),
    [
        (["100m", "100m", "100m"], "300m"),
        (["500m", "0.5"], "1"),
        (["1Gi", "512Mi"], "1536Mi"),
        (["0", "1Gi"], "1Gi"),
        (["1Gi", "1000"], "1073742824"),
        (["1", "1Ki"], "1025"),
        ([], "0"),
    ],
)
def test_sums_keep_the_first_notation(terms: list[str], total: str) -> None:
    """A sum is written in the notation of its first term that is not zero."""
    summed = Quantity(0)
    for term in terms:
        summed += Quantity.parse(term)
    assert str(summed) == total


def test_values_round_away_from_zero() -> None:
    """Whole and milli values round away from zero; rounding to a scale does too."""
    assert Quantity.parse("1500m").value() == 2
    assert Quantity.parse("-1500m").value() == -2
    assert Quantity.parse("0.0001").milli_value() == 1
    assert str(Quantity.parse("0.0001").rounded_up(-3)) == "1m"
    assert str(Quantity.parse("9.01").rounded_up(1)) == "10"
    assert Quantity.parse("2k").scaled(3) == 2


def test_equal_values_are_equal_in_any_notation() -> None:
    """Equality, order and hashes follow the value."""
    assert Quantity.parse("1Gi") == Quantity.parse("1073741824")
    assert hash(Quantity.parse("1000m")) == hash(Quantity.parse("1"))
    assert Quantity.parse("1").notation is not Quantity.parse("1e0").notation is Notation.EXPONENT
    assert Quantity.parse("1") != "1"


@settings(deadline=None)
@given(TEXTS)
def test_writing_is_idempotent_and_keeps_the_value(text: str) -> None:
    """Reading what was written gives the same value and the same text again."""
    quantity = Quantity.parse(text)
    again = Quantity.parse(quantity.canonical())
    assert again.canonical() == quantity.canonical()
    if abs(number(quantity)) < Fraction(10) ** 21:  # the server itself loses the suffix beyond exa
        assert again == quantity


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_arithmetic_is_exact(left: str, right: str) -> None:
    """Sums, differences and comparisons are those of the exact numbers."""
    a, b = Quantity.parse(left), Quantity.parse(right)
    assert number(a + b) == number(a) + number(b)
    assert number(a - b) == number(a) - number(b)
    assert (a < b) == (number(a) < number(b))
    assert (a == b) == (number(a) == number(b))
    assert number(a * 3) == 3 * number(a)
    assert bool(a) == (number(a) != 0)
