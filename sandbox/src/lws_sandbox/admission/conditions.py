"""Match conditions: CEL expressions over ``object``, ``oldObject`` and ``request`` that decide whether to ask."""

from __future__ import annotations

import functools
import re
from typing import Any, Final

import celpy
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError

from lws.apimachinery.manifests import JSON

_MISSING_MEMBER: Final = re.compile(r"no such member in mapping: '(.*)'", re.DOTALL)


class ConditionError(Exception):
    """A condition could not be evaluated; the message is the server's."""


def evaluate(conditions: tuple[tuple[str, str], ...], variables: JSON) -> bool:
    """Whether all conditions hold. One that is false decides, even when another one fails.

    Raises:
        ConditionError: none is false, and some could not be evaluated.
    """
    given = {name: json_to_cel(value) for name, value in variables.items()}
    failures: list[str] = []
    for _, expression in conditions:
        try:
            if not _evaluate(expression, given):
                return False
        except ConditionError as error:
            failures.append(f"expression '{expression}' resulted in error: {error}")
    if failures:
        raise ConditionError(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
    return True


def _evaluate(expression: str, given: JSON) -> bool:
    try:
        value = _program(expression).evaluate(given)
    except CELEvalError as error:
        raise ConditionError(_in_words(error)) from error
    if not isinstance(value, celpy.celtypes.BoolType):
        raise ConditionError("cel expression does not evaluate to bool")
    return bool(value)


@functools.lru_cache(maxsize=1024)
def _program(expression: str) -> Any:
    environment = celpy.Environment()
    try:
        return environment.program(environment.compile(expression))
    except CELParseError as error:
        raise ConditionError(f"compilation error: {error}") from error


def _in_words(error: CELEvalError) -> str:
    """The library's error as the server's own evaluator says it."""
    text = str(error.args[0]) if error.args else str(error)
    cause = error.args[1] if len(error.args) > 1 else None
    details = error.args[2] if len(error.args) > 2 and error.args[2] else ()
    member = _MISSING_MEMBER.fullmatch(text)
    if member:
        return f"no such key: {member[1]}"
    if cause is KeyError and text == "no such key":
        return f"no such key: {details[0]}" if details else text
    if cause is KeyError and text.startswith("undeclared reference"):
        return text.partition(" (in activation")[0]
    if cause is IndexError:
        return "index out of bounds"
    if cause is ZeroDivisionError:
        return "division by zero"
    return "no such overload" if cause is TypeError else text.partition("\n")[0]
