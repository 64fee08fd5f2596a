"""A story told on a stage, and the recording that says how a real server heard it."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset import events
from lws_sandbox import virtual_time
from lws_sandbox.real.binaries import Binaries
from lws_sandbox.releases import RELEASES, Features
from tests.drift.digest import digest
from tests.drift.packing import pack, unpack
from tests.drift.recorder import Book
from tests.drift.stages import Stage, real_stage, sandbox_stage
from tests.drift.story import Story

RELEASE: Final = "1.36"  # of the server that the recording was taken from
RECORDING: Final = Path(__file__).parents[1] / "data/drift/answers.json"
ALL: Final = 1_000_000


def tell_sandbox(features: Features | None = None) -> JSON:
    """What the sandbox says to the story; in virtual time."""
    return virtual_time.run(tell(sandbox_stage(features)))


def expected(release: str = RELEASE) -> JSON:
    """What a server of a release should say: the recording, or the sandbox as that release.

    The recording is of one release; how others differ is what the sandbox knows of them.
    """
    return read() if release == RELEASE else tell_sandbox(RELEASES[release])


def tell_real(binaries: Binaries) -> JSON:
    """What a real server says to the story."""
    return asyncio.run(tell(real_stage(binaries)))


async def tell(stage: AbstractAsyncContextManager[Stage]) -> JSON:
    """What is said on a stage."""
    # How many events are told by one depends on how quick a server is.
    with patch.multiple(events, SINGLE_GROUPS=ALL, SINGLE_STEPS=ALL):
        return await _tell(stage)


async def _tell(stage: AbstractAsyncContextManager[Stage]) -> JSON:
    book = Book()
    async with stage as entered:
        await Story(entered, book).tell()
    found: JSON = json.loads(json.dumps(digest(book)))
    return found


def read() -> JSON:
    """The recording."""
    return unpack(json.loads(RECORDING.read_text()))


def write(told: JSON) -> None:
    """Replace the recording; a line for each exchange, so that changes can be reviewed."""
    packed = pack(told)
    lines = [f"{json.dumps(part)}: {_block(packed[part])}" for part in ("told", "parts")]
    RECORDING.parent.mkdir(parents=True, exist_ok=True)
    RECORDING.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _block(value: Any, depth: int = 2) -> str:
    if depth and isinstance(value, dict) and set(value) != {"$same"}:
        lines = [f"{json.dumps(name)}: {_block(item, depth - 1)}" for name, item in value.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    if depth and isinstance(value, list):
        return "[\n" + ",\n".join(_line(item) for item in value) + "\n]"
    return _line(value)


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
