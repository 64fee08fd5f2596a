"""``make run``: what it reads, and that it goes on when drills make the API server fail."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lws.errors import ServerError
from lws_sandbox.quickstart import run
from lws_sandbox.quickstart.view import SetRow
from tests.virtual import virtual_time

READY = SetRow("default", "vllm", 1, 1, "Available", ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read: line 1"),
        ("a: !!int many", "cannot be read: a value is not what its tag says"),
        ("just words", "an object needs apiVersion, kind and metadata"),
        ("apiVersion: v1\nkind: Pod\n", "an object needs apiVersion, kind and metadata"),
        ("apiVersion: v1\nkind: [Pod]\nmetadata: {}\n", "an object needs apiVersion, kind and metadata"),
    ],
)
def test_a_manifest_that_is_none_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """What is no object is told with its file, before anything is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "configure_logging", lambda *_: None)
    (tmp_path / "set.yaml").write_text(text)
    assert run.main(["set.yaml"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"run: set.yaml: {said}")
    assert error.count("\n") == 1


@virtual_time
async def test_a_failing_api_server_is_told_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a drill makes every request fail the view says so once, and goes on when that is over."""
    answers: list[Any] = [ServerError(500, "", "drill"), ServerError(500, "", "drill"), [READY]]

    async def observe(_: Any) -> list[SetRow]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(run, "observe", observe)
    shown = io.StringIO()
    stop = asyncio.create_task(asyncio.sleep(60.0))
    client: Any = None
    assert await run._plain(client, Console(file=shown, width=200), [], stop, once=True) == 0
    told = shown.getvalue().splitlines()
    assert told[:2] == ["the API server cannot be read: drill", "leaderworkerset/vllm: 1/1 groups ready, Available"]
    stop.cancel()
