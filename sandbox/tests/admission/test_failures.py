"""Webhooks that fail, or whose answers make no sense; the texts are those of a real server."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from sandbox.tests.admission.worlds import URL, World, config_map, configuration, hook, patch, review

from lws.apimachinery.manifests import JSON
from lws_sandbox.admission import LocalCaller
from lws_sandbox.status import StatusError
from tests.virtual import virtual_time

REVIEW = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
HOOK = 'failed calling webhook "check.example.org": '
CALL = "failed to call webhook: "
ANSWER = "received invalid webhook response: "
PATCH = "received undecodable patch in webhook response: "
UID = "00000000-0000-4000-8000-000000000000"
SCHEME = "k8s.io/apiserver/pkg/util/webhook/client.go:71"


def body(value: Any) -> bytes:
    """A raw answer."""
    return json.dumps(value).encode()


async def failure(
    answer: Any, *, status: int = 200, mutating: bool = False, policy: str = "Fail"
) -> StatusError | None:
    """The error of a creation about which one webhook gives this answer; None if it passes."""
    world = World()
    world.answer("check", answer, status=status)
    found = [configuration("c", hook("check", failurePolicy=policy))]
    world.mutating, world.validating = (found, []) if mutating else ([], found)
    try:
        if mutating:
            await world.admission.mutate(review(config_map(data={"k": "v"})))
        else:
            await world.admission.validate(review(config_map()))
    except StatusError as error:
        return error
    return None


SENSELESS: list[tuple[Any, int, str]] = [
    ({"uid": "other", "allowed": True}, 200, ANSWER + 'expected response.uid="<uid>", got "other"'),
    (body({**REVIEW, "response": {"allowed": True}}), 200, ANSWER + 'expected response.uid="<uid>", got ""'),
    (
        b"hello",
        200,
        CALL + "couldn't get version/kind; json parse error: json: cannot unmarshal "
        f"string into Go value of type {META}",
    ),
    (
        b"[]",
        200,
        CALL + "couldn't get version/kind; json parse error: json: cannot unmarshal array "
        f"into Go value of type {META}",
    ),
    (b"", 200, CALL + "0-length response with status code: 200 and content type: application/json"),
    (b"{", 200, CALL + "couldn't get version/kind; json parse error: unexpected end of JSON input"),
    (b"broken", 500, CALL + 'an error on the server ("unknown") has prevented the request from succeeding'),
    (b"{}", 404, CALL + "the server could not find the requested resource"),
    (b"{}", 400, CALL + "the server rejected our request for an unknown reason"),
    (b"{}", 413, CALL + "the server responded with the status code 413 but did not return more information"),
    (b"{}", 429, CALL + "the server has received too many requests and has asked us to try again later"),
    (b"{}", 503, CALL + "the server is currently unable to handle the request"),
    (b"{}", 200, ANSWER + "webhook response was absent"),
    (body(REVIEW), 200, ANSWER + "webhook response was absent"),
    (
        body({**REVIEW, "apiVersion": "admission.k8s.io/v1beta1"}),
        200,
        CALL + "converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion",
    ),
    (
        body({**REVIEW, "kind": "Other"}),
        200,
        CALL + f'no kind "Other" is registered for version "admission.k8s.io/v1" in scheme "{SCHEME}"',
    ),
    (
        body({**REVIEW, "apiVersion": "v1"}),
        200,
        CALL + f'no kind "AdmissionReview" is registered for version "v1" in scheme "{SCHEME}"',
    ),
    (
        {"allowed": "yes"},
        200,
        CALL + "json: cannot unmarshal string into Go struct field AdmissionResponse.response.allowed of type bool",
    ),
    (
        body({**REVIEW, "response": 3}),
        200,
        CALL + "json: cannot unmarshal number into Go struct field "
        "AdmissionReview.response of type v1.AdmissionResponse",
    ),
    (
        {"allowed": False, "status": {"code": "403"}},
        200,
        CALL + "json: cannot unmarshal string into Go struct field Status.response.status.code of type int32",
    ),
]


@pytest.mark.parametrize("case", range(len(SENSELESS)))
@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
def test_senseless_answers(case: int, policy: str) -> None:
    """A senseless answer is a failed call: 500 with the cause, or nothing at all where failures are ignored."""

    @virtual_time
    async def ask() -> None:
        answer, status, said = SENSELESS[case]
        error = await failure(answer, status=status, policy=policy)
        if policy == "Ignore":
            assert error is None
            return
        assert error is not None
        assert (error.code, error.reason) == (500, "InternalError")
        before, uid, after = said.partition("<uid>")
        told = error.message.removeprefix(f"Internal error occurred: {HOOK}")
        assert told.startswith(before)
        assert told.endswith(after)
        assert len(told) == len(said) + (len(UID) - len("<uid>") if uid else 0)
        assert error.details == {"causes": [{"message": HOOK + told}]}

    ask()


@pytest.mark.parametrize(
    ("declared", "got"),
    [
        ({}, "/, Kind="),
        ({"kind": "AdmissionReview"}, "/, Kind=AdmissionReview"),
        ({"apiVersion": "admission.k8s.io/v1"}, "admission.k8s.io/v1, Kind="),
    ],
)
def test_answer_without_kind_or_version_is_not_believed(declared: JSON, got: str) -> None:
    """An answer in v1 has to say both what it is and of which version, or the call has failed."""

    @virtual_time
    async def ask() -> None:
        world = World()
        world.validating = [configuration("c", hook("check"))]
        response = {"allowed": True}
        world.answer("check", lambda sent: body_of({**declared, "response": {**response, "uid": sent["uid"]}}))
        with pytest.raises(StatusError) as error:
            await world.admission.validate(review(config_map()))
        wanted = "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview"
        assert error.value.message.endswith(f"{ANSWER}{wanted}, got {got}")

    ask()


def body_of(value: JSON) -> Any:
    """Raw bytes, for an answer made by a function."""
    return json.dumps(value).encode()


PATCHES: list[tuple[JSON, str]] = [
    (
        {"allowed": True, "patch": base64.b64encode(b"[]").decode()},
        HOOK + ANSWER + "webhook returned response.patch but not response.patchType",
    ),
    (
        {"allowed": True, "patchType": "JSONPatch"},
        HOOK + ANSWER + "webhook returned response.patchType but not response.patch",
    ),
    (
        {"allowed": True, "patchType": "", "patch": base64.b64encode(b"[]").decode()},
        HOOK + ANSWER + 'webhook returned invalid response.patchType of ""',
    ),
    (
        {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(b"{{").decode()},
        HOOK + PATCH + "invalid character '{' looking for beginning of object key string",
    ),
    (
        {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(b"{}").decode()},
        HOOK + PATCH + "json: cannot unmarshal object into Go value of type jsonpatch.Patch",
    ),
    ({"allowed": True, "patchType": "JSONPatch", "patch": "***"}, HOOK + CALL + "illegal base64 data at input byte 0"),
    (
        {**patch({"op": "add", "path": "/data/a", "value": "b"}), "patchType": "Odd"},
        HOOK + 'unsupported patch type "Odd"',
    ),
]


@pytest.mark.parametrize("case", range(len(PATCHES)))
@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
def test_patches_that_cannot_be_read(case: int, policy: str) -> None:
    """A patch that cannot be read is a failed call."""

    @virtual_time
    async def ask() -> None:
        answer, said = PATCHES[case]
        error = await failure(answer, mutating=True, policy=policy)
        if policy == "Ignore":
            assert error is None
        else:
            assert error is not None
            assert error.message == f"Internal error occurred: {said}"

    ask()


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
def test_patch_that_does_not_apply(policy: str) -> None:
    """A patch that cannot be applied is a 500, whatever failurePolicy says."""

    @virtual_time
    async def ask() -> None:
        error = await failure(patch({"op": "remove", "path": "/data/none"}), mutating=True, policy=policy)
        assert error is not None
        assert error.message == (
            "Internal error occurred: error in remove for path: '/data/none': "
            "Unable to remove nonexistent key: none: missing value"
        )

    ask()


@virtual_time
async def test_odd_patch_type_without_operations() -> None:
    """An unknown patchType with an empty patch passes."""
    answer = {"allowed": True, "patchType": "Odd", "patch": base64.b64encode(b"[]").decode()}
    assert await failure(answer, mutating=True) is None


@virtual_time
async def test_validating_webhooks_do_not_patch() -> None:
    """A validating webhook that answers with a patch has failed."""
    error = await failure(patch({"op": "add", "path": "/data", "value": {}}))
    assert error is not None
    assert error.message.endswith(ANSWER + "validating webhook may not return response.patch")


@virtual_time
async def test_patch_of_a_deletion() -> None:
    """There is no object to patch in a deletion."""
    world = World()
    world.mutating = [configuration("c", hook("check"))]
    world.answer("check", patch({"op": "add", "path": "/data", "value": {}}))
    with pytest.raises(StatusError) as caught:
        await world.admission.mutate(review(None, config_map()))
    assert caught.value.message == (
        'Internal error occurred: admission webhook "check.example.org" attempted to modify the object, which is not '
        "supported for this operation"
    )


@virtual_time
async def test_slow_webhook() -> None:
    """A webhook that does not answer in timeoutSeconds has failed, after exactly that time."""
    loop = asyncio.get_running_loop()
    for policy, fails in (("Fail", True), ("Ignore", False)):
        world = World()
        world.answer("check", {"allowed": True, "delay": 30})
        world.validating = [configuration("c", hook("check", timeoutSeconds=3, failurePolicy=policy))]
        began = loop.time()
        if fails:
            with pytest.raises(StatusError) as caught:
                await world.admission.validate(review(config_map()))
            assert caught.value.message == (
                'Internal error occurred: failed calling webhook "check.example.org": failed to call webhook: '
                f'Post "{URL}/check?timeout=3s": context deadline exceeded'
            )
        else:
            await world.admission.validate(review(config_map()))
        assert loop.time() - began == pytest.approx(3)


@virtual_time
async def test_default_timeout() -> None:
    """Without timeoutSeconds a webhook has ten seconds."""
    world = World()
    world.answer("check", {"allowed": True, "delay": 9.9})
    world.validating = [configuration("c", hook("check"))]
    await world.admission.validate(review(config_map()))
    world.answer("check", {"allowed": True, "delay": 10.1})
    with pytest.raises(StatusError, match="timeout=10s"):
        await world.admission.validate(review(config_map()))


@virtual_time
async def test_service_that_is_not_there() -> None:
    """A service without anything behind it is named."""
    world = World()
    client = {"service": {"name": "none", "namespace": "n", "path": "/validate"}}
    world.validating = [configuration("c", hook("check", clientConfig=client, timeoutSeconds=2))]
    with pytest.raises(StatusError) as caught:
        await world.admission.validate(review(config_map()))
    assert caught.value.message == (
        'Internal error occurred: failed calling webhook "check.example.org": failed to call webhook: '
        'Post "https://none.n.svc:443/validate?timeout=2s": service "none" not found'
    )


@virtual_time
async def test_service_in_process() -> None:
    """A service is reached at its path; a handshake that would fail is a failed call."""
    caller = LocalCaller()
    trusted = True
    seen: list[str] = []

    def handle(path: str, asked: bytes, content_type: str) -> tuple[int, bytes]:
        seen.append(f"{path} {content_type}")
        uid = json.loads(asked)["request"]["uid"]
        return 200, body({**REVIEW, "response": {"uid": uid, "allowed": True}})

    world = World()
    caller.serve("n", "hooks", handle, distrust=lambda _: "" if trusted else "certificate signed by unknown authority")
    world.admission._caller = caller
    client = {"service": {"name": "hooks", "namespace": "n", "path": "check"}}
    world.validating = [configuration("c", hook("check", clientConfig=client))]
    await world.admission.validate(review(config_map()))
    assert seen == ["/check application/json"]
    trusted = False
    with pytest.raises(StatusError, match="tls: failed to verify certificate: x509: certificate signed by unknown"):
        await world.admission.validate(review(config_map()))
    caller.forget("n", "hooks")
    with pytest.raises(StatusError, match='service "hooks" not found'):
        await world.admission.validate(review(config_map()))


@virtual_time
async def test_review_versions() -> None:
    """A webhook is asked in the first version that both know; without one the call fails."""
    world = World()
    world.validating = [configuration("c", hook("check", admissionReviewVersions=["v9", "v1beta1", "v1"]))]
    world.answer("check", {"allowed": True, "uid": "anything goes in v1beta1"})
    await world.admission.validate(review(config_map()))
    assert world.asked[0][1]["apiVersion"] == "admission.k8s.io/v1beta1"
    world.validating = [configuration("c", hook("check", admissionReviewVersions=["v9"]), version="2")]
    with pytest.raises(StatusError, match="webhook does not accept known AdmissionReview versions"):
        await world.admission.validate(review(config_map()))


COUNTED: list[tuple[Any, int, tuple[str, int]]] = [
    ({"allowed": False, "status": {"code": 422}}, 200, ("no_error", 422)),
    ({"allowed": False}, 200, ("no_error", 400)),
    (b"", 200, ("calling_webhook_error", 503)),
    (b"hello", 200, ("calling_webhook_error", 503)),
    (b"no replica", 502, ("calling_webhook_error", 502)),
    (b"", 999, ("calling_webhook_error", 600)),
]


@pytest.mark.parametrize("case", range(len(COUNTED)))
@virtual_time
async def test_refusals_are_counted_by_what_caused_them(case: int) -> None:
    """A webhook's own refusal counts with its code, a failure to ask it as such, and one that is ignored not at all."""
    answer, status, (error, code) = COUNTED[case]
    for policy, count in (("Fail", 1), ("Ignore", int(error == "no_error"))):
        world = World()
        world.answer("check", answer, status=status)
        world.validating = [configuration("c", hook("check", failurePolicy=policy))]
        with suppress(StatusError):
            await world.admission.validate(review(config_map()))
        expected = {("check.example.org", "validating", "CREATE", error, code): 1} if count else {}
        assert dict(world.admission.rejections) == expected


@virtual_time
async def test_a_mutating_webhook_that_is_not_there_is_counted() -> None:
    """Mutating webhooks are of type ``admit``; a dry run that one does not support is the server's own error."""
    world = World()
    world.mutating = [configuration("c", hook("gone", clientConfig={"url": "https://nowhere.example/x"}))]
    with suppress(StatusError):
        await world.admission.mutate(review(config_map()))
    world.mutating = [configuration("c", hook("some", sideEffects="Some"), version="2")]
    with suppress(StatusError):
        await world.admission.mutate(review(config_map(), dry_run=True))
    assert dict(world.admission.rejections) == {
        ("gone.example.org", "admit", "CREATE", "calling_webhook_error", 503): 1,
        ("some.example.org", "admit", "CREATE", "apiserver_internal_error", 0): 1,
    }
