"""Who is asked, in which order, and what comes of the answers."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.tests.admission.worlds import (
    CONFIGMAPS,
    LEGACY_EVENTS,
    World,
    config_map,
    configuration,
    hook,
    patch,
    refusal,
    review,
    rule,
)

from lws.apimachinery.manifests import JSON
from lws_sandbox.status import StatusError
from tests.virtual import virtual_time


def add(key: str, value: Any = "yes") -> JSON:
    """An operation that adds to the data."""
    return {"op": "add", "path": f"/data/{key}", "value": value}


@virtual_time
async def test_nobody_is_asked() -> None:
    """Without configurations the very same object goes on, without warnings."""
    obj = config_map()
    world = World()
    assert await world.admission.mutate(review(obj)) == (obj, [])
    assert (await world.admission.mutate(review(obj)))[0] is obj
    assert await world.admission.validate(review(obj)) == []


@virtual_time
async def test_order_of_mutating_webhooks() -> None:
    """They run by name of their configuration, then by place; each sees the changes before it."""
    world = World()
    world.mutating = [configuration("b", hook("z"), hook("a")), configuration("a", hook("early"))]
    for name in ("z", "a", "early"):
        world.answer(name, patch(add(name)))
    obj, _ = await world.admission.mutate(review(config_map(data={"k": "v"})))
    assert world.paths == ["early", "z", "a"]
    assert obj == config_map(data={"k": "v", "early": "yes", "z": "yes", "a": "yes"})
    assert [sorted(asked["request"]["object"]["data"]) for _, asked in world.asked] == [
        ["k"],
        ["early", "k"],
        ["early", "k", "z"],
    ]


@virtual_time
async def test_the_review_is_sent_as_the_server_sends_it() -> None:
    """Every member of the AdmissionReview, null objects included, empty ones left out."""
    world = World()
    world.validating = [configuration("c", hook("check"))]
    await world.admission.validate(review(config_map()))
    sent = world.asked[0][1]
    assert len(sent["request"].pop("uid")) == 36
    assert sent == {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "resource": {"group": "", "version": "v1", "resource": "configmaps"},
            "requestKind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "requestResource": {"group": "", "version": "v1", "resource": "configmaps"},
            "name": "a",
            "namespace": "n",
            "operation": "CREATE",
            "userInfo": {"username": "admin", "groups": ["system:masters"], "extra": {"key": ["value"]}},
            "object": config_map(),
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    }


@virtual_time
async def test_review_of_a_subresource() -> None:
    """A subresource is named twice, with the kind of the object under review."""
    world = World()
    world.validating = [configuration("c", hook("check", rules=[rule(resources=["configmaps/scale"])]))]
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}}
    asked = review(scale, scale, subresource="scale", kind=("autoscaling", "v1", "Scale"))
    await world.admission.validate(asked)
    request = world.asked[0][1]["request"]
    assert (request["subResource"], request["requestSubResource"]) == ("scale", "scale")
    assert request["kind"] == request["requestKind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert request["resource"]["resource"] == "configmaps"


@virtual_time
async def test_review_of_one_of_a_collection() -> None:
    """A deletion in a collection has no name, an old object and no new one."""
    world = World()
    world.validating = [configuration("c", hook("check"))]
    await world.admission.validate(review(None, config_map(), name=""))
    request = world.asked[0][1]["request"]
    assert "name" not in request
    assert (request["object"], request["oldObject"]) == (None, config_map())


@virtual_time
async def test_match_policy() -> None:
    """Equivalent is asked about the same object through another group, in that group's form; Exact is not."""
    world = World()
    rules = [{"operations": ["CREATE"], "apiGroups": ["events.k8s.io"], "apiVersions": ["v1"], "resources": ["events"]}]
    world.mutating = [
        configuration("c", hook("equivalent", rules=rules), hook("exact", rules=rules, matchPolicy="Exact"))
    ]
    world.answer("equivalent", patch({"op": "replace", "path": "/note", "value": "changed"}))
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "a"}, "message": "m"}
    obj, _ = await world.admission.mutate(review(event, strategy=LEGACY_EVENTS))
    assert world.paths == ["equivalent"]
    request = world.asked[0][1]["request"]
    assert request["kind"] == {"group": "events.k8s.io", "version": "v1", "kind": "Event"}
    assert request["resource"]["group"] == "events.k8s.io"
    assert request["requestKind"]["group"] == request["requestResource"]["group"] == ""
    assert (request["object"]["note"], request["object"]["apiVersion"]) == ("m", "events.k8s.io/v1")
    assert obj == {**event, "message": "changed"}


@virtual_time
async def test_reinvocation() -> None:
    """IfNeeded is asked once more when a later webhook changed the object, and only then."""
    world = World()
    policy = {"reinvocationPolicy": "IfNeeded"}
    world.mutating = [configuration("c", hook("one", **policy), hook("two", **policy), hook("never"))]
    world.answer("one", patch(add("one")))
    world.answer("two", patch(add("two")))
    await world.admission.mutate(review(config_map(data={})))
    assert world.paths == ["one", "two", "never", "one"]
    world.asked.clear()
    await world.admission.mutate(review(config_map(data={"one": "yes", "two": "yes"})))
    assert world.paths == ["one", "two", "never"]


@virtual_time
async def test_both_validating_webhooks_are_asked() -> None:
    """Two that refuse are both asked, and one message is given."""
    world = World()
    world.validating = [configuration("c", hook("one"), hook("two"))]
    for name in ("one", "two"):
        world.answer(name, {"allowed": False, "status": {"message": "no"}})
    error = await refusal(world)
    assert sorted(world.paths) == ["one", "two"]
    assert error.message in [
        f'admission webhook "{name}.example.org" denied the request: no' for name in ("one", "two")
    ]


@virtual_time
async def test_first_refusal_counts() -> None:
    """Validating webhooks are asked side by side: the one that refuses first is told."""
    world = World()
    world.validating = [configuration("c", hook("slow"), hook("quick"))]
    world.answer("slow", {"allowed": False, "delay": 3})
    world.answer("quick", {"allowed": False, "delay": 1})
    assert "quick.example.org" in (await refusal(world)).message


@pytest.mark.parametrize(
    ("status", "code", "reason", "said"),
    [
        (None, 400, "", " without explanation"),
        ({}, 400, "", " without explanation"),
        ({"message": "not today"}, 400, "", ": not today"),
        ({"message": "conflicting", "code": 409, "reason": "Conflict"}, 409, "Conflict", ": conflicting"),
        ({"reason": "Because"}, 400, "Because", ": Because"),
        ({"code": 200, "message": "odd code"}, 400, "", ": odd code"),
        ({"code": 403, "reason": "Forbidden", "message": "m"}, 403, "Forbidden", ": m"),
    ],
)
def test_denial(status: JSON | None, code: int, reason: str, said: str) -> None:
    """The message names the webhook; code and reason are its own, else 400 without a reason."""

    @virtual_time
    async def ask() -> None:
        world = World()
        world.validating = [configuration("c", hook("check"))]
        world.answer("check", {"allowed": False} | ({} if status is None else {"status": status}))
        error = await refusal(world)
        assert (error.code, error.reason) == (code, reason)
        assert error.message == f'admission webhook "check.example.org" denied the request{said}'

    ask()


@virtual_time
async def test_denial_keeps_details() -> None:
    """Causes of a refusal reach the client."""
    details = {"causes": [{"field": "spec.x", "message": "is bad", "reason": "FieldValueInvalid"}]}
    world = World()
    world.mutating = [configuration("c", hook("check"))]
    world.answer("check", {"allowed": False, "status": {"code": 422, "reason": "Invalid", "details": details}})
    with pytest.raises(StatusError) as caught:
        await world.admission.mutate(review(config_map()))
    assert caught.value.details == details


@virtual_time
async def test_warnings_of_allowed_and_refused() -> None:
    """Warnings are handed on in order, also with a refusal, those of earlier webhooks included."""
    world = World()
    world.mutating = [configuration("c", hook("one"), hook("two"))]
    world.answer("one", {"allowed": True, "warnings": ["take care"]})
    world.answer("two", {"allowed": True, "warnings": ['and "quotes"']})
    assert (await world.admission.mutate(review(config_map())))[1] == ["take care", 'and "quotes"']
    world.answer("two", {"allowed": False, "warnings": ["too late"]})
    with pytest.raises(StatusError) as caught:
        await world.admission.mutate(review(config_map()))
    assert caught.value.warnings == ("take care", "too late")


@virtual_time
async def test_dry_run() -> None:
    """A dry run is told to webhooks without side effects, and refused where there are some."""
    world = World()
    world.validating = [configuration("c", hook("check"))]
    await world.admission.validate(review(config_map(), dry_run=True))
    assert world.asked[0][1]["request"]["dryRun"] is True
    for version, effects in enumerate(["NoneOnDryRun", "Some", "Unknown"], start=2):
        world.validating = [configuration("c", hook("check", sideEffects=effects), version=str(version))]
        if effects == "NoneOnDryRun":
            await world.admission.validate(review(config_map(), dry_run=True))
            continue
        error = await refusal(world, dry_run=True)
        assert (error.code, error.message) == (400, 'admission webhook "check.example.org" does not support dry run')
    assert len(world.asked) == 2


@virtual_time
async def test_defaults_follow_a_patch() -> None:
    """After a patch the object is typed and defaulted anew: unknown members go."""
    world = World()
    world.mutating = [configuration("c", hook("one"))]
    world.answer("one", patch({"op": "add", "path": "/unknown", "value": 1}, add("k", "v")))
    obj, _ = await world.admission.mutate(review(config_map(data={})))
    assert obj is not None
    assert "unknown" not in obj
    assert obj["data"] == {"k": "v"}


@virtual_time
async def test_patch_of_a_wrong_type() -> None:
    """A patch that leaves what the kind's type cannot hold is a 500 in the decoder's words."""
    world = World()
    world.mutating = [configuration("c", hook("one", failurePolicy="Ignore"))]
    world.answer("one", patch({"op": "add", "path": "/data", "value": 7}))
    with pytest.raises(StatusError) as caught:
        await world.admission.mutate(review(config_map()))
    assert caught.value.code == 500
    assert "json: cannot unmarshal number into Go struct field ConfigMap.data" in caught.value.message


@virtual_time
async def test_a_changed_configuration_is_read_anew() -> None:
    """A configuration counts as it is stored now; an unchanged one is parsed once."""
    world = World()
    world.validating = [configuration("c", hook("one"))]
    await world.admission.validate(review(config_map()))
    world.validating = [configuration("c", hook("two"), version="2")]
    await world.admission.validate(review(config_map()))
    world.validating = []
    await world.admission.validate(review(config_map()))
    assert world.paths == ["one", "two"]


@virtual_time
async def test_the_input_stays_as_it_was() -> None:
    """The object under review is not altered by patches."""
    world = World()
    world.mutating = [configuration("c", hook("one"))]
    world.answer("one", patch(add("k")))
    given = config_map(data={})
    obj, _ = await world.admission.mutate(review(given, strategy=CONFIGMAPS))
    assert given == config_map(data={})
    assert obj == config_map(data={"k": "yes"})
