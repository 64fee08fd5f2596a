"""The store and its indexes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws.apimachinery.objects import ObjectMeta
from lws.informers.store import Change, StoreWriter
from tests.informers.support import Thing


def thing(name: str, version: int = 1, uid: str = "u", namespace: str = "ns", **labels: str) -> Thing:
    """An object."""
    return Thing(
        ObjectMeta(name=name, namespace=namespace, uid=uid, resource_version=str(version), labels=labels or None)
    )


def by_app(obj: Thing) -> str:
    """One value, or none."""
    return obj.metadata.label("app")


def by_letters(obj: Thing) -> tuple[str, ...]:
    """Several values."""
    return tuple(obj.metadata.label("letters"))


def test_reads() -> None:
    """Objects are found by name, by namespace and all together."""
    writer: StoreWriter[Thing] = StoreWriter()
    one, two = thing("a"), thing("b", namespace="other")
    writer.put(one)
    writer.put(two)
    reader = writer.reader
    assert reader.get("ns", "a") is one
    assert reader.get("ns", "b") is None
    assert reader.list() == [one, two]
    assert reader.list("other") == [two]
    assert list(reader) == [one, two]
    assert len(reader) == 2
    assert ("other", "b") in reader


def test_changes_are_told_once() -> None:
    """The same version again is no change; another UID is a removal and an addition; a removal happens once."""
    writer: StoreWriter[Thing] = StoreWriter()
    first, second, other = thing("a"), thing("a", 2), thing("a", 3, uid="w")
    assert writer.put(first) == [Change(None, first)]
    assert writer.put(thing("a")) == []
    assert writer.reader.get("ns", "a") is first
    assert writer.put(second) == [Change(first, second)]
    assert writer.put(other) == [Change(second, None), Change(None, other)]
    assert writer.remove("ns", "a") == [Change(other, None)]
    assert writer.remove("ns", "a") == []


def test_swap_reports_what_vanished() -> None:
    """A relist tells what vanished, what changed and what is new, and leaves unchanged objects the same."""
    writer: StoreWriter[Thing] = StoreWriter()
    same, gone, old = thing("same"), thing("gone"), thing("changed")
    for obj in (same, gone, old):
        writer.put(obj)
    writer.begin()
    new, fresh = thing("changed", 2), thing("new")
    for obj in (thing("same"), new, fresh):
        writer.buffer(obj)
    assert writer.reader.get("ns", "new") is None
    assert [*writer.swap()] == [Change(gone, None), Change(old, new), Change(None, fresh)]
    assert writer.reader.get("ns", "same") is same


def test_swap_keeps_what_cannot_be_read() -> None:
    """An object that the list has but nobody can read stays as it was last read."""
    writer: StoreWriter[Thing] = StoreWriter()
    bad = thing("bad")
    writer.put(bad)
    writer.begin()
    writer.keep("ns", "bad")
    writer.keep("ns", "never-read")
    assert [*writer.swap()] == []
    assert writer.reader.list() == [bad]


def test_dropped_list_changes_nothing() -> None:
    """A list that came to nothing leaves no trace, and there is nothing to swap after it."""
    writer: StoreWriter[Thing] = StoreWriter()
    obj = thing("a")
    writer.put(obj)
    writer.begin()
    writer.buffer(thing("b"))
    writer.unbuffer("ns", "b")
    writer.drop()
    assert writer.reader.list() == [obj]
    with pytest.raises(RuntimeError, match="no list"):
        writer.swap()


def test_indexes_follow() -> None:
    """An index agrees with its objects through every change, also one that is added late."""
    writer: StoreWriter[Thing] = StoreWriter()
    writer.add_index("app", by_app)
    writer.put(thing("a", 1, app="x", letters="ab"))
    writer.put(thing("b", 1, app="x", letters="b"))
    writer.add_index("letters", by_letters)
    reader = writer.reader
    assert [obj.metadata.name for obj in reader.by_index("app", "x")] == ["a", "b"]
    assert [obj.metadata.name for obj in reader.by_index("letters", "b")] == ["a", "b"]
    writer.put(thing("a", 2, app="y", letters="c"))
    assert [obj.metadata.name for obj in reader.by_index("app", "x")] == ["b"]
    assert [obj.metadata.resource_version for obj in reader.by_index("app", "y")] == ["2"]
    assert reader.by_index("letters", "a") == []
    writer.remove("ns", "b")
    assert set(reader.index_values("app")) == {"y"}
    assert reader.by_index("app", "none") == []
    with pytest.raises(KeyError):
        reader.by_index("unknown", "x")


def test_an_index_has_one_meaning() -> None:
    """The same index may be asked for twice; a name cannot stand for two functions."""
    writer: StoreWriter[Thing] = StoreWriter()
    writer.add_index("app", by_app)
    writer.add_index("app", by_app)
    with pytest.raises(ValueError, match="another function"):
        writer.add_index("app", by_letters)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.sampled_from(["put", "remove", "list"]),
            st.sampled_from(["", "x", "y"]),
            st.sampled_from(["", "p", "pq", "q"]),
        ),
        max_size=30,
    )
)
def test_indexes_equal_a_scan(steps: list[tuple[str, str, str, str]]) -> None:
    """After any steps each index holds exactly what a scan of the objects would find."""
    writer: StoreWriter[Thing] = StoreWriter()
    writer.add_index("app", by_app)
    writer.add_index("letters", by_letters)
    for number, (name, verb, app, letters) in enumerate(steps):
        obj = thing(name, number, app=app, letters=letters)
        if verb == "put":
            writer.put(obj)
        elif verb == "remove":
            writer.remove("ns", name)
        else:
            writer.begin()
            writer.buffer(obj)
            writer.swap()
    objects = writer.reader.list()
    for index, function in (("app", by_app), ("letters", by_letters)):
        for value in ("x", "y", "p", "q"):
            scanned = {obj.metadata.name for obj in objects if value in tuple(function(obj))}
            assert {obj.metadata.name for obj in writer.reader.by_index(index, value)} == scanned
