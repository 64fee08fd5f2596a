"""YAML from people's files: every way in which it can be wrong is one error of one line.

PyYAML raises its own errors for its grammar only. What its conversions raise (``!!int abc``, ``!!timestamp x``), and
the recursion that deep nesting ends in, would pass by everyone who waits for those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import yaml

T = TypeVar("T")
Loader: TypeAlias = type[yaml.SafeLoader]


class YamlError(ValueError):
    """A text is not usable YAML; the message gives the line and the reason."""


def load(text: str, loader: Loader = yaml.SafeLoader) -> Any:
    """The one document of a text; None if it is empty.

    Raises:
        YamlError: it cannot be read.
    """
    return _read(lambda: yaml.load(text, Loader=loader))  # noqa: S506 -- the loader is a SafeLoader


def load_all(text: str, loader: Loader = yaml.SafeLoader) -> list[Any]:
    """All documents of a text.

    Raises:
        YamlError: one cannot be read.
    """
    return _read(lambda: list(yaml.load_all(text, Loader=loader)))


def _read(parse: Callable[[], T]) -> T:
    try:
        return parse()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
        raise YamlError(f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)) from error
    except RecursionError as error:
        raise YamlError("it is nested too deeply") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise YamlError(f"a value is not what its tag says: {' '.join(str(error).split())}") from error
