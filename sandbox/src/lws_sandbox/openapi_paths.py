"""The ``paths`` of OpenAPI documents: one operation for each verb of a resource and its subresources."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.catalog import Served

METHODS: Final = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}
NAMES: Final = {"get": "read", "update": "replace", "patch": "patch", "delete": "delete"}
TEXTS: Final = {
    "get": "read the specified",
    "update": "replace the specified",
    "patch": "partially update the specified",
    "delete": "delete",
}
ACTIONS: Final = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}
PRETTY: Final = (
    "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or "
    "command-line HTTP tool (curl and wget)."
)
VERSION: Final = (
    "resourceVersion sets a constraint on what resource versions a request may be served from. See "
    "https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions for details.\n\nDefaults to unset"
)
WRITE_QUERY: Final = {
    "dryRun": "When present, indicates that modifications should not be persisted. Valid values are: - All: all dry "
    "run stages will be processed",
    "fieldManager": "fieldManager is a name associated with the actor or entity that is making these changes.",
    "fieldValidation": "fieldValidation instructs the server on how to handle objects in the request that contain "
    "unknown or duplicate fields. Valid values are: Ignore, Warn, Strict.",
}


def paths_of(served: Served, names: tuple[str, str], media: tuple[str, ...], *, swagger: bool = False) -> JSON:
    """All paths of a served resource; ``names`` are the schemas of the kind and of its list."""
    return _Paths(served, names, media, swagger=swagger).all()


class _Paths:
    def __init__(self, served: Served, names: tuple[str, str], media: tuple[str, ...], *, swagger: bool) -> None:
        self._served = served
        self._resource = served.strategy.resource
        self._name, self._list = names
        self._media = media
        self._swagger = swagger

    def all(self) -> JSON:
        resource, verbs = self._resource, self._served.verbs
        wide = resource.path()
        base = resource.path("{namespace}").replace("%7Bnamespace%7D", "{namespace}")
        found: JSON = {}
        if resource.namespaced and "list" in verbs:
            found[wide] = {"get": self._listing(everywhere=True), "parameters": self._shared([])}
        collection = self._collection()
        if collection:
            found[base] = collection
        if {"get", "update", "patch", "delete"} & set(verbs):
            found[f"{base}/{{name}}"] = self._object("", verbs)
        for sub in self._served.subresources:
            found[f"{base}/{{name}}/{sub.name}"] = self._object(sub.name, sub.verbs)
        if "watch" in verbs and not self._served.strategy.custom:
            found |= self._watches(wide, base)
        return found

    def _watches(self, wide: str, base: str) -> JSON:
        version = self._resource.api_version
        prefix = f"/apis/{version}" if self._resource.group else f"/api/{version}"
        paths = {wide, base, f"{base}/{{name}}"}
        shared = self._shared([])
        return {path.replace(prefix, f"{prefix}/watch", 1): {"parameters": shared} for path in paths}

    def _collection(self) -> JSON:
        verbs, item = self._served.verbs, JSON()
        if "list" in verbs:
            item["get"] = self._listing(everywhere=False)
        if "create" in verbs:
            text = f"create {self._article()} {self._resource.kind}"
            item["post"] = self._operation("create", text, "post", self._name, query=tuple(WRITE_QUERY))
        if "deletecollection" in verbs:
            text, status = f"delete collection of {self._resource.kind}", "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
            operation = self._operation("deleteCollection", text, "deletecollection", status)
            item["delete"] = operation
        if item:
            item["parameters"] = self._shared(["namespace"] if self._resource.namespaced else [])
        return item

    def _article(self) -> str:
        return "an" if self._resource.kind[0] in "AEIO" else "a"

    def _listing(self, *, everywhere: bool) -> JSON:
        text = f"list or watch objects of kind {self._resource.kind}"
        suffix = "ForAllNamespaces" if everywhere else ""
        return self._operation("list", text, "list", self._list, everywhere=everywhere, suffix=suffix)

    def _object(self, subresource: str, verbs: tuple[str, ...]) -> JSON:
        item: JSON = {}
        scope = f"{subresource} of the specified" if subresource else ""
        for verb in verbs:
            if verb == "create":
                text = f"create {subresource} of {self._article()} {self._resource.kind}"
                query = tuple(WRITE_QUERY)
                item["post"] = self._operation("create", text, "post", self._name, query=query, suffix=subresource)
                continue
            if verb not in METHODS:
                continue
            start = TEXTS[verb] if not scope else f"{TEXTS[verb].removesuffix(' the specified')} {scope}"
            start = f"{start} {self._article()}" if verb == "delete" and not scope else start
            query = tuple(WRITE_QUERY) if verb in ("update", "patch") else ()
            if verb == "get" and self._served.strategy.custom:
                query = ("resourceVersion",)
            text = f"{start} {self._resource.kind}"
            item[METHODS[verb]] = self._operation(
                NAMES[verb], text, ACTIONS[verb], self._name, query=query, suffix=subresource
            )
        item["parameters"] = self._shared(["name", "namespace"] if self._resource.namespaced else ["name"])
        return item

    def _operation(
        self,
        verb: str,
        text: str,
        action: str,
        schema: str,
        *,
        query: tuple[str, ...] = (),
        suffix: str = "",
        everywhere: bool = False,
    ) -> JSON:
        resource = self._resource
        group = _camel(resource.group.removesuffix(".k8s.io")) or "core"
        scope = "Namespaced" if resource.namespaced and not everywhere else ""
        version = resource.version[:1].upper() + resource.version[1:]
        suffix = suffix[:1].upper() + suffix[1:]
        identity = f"{verb}{group[:1].upper()}{group[1:]}{version}{scope}{resource.kind}{suffix}"
        operation: JSON = {"tags": [f"{group}_{resource.version}"], "description": text, "operationId": identity}
        if query:
            operation["parameters"] = [self._parameter(name, "query", self._text(name)) for name in query]
        operation["responses"] = {"200": self._answer(schema), "401": {"description": "Unauthorized"}}
        operation["x-kubernetes-action"] = action
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        return operation | {"x-kubernetes-group-version-kind": kind}

    @staticmethod
    def _text(name: str) -> str:
        return VERSION if name == "resourceVersion" else WRITE_QUERY[name]

    def _answer(self, schema: str) -> JSON:
        if self._swagger:
            return {"description": "OK", "schema": {"$ref": f"#/definitions/{schema}"}}
        reference = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
        return {"description": "OK", "content": {media: dict(reference) for media in self._media}}

    def _shared(self, members: list[str]) -> list[JSON]:
        texts = {
            "name": f"name of the {self._resource.kind}",
            "namespace": "object name and auth scope, such as for teams and projects",
        }
        found = [self._parameter(name, "path", texts[name]) for name in members]
        return [*found, self._parameter("pretty", "query", PRETTY)]

    def _parameter(self, name: str, place: str, text: str) -> JSON:
        parameter: JSON = {"name": name, "in": place, "description": text}
        if place == "path":
            parameter["required"] = True
        if self._swagger:
            return parameter | {"type": "string", "uniqueItems": True}
        return parameter | {"schema": {"type": "string", "uniqueItems": True}}


def _camel(group: str) -> str:
    """``rbac.authorization`` becomes ``rbacAuthorization``."""
    first, *rest = [part for piece in group.split(".") for part in piece.split("-")]
    return first + "".join(part[:1].upper() + part[1:] for part in rest)
