"""Reads the configuration file (operations 2) and the policies file (resilience 1.2), strictly.

Guarantees: whatever is wrong is told in one sentence that names the file, the member and the remedy; a member that is
unknown or given twice is an error, as is a value of the wrong type.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lws.apimachinery.manifests import JSON
from lws.errors import ConfigurationError
from lws.manager.policies import Policies, PoliciesFile
from lws.manager.settings import API_VERSION, KIND, Configuration
from lws.yamltext import YamlError, load

M = TypeVar("M", bound=BaseModel)


def read_configuration(path: str) -> JSON:
    """The file's content, known to be a valid `Configuration`.

    Raises:
        ConfigurationError: it cannot be read, or something in it is wrong.
    """
    where = f"configuration file {path}"
    document = _parse(_read(path, where, "check --config"), where)
    if document.get("apiVersion") != API_VERSION or document.get("kind") != KIND:
        found = f"{document.get('apiVersion')!r}, {document.get('kind')!r}"
        raise ConfigurationError(f"{where}: apiVersion and kind must be {API_VERSION} and {KIND}, not {found}")
    validate(document, where)
    return document


def validate(document: Mapping[str, Any], where: str) -> Configuration:
    """Parse a configuration; ``where`` begins the sentence should it be wrong.

    Raises:
        ConfigurationError: something in it is wrong.
    """
    return _validated(Configuration, document, where)


def read_policies(path: str) -> Policies:
    """What the policies file says; the defaults without one: its ConfigMap is optional, and so is the file.

    Raises:
        ConfigurationError: it cannot be read, or something in it is wrong.
    """
    if not path or not Path(path).exists():
        return Policies()
    where = f"policies file {path}"
    return parse_policies(_read(path, where, "check LWS_POLICIES"), where)


def parse_policies(text: str, where: str) -> Policies:
    """What the text of a policies file says; ``where`` begins the sentence should it be wrong.

    Raises:
        ConfigurationError: something in it is wrong.
    """
    return _validated(PoliciesFile, _parse(text, where, kind="policies"), where).policies


def _validated(model: type[M], document: Mapping[str, Any], where: str) -> M:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = [_sentence(detail, model) for detail in error.errors(include_url=False)]
        raise ConfigurationError(f"{where}: {'; '.join(dict.fromkeys(problems))}") from None


def _read(path: str, where: str, remedy: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(f"{where} cannot be read: {cause}; {remedy}") from error


def _parse(text: str, where: str, kind: str = f"kind {KIND}") -> JSON:
    try:
        document = load(text, _StrictLoader)
    except _DuplicateError as error:
        raise ConfigurationError(f"{where}: member {error} is given twice; remove one of them") from None
    except YamlError as error:
        raise ConfigurationError(f"{where} is not valid YAML: {error}; fix the file") from None
    if not isinstance(document, dict):
        found = "nothing" if document is None else _kind(document)
        raise ConfigurationError(f"{where} must hold one object of {kind}, not {found}")
    return document


class _DuplicateError(Exception):
    """A member was given twice."""


class _StrictLoader(yaml.SafeLoader):
    """Loads plain values only, and refuses members given twice. Times stay text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _DuplicateError(f"{key.value!r} in line {key.start_mark.line + 1}")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong with one member, in words."""
    path = [str(part) for part in detail["loc"]]
    name = ".".join(path)
    match detail["type"]:
        case "extra_forbidden":
            return f"unknown field {name!r}; {_advice(path, model)}"
        case "missing":
            return f"{name} is missing"
        case "value_error":
            message = detail["msg"].removeprefix("Value error, ")
            return message if message.startswith(name or "\0") else f"{name}: {message}" if name else message
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{name} must be an object, not {_kind(detail['input'])}"
        case "tuple_type":
            return f"{name} must be a list, not {_kind(detail['input'])}"
        case kind if kind.endswith("_type") or kind in ("bool_parsing", "float_parsing", "int_from_float"):
            wanted = {"string": "a text", "int": "a whole number", "bool": "true or false", "float": "a number"}
            return f"{name} must be {wanted.get(kind.split('_')[0], 'another value')}, not {_kind(detail['input'])}"
        case _:
            said = detail["msg"]
            return f"{name}: {said[0].lower()}{said[1:]}, not {detail['input']!r}"


def _kind(value: object) -> str:
    match value:
        case str():
            return f"the text {value!r}"
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {value!r}"
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return repr(value)


def _advice(path: list[str], model: type[BaseModel]) -> str:
    """Which member may have been meant, or which there are."""
    known = _members(path[:-1], model)
    close = difflib.get_close_matches(path[-1], known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known here are {', '.join(known)}"


def _members(path: list[str], model: type[BaseModel]) -> list[str]:
    for part in (each for each in path if not each.isdigit()):
        field = next((field for field in model.model_fields.values() if field.alias == part), None)
        inner = next(_models(field.annotation), None) if field is not None else None
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)
