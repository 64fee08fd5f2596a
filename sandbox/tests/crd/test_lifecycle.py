"""The life of definitions: names, serving, changes, deletion."""

from __future__ import annotations

import asyncio

from sandbox.tests.crd.extended import (
    CRDS,
    Extended,
    conditions,
    definition,
    spec_of,
    things,
    version,
)

from tests.virtual import virtual_time

ACCEPTED = ("True", "NoConflicts", "no conflicts found")
ESTABLISHED = ("True", "InitialNamesAccepted", "the initial names have been accepted")


@virtual_time
async def test_a_new_definition_becomes_established() -> None:
    """The answer shows no condition yet; a moment later names are accepted and the kind is served."""
    server = await Extended().begin()
    made = (await server.post(CRDS, definition())).body
    assert made["status"] == {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]}
    assert made["spec"]["names"] == {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}
    assert made["spec"]["conversion"] == {"strategy": "None"}
    assert (await server.get(things())).raw == b"404 page not found\n"
    crd = await server.settled("things.example.org")
    assert conditions(crd) == {"NamesAccepted": ACCEPTED, "Established": ESTABLISHED}
    assert crd["status"]["acceptedNames"] == crd["spec"]["names"]
    assert (await server.get(things())).body["kind"] == "ThingList"
    assert crd["metadata"]["generation"] == 1


@virtual_time
async def test_taken_names_are_refused_until_they_are_free() -> None:
    """The second to ask for a name waits; when the first is gone it gets it, and is served."""
    server = await Extended().begin()
    await server.declare(definition("things"))
    late = await server.declare(definition("others", kind="Thing", singular="other", listKind="OtherList"))
    assert conditions(late) == {
        "NamesAccepted": ("False", "KindConflict", '"Thing" is already in use'),
        "Established": ("False", "NotAccepted", "not all names are accepted"),
    }
    assert late["status"]["acceptedNames"] == {
        "plural": "others",
        "singular": "other",
        "kind": "",
        "listKind": "OtherList",
    }
    assert (await server.get("/apis/example.org/v1/others")).status == 404
    await server.delete(f"{CRDS}/things.example.org")
    late = await server.settled("others.example.org")
    assert conditions(late) == {"NamesAccepted": ACCEPTED, "Established": ESTABLISHED}
    assert (await server.get("/apis/example.org/v1/others")).status == 200


@virtual_time
async def test_short_names_are_accepted_together() -> None:
    """One short name that is taken keeps all of them back."""
    server = await Extended().begin()
    await server.declare(definition("things", shortNames=["t"]))
    crd = await server.declare(definition("others", shortNames=["t", "o"]))
    assert conditions(crd)["NamesAccepted"] == ("False", "ShortNamesConflict", '"t" is already in use')
    assert "shortNames" not in crd["status"]["acceptedNames"]


@virtual_time
async def test_versions_that_are_not_served_are_not_there() -> None:
    """Only served versions answer, and a change of what is served takes effect."""
    server = await Extended().begin()
    crd = await server.declare(definition("things", version("v1"), version("v2", storage=False, served=False)))
    assert (await server.get(things(version_="v2"))).status == 404
    crd["spec"]["versions"][1]["served"] = True
    assert (await server.put(f"{CRDS}/things.example.org", crd)).status == 200
    await server.settled("things.example.org")
    assert (await server.get(things(version_="v2"))).status == 200


@virtual_time
async def test_storage_versions_are_remembered() -> None:
    """A new storage version is added to storedVersions, and an old one cannot go."""
    server = await Extended().begin()
    crd = await server.declare(definition("things", version("v1"), version("v2", storage=False)))
    crd["spec"]["versions"][0]["storage"], crd["spec"]["versions"][1]["storage"] = False, True
    changed = (await server.put(f"{CRDS}/things.example.org", crd)).body
    assert changed["status"]["storedVersions"] == ["v1", "v2"]
    del changed["spec"]["versions"][0]
    refused = await server.put(f"{CRDS}/things.example.org", changed)
    assert refused.status == 422
    assert 'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions' in refused.body["message"]
    await server.merge(f"{CRDS}/things.example.org/status", {"status": {"storedVersions": ["v2"]}})
    del changed["metadata"]["resourceVersion"]
    assert (await server.merge(f"{CRDS}/things.example.org", {"spec": changed["spec"]})).status == 200


@virtual_time
async def test_a_definition_takes_its_objects_along() -> None:
    """It is marked, its objects go, and so does it; watches see them go and end; the path is no longer there."""
    server = await Extended().begin()
    await server.declare(definition())
    for name in ("a", "b"):
        await server.thing(name)
    watch = asyncio.ensure_future(server.get(things(), watch="true"))
    await asyncio.sleep(0.1)
    marked = (await server.delete(f"{CRDS}/things.example.org")).body
    assert marked["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert marked["metadata"]["generation"] == 1
    assert conditions(marked)["Terminating"] == (
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    )
    gone = await server.settled("things.example.org")
    assert gone["reason"] == "NotFound"
    events = (await watch).story
    assert sorted(events[-2:]) == [("DELETED", "a"), ("DELETED", "b")]
    assert (await server.get(things("a"))).raw == b"404 page not found\n"


@virtual_time
async def test_finalizers_of_objects_hold_the_definition() -> None:
    """It stays while an object does, takes no new ones, and goes when the last one does."""
    server = await Extended().begin()
    await server.declare(definition())
    await server.thing("held", metadata={"finalizers": ["example.org/x"]})
    await server.thing("free")
    await server.delete(f"{CRDS}/things.example.org")
    crd = await server.settled("things.example.org")
    told = ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
    assert conditions(crd)["Terminating"] == told
    assert (await server.get(things())).names == ["held"]
    refused = await server.thing("new")
    assert refused.status == 405
    assert refused.body["message"] == "create not allowed while custom resource definition is terminating"
    await server.merge(things("held"), {"metadata": {"finalizers": None}})
    assert (await server.settled("things.example.org"))["reason"] == "NotFound"


@virtual_time
async def test_finalizers_of_the_definition_hold_it() -> None:
    """A finalizer of somebody else keeps the definition after its objects are gone."""
    server = await Extended().begin()
    crd = definition()
    crd["metadata"]["finalizers"] = ["example.org/x"]
    await server.declare(crd)
    await server.thing()
    await server.delete(f"{CRDS}/things.example.org")
    left = await server.settled("things.example.org")
    assert left["metadata"]["finalizers"] == ["example.org/x"]
    assert conditions(left)["Terminating"] == ("False", "InstanceDeletionCompleted", "removed all instances")
    await server.merge(f"{CRDS}/things.example.org", {"metadata": {"finalizers": None}})
    assert (await server.settled("things.example.org"))["reason"] == "NotFound"


@virtual_time
async def test_a_new_schema_ends_watches() -> None:
    """Watches of its objects end when the schema changes, so that clients see objects anew."""
    server = await Extended().begin()
    crd = await server.declare(definition())
    watch = asyncio.ensure_future(server.get(things(), watch="true"))
    await asyncio.sleep(0.1)
    await server.merge(f"{CRDS}/things.example.org", {"metadata": {"labels": {"x": "y"}}})
    await asyncio.sleep(1)
    assert not watch.done()
    versions = [version(schema=spec_of(n={"type": "integer"}))]
    await server.merge(f"{CRDS}/things.example.org", {"spec": {**crd["spec"], "versions": versions}})
    await asyncio.wait_for(watch, 1)


@virtual_time
async def test_groups_of_kubernetes_tell_whether_they_are_approved() -> None:
    """A protected group needs an annotation; without approval a condition tells so."""
    server = await Extended().begin()
    crd = definition(group="x.k8s.io")
    refused = await server.post(CRDS, crd)
    assert refused.status == 422
    assert "metadata.annotations[api-approved.kubernetes.io]: Required value" in refused.body["message"]
    crd["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
    found = conditions(await server.declare(crd))["KubernetesAPIApprovalPolicyConformant"]
    assert found == ("False", "UnapprovedAnnotation", 'not approved: "unapproved, a test"')
