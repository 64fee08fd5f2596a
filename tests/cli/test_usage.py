"""Every command that this project installs: a command line that cannot be read exits 2, and says what to do."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PROJECTS: Final = ("pyproject.toml", "sandbox/pyproject.toml")
WRONG: Final[dict[str, list[tuple[str, str]]]] = {
    "lws-controller": [("--bad", "--bad"), ("--kube-api-qps=many", "--kube-api-qps"), ("--config", "--config")],
    "lws-operator": [
        ("--bad", "--bad"),
        ("nonsense", "nonsense"),
        ("operator --bad", "--bad"),
        ("diff --bad", "--bad"),
        ("diff --platform moon", "--platform"),
        ("render --bad", "--bad"),
        ("gather", "DIR"),
        ("handback --bad", "--bad"),
    ],
    "kubectl-lws": [("--bad", "--bad"), ("nonsense", "command"), ("status", "NAME"), ("logs web --tail x", "--tail")],
    "lws-sandbox": [("", "COMMAND"), ("--bad", "COMMAND"), ("start --bad", "--bad")],
}
SILENT: Final = {"kubectl_complete-lws"}  # a shell could do nothing with an error


def commands() -> dict[str, str]:
    """Where each installed command is."""
    found: dict[str, str] = {}
    for project in PROJECTS:
        found |= tomllib.loads((ROOT / project).read_text())["project"]["scripts"]
    return found


def test_every_command_is_known_here() -> None:
    """A new command says here what it does not take."""
    assert set(commands()) == {*WRONG, *SILENT}


@pytest.mark.parametrize(("command", "line", "named"), [(one, *case) for one, cases in WRONG.items() for case in cases])
def test_a_wrong_command_line_exits_2_and_says_what_to_do(
    command: str, line: str, named: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flag or argument is named, and where help is; nothing is a traceback, nothing goes to standard output."""
    module, _, name = commands()[command].partition(":")
    monkeypatch.setattr("sys.argv", [command, *line.split()])
    main: Callable[[], int] = getattr(import_module(module), name)
    try:
        code: object = main()
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert named in printed.err
    assert "--help" in printed.err or "usage: " in printed.err
    assert "Traceback" not in printed.err
