"""What is remembered between passes: since when something is wrong, and what was refused.

Nothing here decides what is applied but for one thing: an object that the API server called invalid is not sent again
until it is wanted otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import orjson

from lws.apimachinery.manifests import JSON
from lws.planning.operand.causes import LASTING, LASTING_SECONDS, Cause
from lws.planning.operand.preview import Preview
from lws.planning.operand.world import Key, Probe

PATIENCE: Final = 3  # failed passes in a row before that is told


@dataclass(slots=True)
class Memory:
    """Of one installation.

    Attributes:
        probe: the last look at the webhook.
        probed_at: when it was taken, by the monotonic clock.
        failures: passes that failed in a row.
        trusted_since: since when cert-manager's authority is trusted, by the monotonic clock; infinite if it is not.
        standby: who went before us at the last pass; empty if nobody did.
    """

    probe: Probe | None = None
    probed_at: float = float("-inf")
    failures: int = 0
    trusted_since: float = float("inf")
    standby: str = ""
    previewed: tuple[str, float, Preview] = ("", 0.0, Preview())  # digest of a rollout, when, and what it changes
    _soaking: tuple[str, float] = ("", 0.0)  # what has served, and since when
    _since: dict[str, float] = field(default_factory=dict)  # reason -> monotonic
    _refused: dict[Key, tuple[str, Cause]] = field(default_factory=dict)

    def standing(self, causes: Iterable[Cause], now: float) -> tuple[list[Cause], float]:
        """The causes that are to be told, and seconds until the next of the others is; infinite if none waits."""
        found = [*causes]
        reasons = {each.reason for each in found}
        self._since = {reason: self._since.get(reason, now) for reason in reasons}
        due = {reason: LASTING_SECONDS - (now - since) for reason, since in self._since.items() if reason in LASTING}
        told = [each for each in found if due.get(each.reason, 0.0) <= 0]
        return told, min((left for left in due.values() if left > 0), default=float("inf"))

    def trusted(self, *, now: float, trusted: bool) -> float:
        """Seconds for which cert-manager's authority has been trusted; 0 if it is not."""
        self.trusted_since = min(self.trusted_since, now) if trusted else float("inf")
        return now - self.trusted_since if trusted else 0.0

    def soaked(self, digest: str, *, now: float, serves: bool) -> float | None:
        """Seconds for which an installation has served; None if it does not."""
        if not serves:
            self._soaking = ("", 0.0)
            return None
        if self._soaking[0] != digest:
            self._soaking = (digest, now)
        return now - self._soaking[1]

    def refuse(self, key: Key, manifest: JSON, cause: Cause) -> None:
        """The API server called an object invalid."""
        self._refused[key] = (digest(manifest), cause)

    def refused(self, wanted: Iterable[tuple[Key, JSON]]) -> dict[Key, Cause]:
        """Objects that are still wanted as they were refused, with the cause."""
        found = {}
        for key, manifest in wanted:
            known = self._refused.get(key)
            if known is not None and known[0] == digest(manifest):
                found[key] = known[1]
        self._refused = {key: known for key, known in self._refused.items() if key in found}
        return found


def digest(manifest: JSON) -> str:
    """Equal for equal objects."""
    return hashlib.sha256(orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS)).hexdigest()
