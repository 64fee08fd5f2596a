"""The plugin as a process: on terminals of 60 columns, dumb ones, without colours, piped, interrupted (U1, U5)."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.apimachinery.resources import Resource
from lws.cli.kubectl.plain import table
from lws.cli.kubectl.terminal import Terminal
from tests.cli.api import SmallApi, serving
from tests.cli.shelf import Shelf, site

PLUGIN = (sys.executable, "-m", "lws.cli.kubectl.entry")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LIMIT = 60.0


class ShelfApi(SmallApi):
    """The objects of a shelf, over HTTP."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        shelf.objects.setdefault(DISAGGREGATEDSETS, [])
        self._lists: dict[str, list[Any]] = {}
        for resource, items in shelf.objects.items():
            self._lists[_path(resource)] = items
            for one in items:
                self.objects[f"{_path(resource)}/{one['metadata']['name']}"] = one

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """A list, an object, or that there is none."""
        found = self._lists.get(request.path)
        if found is not None:
            return web.json_response({"items": found})
        one = self.objects.get(request.path)
        return web.json_response(one) if one is not None else self._status(404, "not found", reason="NotFound")


def _path(resource: Resource) -> str:
    return resource.path("default" if resource.namespaced else "")


@asynccontextmanager
async def cluster(tmp_path: Path) -> AsyncIterator[Path]:
    """A kubeconfig for a set that is well."""
    async with serving(ShelfApi(site(2, 2)), tmp_path) as kubeconfig:
        yield kubeconfig


def environment(**more: str) -> dict[str, str]:
    """Of a shell, without what this process was told of terminals."""
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "TERM")}
    return {**kept, **more}


def on_terminal(line: str, kubeconfig: Path, columns: int, **more: str) -> tuple[int, str]:
    """Exit code and output on a terminal that is so wide."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [*PLUGIN, *line.split(), "--kubeconfig", str(kubeconfig)],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env=environment(**more),
        close_fds=True,
    ) as process:
        os.close(theirs)
        printed = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            printed += piece
        code = process.wait(LIMIT)
    os.close(ours)
    return code, printed.decode().replace("\r\n", "\n")


LINES = ("list -o wide", "status web", "tree web", "top web", "explain-stuck web", "rollout history web")


@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=[] if line == LINES[0] else pytest.mark.long) for line in LINES]
)
async def test_a_terminal_of_sixty_columns_shows_everything(line: str, tmp_path: Path) -> None:
    """No line is wider than the terminal, nothing is a traceback, and dumb terminals get no escapes."""
    async with cluster(tmp_path) as kubeconfig:
        for terminal in ({"TERM": "xterm-256color"}, {"TERM": "dumb"}):
            code, printed = await asyncio.to_thread(on_terminal, line, kubeconfig, 60, **terminal)
            assert code == 0, printed
            assert max(len(row) for row in ESCAPE.sub("", printed).splitlines()) <= 60
            assert "Traceback" not in printed
            if terminal["TERM"] == "dumb":
                assert "\x1b" not in printed


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_pictures_are_as_wide_as_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn is folded at the width of a dumb terminal, as on any other."""
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen()
    Terminal(screen, {"TERM": "dumb", "COLUMNS": "60"}).picture("word " * 20)
    assert [len(line) for line in screen.getvalue().splitlines()] == [60, 40]


def test_a_long_word_goes_below_its_row() -> None:
    """Where a word is wider than what the other columns leave, the last column goes below: no line is too wide."""
    image = "registry.k8s.io/lws/lws:v0.11"
    lines = table(["NAME", "KIND", "MESSAGE"], [["a" * 10, "b" * 10, f"Container image {image} is there"]], 50)
    assert lines[2:] == [f"{'a' * 10}   {'b' * 10}", f"    Container image {image}", "    is there"]


async def test_colours_can_be_turned_off(tmp_path: Path) -> None:
    """NO_COLOR takes the colours away on a terminal that has them; emphasis may stay."""
    async with cluster(tmp_path) as kubeconfig:
        _, coloured = await asyncio.to_thread(on_terminal, "tree web", kubeconfig, 80, TERM="xterm-256color")
        _, plain = await asyncio.to_thread(on_terminal, "tree web", kubeconfig, 80, TERM="xterm-256color", NO_COLOR="1")
        assert re.search(r"\x1b\[[0-9;]*3[0-9]", coloured)
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain)


async def test_piped_output_is_whole_and_plain(tmp_path: Path) -> None:
    """Without a terminal nothing is folded, nothing is coloured, and a reader that goes away is no traceback."""
    async with cluster(tmp_path) as kubeconfig:
        command = f"{' '.join(PLUGIN)} list -o wide --kubeconfig {kubeconfig}"
        run = await asyncio.create_subprocess_shell(
            f"{command}; {command} | true", stdout=-1, stderr=-1, env=environment(TERM="xterm")
        )
        out, errors = await run.communicate()
    assert out.decode().splitlines()[1].split()[:3] == ["web", "2/2", "2"]
    assert b"\x1b" not in out
    assert b"Traceback" not in errors


INTERRUPT = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""


@pytest.mark.parametrize(
    "module",
    [
        "argparse",
        "aiohttp",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("asyncio", "yaml", "lws.cli.kubectl.follow")),
    ],
)
async def test_an_interrupt_leaves_no_traceback(module: str, tmp_path: Path) -> None:
    """Whatever is being imported when Ctrl-C comes, or when the set is followed, the command ends without a word."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT.format(module=module))
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    async with cluster(tmp_path) as kubeconfig:
        process = await asyncio.create_subprocess_exec(
            *PLUGIN, "rollout", "status", "web", "--kubeconfig", str(kubeconfig),
            stdout=-1, stderr=-1, env=environment(PYTHONPATH=paths),
        )  # fmt: skip
        _, errors = await asyncio.wait_for(process.communicate(), LIMIT)
    assert errors == b""
    assert process.returncode in (130, -signal.SIGINT)
