"""The whole operator under virtual time gives the same trace for the same seed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def trace(seed: int, hash_seed: int) -> str:
    """The digest of a simulation in a process of its own, whose hashes of strings are its own too."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.operator.trace",
        str(seed),
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


async def test_the_same_seed_gives_the_same_trace() -> None:
    """Every write, its time and its bytes are the same in another process with other hashes."""
    first, again = await asyncio.gather(trace(1, 11), trace(1, 22))
    assert int(first.split()[0]) > 30
    assert first == again
