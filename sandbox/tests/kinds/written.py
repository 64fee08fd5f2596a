"""Objects as the server would take them through a kind's rules, without a server."""

from __future__ import annotations

import copy
import dataclasses
from datetime import UTC, datetime
from random import Random
from typing import Any

from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import Features, strategies
from lws_sandbox.releases import RELEASES
from lws_sandbox.strategy import Strategy, WriteContext

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
_STRATEGIES = {
    features: strategies(features)
    for features in (Features(), Features(max_unavailable_statefulset=True), RELEASES["1.37"])
}


def strategy(plural: str, group: str = "", version: str = "v1", features: Features | None = None) -> Strategy:
    """The strategy of a resource."""
    return _STRATEGIES[features or Features()][group, version, plural]


def context(objects: dict[tuple[str, str, str], JSON] | None = None, subresource: str = "") -> WriteContext:
    """A context whose store holds these objects by storage key, namespace and name."""
    held = objects or {}
    plain = WriteContext(
        now=NOW,
        random=Random(7),
        peek=lambda key, namespace, name: held.get((key, namespace, name)),
        stored=lambda key, namespace: [
            obj for (kind, where, _), obj in held.items() if kind == key and namespace in ("", where)
        ],
    )
    return dataclasses.replace(plain, subresource=subresource) if subresource else plain


def canonical(kind: Strategy, obj: JSON) -> JSON:
    """The object as it comes out of its Go type."""
    metadata = {"name": "a", **({"namespace": "default"} if kind.resource.namespaced else {})}
    head = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind}
    sent = {**head, **obj, "metadata": {**metadata, **obj.get("metadata", {})}}
    shaped: JSON = kind.schema.canonical(sent)
    return shaped


def created(kind: Strategy, obj: JSON, where: WriteContext | None = None) -> tuple[JSON, list[str]]:
    """A new object after defaults, admission and preparation, and the texts of what is wrong with it."""
    where = where or context()
    new = canonical(kind, obj)
    kind.default(new)
    kind.admit(new, None, where)
    kind.prepare_create(new, where)
    return new, [cause.text for cause in kind.validate_create(new, where)]


def made(kind: Strategy, obj: JSON, where: WriteContext | None = None) -> JSON:
    """A new object that is sound."""
    new, wrong = created(kind, obj, where)
    assert wrong == []
    return new


def refused(kind: Strategy, obj: JSON, where: WriteContext | None = None) -> list[str]:
    """What is wrong with a new object."""
    return created(kind, obj, where)[1]


def changed(kind: Strategy, old: JSON, where: WriteContext | None = None, **edits: Any) -> tuple[JSON, list[str]]:
    """An object after an edit, and the texts of what is wrong with it; a key names a path, with ``__`` for dots."""
    where = where or context()
    new = copy.deepcopy(old)
    for path, value in edits.items():
        *parents, last = path.split("__")
        node = new
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    new = kind.schema.canonical(new)
    kind.default(new)
    kind.admit(new, old, where)
    kind.prepare_update(new, old, where)
    return new, [cause.text for cause in kind.validate_update(new, old, where)]


def container(name: str = "main", **members: Any) -> JSON:
    """A container."""
    return {"name": name, "image": "registry.example/app:1", **members}


def pod(**spec: Any) -> JSON:
    """A pod of one container, with more members of its spec."""
    return {"spec": {"containers": [container()], **spec}}


def workload(**spec: Any) -> JSON:
    """An object with a selector and a template, with more members of its spec."""
    template = {"metadata": {"labels": {"app": "a"}}, **pod()}
    return {"spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template, **spec}}
