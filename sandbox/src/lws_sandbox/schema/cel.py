"""Rules in CEL (``x-kubernetes-validations``), evaluated with cel-python, which is imported with this module only."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import celpy
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema import openapi
from lws_sandbox.schema.cellibrary import FUNCTIONS
from lws_sandbox.schema.celvalues import root_to_cel, to_cel
from lws_sandbox.schema.node import Node
from lws_sandbox.status import Cause

_OLD_SELF = re.compile(r"\boldSelf\b")
_MISSING = re.compile(r"no such member in mapping: '(.*)'")
_KEY = re.compile(r"\[['\"](.*?)['\"]\]")
UNKNOWN = openapi.UNKNOWN


class CelError(Exception):
    """A rule cannot be compiled or evaluated; the message says why."""


@functools.lru_cache(maxsize=2048)
def _program(text: str) -> Any:
    environment = celpy.Environment()
    try:
        return environment.program(environment.compile(text), functions=dict(FUNCTIONS))
    except CELParseError as error:
        raise CelError(str(error)) from None


def evaluate(text: str, variables: Mapping[str, Any]) -> Any:
    """The value of an expression.

    Args:
        text: the expression; compiled once.
        variables: values of CEL.

    Raises:
        CelError: it cannot be compiled, or fails.
    """
    try:
        result = _program(text).evaluate(dict(variables))
    except CELEvalError as error:
        raise CelError(_explained(error)) from None
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise CelError(str(error)) from None
    if isinstance(result, CELEvalError):
        raise CelError(_explained(result))
    return result


def _explained(error: Exception) -> str:
    text = str(error.args[0]) if error.args else str(error)
    missing = _MISSING.match(text)
    if missing:
        return f"no such key: {missing[1]}"
    return "division by zero" if "ZeroDivision" in repr(error.args) else text


def validate_rules(root: Node, obj: JSON, old: JSON | None) -> list[Cause]:
    """Every rule of the schema that an object breaks; rules about changes hold when there is an old object."""
    return list(_validate(root, obj, UNKNOWN if old is None else old, "", whole=True))


def _has_rules(node: Node) -> bool:
    return bool(node.raw.get("x-kubernetes-validations"))


def _validate(node: Node | None, value: Any, old: Any, path: str, *, whole: bool = False) -> Iterator[Cause]:
    if node is None or value is None or not node.any_below("rules", _has_rules):
        return
    for rule in node.raw.get("x-kubernetes-validations") or ():
        yield from _check(rule, node, value, old, path, whole=whole or node.embedded)
    if isinstance(value, dict):
        for name, item in value.items():
            before = old.get(name, UNKNOWN) if isinstance(old, dict) else UNKNOWN
            known = name in node.fields
            below = f"{path}[{name}]" if not known else f"{path}.{name}" if path else name
            yield from _validate(node.child(name), item, before, below)
    elif isinstance(value, list):
        earlier = _earlier(node, value, old)
        for index, item in enumerate(value):
            yield from _validate(node.items, item, earlier[index], f"{path}[{index}]")


def _earlier(node: Node, value: list[Any], old: Any) -> list[Any]:
    """The old element with the same keys, for each element; other lists' elements have no past."""
    if node.list_type != "map" or not isinstance(old, list):
        return [UNKNOWN] * len(value)
    by_key = {str([item.get(key) for key in node.keys]): item for item in old if isinstance(item, dict)}
    return [
        by_key.get(str([item.get(key) for key in node.keys]), UNKNOWN) if isinstance(item, dict) else UNKNOWN
        for item in value
    ]


def _check(rule: JSON, node: Node, value: Any, old: Any, path: str, *, whole: bool) -> Iterator[Cause]:
    text = rule.get("rule") or ""
    transition = _OLD_SELF.search(text) is not None
    if not text.strip() or (transition and old is UNKNOWN):
        return
    convert = root_to_cel if whole and isinstance(value, dict) else to_cel
    variables = {"self": convert(value, node)}
    if old is not UNKNOWN:
        variables["oldSelf"] = convert(old, node) if isinstance(old, dict) or not whole else to_cel(old, node)
    try:
        if bool(evaluate(text, variables)):
            return
    except CelError as error:
        why = f"{error} evaluating rule: {_message(rule)}"
        yield Cause("FieldValueInvalid", f'Invalid value: "{node.type}": {why}', path or "<nil>")
        return
    if not transition and old is not UNKNOWN and value == old:
        return
    yield _broken(rule, node, value, variables, path)


def _broken(rule: JSON, node: Node, value: Any, variables: Mapping[str, Any], path: str) -> Cause:
    detail = _expressed(rule.get("messageExpression"), variables) or _message(rule)
    suffix = _KEY.sub(r"[\1]", rule.get("fieldPath") or "").removeprefix(".")
    below = path if not suffix else suffix if not path else f"{path}{'' if suffix.startswith('[') else '.'}{suffix}"
    place = below or "<nil>"
    match rule.get("reason"):
        case "FieldValueForbidden":
            return Cause("FieldValueForbidden", f"Forbidden: {detail}", place)
        case "FieldValueRequired":
            return Cause("FieldValueRequired", f"Required value: {detail}", place)
        case "FieldValueDuplicate":
            shown = "" if node.type in ("object", "array") else f": {openapi.shown(value)}"
            return Cause("FieldValueDuplicate", f"Duplicate value{shown}", place)
        case _:
            shown = "" if node.type in ("object", "array") else f"{openapi.shown(value)}: "
            return Cause("FieldValueInvalid", f"Invalid value: {shown}{detail}", place)


def _message(rule: JSON) -> str:
    message = (rule.get("message") or "").strip()
    return message or f"failed rule: {(rule.get('rule') or '').strip()}"


def _expressed(expression: str | None, variables: Mapping[str, Any]) -> str:
    """The text of a message expression, or nothing when it cannot be used."""
    if not expression:
        return ""
    try:
        text = str(evaluate(expression, variables)).strip()
    except CelError:
        return ""
    return "" if "\n" in text else text
