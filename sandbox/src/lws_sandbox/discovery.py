"""What the server tells of itself: groups, versions, resources, health, version (`/api`, `/apis`, `/version`, …)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from lws.apimachinery.manifests import JSON
from lws_sandbox import negotiation
from lws_sandbox.builtinresources import Subresource
from lws_sandbox.catalog import Catalog, Served
from lws_sandbox.health import CHECKS, health
from lws_sandbox.health import paths as health_paths
from lws_sandbox.negotiation import JSON_TYPE
from lws_sandbox.reply import Reply, of_json, page_not_found
from lws_sandbox.rest.call import Query
from lws_sandbox.status import method_not_allowed, no_such_resource, not_acceptable

AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERSION: Final[JSON] = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "$Format:%H$",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.27.3",
    "compiler": "gc",
    "platform": "linux/amd64",
}
PUBLIC: Final = ("/healthz", "/livez", "/readyz", "/version", "/version/")
OpenApi = Callable[[str, Query, Mapping[str, str]], Reply | None]


class Discovery:
    """Answers for paths that name no resource.

    Attributes:
        version: what is answered to who asks for it.
    """

    def __init__(self, catalog: Catalog, openapi: OpenApi | None = None) -> None:
        self._catalog = catalog
        self._openapi = openapi
        self.version: JSON = VERSION
        self._pages: dict[str, Callable[[], Reply]] = {}
        self._documents: dict[str, tuple[bytes, str]] = {}
        catalog.changed.append(self._documents.clear)

    def tell_version(self, version: str) -> None:
        """Say that this is another release, such as ``1.37.2``."""
        major, minor, _ = version.split(".")
        emulated = {"emulationMajor": major, "emulationMinor": minor}
        before = {"minCompatibilityMajor": major, "minCompatibilityMinor": str(int(minor) - 1)}
        self.version = {**VERSION, "major": major, "minor": minor, **emulated, **before, "gitVersion": f"v{version}"}

    def add_pages(self, pages: Mapping[str, Callable[[], Reply]]) -> None:
        """Serve more paths."""
        self._pages |= pages

    @staticmethod
    def is_public(path: str, method: str) -> bool:
        """Whether everybody may read a path, known or not."""
        return method == "GET" and path in PUBLIC

    def answer(self, method: str, path: str, query: Query, headers: Mapping[str, str]) -> Reply:
        """The answer for a path.

        Raises:
            StatusError: 404, 405 or 406 within the API.
        """
        parts = [part for part in path.strip("/").split("/") if part]
        reply = self._find(parts, query, headers)
        if method != "GET":
            raise method_not_allowed()
        return reply

    def _find(self, parts: list[str], query: Query, headers: Mapping[str, str]) -> Reply:
        match parts:
            case []:
                return of_json({"paths": self._paths()})
            case ["version"]:
                return of_json(self.version)
            case ["healthz" | "livez" | "readyz", *check]:
                return health(parts[0], "/".join(check), query)
            case ["openapi", *_] if self._openapi is not None:
                return self._openapi("/" + "/".join(parts), query, headers) or page_not_found()
            case ["api"]:
                return self._negotiated("/api", headers, self._legacy_versions)
            case ["apis"]:
                return self._negotiated("/apis", headers, self._group_list)
            case ["api", version]:
                return self._resource_list("", version)
            case ["apis", group]:
                return self._group(group)
            case ["apis", group, version]:
                return self._resource_list(group, version)
        page = self._pages.get("/" + "/".join(parts))
        return page_not_found() if page is None else page()

    def _negotiated(self, path: str, headers: Mapping[str, str], plain: Callable[[], JSON]) -> Reply:
        accept = headers.get("accept", "")
        for clause in negotiation.clauses(accept):
            if clause.media in (JSON_TYPE, "*/*") and clause.parameters.get("as") == "APIGroupDiscoveryList":
                if clause.parameters.get("g") == "apidiscovery.k8s.io" and clause.parameters.get("v") == "v2":
                    return self._aggregated(path, headers)
            elif clause.media in (JSON_TYPE, negotiation.YAML_TYPE, "*/*", "application/*"):
                media = negotiation.YAML_TYPE if clause.media == negotiation.YAML_TYPE else JSON_TYPE
                return of_json(plain(), media=media)
        if accept.strip():
            raise not_acceptable(f"only the following media types are accepted: {negotiation.LISTED}")
        return of_json(plain())

    def _aggregated(self, path: str, headers: Mapping[str, str]) -> Reply:
        document = self._documents.get(path)
        if document is None:
            body = orjson.dumps(self._aggregate(core=path == "/api"), option=orjson.OPT_APPEND_NEWLINE)
            document = self._documents[path] = body, f'"{hashlib.sha512(body).hexdigest().upper()}"'
        body, etag = document
        sent = {"etag": etag, "vary": "Accept", "cache-control": "public"}
        if headers.get("if-none-match") == etag:
            return Reply(304, sent)
        return Reply(200, {**sent, "content-type": AGGREGATED}, body)

    def _aggregate(self, *, core: bool) -> JSON:
        groups = [group for group in self._catalog.groups() if (group == "") is core]
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": [self._group_discovery(group) for group in groups],
        }

    def _group_discovery(self, group: str) -> JSON:
        versions = [
            {
                "version": version,
                "resources": [_aggregated(served) for served in self._catalog.resources(group, version)],
                "freshness": "Current",
            }
            for version in self._catalog.versions(group)
        ]
        return {"metadata": {"name": group} if group else {}, "versions": versions}

    @staticmethod
    def _legacy_versions() -> JSON:
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}

    def _group_list(self) -> JSON:
        groups = [self._group_json(group) for group in self._catalog.groups() if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _group_json(self, group: str) -> JSON:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version} for version in self._catalog.versions(group)
        ]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _group(self, group: str) -> Reply:
        if group not in self._catalog.groups():
            return page_not_found()
        return of_json({"kind": "APIGroup", "apiVersion": "v1", **self._group_json(group)})

    def _resource_list(self, group: str, version: str) -> Reply:
        served = self._catalog.resources(group, version)
        if not served:
            if group and not self._catalog.is_builtin(group):
                return page_not_found()
            raise no_such_resource()
        group_version = f"{group}/{version}" if group else version
        resources = [entry for found in served for entry in _legacy(found)]
        head: JSON = {"kind": "APIResourceList"}
        if group:
            head["apiVersion"] = "v1"
        return of_json({**head, "groupVersion": group_version, "resources": resources})

    def _paths(self) -> list[str]:
        paths = {"/api", "/api/v1", "/apis", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/version"}
        paths |= {*self._pages, *(f"/{group}" for group in CHECKS), *health_paths()}
        for group in filter(None, self._catalog.groups()):
            paths.add(f"/apis/{group}")
            paths |= {f"/apis/{group}/{version}" for version in self._catalog.versions(group)}
        return sorted(paths)


def _legacy(served: Served) -> list[JSON]:
    """A resource and its subresources as an APIResourceList has them."""
    strategy, resource = served.strategy, served.strategy.resource
    main: JSON = {
        "name": resource.plural,
        "singularName": strategy.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(served.verbs),
    }
    if strategy.short_names:
        main["shortNames"] = list(strategy.short_names)
    if strategy.categories:
        main["categories"] = list(strategy.categories)
    if served.storage_hash:
        main["storageVersionHash"] = served.storage_hash
    return [main, *(_legacy_sub(served, sub) for sub in served.subresources)]


def _legacy_sub(served: Served, sub: Subresource) -> JSON:
    resource = served.strategy.resource
    entry: JSON = {
        "name": f"{resource.plural}/{sub.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if sub.group:
        entry |= {"group": sub.group, "version": sub.version}
    return entry | {"kind": sub.kind or resource.kind, "verbs": list(sub.verbs)}


def _aggregated(served: Served) -> JSON:
    strategy, resource = served.strategy, served.strategy.resource
    out: JSON = {
        "resource": resource.plural,
        "responseKind": _response_kind(served, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": strategy.singular,
        "verbs": list(served.verbs),
    }
    if strategy.short_names:
        out["shortNames"] = list(strategy.short_names)
    if strategy.categories:
        out["categories"] = list(strategy.categories)
    if served.subresources:
        out["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind}
                if sub.group
                else _response_kind(served, sub.kind or resource.kind),
                "verbs": list(sub.verbs),
            }
            for sub in served.subresources
        ]
    return out


def _response_kind(served: Served, kind: str) -> JSON:
    """Custom resources tell their group and version, built-in ones leave them to the document."""
    resource = served.strategy.resource
    if served.strategy.custom:
        return {"group": resource.group, "version": resource.version, "kind": kind}
    return {"group": "", "version": "", "kind": kind}
