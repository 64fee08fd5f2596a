"""YAML as a server reads it: the types of YAML 1.1, member names as text, errors in the words of its parser."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

_BOOLEANS = re.compile(
    r"^(?:[yYnN]|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$", re.ASCII
)
_PROBLEMS = (
    (
        re.compile(r"found character '\\t' that cannot start any token"),
        "found a tab character that violates indentation",
    ),
    (re.compile(r"found character .* that cannot start any token"), "found character that cannot start any token"),
    (re.compile(r"expected <block end>, but found '-'"), "did not find expected '-' indicator"),
    (re.compile(r"expected <block end>, but found .*"), "did not find expected key"),
    (re.compile(r"expected '?(.+?)'?, but (?:got|found) .*"), "did not find expected \\1"),
    (re.compile(r"expected the node content, but found .*"), "did not find expected node content"),
    (re.compile(r"found undefined alias '(.*)'"), "unknown anchor '\\1' referenced"),
)


class YamlError(ValueError):
    """The text is no YAML, or holds what JSON cannot; the message is the server's own."""


class _Loader(yaml.SafeLoader):
    """Builds JSON values, and notes members that are given more than once."""

    bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}  # noqa: RUF012 -- as its base has it

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: ARG002 -- its base's
        """The members, by their names as text."""
        self.flatten_mapping(node)
        members: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            name = _member_name(self.construct_object(key_node, deep=True))
            if name in members:
                line = key_node.start_mark.line + 1
                self.repeated.append(f"line {line}: key {json.dumps(name)} already set in map")
            members[name] = self.construct_object(value_node, deep=True)
        return members


_Loader.yaml_implicit_resolvers = {
    mark: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":bool"))]
    for mark, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOLEANS, list("yYnNtTfFoO"))


def _member_name(name: Any) -> str:
    if isinstance(name, bool):
        return "true" if name else "false"
    if isinstance(name, str):
        return name
    if isinstance(name, int | float):
        return str(name)
    raise YamlError(f"unsupported map key of type: {type(name).__name__}")


def load(raw: bytes) -> tuple[Any, list[str]]:
    """The value of a document, and what strict reading would refuse: members that are given more than once.

    JSON, which is YAML as well, is read as such: that is many times faster.

    Raises:
        YamlError: it cannot be read.
    """
    if raw.lstrip().startswith(b"{"):
        try:
            return json.loads(raw, object_pairs_hook=_once, parse_constant=_no_json), []
        except (ValueError, RecursionError):
            pass  # no plain JSON, or with members given twice: the slow way tells
    loader = _Loader(raw)
    try:
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        raise YamlError(_message(error)) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlError(f"yaml: {error}") from None
    finally:
        loader.dispose()
    if not loader.repeated:
        return value, []
    return value, ["yaml: unmarshal errors:\n" + "\n".join(f"  {line}" for line in loader.repeated)]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is given twice")
    return members


def _no_json(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _message(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "unknown problem parsing YAML content"
    for pattern, replacement in _PROBLEMS:
        if pattern.fullmatch(problem):
            problem = pattern.sub(replacement, problem)
            break
    mark = error.problem_mark or error.context_mark
    line = 0 if mark is None else mark.line + (1 if isinstance(error, yaml.scanner.ScannerError) else 0)
    return f"yaml: line {line}: {problem}" if line else f"yaml: {problem}"
