"""Which callers of metrics were allowed, kept for the process that follows in the same pod (operations 4).

Guarantees:
    * Nothing is written by which a caller could be impersonated: digests of tokens, not the tokens, and when each was
      allowed; only our own user can read it.
    * What cannot be read, lies in the future or is older than was asked for is as if it had not been written.
    * A file that cannot be written is removed, so that no refusal is missing in it; if that fails too, it is logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from lws.clock import Clock
from lws.runtime.privatefiles import write_private

LONGEST: Final = 1_000_000  # bytes that are read
_log = structlog.stdlib.get_logger("lws.manager")


class Allowances:
    """A file of allowed callers; see the module for its guarantees.

    Args:
        path: the file, in a folder that outlives a restart of the container.
        clock: the time of day, which a process that follows knows too.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def read(self, longest: float) -> dict[bytes, float]:
        """Digests that were allowed within so many seconds, and how many seconds ago; oldest first."""
        try:
            with self._path.open("rb") as file:
                found = msgspec.json.decode(file.read(LONGEST), type=dict[str, float])
            now = self._clock.now().timestamp()
            ages = {bytes.fromhex(digest): now - then for digest, then in found.items()}
        except (OSError, ValueError, msgspec.DecodeError):
            return {}
        young = {digest: age for digest, age in ages.items() if 0 <= age < longest}
        return dict(sorted(young.items(), key=lambda item: -item[1]))

    def write(self, ages: Mapping[bytes, float]) -> None:
        """Keep these digests, which were allowed so many seconds ago, and no others."""
        now = self._clock.now().timestamp()
        try:
            write_private(self._path, msgspec.json.encode({key.hex(): now - age for key, age in ages.items()}))
        except OSError as error:
            _log.warning("callers of metrics will not be known after a restart of the container", cause=str(error))
            self._remove()

    def _remove(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("callers of metrics that were allowed cannot be forgotten", cause=str(error))
