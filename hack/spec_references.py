"""References to the specification: what its pages offer, and which references of a text do not resolve.

``docs/spec/README.md`` says how references are written. In short:

* ``spec 5.5``, ``spec 1.2 to 1.4, 5.3``, ``spec 5.5 step 10``, ``spec appendix A``: a section, or an item of its list
  or table. ``spec`` is the page on LeaderWorkerSets; the other pages go by their own names, as in ``next 5.4``.
* ``CD-28``: a row in a table of deviations. ``S4``, ``N26``, ``operator A04``: a scenario.
* In a page itself, ``section 7`` and any number with a point refer to that page.

``python -m hack.spec_references`` prints what does not resolve in this repository.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = Path("docs") / "spec"
# The word that refers to a page, and its file.
PAGES: Final = {
    "spec": "leaderworkerset.md",
    **{name: f"{name}.md" for name in ("disaggregatedset", "next", "operations", "operator", "resilience")},
}
# In these folders a scenario that several pages have is the one of this page.
SCOPES: Final = {"disaggregatedset": "disaggregatedset", "operand": "operator"}
SUFFIXES: Final = {".md", ".py", ".yaml", ".toml", ".sh", ""}
# What is built, recordings, foreign words, and broken ones on purpose.
SKIPPED: Final = {"build", "data", "LICENSE", "test_spec_references.py"}

# The parts: a section (5.5, appendix A), an item of it (10, 7a), a marked row (CD-28, S4), what joins them to lists.
_SECTION: Final = r"(?:appendix [A-Z]|[1-9]\d?(?:\.[1-9]\d?){0,2})(?![\w-]|\.\d)"
_ITEM: Final = r"\d{1,2}[a-z]?(?![\w-]|\.\d)"
_MARK: Final = r"(?:[CDNO]D|W)-\d+|[ANRS]\d{1,2}|E\d"
_AND: Final = r"(?:,? +(?:and|or|to) +|, +|–)"
_KIND: Final = r"(?:steps?|rules?|rows?|items?|events?|cases?)"
_ITEMS: Final = rf"{_KIND} +{_ITEM}(?:{_AND}{_ITEM})*"
_ONE: Final = rf"{_SECTION}(?:,? +{_ITEMS})?"
_END: Final = rf"(?= *(?:[|),;.:\]\"]|$)| +(?:and|or|to|{_KIND}) )"  # after a number that is not a count of something
_LIST: Final = rf"{_ONE}(?:{_AND}(?=\d+\.|\d+{_END}|appendix ){_ONE})*"
_PAGE: Final = rf"(?<![\w.-])(?P<page>{'|'.join(PAGES)}) +"
# The references: a list of sections of a page or a marked row of it; own sections of a page; a marked row of any page.
_HEAD: Final = re.compile(
    rf"(?:(?P<items>{_ITEMS}) +of +)?{_PAGE}(?:(?P<marks>{_MARK})\b|(?P<list>{_LIST}))"
    rf"|(?P<own>\bsections? +{_LIST}|(?<![\w.-])(?=[1-9]\d?\.\d){_LIST})"
    rf"|(?<![\w./-])(?P<mark>{_MARK})(?![\w-]|\.\w)"
)
_EACH: Final = re.compile(rf"({_SECTION})(?:,? +({_ITEMS}))?")
_COUNT: Final = re.compile(rf"(?:next|operator) +\d+(?!\d|\.\d|{_END})")  # "the next 10 minutes"
# What is no reference as agreed, but is meant as one.
_FOREIGN: Final = re.compile(
    r"§ *\w+(?:\.\d+)*|\b(?:LWS|DS) \d+\.\d+|\b[a-z]+\.md`? +\d+(?:\.\d+)*"
    rf"|\b(?:{'|'.join(PAGES)}|operand) spec (?:\d|appendix)[\d.]*"
)
_PAGELESS: Final = re.compile(r"(?<=[a-z`\"] )\([1-9]\d?\.[1-9]\d?(?:, [1-9]\d?\.[1-9]\d?)*\)")
# In a page: code, and numbers with a point that are versions.
_APART: Final = re.compile(
    r"^```.*?^```$|`[^`\n]+`|(?:Kubernetes|OpenShift|TLS) [<≥]? ?\d+\.\d+(?:–\d+\.\d+)?", re.DOTALL | re.MULTILINE
)
# What a page offers: headings, numbers of list items and table rows, marked rows.
_HEADING: Final = re.compile(r"^#{2,4} (?:(Appendix) ([A-Z])|(\d+(?:\.\d+)*))\.? ", re.MULTILINE)
_FIRST: Final = re.compile(r"^(?:\| ([^|\n]+?) \||(\d+[a-z]?)\. )", re.MULTILINE)
_MARKED: Final = re.compile(rf"^(?:\| )?(?:\*\*)?({_MARK})®?(?:\*\*)?(?: \||[.,])", re.MULTILINE)


class Page(NamedTuple):
    """What can be referred to in one page: sections with the numbers of their items, and marked rows."""

    sections: Mapping[str, frozenset[str]]
    marks: frozenset[str]

    def has(self, section: str, item: str = "") -> bool:
        """Whether the section is there, and this item in it; ``8.3.6`` is also item 6 of 8.3."""
        parent, _, last = section.rpartition(".")
        if section not in self.sections:
            return not item and last in self.sections.get(parent, ())
        return not item or item in self.sections[section]


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference of a text: to a section and perhaps an item of it, or to a marked row. No page: any."""

    line: int
    text: str
    page: str
    section: str = ""
    item: str = ""
    mark: str = ""


Book = Mapping[str, Page]


def read_book(folder: Path) -> Book:
    """Every page, by the word that refers to it."""
    return {word: read_page((folder / name).read_text(encoding="utf-8")) for word, name in PAGES.items()}


def read_page(text: str) -> Page:
    """Find what a page's text lets others refer to."""
    heads = list(_HEADING.finditer(text))
    bounds = [*(head.start() for head in heads), len(text)]
    sections = {
        f"appendix {head[2]}" if head[1] else head[3]: frozenset(_items(text[head.end() : end]))
        for head, end in zip(heads, bounds[1:], strict=True)
    }
    return Page(sections, frozenset(match[1] for match in _MARKED.finditer(text)))


def _items(body: str) -> Iterator[str]:
    """The numbers of list items and table rows; one row may have several, as in ``5, 6``."""
    for match in _FIRST.finditer(body):
        yield from (each for each in (match[1] or match[2]).split(", ") if re.fullmatch(_ITEM, each))


def references(text: str, own: str = "") -> Iterator[Reference]:
    """Every reference of a text; ``own`` is the page that the text is, if it is one."""
    flat = _flat(text, page=bool(own))
    for match in _HEAD.finditer(flat):
        line = text.count("\n", 0, match.start()) + 1
        page, listed = match["page"] or "", match["list"]
        if mark := match["mark"] or match["marks"]:
            yield Reference(line, match[0], page, mark=mark)
        elif (listed and not _COUNT.match(flat, match.start("page"))) or (own and match["own"]):
            yield from _listed(line, page or own, listed or match["own"], match["items"] or "")


def _listed(line: int, page: str, listed: str, before: str) -> Iterator[Reference]:
    """The sections of a list, and the items named before the first or after each."""
    for match in _EACH.finditer(listed):
        named, before = match[2] or before, ""
        items = re.findall(_ITEM, named) or [""]
        yield from (Reference(line, " ".join(f"{page} {match[0]}".split()), page, match[1], item) for item in items)


def _flat(text: str, *, page: bool) -> str:
    """The text on one line, without marks of comments; of a page, without code, versions and numbers of headings."""
    if page:
        text = _APART.sub(_blank, _HEADING.sub(_blank, text))
    return re.sub(r"\n[ \t]*(?:#+ )?", _blank, text.replace("*", " "))


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def broken(text: str, book: Book, *, own: str = "", scope: str = "") -> Iterator[tuple[int, str]]:
    """Line and words of each reference that does not resolve, or is not written as agreed.

    Args:
        text: where to look.
        book: the pages.
        own: the page that the text is, if it is one.
        scope: the page whose scenarios are meant where several have one of the name, and none is named.
    """
    for reference in references(text, own):
        if not _resolves(reference, book, own or scope):
            yield reference.line, reference.text
    for pattern in (_FOREIGN,) if own else (_FOREIGN, _PAGELESS):
        yield from ((text.count("\n", 0, match.start()) + 1, match[0]) for match in pattern.finditer(text))


def _resolves(reference: Reference, book: Book, scope: str) -> bool:
    if reference.section:
        return book[reference.page].has(reference.section, reference.item)
    if reference.page:
        return reference.mark in book[reference.page].marks
    holders = [word for word, page in book.items() if reference.mark in page.marks]
    return len(holders) == 1 or scope in holders


def check(root: Path = ROOT) -> list[str]:
    """The references of a repository that do not resolve, as ``file:line: words``."""
    folder = root / FOLDER
    book, pages = read_book(folder), {folder / name: word for word, name in PAGES.items()}
    found = []
    for path in texts(root):
        name = path.relative_to(root)
        scope = next((SCOPES[part] for part in name.with_suffix("").parts if part in SCOPES), "")
        wrong = broken(path.read_text(encoding="utf-8"), book, own=pages.get(path, ""), scope=scope)
        found += [f"{name}:{line}: {words}" for line, words in wrong]
    return found


def texts(root: Path) -> list[Path]:
    """The files of a repository that may refer to the specification."""

    def refers(path: Path) -> bool:
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") and part != ".github" for part in parts)
        return path.suffix in SUFFIXES and not hidden and SKIPPED.isdisjoint(parts) and path.is_file()

    return sorted(filter(refers, root.rglob("*")))


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems))
    sys.exit(bool(problems))
