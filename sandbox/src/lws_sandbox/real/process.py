"""One process of the control plane: started with its output in a file, and ended with the context."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from lws.errors import ConfigurationError

GRACE: Final = 15.0  # seconds from SIGTERM to SIGKILL
TAIL: Final = 1500  # characters of a log that a failure shows


class Process:
    """A binary that runs from `start` on, known by its name; its output goes to the end of a log."""

    _process: asyncio.subprocess.Process

    def __init__(self, binary: Path, flags: Sequence[str], log: Path) -> None:
        self.name = binary.name
        self.command = (str(binary), *flags)
        self._log = log

    async def start(self) -> None:
        """Run it.

        Raises:
            ConfigurationError: it cannot be started.
        """
        with self._log.open("ab") as out:
            try:
                # In a group of its own, so that Ctrl-C at a terminal does not end it before those that use it.
                self._process = await asyncio.create_subprocess_exec(
                    *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
                )
            except OSError as error:
                raise ConfigurationError(
                    f"{self.name} cannot be started: {error}; is it made for this machine?"
                ) from error

    @property
    def running(self) -> bool:
        """It has not ended yet."""
        return self._process.returncode is None

    async def ended(self) -> ConfigurationError:
        """Wait for its end; returns what to tell about it."""
        code = await self._process.wait()
        return ConfigurationError(f"{self.name} ended with code {code}; its log ends with:\n{self._tail()}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def unready(self, seconds: float) -> ConfigurationError:
        """What to tell when it does not become ready."""
        return ConfigurationError(f"{self.name} is not ready after {seconds:.0f} s; its log ends with:\n{self._tail()}")

    async def kill(self) -> None:
        """End it as a power cut does; `start` runs it again."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """End it: SIGTERM first, SIGKILL when that does not help."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(GRACE):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-TAIL:]


@asynccontextmanager
async def running(binary: Path, flags: Sequence[str], folder: Path) -> AsyncIterator[Process]:
    """Start a binary with its output in ``<folder>/<name>.log``; it is stopped when the context is left.

    Raises:
        ConfigurationError: it cannot be started.
    """
    process = Process(binary, flags, folder / f"{binary.name}.log")
    await process.start()
    try:
        yield process
    finally:
        await process.stop()
