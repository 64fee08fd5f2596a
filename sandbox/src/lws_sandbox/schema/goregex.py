"""Regular expressions in Go's syntax, run by the library that Go's own follows."""

from __future__ import annotations

import functools
from typing import Any, Final

import re2

# What the library calls a fault, and what Go calls it.
_FAULTS: Final = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
}


class PatternError(ValueError):
    """The pattern is none; the message is Go's own."""


@functools.lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> Any:
    """The pattern, ready to be searched for, as those of Python's `re`.

    Raises:
        PatternError: it is none.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise PatternError(_message(error.args[0].decode())) from None
    except UnicodeEncodeError:  # half a character, which no request can hold
        raise PatternError(f"error parsing regexp: invalid UTF-8: `{pattern}`") from None


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text.

    Raises:
        PatternError: it is none.
    """
    return compile_pattern(pattern).search(text.encode(errors="replace")) is not None


def _message(fault: str) -> str:
    what, _, where = fault.partition(": ")
    return f"error parsing regexp: {_FAULTS.get(what, what)}: `{where}`"
