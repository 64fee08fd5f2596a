"""The schemas of the built-in kinds, from package data.

``data/definitions.json`` holds them without descriptions, ``data/descriptions.json`` the descriptions for OpenAPI
documents; both are written by ``make generate`` from the published schemas of a Kubernetes release.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

import orjson

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema.node import Compiler, Node


def _read(name: str) -> JSON:
    content: JSON = orjson.loads((resources.files(__package__) / "data" / name).read_bytes())
    return content


@functools.cache
def _package() -> JSON:
    return _read("definitions.json")


@functools.cache
def compiler() -> Compiler:
    """Compiles definitions of the package, each once."""
    return Compiler(_package()["definitions"])


def definitions() -> Mapping[str, JSON]:
    """Every packaged definition by its full name; references are ``{"$ref": name}``, Go facts stand in ``x-go``."""
    packaged: Mapping[str, JSON] = _package()["definitions"]
    return packaged


def kinds() -> Mapping[str, str]:
    """``apiVersion/Kind`` of every packaged kind, with its definition's name."""
    packaged: Mapping[str, str] = _package()["kinds"]
    return packaged


@functools.cache
def descriptions() -> Mapping[str, Mapping[str, str]]:
    """Descriptions by definition and field; that of the definition itself stands under the empty field."""
    return _read("descriptions.json")


def definition_of(api_version: str, kind: str) -> str | None:
    """Full name of a kind's definition, or None for a kind that is not packaged."""
    return kinds().get(f"{api_version}/{kind}")


def node_of(name: str) -> Node:
    """The compiled definition.

    Raises:
        KeyError: there is no such definition.
    """
    return compiler().definition(name)


OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def object_meta() -> Node:
    """The schema of ``metadata``."""
    return node_of(OBJECT_META)
