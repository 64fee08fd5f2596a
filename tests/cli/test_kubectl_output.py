"""Where ``kubectl lws`` prints, and what it does when that takes no more."""

from __future__ import annotations

import io
import sys

import pytest

from lws.cli.kubectl import main, render
from tests.cli.kubectl_pictures import healthy


@pytest.mark.parametrize(
    ("columns", "width"), [("", 160), ("wide", 160), ("-3", 160), ("0", 160), ("³", 160), ("4", 20), ("40", 40)]
)
def test_columns_that_make_no_sense_are_passed_over(columns: str, width: int) -> None:
    """Out of a pipe the width is that of COLUMNS, if it is a number that text fits into."""
    assert main.console({"COLUMNS": columns}).width == width
    assert main.console({}).width == 160


def test_what_the_output_cannot_encode_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only ASCII can be printed a tree is drawn in ASCII."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    main.console({}).print(render.tree(healthy()))
    sys.stdout.flush()
    assert b"+-- ? group 0" in raw.getvalue()


def test_output_that_is_not_taken_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told as what it is, and the exit code is that of the telling."""

    async def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(main, "_run", full)
    monkeypatch.setattr(main, "cannot_be_written", lambda command, error: len(f"{command}: {error.strerror}"))
    assert main.main(["tree", "x"]) == len("kubectl-lws: No space left on device")
