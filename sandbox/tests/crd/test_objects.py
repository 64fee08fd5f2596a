"""Custom objects: pruned, completed, validated, in several versions, with status and scale."""

from __future__ import annotations

from sandbox.tests.crd.extended import CRDS, Extended, definition, spec_of, things, version
from sandbox.tests.plain import TABLE

from lws.apimachinery.manifests import JSON
from tests.virtual import virtual_time

INTEGER = {"type": "integer"}
STATUS: JSON = {"subresources": {"status": {}}}
FULL: JSON = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"replicas": INTEGER, "x": {"type": "string", "default": "d"}}},
        "status": {"type": "object", "properties": {"replicas": INTEGER, "selector": {"type": "string"}}},
    },
}
SCALE: JSON = {
    "subresources": {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }
}


@virtual_time
async def test_objects_are_pruned_and_completed() -> None:
    """Unknown members go with a warning, defaults come."""
    server = await Extended().begin()
    await server.declare(definition("things", version(schema=FULL)))
    made = await server.thing(spec={"y": 1})
    assert made.body["spec"] == {"x": "d"}
    assert list(made.warnings) == ['unknown field "spec.y"']
    assert made.body["metadata"]["generation"] == 1


@virtual_time
async def test_a_default_that_comes_later_is_read_but_not_written() -> None:
    """Stored objects show the new default under their old version; the next write stores it."""
    server = await Extended().begin()
    crd = await server.declare(definition("things", version(schema=spec_of(n=INTEGER))))
    made = (await server.thing(spec={"n": 1})).body
    crd["spec"]["versions"] = [version(schema=spec_of(n=INTEGER, m={**INTEGER, "default": 2}))]
    await server.put(f"{CRDS}/things.example.org", crd)
    await server.settled("things.example.org")
    read = (await server.get(things("a"))).body
    assert read["spec"] == {"n": 1, "m": 2}
    assert read["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert (await server.get(things())).body["items"][0]["spec"] == {"n": 1, "m": 2}
    stored = server.server.storage.get("things.example.org", "default", "a")
    assert stored is not None
    assert stored["spec"] == {"n": 1}
    written = (await server.merge(things("a"), {"metadata": {"labels": {"x": "y"}}})).body
    stored = server.server.storage.get("things.example.org", "default", "a")
    assert stored is not None
    assert stored["spec"] == written["spec"] == {"n": 1, "m": 2}


@virtual_time
async def test_versions_share_their_objects() -> None:
    """Without conversion the apiVersion changes; what the storage version does not know is lost."""
    server = await Extended().begin()
    new = version("v2", storage=False, schema=spec_of(n=INTEGER, m=INTEGER))
    await server.declare(definition("things", version(schema=spec_of(n=INTEGER)), new))
    made = (await server.thing(path="v2", spec={"n": 1, "m": 2})).body
    assert (made["apiVersion"], made["spec"]) == ("example.org/v2", {"n": 1})
    assert (await server.get(things("a"))).body["apiVersion"] == "example.org/v1"
    stored = server.server.storage.get("things.example.org", "default", "a")
    assert stored is not None
    assert stored["apiVersion"] == "example.org/v1"


@virtual_time
async def test_validation() -> None:
    """What breaks the schema is 422 with all causes; what was broken before may stay."""
    server = await Extended().begin()
    crd = await server.declare(definition("things", version(schema=FULL, **SCALE)))
    refused = await server.thing(spec={"replicas": "two"})
    assert refused.status == 422
    assert [cause["message"] for cause in refused.body["details"]["causes"]] == [
        'Invalid value: "string": spec.replicas in body must be of type integer: "string"',
        "Invalid value: 0: .spec.replicas accessor error: two is of the type string, expected int64",
    ]
    await server.thing(spec={"replicas": 1, "x": "old"})
    schema = spec_of(replicas=INTEGER, x={"type": "string", "enum": ["new"]})
    crd["spec"]["versions"] = [version(schema=schema)]
    await server.put(f"{CRDS}/things.example.org", crd)
    await server.settled("things.example.org")
    assert (await server.merge(things("a"), {"spec": {"replicas": 2}})).status == 200
    assert (await server.merge(things("a"), {"spec": {"x": "other"}})).status == 422


@virtual_time
async def test_kind_and_version_stay() -> None:
    """A patch cannot turn an object into another kind."""
    server = await Extended().begin()
    await server.declare(definition())
    await server.thing()
    refused = await server.merge(things("a"), {"kind": "Other"})
    assert refused.body["message"].endswith('kind: Invalid value: "Other": must be Thing')


@virtual_time
async def test_the_status_is_written_through_its_own_path() -> None:
    """With the subresource PUT leaves the status alone and /status the rest; only the spec counts."""
    server = await Extended().begin()
    await server.declare(definition("things", version(schema=FULL, **STATUS)))
    made = (await server.thing(spec={"replicas": 1}, status={"replicas": 7})).body
    assert "status" not in made
    through = await server.merge(
        things("a", subresource="status"),
        {"status": {"replicas": 3}, "spec": {"replicas": 9}, "metadata": {"labels": {"x": "y"}}},
    )
    assert (through.body["status"], through.body["spec"]["replicas"]) == ({"replicas": 3}, 1)
    assert "labels" not in through.body["metadata"]
    assert through.body["metadata"]["generation"] == 1
    put = (await server.merge(things("a"), {"spec": {"replicas": 2}, "status": {"replicas": 4}})).body
    assert (put["status"], put["metadata"]["generation"]) == ({"replicas": 3}, 2)
    refused = await server.merge(things("a", subresource="status"), {"status": {"replicas": "x"}})
    assert refused.body["details"]["causes"] == [
        {
            "reason": "FieldValueTypeInvalid",
            "message": 'Invalid value: "string": replicas in body must be of type integer: "string"',
            "field": "status.replicas",
        }
    ]


@virtual_time
async def test_without_the_subresource_the_status_is_like_any_member() -> None:
    """It is written with the object, counts as a generation, and has no path."""
    server = await Extended().begin()
    await server.declare(definition("things", version(schema=FULL)))
    assert (await server.thing(status={"replicas": 1})).body["status"] == {"replicas": 1}
    assert (await server.merge(things("a"), {"status": {"replicas": 2}})).body["metadata"]["generation"] == 2
    assert (await server.get(things("a", subresource="status"))).status == 404


@virtual_time
async def test_scale() -> None:
    """Scale reads and writes the declared paths, and refuses numbers that make no sense."""
    server = await Extended().begin()
    await server.declare(definition("things", version(schema=FULL, **SCALE)))
    await server.thing(spec={"replicas": 2})
    await server.merge(things("a", subresource="status"), {"status": {"replicas": 1, "selector": "a=b"}})
    scale = (await server.get(things("a", subresource="scale"))).body
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "a=b"})
    scaled = await server.merge(things("a", subresource="scale"), {"spec": {"replicas": 5}})
    assert scaled.body["spec"] == {"replicas": 5}
    assert (await server.get(things("a"))).body["metadata"]["generation"] == 2
    refused = await server.merge(things("a", subresource="scale"), {"spec": {"replicas": -1}})
    message = "Invalid value: -1: should be a non-negative integer"
    assert refused.body["details"]["causes"][0] == {
        "reason": "FieldValueInvalid",
        "message": message,
        "field": ".spec.replicas",
    }
    too_many = await server.merge(things("a"), {"spec": {"replicas": 2**31}})
    assert "should be less than or equal to 2147483647" in too_many.body["message"]


@virtual_time
async def test_a_deprecated_version_warns_on_every_request() -> None:
    """Its own text, or one that names the version to use instead."""
    server = await Extended().begin()
    old = version("v1beta1", storage=False, deprecated=True)
    older = version("v1alpha1", storage=False, deprecated=True, deprecationWarning="no more")
    await server.declare(definition("things", version("v1"), old, older))
    text = "example.org/v1beta1 Thing is deprecated; use example.org/v1 Thing"
    assert list((await server.thing(path="v1beta1")).warnings) == [text]
    assert list((await server.get(things(version_="v1beta1"))).warnings) == [text]
    assert list((await server.get(things("a", version_="v1alpha1"))).warnings) == ["no more"]
    assert list((await server.delete(things("a", version_="v1beta1"))).warnings) == [text]


@virtual_time
async def test_tables_show_the_declared_columns() -> None:
    """Cells are typed, missing ones null; without columns there is the age."""
    server = await Extended().begin()
    columns = [
        {"name": "N", "type": "integer", "jsonPath": ".spec.n", "priority": 1},
        {"name": "First", "type": "string", "jsonPath": ".spec.list[0].name"},
        {"name": "Ready", "type": "string", "jsonPath": '.spec.list[?(@.name=="b")].ok', "description": "d"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    await server.declare(definition("things", version(additionalPrinterColumns=columns)))
    await server.declare(definition("plains"))
    await server.thing("full", spec={"n": 1, "list": [{"name": "a"}, {"name": "b", "ok": True}]})
    await server.thing("void", spec={"n": "one"})
    table = (await server.get(things(), accept=TABLE)).body
    assert [row["cells"] for row in table["rows"]] == [["full", 1, "a", "true", "0s"], ["void", None, None, None, "0s"]]
    generic = "Custom resource definition column (in JSONPath format): .spec.n"
    assert (table["columnDefinitions"][1]["description"], table["columnDefinitions"][1]["priority"]) == (generic, 1)
    plain = (await server.get("/apis/example.org/v1/plains", accept=TABLE)).body
    assert [column["name"] for column in plain["columnDefinitions"]] == ["Name", "Age"]


@virtual_time
async def test_selectable_fields() -> None:
    """Declared fields select, others are refused."""
    server = await Extended().begin()
    declared = version(schema=FULL, selectableFields=[{"jsonPath": ".spec.x"}])
    await server.declare(definition("things", declared))
    await server.thing("one", spec={"x": "1"})
    await server.thing("two", spec={"x": "2"})
    assert (await server.get(things(), fieldSelector="spec.x=2")).names == ["two"]
    assert (await server.get(things(), fieldSelector="spec.y=2")).status == 400


@virtual_time
async def test_owners_are_tracked_by_the_schema() -> None:
    """Server-side apply knows the lists of a custom schema."""
    server = await Extended().begin()
    text = {"type": "string"}
    items = {"type": "object", "required": ["name"], "properties": {"name": text, "v": text}}
    listed = {
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    await server.declare(definition("things", version(schema=spec_of(list=listed))))
    for name in ("x", "y"):
        body = {
            "apiVersion": "example.org/v1",
            "kind": "Thing",
            "metadata": {"name": "a"},
            "spec": {"list": [{"name": name, "v": "1"}]},
        }
        media = "application/apply-patch+yaml"
        applied = await server.ask("PATCH", things("a"), body, media=media, fieldManager=f"m-{name}")
    assert [item["name"] for item in applied.body["spec"]["list"]] == ["x", "y"]
