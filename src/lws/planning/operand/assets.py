"""The objects of `config/`, as they were rendered when the package was made (operator 5.1).

A component is a folder of `config/` on top of `config/default`, such as ``certmanager``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from typing import Final

import orjson

from lws.apimachinery.manifests import JSON, name_of
from lws.apimachinery.resources import Resource

DATA_FILE: Final = "objects.json"


@dataclass(frozen=True, slots=True)
class Asset:
    """One object.

    Attributes:
        resource: what it is.
        manifest: for namespace ``lws-system``; not to be changed.
        component: the component that brings it, in this form; empty for `config/default`.
        without: the components that take it away, or bring another form of it.
    """

    resource: Resource
    manifest: JSON
    component: str = ""
    without: frozenset[str] = frozenset()

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return self.resource.kind, name_of(self.manifest)


@functools.cache
def assets() -> tuple[Asset, ...]:
    """Every object that this release knows."""
    return parsed(resources.files("lws.planning.operand").joinpath("data", DATA_FILE).read_bytes())


def parsed(data: bytes | str) -> tuple[Asset, ...]:
    """The assets of a file that `hack.operand_objects` wrote."""
    return tuple(_asset(entry) for entry in orjson.loads(data))


def _asset(entry: JSON) -> Asset:
    manifest: JSON = entry["manifest"]
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    resource = Resource(group, version, entry["plural"], manifest["kind"], namespaced=entry["namespaced"])
    return Asset(resource, manifest, entry.get("component", ""), frozenset(entry.get("without", ())))
