"""A server with the rules of the built-in kinds: what they change in the way a request is answered."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson
import pytest
from sandbox.tests.plain import MAPS, Plain

from lws_sandbox.admission import LocalCaller
from lws_sandbox.serverbuilder import build_server
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time

PODS = "/api/v1/namespaces/default/pods"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
URL = "https://127.0.0.1:1"


def _server(caller: LocalCaller | None = None) -> Plain:
    return Plain(build_server(clock=VirtualClock(), random=Random(1), caller=caller, secured=False))


@pytest.mark.parametrize(
    ("plural", "kind", "rest"),
    [
        ("services", "Service", {"spec": {"ports": [{"port": 80}]}}),
        ("limitranges", "LimitRange", {"spec": {"limits": []}}),
        ("endpoints", "Endpoints", {}),
    ],
)
@virtual_time
async def test_some_kinds_are_created_by_put(plural: str, kind: str, rest: dict[str, Any]) -> None:
    """The first PUT creates, the second updates; other kinds are not found."""
    plain = await _server().begin()
    path = f"/api/v1/namespaces/default/{plural}/a"
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, **rest}
    assert (await plain.put(path, body)).status == 201
    assert (await plain.put(path, (await plain.get(path)).body)).status == 200
    assert (await plain.put(f"{MAPS}/a", {"metadata": {"name": "a"}})).status == 404


@virtual_time
async def test_webhooks_see_the_grace_period_of_a_deletion() -> None:
    """A review of a pod's deletion carries the pod's own grace period where the request names none."""
    seen: list[dict[str, Any]] = []

    def answer(_path: str, body: bytes, _content_type: str) -> tuple[int, bytes]:
        asked = orjson.loads(body)
        seen.append(asked["request"]["options"])
        return 200, orjson.dumps({**asked, "response": {"uid": asked["request"]["uid"], "allowed": True}})

    caller = LocalCaller()
    caller.serve_url(URL, answer)
    plain = await _server(caller).begin()
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["DELETE"]}
    webhook = {
        "name": "pods.example.com",
        "rules": [rule],
        "clientConfig": {"url": URL},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    assert (await plain.post(HOOKS, {"metadata": {"name": "hook"}, "webhooks": [webhook]})).status == 201
    spec = {"containers": [{"name": "main", "image": "app:1"}], "nodeName": "n", "terminationGracePeriodSeconds": 45}
    for name in ("a", "b"):
        assert (await plain.post(PODS, {"metadata": {"name": name}, "spec": spec})).status == 201
    await plain.delete(f"{PODS}/a")
    await plain.delete(f"{PODS}/b", {"gracePeriodSeconds": 7})
    assert [options["gracePeriodSeconds"] for options in seen] == [45, 7]
