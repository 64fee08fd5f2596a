"""Create, update and patch: what the server decides, what it refuses, what counts as a change."""

from __future__ import annotations

import asyncio
import re

from sandbox.tests.plain import APPLY, MAPS, Plain

from tests.virtual import virtual_time

UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
SETS = "/apis/apps/v1/namespaces/default/statefulsets"


@virtual_time
async def test_the_server_decides_identity_and_times() -> None:
    """uid, creationTimestamp and resourceVersion are the server's, whatever a client sends."""
    plain = await Plain().begin()
    sent = {"name": "a", "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "selfLink": "/x"}
    made = (await plain.post(MAPS, {"metadata": sent})).body["metadata"]
    assert re.fullmatch(UUID4, made["uid"])
    assert made["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert "selfLink" not in made


@virtual_time
async def test_generated_names_are_short_and_differ() -> None:
    """A generateName is cut to 58 characters and gets five more; equal ones give different names."""
    plain = await Plain().begin()
    base = "x" * 70 + "-"
    names = {(await plain.post(MAPS, {"metadata": {"generateName": base}})).body["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(re.fullmatch(r"x{58}[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)


@virtual_time
async def test_the_same_seed_gives_the_same_answers() -> None:
    """Two servers with the same chance and clock answer byte for byte the same."""
    answers = []
    for _ in range(2):
        plain = await Plain().begin()
        made = await plain.post(MAPS, {"metadata": {"generateName": "a-"}})
        answers.append(made.raw)
    assert answers[0] == answers[1]


@virtual_time
async def test_a_name_is_taken_until_the_object_is_gone() -> None:
    """A second creation is 409 AlreadyExists; the message tells when the first is being deleted."""
    plain = await Plain().begin()
    await plain.make("a", finalizers=["example.org/hold"])
    assert (await plain.post(MAPS, {"metadata": {"name": "a"}})).body["message"] == 'configmaps "a" already exists'
    await plain.delete(f"{MAPS}/a")
    again = await plain.post(MAPS, {"metadata": {"name": "a"}})
    assert again.body["message"] == 'object is being deleted: configmaps "a" already exists'
    assert (again.status, again.body["reason"]) == (409, "AlreadyExists")


@virtual_time
async def test_creation_needs_a_living_namespace() -> None:
    """A missing namespace is 404, a terminating one 403 with the cause NamespaceTerminating."""
    plain = await Plain().begin()
    missing = await plain.post("/api/v1/namespaces/none/configmaps", {"metadata": {"name": "a"}})
    assert (missing.status, missing.body["details"]["kind"]) == (404, "namespaces")
    await plain.post("/api/v1/namespaces", {"metadata": {"name": "going", "finalizers": ["example.org/hold"]}})
    await plain.delete("/api/v1/namespaces/going")
    refused = await plain.post("/api/v1/namespaces/going/configmaps", {"metadata": {"name": "a"}})
    assert refused.status == 403
    assert refused.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"


@virtual_time
async def test_a_stale_update_is_a_conflict() -> None:
    """A PUT with another resourceVersion than the live one changes nothing."""
    plain = await Plain().begin()
    old = (await plain.make("a", data={"k": "1"})).body
    await plain.merge(f"{MAPS}/a", {"data": {"k": "2"}})
    late = await plain.put(f"{MAPS}/a", {**old, "data": {"k": "3"}})
    assert (late.status, late.body["reason"]) == (409, "Conflict")
    assert (await plain.get(f"{MAPS}/a")).body["data"] == {"k": "2"}


@virtual_time
async def test_a_write_that_changes_nothing_keeps_the_version() -> None:
    """An equal PUT, an empty patch and an equal patch are answered with the same resourceVersion."""
    plain = await Plain().begin()
    made = await plain.make("a", data={"k": "1"})
    for answer in (
        await plain.put(f"{MAPS}/a", made.body),
        await plain.merge(f"{MAPS}/a", {}),
        await plain.merge(f"{MAPS}/a", {"data": {"k": "1"}}, fieldManager="another"),
    ):
        assert (answer.status, answer.version) == (200, made.version)


@virtual_time
async def test_dry_run_stores_nothing() -> None:
    """DryRun of create, update, patch, apply and delete answers as if, and takes no version."""
    plain = await Plain().begin()
    made = await plain.make("a", data={"k": "1"})
    before = plain.server.storage.revision
    created = await plain.post(MAPS, {"metadata": {"name": "b"}}, dryRun="All")
    assert created.status == 201
    assert "resourceVersion" not in created.body["metadata"]
    changed = await plain.merge(f"{MAPS}/a", {"data": {"k": "2"}}, dryRun="All")
    assert (changed.body["data"], changed.version) == ({"k": "2"}, made.version)
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    query = {"fieldManager": "me", "dryRun": "All"}
    assert (await plain.ask("PATCH", f"{MAPS}/c", applied, media=APPLY, **query)).status == 201
    assert (await plain.delete(f"{MAPS}/a", dryRun="All")).status == 200
    assert plain.server.storage.revision == before


@virtual_time
async def test_generation_counts_changes_of_the_spec() -> None:
    """Creation is generation 1; a changed spec raises it, labels and status do not."""
    plain = await Plain().begin()
    body = {"metadata": {"name": "s"}, "spec": {"replicas": 1, "selector": {}, "template": {}, "serviceName": "s"}}
    assert (await plain.post(SETS, body)).body["metadata"]["generation"] == 1
    labelled = await plain.merge(f"{SETS}/s", {"metadata": {"labels": {"a": "b"}}})
    assert labelled.body["metadata"]["generation"] == 1
    assert (await plain.merge(f"{SETS}/s", {"spec": {"replicas": 2}})).body["metadata"]["generation"] == 2
    told = await plain.merge(f"{SETS}/s/status", {"status": {"replicas": 2}, "spec": {"replicas": 9}})
    assert (told.body["metadata"]["generation"], told.body["spec"]["replicas"]) == (2, 2)
    scaled = await plain.merge(f"{SETS}/s/scale", {"spec": {"replicas": 3}})
    assert (scaled.body["kind"], scaled.body["spec"]) == ("Scale", {"replicas": 3})
    assert (await plain.get(f"{SETS}/s")).body["metadata"]["generation"] == 3


@virtual_time
async def test_the_status_has_its_own_path() -> None:
    """PUT of the object leaves the status, PUT of the status leaves the spec and the labels."""
    plain = await Plain().begin()
    body = {"metadata": {"name": "s"}, "spec": {"replicas": 1, "selector": {}, "template": {}, "serviceName": "s"}}
    made = (await plain.post(SETS, body)).body
    told = (await plain.put(f"{SETS}/s/status", {**made, "status": {"replicas": 1}, "spec": {}})).body
    assert told["spec"] == made["spec"]
    put = (await plain.put(f"{SETS}/s", {**told, "status": {"replicas": 7}})).body
    assert put["status"] == told["status"]


@virtual_time
async def test_a_body_that_is_not_the_path_is_refused() -> None:
    """Another name, namespace or kind than the path's is 400."""
    plain = await Plain().begin()
    made = (await plain.make("a")).body
    other = {**made, "metadata": {**made["metadata"], "name": "b"}}
    assert "does not match the name on the URL" in (await plain.put(f"{MAPS}/a", other)).body["message"]
    moved = {**made, "metadata": {**made["metadata"], "namespace": "b"}}
    assert (await plain.put(f"{MAPS}/a", moved)).status == 400
    assert (await plain.post(MAPS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}})).status == 400


@virtual_time
async def test_a_broken_rule_names_its_field() -> None:
    """422 lists every cause with reason, field and message, and the message joins them."""
    plain = await Plain().begin()
    bad = {"metadata": {"name": "Bad_Name", "labels": {"bad key": "x"}, "finalizers": ["hold"]}}
    answer = await plain.post(MAPS, bad)
    fields = [cause["field"] for cause in answer.body["details"]["causes"]]
    assert (answer.status, fields) == (422, ["metadata.name", "metadata.labels", "metadata.finalizers[0]"])
    assert answer.body["message"].startswith('ConfigMap "Bad_Name" is invalid: [metadata.name: Invalid value:')


@virtual_time
async def test_twenty_writers_lose_no_update() -> None:
    """Concurrent clients that retry their compare-and-swap count to the sum of their increments."""
    plain = await Plain().begin()
    await plain.make("counter", data={"n": "0"})

    async def count(times: int) -> None:
        for _ in range(times):
            while True:
                read = (await plain.get(f"{MAPS}/counter")).body
                await asyncio.sleep(0)
                read["data"]["n"] = str(int(read["data"]["n"]) + 1)
                if (await plain.put(f"{MAPS}/counter", read)).status == 200:
                    break

    await asyncio.gather(*(count(5) for _ in range(20)))
    assert (await plain.get(f"{MAPS}/counter")).body["data"] == {"n": "100"}
