"""Whether the StatefulSet controller is seen to replace leaders one by one, though it was granted more (CD-81)."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.objects import Key

OWED_SECONDS: Final = 5.0  # for which a StatefulSet controller may hesitate
BELIEVED_SECONDS: Final = 600.0  # after which it is looked at anew: a cluster may have been upgraded


class OneByOne:
    """What one process believes of its cluster's StatefulSet controller; memory is bounded by the sets that move."""

    def __init__(self) -> None:
        self._owed_since: dict[Key, float] = {}
        self._until = float("-inf")

    def believed(self, now: float) -> bool:
        """Whether it goes one by one, at this monotonic second."""
        return now < self._until

    def noted(self, key: Key, now: float, *, owed: bool | None) -> float | None:
        """A set was looked at; in how many seconds to look again, if leaders are owed to it; None tells nothing."""
        if owed is None:
            return None
        if not owed:
            self._owed_since.pop(key, None)
            return None
        left = self._owed_since.setdefault(key, now) + OWED_SECONDS - now
        if left > 0:
            return left
        if not self.believed(now):
            self._until = now + BELIEVED_SECONDS
            return 0.0
        return None

    def forget(self, key: Key) -> None:
        """The set is gone."""
        self._owed_since.pop(key, None)

    def __len__(self) -> int:
        """How many sets are owed leaders."""
        return len(self._owed_since)
