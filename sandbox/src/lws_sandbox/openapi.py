"""OpenAPI of what is served: ``/openapi/v2`` and ``/openapi/v3``, for `kubectl explain` and client-side checks."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson

from lws.apimachinery.manifests import JSON
from lws_sandbox import openapi_legacy
from lws_sandbox.catalog import Catalog, Served
from lws_sandbox.negotiation import JSON_TYPE, PROTOBUF_TYPE, YAML_TYPE
from lws_sandbox.openapi_paths import paths_of
from lws_sandbox.openapi_protobuf import to_protobuf
from lws_sandbox.reply import CACHE, Reply
from lws_sandbox.rest.call import Query
from lws_sandbox.schema import builtin

META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
COMMON: Final = (f"{META}DeleteOptions", f"{META}Status", f"{META}ListMeta", f"{META}ObjectMeta")
BUILTIN_ONLY: Final = (f"{META}APIResource", f"{META}APIResourceList")
_TYPE_TEXT: Final = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized "
    "schemas to the latest internal value, and may reject unrecognized values. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
_KIND_TEXT: Final = (
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
    "endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
_META_TEXT: Final = (
    "Standard object's metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_LIST_TEXT: Final = (
    "Standard list metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)


class OpenApi:
    """Makes the documents when they are asked for, and keeps them until a custom resource changes."""

    def __init__(self, catalog: Catalog, definitions: Callable[[], Iterable[JSON]]) -> None:
        """``definitions`` are the stored CustomResourceDefinitions."""
        self._catalog = catalog
        self._definitions = definitions
        self._documents: dict[str, tuple[bytes, str]] = {}
        catalog.changed.append(self._documents.clear)

    def __call__(self, path: str, query: Query, headers: Mapping[str, str]) -> Reply | None:
        """The answer for a path below ``/openapi``, or None."""
        if path == "/openapi/v2":
            return self._legacy(headers)
        if path == "/openapi/v3":
            reply = self._send("v3", self._root, Query(), headers)
            reply.headers["content-type"] = "text/plain; charset=utf-8"
            return reply
        parts = path.removeprefix("/openapi/v3/").split("/")
        match parts:
            case ["api", version]:
                group = ""
            case ["apis", group, version]:
                pass
            case _:
                return None
        if version not in self._catalog.versions(group):
            return None
        return self._send("/".join(parts), lambda: self._document(group, version), query, headers)

    def _legacy(self, headers: Mapping[str, str]) -> Reply:
        media = openapi_legacy.media(headers)
        if not media:
            return Reply(406, {**CACHE, "vary": "Accept"})
        reply = self._send("v2", self._version_two, Query(), headers)
        if media == openapi_legacy.PROTOBUF and reply.body:
            reply.body, _ = self._kept(media, lambda: to_protobuf(self._version_two()))
            reply.headers["content-type"] = media
        return reply

    def _send(self, key: str, make: Callable[[], JSON], query: Query, headers: Mapping[str, str]) -> Reply:
        body, digest = self._kept(key, make)
        sent = {"etag": f'"{digest}"', "vary": "Accept", "cache-control": "no-cache, private"}
        asked = query.text("hash")
        if asked and asked != digest:
            place = f"/openapi/v3/{quote(key)}?hash={digest}"
            return Reply(301, {**sent, "location": place, "content-type": JSON_TYPE})
        if asked:
            sent |= {"cache-control": "public, immutable", "expires": "Fri, 31 Dec 2100 23:59:59 GMT"}
        if headers.get("if-none-match") == sent["etag"]:
            return Reply(304, sent)
        return Reply(200, {**sent, "content-type": JSON_TYPE}, body)

    def _kept(self, key: str, make: Callable[[], JSON | bytes]) -> tuple[bytes, str]:
        found = self._documents.get(key)
        if found is None:
            made = make()
            body = made if isinstance(made, bytes) else orjson.dumps(made)
            found = self._documents[key] = body, hashlib.sha512(body).hexdigest().upper()
        return found

    def _root(self) -> JSON:
        paths: JSON = {}
        for group in self._catalog.groups():
            for version in self._catalog.versions(group):
                key = f"apis/{group}/{version}" if group else f"api/{version}"
                _, digest = self._kept(key, functools.partial(self._document, group, version))
                paths[key] = {"serverRelativeURL": f"/openapi/v3/{key}?hash={digest}"}
        return {"paths": paths}

    def _document(self, group: str, version: str) -> JSON:
        custom = bool(group) and not self._catalog.is_builtin(group)
        schemas: JSON = {}
        paths: JSON = {}
        for served in self._catalog.resources(group, version):
            names = self._add_kind(served, schemas, _three)
            paths |= paths_of(served, names, _operation_types(served))
        for name in COMMON if custom else (*COMMON, *BUILTIN_ONLY):
            _close(schemas, name, _three)
        schemas |= _extras(custom=custom)
        info = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
        if not custom:
            info = {"title": "Kubernetes", "version": "1.36"}
            place = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
            paths[place] = {"get": {"description": "get available resources", "responses": {}}}
        ordered = {name: schemas[name] for name in sorted(schemas)}
        return {
            "openapi": "3.0.0",
            "info": info,
            "paths": {path: paths[path] for path in sorted(paths)},
            "components": {"schemas": ordered},
        }

    def _version_two(self) -> JSON:
        definitions: JSON = {}
        paths: JSON = {}
        for served in self._catalog:
            names = self._add_kind(served, definitions, _two)
            paths |= paths_of(served, names, _operation_types(served), swagger=True)
        for name in COMMON:
            _close(definitions, name, _two)
        info = {"title": "Kubernetes", "version": "1.36"}
        return {"swagger": "2.0", "info": info, "paths": paths, "definitions": definitions}

    def _add_kind(self, served: Served, schemas: JSON, refer: Refer) -> tuple[str, str]:
        """Add a kind and its list; returns their names."""
        resource = served.strategy.resource
        if served.strategy.custom:
            return self._add_custom(served, schemas, refer)
        name = builtin.definition_of(resource.api_version, resource.kind) or f"io.k8s.api.{resource.kind}"
        _close(schemas, name, refer)
        schemas.setdefault(name, {"type": "object", **_kind_extension(resource)})  # of a kind without a definition
        if "list" in served.verbs:
            listed = builtin.definition_of(resource.api_version, f"{resource.kind}List") or f"{name}List"
            _close(schemas, listed, refer)
            schemas.setdefault(listed, _list_schema(resource, name, refer))
            return name, listed
        return name, name

    def _add_custom(self, served: Served, schemas: JSON, refer: Refer) -> tuple[str, str]:
        resource = served.strategy.resource
        name = ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])
        declared = self._declared(resource.group, resource.version, resource.plural)
        if refer is _two:
            declared = openapi_legacy.downgraded(declared)
        properties = {
            "apiVersion": {"description": _TYPE_TEXT, "type": "string"},
            "kind": {"description": _KIND_TEXT, "type": "string"},
            "metadata": {"description": _META_TEXT, "allOf": [refer(f"{META}ObjectMeta")]},
        }
        given = {key: value for key, value in (declared.get("properties") or {}).items() if key not in properties}
        schema = {key: value for key, value in declared.items() if key != "properties"}
        open_ended = refer is _two and declared.get("x-kubernetes-preserve-unknown-fields")
        named = {} if open_ended else {"properties": {**properties, **given}}  # kubectl would take no others
        schema |= {"type": "object", **named, **_kind_extension(resource)}
        schemas[name] = schema
        schemas[f"{name}List"] = _list_schema(resource, name, refer)
        return name, f"{name}List"

    def _declared(self, group: str, version: str, plural: str) -> JSON:
        for definition in self._definitions():
            spec = definition["spec"]
            if (spec["group"], spec["names"]["plural"]) == (group, plural):
                for found in spec["versions"]:
                    if found["name"] == version:
                        schema: JSON = (found.get("schema") or {}).get("openAPIV3Schema") or {}
                        return schema
        return {}


Refer = Callable[[str], JSON]


def _three(name: str) -> JSON:
    return {"$ref": f"#/components/schemas/{name}"}


def _two(name: str) -> JSON:
    return {"$ref": f"#/definitions/{name}"}


def _left_out(refer: Refer) -> tuple[str, ...]:
    """Members of packaged schemas that documents do not have; of built-in kinds v2 tells no defaults."""
    return ("x-go", "default") if refer is _two else ("x-go",)


def _operation_types(served: Served) -> tuple[str, ...]:
    return (JSON_TYPE, YAML_TYPE) if served.strategy.custom else (JSON_TYPE, PROTOBUF_TYPE, YAML_TYPE)


def _kind_extension(resource: Any, kind: str = "") -> JSON:
    found = {"group": resource.group, "kind": kind or resource.kind, "version": resource.version}
    return {"x-kubernetes-group-version-kind": [found]}


def _list_schema(resource: Any, item: str, refer: Refer) -> JSON:
    return {
        "description": f"{resource.kind}List is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"description": _TYPE_TEXT, "type": "string"},
            "items": {
                "description": f"List of {resource.plural}. More info: "
                "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
                "type": "array",
                "items": refer(item),
            },
            "kind": {"description": _KIND_TEXT, "type": "string"},
            "metadata": {"description": _LIST_TEXT, "allOf": [refer(f"{META}ListMeta")]},
        },
        **_kind_extension(resource, f"{resource.kind}List"),
    }


def _extras(*, custom: bool) -> JSON:
    """Types that documents name although no kind holds them."""
    patch = "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body."
    extras: JSON = {f"{META}Patch": {"description": patch, "type": "object"}}
    if not custom:
        extras["io.k8s.apimachinery.pkg.runtime.RawExtension"] = {"type": "object"}
        extras[f"{META}WatchEvent"] = {
            "description": "Event represents a single event to a watched resource.",
            "type": "object",
            "required": ["type", "object"],
            "properties": {
                "object": {"allOf": [_three("io.k8s.apimachinery.pkg.runtime.RawExtension")]},
                "type": {"type": "string", "default": ""},
            },
        }
    return extras


def _close(schemas: JSON, name: str, refer: Refer) -> None:
    """Add a packaged definition and all that it refers to."""
    queue = [name]
    while queue:
        current = queue.pop()
        packaged = builtin.definitions().get(current)
        if packaged is None or current in schemas:
            continue
        schemas[current] = _described(current, packaged, refer)
        queue += _references(packaged)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _described(name: str, packaged: JSON, refer: Refer) -> JSON:
    texts = builtin.descriptions().get(name) or {}
    out: JSON = {"description": texts[""]} if texts.get("") else {}
    for key, value in packaged.items():
        if key == "properties":
            out[key] = {field: _property(found, texts.get(field, ""), refer) for field, found in value.items()}
        elif key not in _left_out(refer):
            out[key] = _referring(value, refer)
    kinds = [key for key, definition in builtin.kinds().items() if definition == name]
    if kinds:
        out["x-kubernetes-group-version-kind"] = [_split_kind(key) for key in kinds]
    return out


def _split_kind(key: str) -> JSON:
    version, _, kind = key.rpartition("/")
    group, _, bare = version.rpartition("/")
    return {"group": group, "kind": kind, "version": bare}


def _property(schema: JSON, text: str, refer: Refer) -> JSON:
    out: JSON = {"description": text} if text else {}
    if "$ref" in schema:
        if schema.get("x-go") in ("s", "z") and refer is _three:
            out["default"] = {}
        return out | ({"allOf": [refer(schema["$ref"])]} if refer is _three else refer(schema["$ref"]))
    return out | {key: _referring(value, refer) for key, value in schema.items() if key not in _left_out(refer)}


def _referring(value: Any, refer: Refer) -> Any:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            return refer(value["$ref"])
        return {key: _referring(found, refer) for key, found in value.items() if key not in _left_out(refer)}
    if isinstance(value, list):
        return [_referring(found, refer) for found in value]
    return value
