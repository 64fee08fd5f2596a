"""Since when nodes have been lost, as far as this process knows (resilience 6.1, 6.2).

Guarantees: what a node was seen to be counts from when this process first saw it so, or later; a restart makes that
later and never earlier. Memory is bounded by the nodes that are not ready, and by the last that are gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lws.api.leaderworkerset.objects import Node
from lws.apimachinery.objects import Condition
from lws.clock import Clock
from lws.informers.informer import Informer
from lws.planning.leaderworkerset.nodes import NODE_LOST_SECONDS, NodesSeen, silent, silent_since
from lws.runtime.bounded import Bounded


@dataclass(frozen=True, slots=True)
class _Unready:
    """How a node was seen first, since it is what it is."""

    status: str
    turned: str | None
    seen: datetime

    def tells(self, condition: Condition) -> bool:
        """Whether the condition is still the one that was seen."""
        return (self.status, self.turned) == (condition.status, condition.last_transition_time)


class NodeMemory:
    """Remembers it; see the module for its guarantees.

    Args:
        nodes: the cache of nodes.
        clock: the time.
    """

    def __init__(self, nodes: Informer[Node], clock: Clock) -> None:
        self._nodes = nodes
        self._clock = clock
        self._unready: dict[str, _Unready] = {}
        self._gone: Bounded[str, datetime] = Bounded()
        nodes.on_change(self._changed)

    def find(self, name: str) -> Node | None:
        """The node; None if there is none of the name."""
        return self._nodes.store.get("", name)

    def known(self, names: Iterable[str]) -> dict[str, Node | None]:
        """The nodes of these names; None for one that is gone, nothing for one that went just now (resilience 6.1)."""
        return {name: node for name in set(names) if (node := self.find(name)) is not None or self._long_gone(name)}

    def seen(self, names: Iterable[str]) -> NodesSeen | None:
        """What is known of those of these nodes that nothing is heard of; None if there are none."""
        found = {name: self.find(name) for name in set(names)}
        since = {name: silent_since(node, self._first_seen(name, node)) for name, node in found.items() if silent(node)}
        return NodesSeen(since, len(self._unready), len(self._nodes.store)) if since else None

    def _long_gone(self, name: str) -> bool:
        gone = self._clock.now() - self._first_seen(name, None)
        return gone.total_seconds() >= NODE_LOST_SECONDS

    def _first_seen(self, name: str, node: Node | None) -> datetime:
        now = self._clock.now()
        if node is not None:
            known = self._unready.get(name)
            return now if known is None else known.seen
        self._gone.add(name, now)
        return self._gone.get(name) or now

    def _changed(self, old: Node | None, new: Node | None, _initial: bool) -> None:
        now = self._clock.now()
        if new is None:
            if old is not None:
                self._unready.pop(old.metadata.name, None)
                self._gone.put(old.metadata.name, now)
            return
        name, condition = new.metadata.name, new.not_ready
        if condition is None:
            self._unready.pop(name, None)
            return
        known = self._unready.get(name)
        if known is None or not known.tells(condition):
            self._unready[name] = _Unready(condition.status, condition.last_transition_time, now)
