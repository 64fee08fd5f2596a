"""The difference of two pod specs as the real server shows it: a unified diff of its internal types as JSON."""

from __future__ import annotations

import difflib
import functools
import json
from importlib import resources
from typing import Final

import orjson

from lws.apimachinery.gotext import HTML_ESCAPES
from lws.apimachinery.manifests import JSON

Member = tuple[str, str, str, str]  # name in Go, name in JSON, absent value, struct inside

_MOVED: Final = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")


@functools.cache
def _structs() -> dict[str, list[Member]]:
    raw = resources.files(__package__).joinpath("data", "pod_internal.json").read_bytes()
    loaded: dict[str, list[Member]] = orjson.loads(raw)
    return loaded


def difference(old: JSON, new: JSON) -> str:
    """A unified diff of two specs, with three lines of context."""
    before, after = (_lines(spec) for spec in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]
    return "".join(f"{line}\n" for line in lines)


def _lines(spec: JSON) -> list[str]:
    text = json.dumps(_internal("PodSpec", _moved(spec)), indent=1, ensure_ascii=False)
    for raw, escaped in HTML_ESCAPES:
        text = text.replace(raw, escaped)
    return text.splitlines()


def _moved(spec: JSON) -> JSON:
    """Internally what a pod shares with its host belongs to its security context."""
    context = {**(spec.get("securityContext") or {}), **{name: spec[name] for name in _MOVED if name in spec}}
    return {**spec, "securityContext": context}


def _internal(struct: str, value: JSON) -> JSON:
    shown: JSON = {}
    for go_name, name, absent, inside in _structs()[struct]:
        found = value.get(name)
        if found is None:
            found = {} if absent == "{}" else json.loads(absent)
        if inside and isinstance(found, dict):
            found = _internal(inside, found)
        elif inside and isinstance(found, list):
            found = [_internal(inside, item) for item in found]
        shown[go_name] = found
    return shown
