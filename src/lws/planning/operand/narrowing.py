"""What a change of a CustomResourceDefinition would take from objects that are stored (operator 5.6).

A version or field that goes, and a rule that is new or tighter, may make objects unreadable or unchangeable; such a
change is refused. The answer is on the safe side: a rule that only reads differently counts as tighter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lws.apimachinery.manifests import JSON

_AT_LEAST: Final = ("minimum", "minLength", "minItems", "minProperties")
_AT_MOST: Final = ("maximum", "maxLength", "maxItems", "maxProperties")
_EXACT: Final = ("pattern", "format", "type")


def narrowed(live: JSON, wanted: JSON) -> list[str]:
    """What the wanted definition takes away, as paths with a few words each; empty if nothing."""
    versions = {each["name"]: each for each in wanted["spec"]["versions"]}
    found = []
    for version in live["spec"]["versions"]:
        name = version["name"]
        if not version.get("served"):
            continue
        if not versions.get(name, {}).get("served"):
            found.append(f"version {name} is dropped")
            continue
        old, new = (each.get("schema", {}).get("openAPIV3Schema") or {} for each in (version, versions[name]))
        found += _compared(old, new, "")
    return found


def _compared(old: Any, new: Any, path: str) -> Iterator[str]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return
    yield from _members(old, new, path)
    yield from (f"{path}: {word} is changed" for word in _EXACT if word in new and new.get(word) != old.get(word))
    yield from (f"{path}: {word} is raised" for word in _AT_LEAST if word in new and new[word] > old.get(word, -1e18))
    yield from (f"{path}: {word} is lowered" for word in _AT_MOST if word in new and new[word] < old.get(word, 1e18))
    if "enum" in new and ("enum" not in old or not set(map(str, old["enum"])) <= set(map(str, new["enum"]))):
        yield f"{path}: fewer values are allowed"
    known = {each.get("rule") for each in old.get("x-kubernetes-validations") or ()}
    fresh = [each for each in new.get("x-kubernetes-validations") or () if each.get("rule") not in known]
    yield from (f"{path}: new rule: {each.get('message') or each.get('rule')}" for each in fresh)
    yield from _compared(old.get("items"), new.get("items"), f"{path}[]")
    yield from _compared(old.get("additionalProperties"), new.get("additionalProperties"), f"{path}.*")


def _members(old: JSON, new: JSON, path: str) -> Iterator[str]:
    before, after = old.get("properties") or {}, new.get("properties") or {}
    keeps = new.get("x-kubernetes-preserve-unknown-fields")
    for name, schema in before.items():
        if name in after:
            yield from _compared(schema, after[name], f"{path}.{name}")
        elif not keeps:
            yield f"{path}.{name} is dropped"
    for name in set(new.get("required") or ()) - set(old.get("required") or ()):
        yield f"{path}.{name} becomes required"
