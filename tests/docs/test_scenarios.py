"""Every scenario of the specification that has a number has a test that bears it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"^\s*(?:async )?def test_(\w+)", re.MULTILINE)
NUMBER = re.compile(r"([a-z]+)(\d+)")


@dataclass(frozen=True, slots=True)
class Chapter:
    """The scenarios of one page.

    Attributes:
        letter: which their numbers begin with.
        page: where they stand.
        tests: where their tests are.
        last: the highest number.
    """

    letter: str
    page: str
    tests: str
    last: int

    @property
    def numbers(self) -> set[str]:
        """Those of the page."""
        text = (ROOT / "docs" / "spec" / self.page).read_text()
        return set(re.findall(rf"^\| ({self.letter}\d+)\W", text, re.MULTILINE))

    @property
    def tested(self) -> set[str]:
        """Those that the name of some test bears, written as on the page."""
        texts = (path.read_text() for path in (ROOT / self.tests).rglob("test_*.py"))
        names = (name for text in texts for name in NAMED.findall(text))
        return {number for name in names for number in borne(name) if number[0] == self.letter}


def borne(name: str) -> list[str]:
    """The numbers at the beginning of a test's name, as pages write them; ``n11_to_n14`` is four."""
    found: list[str] = []
    words = iter(name.split("_"))
    for word in words:
        ranged = word == "to" and bool(found)
        number = NUMBER.fullmatch(next(words, "") if ranged else word)
        if number is None:
            break
        letter, digits = number[1].upper(), number[2]
        first = int(found[-1][1:]) + 1 if ranged else int(digits)
        found += [f"{letter}{each:0{len(digits)}}" for each in range(first, int(digits) + 1)]
    return found


CHAPTERS = (
    Chapter("N", "next.md", "tests", 57),
    Chapter("A", "disaggregatedset.md", "tests/acceptance/disaggregatedset", 50),
    Chapter("R", "resilience.md", "tests", 45),
)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda each: each.page)
def test_every_scenario_has_a_test_of_its_number(chapter: Chapter) -> None:
    """And the page is read to its last scenario."""
    assert len(chapter.numbers) == chapter.last
    assert chapter.numbers - chapter.tested == set()


def test_names_are_read_as_they_are_written() -> None:
    """A test may bear several numbers, or a range; what only looks like one is none."""
    assert borne("n40_n47_gangs") == ["N40", "N47"]
    assert borne("n11_to_n14_roles") == ["N11", "N12", "N13", "N14"]
    assert borne("r02") == ["R02"]
    for other in ("nd_04_x", "row_7a", "to_n14", "gangs_n40"):
        assert borne(other) == []
