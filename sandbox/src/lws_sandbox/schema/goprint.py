"""Values as Go's ``%v`` prints them."""

from __future__ import annotations

from typing import Any


def go_print(value: Any) -> str:
    """A JSON value in the text of a message: ``map[a:1 b:[x y]]``, members sorted, strings bare, null ``<nil>``."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case dict():
            return "map[" + " ".join(f"{name}:{go_print(value[name])}" for name in sorted(value)) + "]"
        case list():
            return "[" + " ".join(go_print(item) for item in value) + "]"
        case float():
            return go_float(value)
        case _:
            return str(value)


def go_float(value: float) -> str:
    """A float as ``%v`` prints it: shortest form, exponent from 1e21 on and below 1e-4."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text
    sign, digits = ("-", exponent[1:]) if exponent.startswith("-") else ("+", exponent.lstrip("+"))
    return f"{mantissa}e{sign}{digits.zfill(2)}"


def go_kind(value: Any) -> str:
    """The Go kind in which a decoded JSON value is held."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int64"
        case float():
            return "float64"
        case str():
            return "string"
        case list():
            return "slice"
        case dict():
            return "map"
        case _:
            return "invalid"


def go_type(value: Any) -> str:
    """The Go type in which a decoded JSON value is held, as ``%T`` prints it."""
    return {"slice": "[]interface {}", "map": "map[string]interface {}", "invalid": "<nil>"}.get(
        go_kind(value), go_kind(value)
    )
