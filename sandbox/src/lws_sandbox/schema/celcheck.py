"""Rules in CEL, checked when they are declared: syntax, names that nobody declares, members that no schema has."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import celpy
import lark
from celpy.celparser import CELParseError

from lws_sandbox.schema.cellibrary import FUNCTIONS
from lws_sandbox.schema.celvalues import escape
from lws_sandbox.schema.node import Node

_OPERAND: Final = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
_SCALARS: Final = {"string": "string", "integer": "int", "number": "double", "boolean": "bool"}
_MACROS: Final = frozenset({"all", "exists", "exists_one", "filter", "map"})
_TYPES: Final = frozenset(
    "bool int uint double string bytes list map type null_type dyn google optional true false null".split()
)
_TOKEN: Final = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:'''.*?'''|\"{3}.*?\"{3}|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))"""
    r"|(?P<number>[0-9.]*[0-9][0-9a-fA-FxXuU]*(?:\.[0-9]+)?)|(?P<reserved>\b(?:true|false|null|in)\b)"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<member>[?`])|(?P<dot>\.)|(?P<other>\S)",
    re.DOTALL,
)
_OPERATORS: Final = tuple("+-*/%<>=&|!?:,.([{")


@dataclass(frozen=True, slots=True)
class _Scope:
    """Names that an expression may use, and their schemas where they are known."""

    names: Mapping[str, Node | None]
    text: str


def problem(text: str, root: Node, *, whole: bool) -> str:
    """What a server says of a rule that does not compile, or nothing.

    Args:
        text: the rule.
        root: schema of ``self``.
        whole: ``self`` is an object with an identity of its own.
    """
    node = _identified(root) if whole else root
    return expression_problem(text, {"self": node, "oldSelf": node})


def expression_problem(text: str, names: Mapping[str, Node | None]) -> str:
    """What a server says of an expression that does not compile, or nothing.

    Args:
        text: the expression.
        names: its variables with their schemas, or None for those of any shape.
    """
    try:
        tree = celpy.Environment().compile(text)
    except CELParseError:
        return f"compilation failed: {_syntax(text)}"
    found = next(_problems(tree, _Scope(names, text)), "")
    return f"compilation failed: {found}" if found else ""


def _identified(root: Node) -> Node:
    from lws_sandbox.schema.node import Compiler

    text = {"type": "string"}
    named = {"type": "object", "properties": {"name": text, "generateName": text}}
    members = {"apiVersion": text, "kind": text, "metadata": named}
    return Compiler().node({**root.raw, "properties": {**(root.raw.get("properties") or {}), **members}})


def _syntax(text: str) -> str:
    """The first complaint of the parser. Where the text ends too early it is exact, else it names the place."""
    stray = _stray_dot(text)
    if stray is not None:
        start, end, column = stray
        return _located(text, column, f"Syntax error: no viable alternative at input '{text[start:end]}'")
    stripped = text.rstrip()
    if not stripped or stripped.endswith((*_OPERATORS, " in")):
        column = len(text) + 1
        return _located(text, column, f"Syntax error: mismatched input '<EOF>' expecting {_OPERAND}")
    column = _error_column(text)
    token = text[column - 1 : column] or "<EOF>"
    return _located(text, column, f"Syntax error: extraneous input '{token}' expecting <EOF>")


def _stray_dot(text: str) -> tuple[int, int, int] | None:
    """The first dot after which no member is named: where it is, where the token after it ends, and its column."""
    tokens = [(found.lastgroup, found) for found in _TOKEN.finditer(text)]
    for (kind, dot), (after, following) in itertools.pairwise([*tokens, ("end", None)]):
        if kind != "dot" or dot is None or after in ("word", "member"):
            continue
        if following is None:
            return dot.start(), len(text), len(text) + 1
        return dot.start(), following.end(), following.start() + 1
    return None


def _error_column(text: str) -> int:
    try:
        celpy.Environment().compile(text)
    except CELParseError as error:
        return int(error.column or 1)
    return 1


def _located(text: str, column: int, message: str) -> str:
    line = text.splitlines()[0] if text else ""
    return f"ERROR: <input>:1:{column}: {message}\n | {line}\n | {'.' * (column - 1)}^"


def _problems(tree: Any, scope: _Scope) -> Iterator[str]:
    """Problems of an expression, inner ones first."""
    if not isinstance(tree, lark.Tree):
        return
    if tree.data == "member_dot_arg" and str(tree.children[1]) in _MACROS and len(tree.children) > 2:
        yield from _macro(tree, scope)
        return
    for child in tree.children:
        yield from _problems(child, scope)
    if tree.data == "ident":
        name = tree.children[0]
        if str(name) not in scope.names and str(name) not in _TYPES:
            message = f"undeclared reference to '{name}' (in container '')"
            yield _located(scope.text, _column(name), message)
    elif tree.data == "member_dot":
        yield from _member(tree, scope)
    elif tree.data in ("member_dot_arg", "ident_arg"):
        name = tree.children[1 if tree.data == "member_dot_arg" else 0]
        if str(name) not in _known_functions():
            place = _column(name) + len(str(name))
            yield _located(scope.text, place, f"undeclared reference to '{name}' (in container '')")


def _known_functions() -> frozenset[str]:
    return frozenset(FUNCTIONS) | _METHODS


_METHODS: Final = frozenset(
    "size contains startsWith endsWith matches getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear "
    "getHours getMinutes getSeconds getMilliseconds format hasValue value orValue optMap has dyn type int uint double "
    "bool string bytes duration timestamp path group resource subresource namespace name check serviceAccount decision "
    "allowed reason errored error".split()
)


def _column(token: Any) -> int:
    return int(getattr(token, "column", 1) or 1)


def _macro(tree: Any, scope: _Scope) -> Iterator[str]:
    """A macro over a list or map: its first argument names each element."""
    yield from _problems(tree.children[0], scope)
    base = _schema(tree.children[0], scope)
    arguments = tree.children[2].children
    element = base.items if base is not None and base.items is not None else None
    name = next(iter(arguments[0].scan_values(lambda _: True)), "") if arguments else ""
    inner = _Scope({**scope.names, str(name): element}, scope.text)
    for argument in arguments[1:]:
        yield from _problems(argument, inner)


def _member(tree: Any, scope: _Scope) -> Iterator[str]:
    base, name = _schema(tree.children[0], scope), tree.children[1]
    if base is not None and base.type in _SCALARS and not base.raw.get("format"):
        message = f"type '{_SCALARS[base.type]}' does not support field selection"
        yield _located(scope.text, _column(name) - 1, message)
        return
    if base is None or base.type != "object" or base.values is not None:
        return
    if base.open and not base.fields:
        return
    if str(name) not in {escape(known) for known in base.fields}:
        yield _located(scope.text, _column(name) - 1, f"undefined field '{name}'")


def _schema(tree: Any, scope: _Scope) -> Node | None:
    """The schema of an expression, where it can be told."""
    if not isinstance(tree, lark.Tree):
        return None
    if tree.data == "ident":
        return scope.names.get(str(tree.children[0]))
    if tree.data == "member_dot":
        base = _schema(tree.children[0], scope)
        fields = base.fields if base is not None else {}
        return next((known.node for name, known in fields.items() if escape(name) == str(tree.children[1])), None)
    if tree.data == "member_index":
        base = _schema(tree.children[0], scope)
        return (base.items or base.values) if base is not None else None
    if len(tree.children) == 1:
        return _schema(tree.children[0], scope)
    return None
