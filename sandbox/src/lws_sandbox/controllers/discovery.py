"""What the API server serves, asked for as any client does."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.client.api import ApiClient
from lws.client.transport import Request
from lws.errors import ApiError


@dataclass(frozen=True, slots=True)
class Served:
    """One resource in its preferred version, and what can be done with it."""

    resource: Resource
    verbs: frozenset[str]


async def discover(client: ApiClient) -> list[Served]:
    """Every resource in its group's preferred version, without subresources.

    A group that cannot be read is left out; the next look may find it.

    Raises:
        ApiError: not even the list of groups can be read.
        TransportError: no answer.
    """
    found = await _version(client, "", "v1")
    groups = await _get(client, "/apis")
    for group in groups.get("groups") or ():
        try:
            found += await _version(client, group["name"], group["preferredVersion"]["version"])
        except ApiError:
            continue
    return found


def by_kind(served: list[Served]) -> dict[tuple[str, str], Resource]:
    """Resources by the group and kind that references name."""
    return {(item.resource.group, item.resource.kind): item.resource for item in served}


def group_of(api_version: str) -> str:
    """The group in an ``apiVersion``; empty for the core."""
    return api_version.rpartition("/")[0]


async def _version(client: ApiClient, group: str, version: str) -> list[Served]:
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    document = await _get(client, path)
    return [
        Served(
            Resource(group, version, item["name"], item["kind"], bool(item["namespaced"])),
            frozenset(item.get("verbs") or ()),
        )
        for item in document.get("resources") or ()
        if "/" not in item["name"]
    ]


async def _get(client: ApiClient, path: str) -> JSON:
    response = await client.send(Request("GET", path))
    document: JSON = orjson.loads(response.body)
    return document
