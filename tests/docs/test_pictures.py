"""The pictures of terminals: drawn by a script, alike in every renderer, light and dark."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hack.terminal_svg import CELL, MARGIN, draw
from rich.text import Text

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
LOCAL = ("http://127.0.0.1:", "https://127.0.0.1:")  # what the sandbox says of itself
TERMINALS = ("make-run.svg", "kubectl-lws-tree.svg", "kubectl-lws-status.svg")


def test_every_word_has_its_own_place() -> None:
    """A font that is wider or narrower moves no word over the next one, however long the line is."""
    line = Text.assemble(("group 0", "green"), "  ready ", ("a<b", "bold"))
    root = ElementTree.fromstring(draw("title", [line], 40))
    words = [(text.text, float(text.attrib["x"]), text.attrib["class"]) for text in root.iter(f"{SVG}text")][1:]
    assert [(text, look) for text, _, look in words] == [
        ("group", "green"),
        ("0", "green"),
        ("ready", "text"),
        ("a<b", "text b"),
    ]
    assert [x for _, x, _ in words] == pytest.approx([MARGIN + column * CELL for column in (0, 6, 9, 15)])


def test_a_picture_is_as_wide_as_what_it_shows() -> None:
    """No empty half: the frame ends where the longest line does."""
    root = ElementTree.fromstring(draw("t", [Text("x" * 30), Text("y")], 200))
    assert float(root.attrib["width"]) == round(30 * CELL + 2 * MARGIN)


@pytest.mark.parametrize("name", TERMINALS)
def test_pictures_follow_the_readers_colours_and_load_nothing(name: str) -> None:
    """Each is the script's own drawing, with a dark variant, and addresses of nobody but itself and its format."""
    text = (ROOT / "docs" / "images" / name).read_text()
    assert "prefers-color-scheme:dark" in text
    assert "textLength" not in text
    elsewhere = [each for each in re.findall(r"https?://[^\s\"'<]+", text) if not each.startswith(LOCAL)]
    assert set(elsewhere) <= {"http://www.w3.org/2000/svg"}
