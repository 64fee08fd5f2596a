"""Keys wait for caches that have not seen their own writes."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from lws.runtime.freshness import Ledger


class Cache:
    """An informer that is moved by hand."""

    def __init__(self) -> None:
        self.position = 10
        self.callbacks: list[Callable[[], None]] = []

    def has_seen(self, namespace: str, name: str, resource_version: int | str, /) -> bool:
        """Whether the position has reached the version."""
        return self.position >= int(resource_version)

    def on_progress(self, callback: Callable[[], None], /) -> None:
        """Remember the callback."""
        self.callbacks.append(callback)

    def move(self, position: int) -> None:
        """Move the position and tell of it."""
        self.position = position
        for callback in self.callbacks:
            callback()


def test_a_key_waits_for_its_last_write() -> None:
    """A key is stale until every write of its own is in its cache, and is woken then, once."""
    woken: list[str] = []
    ledger: Ledger[str] = Ledger(woken.append)
    pods, sets = Cache(), Cache()
    ledger.record("a", pods, "ns", "p", 15)
    ledger.record("a", sets, "ns", "s", "17")
    ledger.record("b", pods, "ns", "q", 12)
    pods.move(16)
    assert (ledger.stale("a"), ledger.stale("b"), woken) == (True, False, ["b"])
    sets.move(17)
    assert (ledger.stale("a"), woken, len(ledger)) == (False, ["b", "a"], 0)


def test_what_is_seen_already_is_not_waited_for() -> None:
    """A write that its cache holds, or an answer without a version, makes no key stale."""
    ledger: Ledger[str] = Ledger(lambda key: None)
    ledger.record("a", Cache(), "ns", "p", 10)
    ledger.record("a", Cache(), "ns", "p", "")
    assert not ledger.stale("a")


def test_a_later_write_of_the_same_object_counts() -> None:
    """Of two writes of one object the later is waited for."""
    woken: list[str] = []
    ledger: Ledger[str] = Ledger(woken.append)
    pods = Cache()
    ledger.record("a", pods, "ns", "p", 11)
    ledger.record("a", pods, "ns", "p", 13)
    pods.move(12)
    assert (ledger.stale("a"), woken) == (True, [])
    pods.move(13)
    assert (ledger.stale("a"), woken) == (False, ["a"])


def test_another_history_ends_the_waiting() -> None:
    """When a server comes back with lower versions, no key waits for those of its former life."""
    woken: list[str] = []
    ledger: Ledger[str] = Ledger(woken.append)
    pods = Cache()
    ledger.record("a", pods, "ns", "p", 1000)
    pods.move(900)
    assert ledger.stale("a")
    pods.move(7)
    assert (ledger.stale("a"), woken) == (False, ["a"])
    ledger.record("a", pods, "ns", "p", 8)
    assert ledger.stale("a")
    pods.move(8)
    assert not ledger.stale("a")


@settings(deadline=None)  # of the machine, which may be busy
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("pq"), st.integers(11, 40)), max_size=20))
def test_every_key_is_fresh_in_the_end(writes: list[tuple[str, str, int]]) -> None:
    """Whatever was written, once the cache has seen it all no key is stale and each that was has been woken."""
    woken: list[str] = []
    ledger: Ledger[str] = Ledger(woken.append)
    pods = Cache()
    for key, name, version in writes:
        ledger.record(key, pods, "ns", name, version)
    for position in range(11, 41):
        pods.move(position)
    assert len(ledger) == 0
    assert set(woken) == {key for key, _, _ in writes}
    assert len(woken) == len(set(woken))
