"""A small world for admission: stored configurations, namespaces, and webhooks that answer in-process."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws_sandbox.admission import LocalCaller, WebhookAdmission
from lws_sandbox.rest.core import Review
from lws_sandbox.schema.schema import of_builtin
from lws_sandbox.status import StatusError
from lws_sandbox.strategy import GenericStrategy
from lws_sandbox.user import UserInfo

URL = "https://hooks.example"
CONFIGMAPS = GenericStrategy(
    resource=Resource("", "v1", "configmaps", "ConfigMap"), schema=of_builtin("v1", "ConfigMap")
)
NAMESPACES = GenericStrategy(resource=Resource("", "v1", "namespaces", "Namespace", namespaced=False))
NODES = GenericStrategy(resource=Resource("", "v1", "nodes", "Node", namespaced=False))
LEGACY_EVENTS = GenericStrategy(resource=Resource("", "v1", "events", "Event"), storage_key="events")
USER = UserInfo("admin", groups=("system:masters",), extra={"key": ("value",)})


class TwinEvents(GenericStrategy):
    """Events of the newer group, which call the message note."""

    def read(self, stored: JSON) -> JSON:
        """The newer form."""
        rest = {key: value for key, value in stored.items() if key not in ("message", "apiVersion")}
        return {**rest, "apiVersion": "events.k8s.io/v1", "note": stored.get("message")}

    def write(self, obj: JSON) -> JSON:
        """The stored form."""
        rest = {key: value for key, value in obj.items() if key not in ("note", "apiVersion")}
        return {**rest, "apiVersion": "v1", "message": obj.get("note")}


EVENTS = TwinEvents(resource=Resource("events.k8s.io", "v1", "events", "Event"), storage_key="events")


def hook(name: str, **changes: Any) -> JSON:
    """A webhook about all writes of ConfigMaps, at the URL path of its name."""
    return {
        "name": f"{name}.example.org",
        "clientConfig": {"url": f"{URL}/{name}"},
        "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **changes,
    }


def configuration(name: str, *hooks: JSON, version: str = "1") -> JSON:
    """A stored configuration."""
    return {"metadata": {"name": name, "uid": name, "resourceVersion": version}, "webhooks": list(hooks)}


def patch(*operations: JSON) -> JSON:
    """Members of a response that patches."""
    return {
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(json.dumps(operations).encode()).decode(),
    }


def config_map(**members: Any) -> JSON:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, **members}


def review(obj: JSON | None, old: JSON | None = None, **changes: Any) -> Review:
    """A review of a write of a ConfigMap in namespace n, or with changes of anything else."""
    strategy = changes.pop("strategy", CONFIGMAPS)
    resource = strategy.resource
    operation = "DELETE" if obj is None else "CREATE" if old is None else "UPDATE"
    given: JSON = {
        "operation": operation,
        "strategy": strategy,
        "kind": (resource.group, resource.version, resource.kind),
        "subresource": "",
        "namespace": "n",
        "name": "a",
        "obj": obj,
        "old": old,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        "user": USER,
        "dry_run": False,
        **changes,
    }
    return Review(**given)


@dataclass
class World:
    """Configurations, namespaces and what webhooks answer; remembers what they were asked."""

    mutating: list[JSON] = field(default_factory=list)
    validating: list[JSON] = field(default_factory=list)
    namespaces: dict[str, JSON] = field(default_factory=lambda: {"n": {"metadata": {"name": "n", "labels": {}}}})
    asked: list[tuple[str, JSON]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.caller = LocalCaller()
        self.caller.serve_url(URL, self._answer)
        self.admission = WebhookAdmission(
            mutating=lambda: self.mutating,
            validating=lambda: self.validating,
            namespace=lambda name: self.namespaces.get(name),
            strategies=lambda: [CONFIGMAPS, NAMESPACES, NODES, LEGACY_EVENTS, EVENTS],
            caller=self.caller,
            random=Random(1),
        )

    def answer(self, name: str, response: JSON | bytes | Callable[[JSON], JSON], *, status: int = 200) -> None:
        """Let a webhook give this response (its uid is filled in), these bytes, or what a function makes."""
        self.answers[name] = (response, status)

    @property
    def paths(self) -> list[str]:
        """The webhooks that were asked, in order."""
        return [path for path, _ in self.asked]

    async def _answer(self, path: str, body: bytes, _content_type: str) -> tuple[int, bytes]:
        name = path.strip("/")
        asked = json.loads(body)
        self.asked.append((name, asked))
        response, status = self.answers.get(name, ({"allowed": True}, 200))
        if callable(response):
            response = response(asked["request"])
        if isinstance(response, bytes):
            return status, response
        if seconds := response.get("delay"):
            await asyncio.sleep(seconds)
        given = {"uid": asked["request"]["uid"], **response}
        return status, json.dumps(
            {"apiVersion": asked["apiVersion"], "kind": "AdmissionReview", "response": given}
        ).encode()


def rule(**changes: Any) -> JSON:
    """A rule about everything in core v1, with changes."""
    return {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["*"], **changes}


async def refusal(world: World, **changes: Any) -> StatusError:
    """The error with which a creation ends on the validating side."""
    with pytest.raises(StatusError) as caught:
        await world.admission.validate(review(config_map(), **changes))
    return caught.value
