"""What one process remembers of its creations, so that two watches at odds cannot drive it in a circle (K3, K5).

A dependent is collected when its owner goes. While the owner's watch is behind, its dependents look merely lost, and
each one that is made again is collected again: every pass succeeds, so nothing would slow it down.

Guarantees:
    * What was made before is made again only once the server has confirmed its owner, which the executor asks for.
    * From the second time on, an object is made again only after a pause that doubles, up to `LONGEST_PAUSE`.
    * Where an object that will do stands outside the caches, its creation is not tried again for `TAKEN_SECONDS`.
    * Memory is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from lws.apimachinery.manifests import JSON
from lws.apimachinery.ownership import controller_of
from lws.apimachinery.resources import Resource
from lws.clock import Clock
from lws.runtime.bounded import Bounded

Identity: TypeAlias = tuple[Resource, str, str, str]  # resource, namespace ("" for none), name, UID of the controller

LONGEST_PAUSE: Final = 60.0
FORGET_SECONDS: Final = 600.0  # a creation so long ago has nothing to do with the next one
TAKEN_SECONDS: Final = 59.0  # less than the 60 s after which a taken name is looked at again


@dataclass(frozen=True, slots=True)
class _Made:
    """How often an object was made in a row, and when last."""

    times: int
    at: float


class Creations:
    """Remembers; see the module for what follows.

    Args:
        clock: measures pauses.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made: Bounded[Identity, _Made] = Bounded()
        self._taken: Bounded[Identity, float] = Bounded()

    def again(self, identity: Identity) -> bool:
        """Whether this object was made not long ago, and so has ended since."""
        return self._last(identity) is not None

    def pause(self, identity: Identity) -> float:
        """Seconds until it may be made once more."""
        last = self._last(identity)
        if last is None or last.times < 2:
            return 0.0
        pause = min(LONGEST_PAUSE, 2.0 ** min(last.times - 2, 10))
        return max(0.0, last.at + pause - self._clock.monotonic())

    def made(self, identity: Identity) -> None:
        """It was made."""
        last = self._last(identity)
        self._made.put(identity, _Made(1 if last is None else last.times + 1, self._clock.monotonic()))

    def taken(self, identity: Identity) -> None:
        """Another object that no cache shows has its name, and stays."""
        self._taken.put(identity, self._clock.monotonic())

    def taken_for(self, identity: Identity) -> float:
        """Seconds until it is worth looking whether the name is free; 0 if now."""
        since = self._taken.get(identity)
        return 0.0 if since is None else max(0.0, since + TAKEN_SECONDS - self._clock.monotonic())

    def _last(self, identity: Identity) -> _Made | None:
        last = self._made.get(identity)
        return last if last is not None and self._clock.monotonic() - last.at < FORGET_SECONDS else None


def identity_of(resource: Resource, manifest: JSON) -> Identity:
    """What is to be made, and for whom."""
    meta = manifest["metadata"]
    owner = controller_of(meta)
    return resource, meta.get("namespace", ""), meta["name"], "" if owner is None else owner.uid
