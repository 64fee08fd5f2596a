"""Links lead somewhere, and commands in the pages are commands."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lws.cli.flags import parse_flags
from lws.cli.kubectl.arguments import parse as parse_kubectl_lws
from lws.cli.operator import make_parser as operator_parser
from lws_sandbox.cli.main import parser as sandbox_parser

KUBECTL = {"--server-side", "--force-conflicts", "--validate", "--field-manager", "--grace-period"}
HELM = {"--reuse-values", "--take-ownership"}
API_SERVER = {"--runtime-config", "--feature-gates"}
ROOT = Path(__file__).parents[2]
PAGES = sorted(
    (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/*/README.md"),
        *ROOT.glob("docs/partners/*.md"),
        *ROOT.glob("docs/operations/*.md"),
        *ROOT.glob("docs/operator/*.md"),
        *ROOT.glob("docs/tutorials/*.md"),
        *ROOT.glob("examples/*.md"),
        *ROOT.glob("sandbox/*.md"),
    )
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]*)(?:#([^)]*))?\)")
FENCED = re.compile(r"```.*?```", re.DOTALL)
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`((?:kubectl lws|lws-sandbox|lws-controller|lws-operator) [^`]+)`")
FLAG = re.compile(r"`(--[a-z][a-z-]*)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file or folder that exists."""
    for target, _ in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_are_closed(page: Path) -> None:
    """No link lacks the bracket between its text and its address, which shows it as plain text."""
    prose = re.sub(r"`[^`\n]*`", "", FENCED.sub("", page.read_text()))
    assert not re.findall(r"!?\[[^\]\n(]*\([^)\s]*\.(?:svg|md|png)", prose)


def test_the_index_lists_every_page() -> None:
    """Whoever begins at docs/README.md finds each page, those of partners and of the sandbox included."""
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / target).resolve() for target, _ in LINK.findall(index.read_text())}
    pages = {
        *ROOT.glob("docs/*.md"),
        *(ROOT / "docs/operator").glob("*.md"),
        *ROOT.glob("docs/partners/*.md"),
        *ROOT.glob("sandbox/*.md"),
    } - {index}
    assert {page for page in pages if page not in listed} == set()


def _anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get where it is shown."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_anchors_are_headings(page: Path) -> None:
    """Every link to a part of a page names one of its headings."""
    for target, anchor in LINK.findall(page.read_text()):
        if anchor and "://" not in target:
            other = (page.parent / target) if target else page
            assert anchor in _anchors(other), f"{page.name} links to {target}#{anchor}"


def _commands(page: Path) -> Iterator[list[str]]:
    text = page.read_text()
    lines = [line.strip() for block in BLOCK.findall(text) for line in block.splitlines()]
    for line in (*lines, *INLINE.findall(text)):
        if line and not line.startswith("#"):
            yield shlex.split(line.split("  #")[0])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_kubectl_lws_commands_parse(page: Path) -> None:
    """Every `kubectl lws` command in a page is one that the command line takes."""
    for words in _commands(page):
        if words[:2] == ["kubectl", "lws"] and "|" not in " ".join(words):
            arguments = [word.strip("[]").replace("N", "1") if word == "N]" else word.strip("[]") for word in words[2:]]
            if len(arguments) < 2 or (arguments[0] == "rollout" and len(arguments) < 3):
                continue  # named in prose, without a set
            parse_kubectl_lws(arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_ours_parse(page: Path) -> None:
    """Every command of ours in a page is one that its command line takes."""
    for given in _commands(page):
        words = list(itertools.dropwhile(lambda word: re.match(r"[A-Z_]+=", word), given)) or given
        if {"--help", "…"} & set(words):
            continue
        if words[0] == "lws-sandbox":
            sandbox_parser().parse_args(words[1:])
        elif words[0] == "lws-controller":
            parse_flags(words[1:], terminal=False)
        elif words[0] == "lws-operator" and len(words) > 1:
            operator_parser().parse_args(list(itertools.takewhile(lambda word: word not in ("&", ">"), words[1:])))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_flags_in_prose_exist(page: Path) -> None:
    """Every flag that a page names is one of a command of ours, or of another program as said here."""
    sources = [*(ROOT / "src/lws/cli").rglob("*.py"), *(ROOT / "sandbox/src/lws_sandbox").rglob("*.py")]
    ours = {flag for path in sources for flag in re.findall(r'"(--)?([a-z][a-z-]+)"', path.read_text())}
    known = {f"--{name}" for _, name in ours} | KUBECTL | HELM | API_SERVER
    assert set(FLAG.findall(page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    """Every `make` command in a page names a target of the Makefile."""
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for words in _commands(page):
        if words[0] == "make":
            named = [word for word in words[1:] if "=" not in word and word.isascii() and word.isidentifier()]
            assert set(named[:1]) <= targets, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_folders_in_commands_exist(page: Path) -> None:
    """Every path of this repository that a command in a page names exists."""
    for words in _commands(page):
        for word in words:
            if word.startswith(("config/", "charts/", "examples/")):
                assert (ROOT / word).exists(), f"{page.name}: {word}"
