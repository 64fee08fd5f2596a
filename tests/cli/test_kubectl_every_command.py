"""Every command that is registered: it has rows to be tried with, is completed, and is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lws.cli.kubectl.complete import suggestions
from lws.cli.kubectl.main import main
from tests.cli.every_command import ROWS, leaves, parser_of

COMMANDS = [" ".join(path) for path in leaves()]
OUTPUT = Path(__file__).parents[2] / "docs" / "kubectl-lws-output.md"
PAGE = Path(__file__).parents[2] / "docs" / "kubectl-lws.md"


def test_every_command_has_rows() -> None:
    """A command that is added or removed says how it is tried (see `tests.cli.every_command`)."""
    assert set(ROWS) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_completed(command: str) -> None:
    """By its beginning, and with each of its flags."""
    *above, name = command.split()
    found, _ = suggestions([*above, name[:-1]])
    assert name in [line.partition("\t")[0] for line in found]
    offered, _ = suggestions([*above, name, "-"])
    flags = {flag for one in parser_of((*above, name))._actions for flag in one.option_strings}
    assert flags <= {line.partition("\t")[0] for line in offered}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_flag_that_it_does_not_have(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and one line that names the flag and where help is."""
    assert main([*command.split(), "--no-such-flag"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert "--no-such-flag" in errors[0]
    assert "--help" in errors[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_is(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its help has a sentence and its flags, none of them without a word; the page names it."""
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert f"usage: kubectl lws {'' if command == 'help' else command}" in printed
    assert all(one.help for one in parser_of(tuple(command.split()))._actions if one.option_strings)
    assert command in ("help", "version") or f"kubectl lws {command}" in PAGE.read_text()


def test_every_command_is_shown_with_what_it_prints() -> None:
    """But for the one that serves a page, and those alone."""
    shown = re.findall(r"^\$ kubectl lws (.*)$", OUTPUT.read_text(), re.MULTILINE)
    missing = {command for command in COMMANDS if not any(f"{line} ".startswith(f"{command} ") for line in shown)}
    assert missing == {"ui"}
