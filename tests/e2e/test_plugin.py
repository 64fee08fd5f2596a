"""Every command of the plugin as a process: on terminals, dumb ones, without colours, piped, as JSON, interrupted."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Final

import pytest

from tests.cli.every_command import ROWS, Row
from tests.cli.test_kubectl_output import validator
from tests.e2e.conftest import LIMIT, Cluster

pytestmark = pytest.mark.long

PLUGIN: Final = (sys.executable, "-m", "lws.cli.kubectl.entry")
ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*3[0-9]")
AGE: Final = re.compile(r"\d+(\.\d+)?(ms|s|m|h|d)(\d+s)?[.:]?")
TERMINALS: Final = {
    "80x24": (80, {"TERM": "xterm-256color"}),
    "60": (60, {"TERM": "xterm-256color"}),
    "60 dumb": (60, {"TERM": "dumb"}),
    "80 without colours": (80, {"TERM": "xterm-256color", "NO_COLOR": "1"}),
}
COMPLAINTS: Final = ("kubectl-lws: ", "Warning: ")  # a terminal folds them itself
LINES: Final = [row for rows in ROWS.values() for row in rows]


def environment(cluster: Cluster, **more: str) -> dict[str, str]:
    """Of a shell, without what this process was told of terminals."""
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "TERM")}
    path = os.pathsep.join([os.path.dirname(cluster.kubectl_path), kept.get("PATH", "")])
    return {**kept, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig), **more}


@contextmanager
def at_terminal(row: Row, cluster: Cluster, columns: int, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process, and our end of its terminal."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [*PLUGIN, *row.line.split()],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env=environment(cluster, **more),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def printed_by(row: Row, cluster: Cluster, columns: int, **more: str) -> tuple[int, str]:
    """Exit code and output on a terminal; what serves is interrupted once it has printed something."""
    text, deadline, serving = b"", time.monotonic() + LIMIT, row.serves
    with at_terminal(row, cluster, columns, **more) as (process, ours):
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            text += piece
            if serving and b"\n" in piece:
                process.send_signal(signal.SIGINT)
                serving = False
        code = process.wait(LIMIT)
    return code, text.decode().replace("\r\n", "\n")


def piped(row: Row, cluster: Cluster, *more: str) -> subprocess.CompletedProcess[str]:
    """Run it without a terminal."""
    line, dashes, inner = row.line.partition(" -- ")
    command = [*PLUGIN, *line.split(), *more, *(["--", *inner.split()] if dashes else [])]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT, env=environment(cluster, TERM="xterm"), check=False
    )


def words(text: str) -> set[str]:
    """What of an output stays the same from one moment to the next, without drawings and folds."""
    plain = re.sub(r"[^\w./:@=-]+", " ", ESCAPE.sub("", text))
    return {word.strip(".:") for word in plain.split() if not AGE.fullmatch(word)} - {""}


@pytest.mark.parametrize("row", LINES, ids=[row.line for row in LINES])
def test_a_command_on_every_kind_of_terminal(row: Row, cluster: Cluster) -> None:
    """The right exit code and no traceback; nothing too wide or cut off; escapes and colours only where they may be."""
    seen = {}
    for name, (columns, more) in TERMINALS.items():
        code, text = printed_by(row, cluster, columns, **more)
        seen[name] = text
        assert code in ((0, 130) if row.serves else row.codes), f"{name}: {text}"
        assert "Traceback" not in text
        if not row.verbatim:
            lines = (line for line in ESCAPE.sub("", text).splitlines() if not line.startswith(COMPLAINTS))
            assert max((len(line) for line in lines), default=0) <= columns or row.serves, f"{name}: {text}"
        assert "dumb" not in name or "\x1b" not in text
        assert "without" not in name or not COLOUR.search(text)
    if not row.serves:
        assert seen["60"].count("…") <= seen["80x24"].count("…"), seen["60"]
        if row.codes == (0,) and not row.folded:
            assert words(seen["80x24"]) <= words(seen["60"]), seen["60"]


@pytest.mark.parametrize(
    "row", [row for row in LINES if not row.serves], ids=[row.line for row in LINES if not row.serves]
)
def test_a_command_in_a_pipe(row: Row, cluster: Cluster) -> None:
    """Without a terminal: no escapes; as JSON: documents of the published schema, and nothing else."""
    ended = piped(row, cluster)
    assert ended.returncode in row.codes, ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    if not row.documents:
        return
    ended = piped(row, cluster, "-o", "json")
    assert ended.returncode in row.codes, ended.stderr
    assert "Traceback" not in ended.stderr
    text, decoder, place = ended.stdout, json.JSONDecoder(), 0
    while place < len(text.rstrip()):
        document, place = decoder.raw_decode(text, place)
        validator().validate(document)
        while place < len(text) and text[place].isspace():
            place += 1
    assert text or ended.stderr


MOMENTS: Final = [round(0.2 * number, 1) for number in range(1, 16)]


@contextmanager
def deaf() -> Iterator[None]:
    """What is started within ignores interrupts until it says otherwise."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def heeds_interrupts(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process that was started deaf has come to the command; Python's own start prints tracebacks."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    ignored = int(next(line for line in status.splitlines() if line.startswith("SigIgn:")).split()[1], 16)
    return not ignored & 1 << (signal.SIGINT - 1)


def wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it ended within that time."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.mark.parametrize("line", ["rollout status vllm --watch", "status vllm -w", "plan drain node-0", "list"])
def test_an_interrupt_at_any_moment_leaves_no_traceback(line: str, cluster: Cluster) -> None:
    """Ctrl-C every 0.2 s of a command's first 3 s: it ends at once and without a word, or has ended before."""
    for moment in (0.0, 0.05, 0.1, *MOMENTS):
        with deaf():
            process = subprocess.Popen(
                [*PLUGIN, *line.split()], stdout=-1, stderr=-1, env=environment(cluster, TERM="xterm")
            )
        with process:
            while not heeds_interrupts(process) and not wait(process, 0.01):
                pass
            if not wait(process, moment):
                process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=LIMIT)
        assert errors == b"", f"{moment} s: {errors.decode()}"
        assert process.returncode in (0, 1, 130, -signal.SIGINT), moment
