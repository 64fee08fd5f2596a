"""Tutorials: what they show of a terminal is what a terminal shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hack.tutorials import PAGES, PLUGIN, captured, manifest, sandbox

from tests.tools import need

TUTORIALS = sorted(PAGES.glob("*.md"))
_NUMBERS = re.compile(r"\b\d+(?:\.\d+)*(?:s|m\d+s)?\b")
_NODES = re.compile(r"\b(?:node|tpu)-\d+")


def test_what_a_command_prints_replaces_what_stood_below_it() -> None:
    """Only output between one command and the next is replaced, in blocks of terminals alone."""
    page = "```console\nmake run ARGS=a.yaml\n```\n```text\n$ one\nold\n\n$ two\n```\n```text\nno terminal\n```\n"
    shown = captured(page, lambda line: f"<{line}>\n")
    assert "```text\n$ one\n<one>\n\n$ two\n<two>\n```" in shown
    assert shown.endswith("```text\nno terminal\n```\n")


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_starts_from_an_example(page: Path) -> None:
    """Each tutorial names a manifest that is there, and asks for something that is answered."""
    text = page.read_text()
    assert manifest(text).is_file()
    assert "playedBy" in text


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [*TUTORIALS, PLUGIN], ids=lambda page: page.stem)
def test_a_tutorial_shows_what_its_commands_print(page: Path) -> None:
    """Run again, each command prints what the page shows, times, counts on the way and places of pods aside."""
    need("kubectl")
    text = page.read_text()
    with sandbox(manifest(text)) as run:
        again = captured(text, lambda line: run(line))
    assert _shape(again) == _shape(text)


def _shape(text: str) -> set[str]:
    """Its lines, in any order, without numbers, nodes and the width of columns; those that come and go left out."""
    plain = _NODES.sub("NODE", _NUMBERS.sub("#", text))
    lines = (re.sub(r"[ ─│]+", " ", line).strip() for line in plain.splitlines())
    return {line for line in lines if not re.match(r"(?:Slice #|(?:prefill|decode): |Waiting for rollout)", line)}
