"""What a path and a method ask for (k8s.io/apiserver `endpoints/request/requestinfo.go`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import unquote

from lws_sandbox.rest.call import Query, RequestInfo
from lws_sandbox.rest.selectors import named_object

VERBS: Final = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
NAMESPACE_SUBRESOURCES: Final = ("status", "finalize")


def parse(method: str, path: str, query: Query) -> RequestInfo:
    """The meaning of a request, whether or not what it names is served."""
    parts = [unquote(part) for part in path.strip("/").split("/") if part]
    plain = RequestInfo(method.lower(), path)
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return plain
    grouped = parts[0] == "apis"
    if grouped and len(parts) < 4:
        return plain
    group = parts[1] if grouped else ""
    version, rest = (parts[2], parts[3:]) if grouped else (parts[1], parts[2:])
    verb, watch_path = VERBS.get(method, method.lower()), False
    if rest[0] == "watch" and len(rest) > 1:
        rest, verb, watch_path = rest[1:], "watch", True
    return _resource(replace(plain, verb=verb, group=group, version=version, watch_path=watch_path), rest, query)


def _resource(info: RequestInfo, rest: list[str], query: Query) -> RequestInfo:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    # What follows a proxy is the path of somebody else's request.
    subresource = "proxy" if rest[2:3] == ["proxy"] else "/".join(rest[2:])
    if info.watch_path:
        subresource = ""
    verb = info.verb
    if not name and verb == "get":
        verb = "watch" if query.flag("watch") else "list"
    elif not name and verb == "delete":
        verb = "deletecollection"
    return replace(info, verb=verb, namespace=namespace, name=name, resource=rest[0], subresource=subresource)


def selected(info: RequestInfo, query: Query) -> RequestInfo:
    """The request as authorization sees it: a list or watch that selects one object by its name has that name."""
    if info.name or info.verb not in ("list", "watch"):
        return info
    name = named_object(query.text("fieldSelector"))
    return replace(info, name=name) if name and "/" not in name and "%" not in name else info
