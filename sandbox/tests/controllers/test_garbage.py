"""Who is collected, and when: the graph of owners and the judgement over them."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.tests.controllers.builders import ending, named, reference

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.garbage.graph import Graph, Look
from lws_sandbox.controllers.garbage.verdict import DeleteObject, Keep, TakeReferences, Verdict, judge

FOREGROUND = {"finalizers": ["foregroundDeletion"]}


def _observe(graph: Graph, *objects: JSON) -> list[Look]:
    return [look for obj in objects for look in graph.observe(obj, "v1", "ConfigMap")]


def _with(obj: JSON, **metadata: Any) -> JSON:
    return {**obj, "metadata": {**obj["metadata"], **metadata}}


def test_what_has_no_owner_is_not_looked_at() -> None:
    """An object without owners asks for nothing."""
    assert _observe(Graph(), named("a")) == []


def test_an_owner_that_is_not_known_is_looked_at() -> None:
    """An object that names an owner nobody has seen puts that owner up for judgement."""
    graph = Graph()
    work = _observe(graph, named("child", ownerReferences=[reference("owner")]))
    assert work == [Look("uid-owner")]
    owner = graph.node("uid-owner")
    assert owner is not None
    assert owner.virtual


def test_an_owner_that_is_seen_later_is_real() -> None:
    """A virtual owner becomes a real one when it comes, and keeps its dependents."""
    graph = Graph()
    _observe(graph, named("child", ownerReferences=[reference("owner")]), named("owner"))
    owner = graph.node("uid-owner")
    assert owner is not None
    assert not owner.virtual
    assert [node.identity.name for node in graph.dependents(owner)] == ["child"]


def test_a_dependent_of_a_known_owner_rests() -> None:
    """What is added to an owner that is there is not looked at, even if the owner waits for its dependents to go."""
    graph = Graph()
    _observe(graph, ending(named("owner", **FOREGROUND)))
    assert _observe(graph, named("child", ownerReferences=[reference("owner")])) == []


def test_a_reference_that_names_another_object_is_looked_at() -> None:
    """A reference with the UID of one object and the name of another makes its holder suspect."""
    graph = Graph()
    wrong = {**reference("owner"), "name": "other"}
    assert _observe(graph, named("owner"), named("child", ownerReferences=[wrong])) == [Look("uid-child")]


def test_dependents_are_looked_at_when_their_owner_goes() -> None:
    """The end of an owner puts all its dependents up for judgement."""
    graph = Graph()
    _observe(graph, named("owner"), *(named(name, ownerReferences=[reference("owner")]) for name in "ab"))
    assert set(graph.forget("uid-owner")) == {Look("uid-a"), Look("uid-b")}


def test_a_waiting_owner_is_looked_at_when_a_dependent_goes() -> None:
    """An owner that is deleted in the foreground is looked at as its dependents end."""
    graph = Graph()
    owner = named("owner")
    _observe(graph, owner, named("child", ownerReferences=[reference("owner", block=True)]))
    _observe(graph, ending(_with(owner, **FOREGROUND)))
    assert graph.forget("uid-child") == [Look("uid-owner")]


def test_foreground_deletion_looks_at_everyone_once() -> None:
    """The start of a foreground deletion puts the dependents and the owner up, and does so once."""
    graph = Graph()
    owner = named("owner")
    _observe(graph, owner, named("child", ownerReferences=[reference("owner")]))
    begun = ending(_with(owner, **FOREGROUND))
    assert _observe(graph, begun) == [Look("uid-child"), Look("uid-owner")]
    assert _observe(graph, _with(begun, resourceVersion="9")) == []


def test_orphaning_is_a_task_of_its_own() -> None:
    """A deletion with the orphan finalizer asks for the dependents to be set free."""
    graph = Graph()
    assert _observe(graph, ending(named("owner", finalizers=["orphan"]))) == [Look("uid-owner", "orphan")]


def test_only_blocking_dependents_hold_their_owner() -> None:
    """Of the dependents those hold their owner whose reference says so."""
    graph = Graph()
    free = named("free", ownerReferences=[reference("owner")])
    block = named("block", ownerReferences=[reference("owner", block=True)])
    _observe(graph, named("owner"), free, block)
    owner = graph.node("uid-owner")
    assert owner is not None
    assert [node.identity.name for node in graph.blocking_dependents(owner)] == ["block"]


def test_an_owner_is_looked_at_when_it_is_let_go() -> None:
    """A dependent that stops blocking a waiting owner puts the owner up for judgement."""
    graph = Graph()
    owner, child = named("owner"), named("child", ownerReferences=[reference("owner", block=True)])
    _observe(graph, owner, child, ending(_with(owner, **FOREGROUND)))
    work = _observe(graph, _with(child, ownerReferences=[reference("owner")]))
    assert Look("uid-owner") in work


def test_owners_that_were_only_named_are_forgotten() -> None:
    """A virtual owner goes with the last dependent that named it, so the graph does not grow for ever."""
    graph = Graph()
    _observe(graph, named("child", ownerReferences=[reference("owner")]))
    graph.forget("uid-child")
    assert len(graph) == 0


LIVE, GONE, WAITING = named("owner"), None, ending(named("owner", **FOREGROUND))
JUDGEMENTS = [
    ("a living owner", {"a": LIVE}, False, False, Keep()),
    ("no owner is left", {"a": GONE}, False, False, DeleteObject("Background")),
    ("one of two is left", {"a": LIVE, "b": GONE}, False, False, TakeReferences(("uid-b",))),
    ("one lives, one waits", {"a": LIVE, "b": WAITING}, False, False, TakeReferences(("uid-b",))),
    ("the owner waits, nobody depends", {"a": WAITING}, False, False, DeleteObject("Background")),
    ("the owner waits, others depend", {"a": WAITING}, True, False, DeleteObject("Foreground")),
    ("a circle of waiting", {"a": WAITING}, True, True, DeleteObject("Foreground", unblock=True)),
    ("one gone, one waits", {"a": GONE, "b": WAITING}, False, False, DeleteObject("Background")),
    ("an owner that ends by itself", {"a": ending(named("owner"))}, False, False, Keep()),
]


@pytest.mark.parametrize(("case", "owners", "has_dependents", "circular", "verdict"), JUDGEMENTS)
def test_objects_are_judged_by_their_living_owners(
    case: str, owners: JSON, has_dependents: bool, circular: bool, verdict: Verdict
) -> None:
    """An object stays while an owner lives that does not wait for it; references to all others are taken."""
    obj = named("child", ownerReferences=[reference(name, block=True) for name in owners])
    live = {f"uid-{name}": owner for name, owner in owners.items()}
    assert judge(obj, live, has_dependents=has_dependents, circular=circular) == verdict


@pytest.mark.parametrize(("finalizer", "way"), [("orphan", "Orphan"), ("foregroundDeletion", "Foreground")])
def test_a_promised_way_of_deletion_is_kept(finalizer: str, way: str) -> None:
    """An object that already carries a finalizer of propagation is deleted in that way."""
    obj = named("child", ownerReferences=[reference("a")], finalizers=[finalizer])
    found = judge(obj, {"uid-a": None}, has_dependents=False, circular=False)
    assert found == DeleteObject(way)  # type: ignore[arg-type]  # the three words
