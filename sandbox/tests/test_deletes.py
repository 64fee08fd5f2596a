"""Deletion: preconditions, finalizers, propagation, collections."""

from __future__ import annotations

import pytest
from sandbox.tests.plain import MAPS, Plain

from tests.virtual import virtual_time


@virtual_time
async def test_a_complete_deletion_answers_a_status() -> None:
    """Without finalizers the object is gone, and the answer names it with its uid."""
    plain = await Plain().begin()
    uid = (await plain.make("a")).body["metadata"]["uid"]
    answer = await plain.delete(f"{MAPS}/a")
    assert answer.body["details"] == {"name": "a", "kind": "configmaps", "uid": uid}
    assert (await plain.get(f"{MAPS}/a")).status == 404
    assert (await plain.delete(f"{MAPS}/a")).status == 404


@virtual_time
async def test_finalizers_hold_an_object_until_the_last_is_gone() -> None:
    """A deletion marks it once, a second changes nothing, and the write that empties the finalizers removes it."""
    plain = await Plain().begin()
    await plain.make("a", finalizers=["example.org/one", "example.org/two"])
    marked = await plain.delete(f"{MAPS}/a")
    assert marked.body["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert marked.body["metadata"]["deletionGracePeriodSeconds"] == 0
    assert (await plain.delete(f"{MAPS}/a")).version == marked.version
    await plain.merge(f"{MAPS}/a", {"metadata": {"finalizers": ["example.org/two"]}})
    added = await plain.merge(f"{MAPS}/a", {"metadata": {"finalizers": ["example.org/two", "example.org/new"]}})
    assert added.status == 422
    await plain.merge(f"{MAPS}/a", {"metadata": {"finalizers": None}})
    assert (await plain.get(f"{MAPS}/a")).status == 404


@pytest.mark.parametrize(
    ("options", "finalizers"),
    [
        ({"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        ({"propagationPolicy": "Orphan"}, ["orphan"]),
        ({"orphanDependents": True}, ["orphan"]),
        ({"propagationPolicy": "Background"}, None),
        ({"orphanDependents": False}, None),
        ({}, None),
    ],
)
def test_propagation_leaves_its_finalizer(options: dict[str, object], finalizers: list[str] | None) -> None:
    """Foreground and Orphan mark the object with a finalizer for the garbage collector; Background removes it."""

    @virtual_time
    async def run() -> None:
        plain = await Plain().begin()
        await plain.make("a")
        await plain.delete(f"{MAPS}/a", options)
        left = await plain.get(f"{MAPS}/a")
        assert left.status == (404 if finalizers is None else 200)
        if finalizers is not None:
            assert left.body["metadata"]["finalizers"] == finalizers

    run()


@pytest.mark.parametrize("precondition", [{"uid": "another"}, {"resourceVersion": "1"}])
def test_a_precondition_that_fails_is_a_conflict(precondition: dict[str, str]) -> None:
    """Another uid or version than the client expects leaves the object alone."""

    @virtual_time
    async def run() -> None:
        plain = await Plain().begin()
        made = await plain.make("a")
        answer = await plain.delete(f"{MAPS}/a", {"preconditions": precondition})
        assert (answer.status, answer.body["reason"]) == (409, "Conflict")
        assert (await plain.get(f"{MAPS}/a")).version == made.version

    run()


@virtual_time
async def test_a_collection_is_deleted_by_selector() -> None:
    """The answer lists what was there; what the selector leaves stays."""
    plain = await Plain().begin()
    for name, app in (("a", "x"), ("b", "y"), ("c", "x")):
        await plain.make(name, labels={"app": app})
    gone = await plain.delete(MAPS, labelSelector="app=x")
    assert (gone.body["kind"], gone.names) == ("ConfigMapList", ["a", "c"])
    assert (await plain.get(MAPS)).names == ["b"]
    assert (await plain.delete("/api/v1/namespaces")).status == 405


@virtual_time
async def test_system_namespaces_stay() -> None:
    """The namespaces that every cluster needs cannot be deleted."""
    plain = await Plain().begin()
    answer = await plain.delete("/api/v1/namespaces/default")
    assert (answer.status, answer.body["message"]) == (
        403,
        'namespaces "default" is forbidden: this namespace may not be deleted',
    )


@virtual_time
async def test_what_is_no_delete_option_is_refused() -> None:
    """Contradicting, unknown and unreadable options are 400 or 422, and delete nothing."""
    plain = await Plain().begin()
    await plain.make("a")
    both = {"propagationPolicy": "Foreground", "orphanDependents": True}
    assert (await plain.delete(f"{MAPS}/a", both)).status == 422
    assert (await plain.delete(f"{MAPS}/a", propagationPolicy="Odd")).status == 422
    assert (await plain.delete(f"{MAPS}/a", {"kind": "Pod", "apiVersion": "v1"})).status == 400
    assert (await plain.delete(f"{MAPS}/a", b"{")).status == 400
    assert (await plain.get(f"{MAPS}/a")).status == 200
