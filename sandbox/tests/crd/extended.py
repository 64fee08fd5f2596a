"""A server to which kinds are declared."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from sandbox.tests.plain import Answer, Plain

from lws.apimachinery.manifests import JSON
from lws_sandbox.crd.lifecycle import LAG
from lws_sandbox.serverbuilder import build_server
from lws_sandbox.virtual_time import VirtualClock

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ANYTHING: JSON = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def version(name: str = "v1", *, storage: bool = True, served: bool = True, **members: Any) -> JSON:
    """A version of a definition; anything goes unless a schema says more."""
    schema = members.pop("schema", ANYTHING)
    return {"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": schema}, **members}


def definition(plural: str = "things", *versions: JSON, group: str = "example.org", **names: Any) -> JSON:
    """A definition, in one version unless there are more."""
    kind = names.pop("kind", plural.removesuffix("s").capitalize())
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, **names},
            "versions": list(versions) or [version()],
        },
    }


def spec_of(**properties: JSON) -> JSON:
    """A schema with these properties of the spec."""
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}


class Extended(Plain):
    """A server with all rules of the built-in kinds, to which kinds are declared."""

    def __init__(self) -> None:
        super().__init__(build_server(clock=VirtualClock(), random=Random(1), secured=False))

    async def declare(self, crd: JSON) -> JSON:
        """Create a definition and let it be established."""
        answer = await self.post(CRDS, crd)
        assert answer.status == 201, answer.raw
        return await self.settled(crd["metadata"]["name"])

    async def settled(self, name: str) -> JSON:
        """The definition, when all that follows from the last write has happened."""
        await asyncio.sleep(2 * LAG)
        found: JSON = (await self.get(f"{CRDS}/{name}")).body
        return found

    async def thing(self, name: str = "a", path: str = "v1", **members: Any) -> Answer:
        """Create an object of the kind Thing in a version."""
        metadata = {"name": name, **members.pop("metadata", {})}
        body = {"apiVersion": f"example.org/{path}", "kind": "Thing", "metadata": metadata, **members}
        return await self.post(things(version_=path), body)


def things(name: str = "", *, version_: str = "v1", subresource: str = "") -> str:
    """The path of the things, or of one."""
    parts = [f"/apis/example.org/{version_}/namespaces/default/things", name, subresource]
    return "/".join(part for part in parts if part)


def conditions(crd: JSON) -> dict[str, tuple[str, str, str]]:
    """Status, reason and message by type."""
    found = crd["status"]["conditions"] or []
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}
