"""Sections of an object in which nothing but what we want may stand (operator 5.6).

A server-side apply merges lists by their keys and so leaves what others added. In a closed section that is drift: an
extra container, variable, hook, port or key of data. Labels, annotations and everything else that is not named here is
open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lws.apimachinery.manifests import JSON

# Kind -> paths; ``*`` is every entry of a list, and the last part is the section. Lists are merged by these members.
_POD: Final = ("spec", "template", "spec")
_CONTAINER: Final = (*_POD, "containers", "*")
_SECTIONS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "Deployment": (
        (*_CONTAINER, "env"),
        (*_CONTAINER, "envFrom"),
        (*_CONTAINER, "ports"),
        (*_CONTAINER, "volumeMounts"),
        (*_POD, "containers"),
        (*_POD, "initContainers"),
        (*_POD, "volumes"),
        (*_POD, "imagePullSecrets"),
        (*_POD, "nodeSelector"),
        (*_POD, "topologySpreadConstraints"),
    ),
    "Service": (("spec", "ports"), ("spec", "selector")),
    "MutatingWebhookConfiguration": (("webhooks",),),
    "ValidatingWebhookConfiguration": (("webhooks",),),
    "ConfigMap": (("data",), ("binaryData",)),
}
_KEYS: Final = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "ports": ("containerPort", "port", "protocol"),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "webhooks": ("name",),
}


def extras(kind: str, wanted: JSON, live: JSON) -> list[str]:
    """JSON pointers to what is too much in the live object, in an order in which they can be removed."""
    return [pointer for path in _SECTIONS.get(kind, ()) for pointer in _extras(wanted, live, path, "", "")]


def removals(pointers: list[str]) -> tuple[JSON, ...]:
    """The operations of a JSON patch that removes them."""
    return tuple({"op": "remove", "path": pointer} for pointer in pointers)


def without(live: JSON, pointers: list[str]) -> JSON:
    """The live object as it is once they are removed."""
    for pointer in pointers:
        live = _removed(live, [_unescaped(part) for part in pointer.split("/")[1:]])
    return live


def _extras(wanted: Any, live: Any, path: tuple[str, ...], pointer: str, name: str) -> Iterator[str]:
    if not path:
        yield from _too_much(wanted, live, pointer, name)
        return
    step, *rest = path
    if step == "*":
        for place, entry in enumerate(live if isinstance(live, list) else ()):
            match = _match(entry, wanted or [], name)
            if match is not None:
                yield from _extras(match, entry, tuple(rest), f"{pointer}/{place}", "")
        return
    if isinstance(live, dict) and step in live:
        inner = wanted.get(step) if isinstance(wanted, dict) else None
        yield from _extras(inner, live[step], tuple(rest), f"{pointer}/{step}", step)


def _too_much(wanted: Any, live: Any, pointer: str, name: str) -> Iterator[str]:
    if isinstance(live, dict):
        yield from (f"{pointer}/{_escaped(key)}" for key in live if key not in (wanted or {}))
    elif isinstance(live, list):
        surplus = [place for place, entry in enumerate(live) if _match(entry, wanted or [], name) is None]
        yield from (f"{pointer}/{place}" for place in reversed(surplus))


def _match(entry: Any, wanted: list[Any], name: str) -> Any:
    """The wanted entry with the same key."""
    keys = _KEYS.get(name, ())
    return next((each for each in wanted if _key(each, keys) == _key(entry, keys)), None)


def _key(entry: Any, keys: tuple[str, ...]) -> Any:
    return tuple(entry.get(key) for key in keys) if keys and isinstance(entry, dict) else entry


def _removed(node: Any, path: list[str]) -> Any:
    step, *rest = path
    if isinstance(node, list):
        place = int(step)
        return [*node[:place], *([] if not rest else [_removed(node[place], rest)]), *node[place + 1 :]]
    if not rest:
        return {key: value for key, value in node.items() if key != step}
    return {**node, step: _removed(node[step], rest)}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
