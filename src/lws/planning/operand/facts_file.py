"""Facts as a file: what ``lws-operator render`` reads and ``gather`` writes (operator 5.1)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec

from lws.apimachinery.manifests import JSON
from lws.planning.operand.facts import Facts


def to_json(facts: Facts) -> JSON:
    """Facts with members in camel case and sets as sorted lists."""
    found: JSON = msgspec.to_builtins(facts)
    return {_camel(name): sorted(value) if name in ("served", "in_use") else value for name, value in found.items()}


def from_json(content: Any, defaults: Facts) -> Facts:
    """The facts of a file; what it does not name is as in the defaults.

    Raises:
        ValueError: a member is not known, or not of its type.
    """
    known = {_camel(each.name): each.name for each in fields(Facts)}
    if not isinstance(content, dict):
        raise ValueError("it is not a mapping")
    if unknown := sorted(str(name) for name in content.keys() - known.keys()):
        raise ValueError(f"unknown member {unknown[0]}; known are {', '.join(known)}")
    given = {known[name]: value for name, value in content.items()}
    try:
        return msgspec.convert({**msgspec.to_builtins(defaults), **given}, Facts)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.title() for each in rest)
