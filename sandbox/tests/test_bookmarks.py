"""Bookmarks of built-in kinds: a version in an object that holds nothing, as its Go type writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lws.apimachinery.resources import CONFIGMAPS, CONTROLLERREVISIONS, PODS, SERVICES, STATEFULSETS, Resource
from lws.client.transport import Request
from lws_sandbox.cluster import Sandbox
from tests.virtual import virtual_time

QUERY = (
    ("watch", "1"),
    ("allowWatchBookmarks", "true"),
    ("sendInitialEvents", "true"),
    ("resourceVersionMatch", "NotOlderThan"),
    ("timeoutSeconds", "1"),
)
TEMPLATE = {"metadata": {}, "spec": {"containers": None}}
EMPTY: list[tuple[Resource, dict[str, Any]]] = [
    (PODS, {"spec": {"containers": None}, "status": {}}),
    (SERVICES, {"spec": {}, "status": {"loadBalancer": {}}}),
    (CONTROLLERREVISIONS, {"data": None, "revision": 0}),
    (CONFIGMAPS, {}),
    (
        STATEFULSETS,
        {
            "spec": {"replicas": 0, "selector": None, "template": TEMPLATE, "serviceName": "", "updateStrategy": {}},
            "status": {"replicas": 0, "availableReplicas": 0},
        },
    ),
]


@pytest.mark.parametrize(("resource", "rest"), EMPTY, ids=[resource.kind for resource, _ in EMPTY])
def test_a_bookmark_has_what_its_type_never_leaves_out(resource: Resource, rest: dict[str, Any]) -> None:
    """Besides its version a bookmark holds what a real server's does: the members that an empty object has."""

    @virtual_time
    async def look() -> None:
        async with Sandbox(loops=()) as sandbox:
            answer = await sandbox.transport().send(Request("GET", resource.path("lives"), QUERY))
        (line,) = [each for each in map(json.loads, answer.body.splitlines()) if each["type"] == "BOOKMARK"]
        told = line["object"]
        assert (told.pop("kind"), told.pop("apiVersion")) == (resource.kind, resource.api_version)
        assert told.pop("metadata")["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert told == rest

    look()
