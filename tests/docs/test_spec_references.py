"""References to the specification resolve, and the reader of references finds those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hack.spec_references import PAGES, Page, broken, check, read_book, read_page, references, texts

ROOT = Path(__file__).parents[2]
BOOK = read_book(ROOT / "docs" / "spec")
PAGE = """# A page
## 1. Rules
1. The first.
2. The second, see 2.1.

## 2. Tables (CD-01)
### 2.1 Rows
| # | What |
|---|---|
| 7a | one |
| 8, 9 | two |
| CD-01 | a deviation |
| R02® | a scenario |
| **S1. Defaults.** One. |

## Appendix A. Forms
| A1 | a rule |
"""


def test_every_reference_of_the_repository_resolves() -> None:
    """Code, tests, manifests and pages refer to nothing that the specification does not have."""
    assert check(ROOT) == []


def test_the_whole_repository_is_read() -> None:
    """The product, its tests, manifests, build files and all pages are looked at; recordings are not."""
    found = {str(path.relative_to(ROOT)) for path in texts(ROOT)}
    assert {"Makefile", "pyproject.toml", "ARCHITECTURE.md", "src/lws/__init__.py", "docs/spec/next.md"} <= found
    assert {"config", "charts", "examples", "hack", "tests"} <= {name.split("/")[0] for name in found}
    assert not [name for name in found if name.startswith((".venv", "tests/data"))]


def test_a_page_offers_sections_items_and_marks() -> None:
    """Headings, numbered lists, rows of tables, deviations and scenarios can be referred to."""
    page = read_page(PAGE)
    assert dict(page.sections) == {
        "1": {"1", "2"},
        "2": frozenset(),
        "2.1": {"7a", "8", "9"},
        "appendix A": frozenset(),
    }
    assert page.marks == {"CD-01", "R02", "S1", "A1"}
    assert (page.has("1.2"), page.has("1.3"), page.has("2.1", "7a"), page.has("2.1", "7")) == (True, False, True, False)


@pytest.mark.parametrize("word", PAGES)
def test_every_page_is_one_to_refer_to(word: str) -> None:
    """Each page has sections, and every section number is there once."""
    assert len(BOOK[word].sections) >= 7
    text = (ROOT / "docs" / "spec" / PAGES[word]).read_text()
    assert text.count("\n## ") + text.count("\n### ") == len(BOOK[word].sections) + text.count("\n## Appendix. ")


@pytest.mark.parametrize(
    "text",
    [
        "(spec 5.5)",
        "(spec 5.5 steps 1 to 4)",
        "the words of spec 3.2, rule 1",
        "rules 1 to 5 of spec 3.1, and more",
        "(spec 1.2 to 1.4, CD-08, CD-19)",
        "(spec 8.3.6)",
        "(spec appendix A), rule A6",
        "(spec 5.5, 9, CD-01)",
        "# of the leader (spec 5.3,\n    # 5.6)",
        "every row of S1 to S21",
        "CD-28, DD-05, OD-01, ND-03, W-01",
        "operations 4; next 5.4 row 9b; operator 5.3; resilience 3.2; disaggregatedset 6.3 rule 7",
        "operator A04, disaggregatedset A04, N12, R07, A60, E3",
        "in the next 30 seconds; the operator 3 pods; 1.5 times; Python 3.11; 192.168.77.99; v0.99",
    ],
)
def test_references_that_are_there_pass(text: str) -> None:
    """Each form of a reference to something that is there is accepted; other numbers are no references."""
    assert not list(broken(text, BOOK))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(spec 5.77)", "spec 5.77"),
        ("(spec 99)", "spec 99"),
        ("(spec 5.5 step 40)", "spec 5.5 step 40"),
        ("(spec 5.5 steps 1 to 40)", "spec 5.5 steps 1 to 40"),
        ("(spec 9.2 row 10)", "spec 9.2 row 10"),
        ("rules 1 to 6 of spec 3.1", "spec 3.1"),
        ("(spec 8.3.60)", "spec 8.3.60"),
        ("(spec 1.2 to 1.44)", "spec 1.44"),
        ("(spec 5.5, 5.66, CD-01)", "spec 5.66"),
        ("(spec 5.5, 99)", "spec 99"),
        ("# as said there (spec 5.5,\n    # 5.66)", "spec 5.66"),
        ("(spec 4.1 and 4.99)", "spec 4.99"),
        ("(spec appendix C)", "spec appendix C"),
        ("(operations 44)", "operations 44"),
        ("(next 5.44)", "next 5.44"),
        ("(next 44)", "next 44"),
        ("(operator 5.33)", "operator 5.33"),
        ("(resilience 3.22)", "resilience 3.22"),
        ("(disaggregatedset 6.33)", "disaggregatedset 6.33"),
        ("CD-99", "CD-99"),
        ("CD-6", "CD-6"),
        ("(spec CD-99)", "spec CD-99"),
        ("DD-99", "DD-99"),
        ("OD-99", "OD-99"),
        ("ND-99", "ND-99"),
        ("W-99", "W-99"),
        ("S22", "S22"),
        ("N99", "N99"),
        ("R99", "R99"),
        ("A99", "A99"),
        ("A04", "A04"),
        ("disaggregatedset A51", "disaggregatedset A51"),
        ("resilience N12", "resilience N12"),
        ("LWS 5.5", "LWS 5.5"),
        ("DS 6.3", "DS 6.3"),
        ("§5.4", "§5.4"),
        ("`next.md` 5.3", "next.md` 5.3"),
        ("(disaggregatedset spec 5.4)", "disaggregatedset spec 5.4"),
        ("once the update is done (8.4)", "(8.4)"),
    ],
)
def test_references_that_are_broken_are_found(text: str, words: str) -> None:
    """Each form of a reference is found out when there is nothing under it, or when it is ambiguous or ill written."""
    assert {found for _, found in broken(text, BOOK)} == {words}


def test_a_scenario_of_several_pages_is_that_of_the_folder() -> None:
    """Where a folder belongs to one page, its scenarios need no page in front of them."""
    assert not list(broken("A04", BOOK, scope="operator"))
    assert list(broken("A51", BOOK, scope="disaggregatedset")) == []  # only one page has it
    assert list(broken("A77", BOOK, scope="operator"))


def test_the_line_of_a_reference_is_told() -> None:
    """A broken reference is reported with the line that it is in."""
    assert list(broken("one\ntwo **bold** (spec 5.5)\nthree (spec 5.77)\n", BOOK)) == [(3, "spec 5.77")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("as in 9.9.", ["next 9.9"]),
        ("(section 99, 3.3)", ["next 99"]),
        ("| 3.99 | CD-99 |", ["next 3.99", "CD-99"]),
        ("spec 5.55, 5.56; 3.55", ["spec 5.55", "spec 5.56", "next 3.55"]),
        ("### 3.5 Hash (replaces spec 5.22)", ["spec 5.22"]),
        ("`9.9`, Kubernetes 1.36, TLS 1.2, v0.11.1, 0.5, 1.0, and 3.4 step 2", []),
        ("```yaml\nimage: nginx:9.9  # 9.9\n```", []),
    ],
)
def test_in_a_page_numbers_refer_to_the_page(text: str, words: list[str]) -> None:
    """A number with a point, or after "section", is looked for in the page itself; code and versions are left alone."""
    assert [found for _, found in broken(text, BOOK, own="next")] == words


def test_items_belong_to_the_section_they_are_named_with() -> None:
    """Items before ``of`` belong to the first section, items after a section to that one."""
    found = list(references("rows 3 and 4 of spec 9.2, 5.5 step 10", ""))
    assert [(each.section, each.item) for each in found] == [("9.2", "3"), ("9.2", "4"), ("5.5", "10")]


def test_a_page_without_anything_has_nothing() -> None:
    """A text without headings offers nothing to refer to."""
    assert read_page("nothing 5.5") == Page({}, frozenset())
