"""Regular expressions in Go's syntax (RE2), run by Python's engine."""

from __future__ import annotations

import functools
import re

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_PROBLEMS = (
    ("missing ), unterminated subpattern", "missing closing )"),
    ("unbalanced parenthesis", "unexpected )"),
    ("unterminated character set", "missing closing ]"),
    ("nothing to repeat", "missing argument to repetition operator"),
    ("multiple repeat", "invalid nested repetition operator"),
    ("bad escape (end of pattern)", "trailing backslash at end of expression"),
    ("bad escape", "invalid escape sequence"),
    ("bad character range", "invalid character class range"),
    ("unknown extension", "invalid or unsupported Perl syntax"),
)


class PatternError(ValueError):
    """The pattern is none; the message is Go's own."""


@functools.lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern, ready to be searched for.

    Raises:
        PatternError: it is none.
    """
    try:
        return re.compile(_translated(pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(_message(pattern, error)) from None


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text.

    Raises:
        PatternError: it is none.
    """
    return compile_pattern(pattern).search(text) is not None


def _translated(pattern: str) -> str:
    out: list[str] = []
    place, in_class = 0, False
    while place < len(pattern):
        mark = pattern[place]
        if mark == "\\" and place + 1 < len(pattern):
            out.append(_escape(pattern[place + 1], in_class=in_class))
            place += 2
            continue
        if in_class and pattern.startswith("[:", place):
            end = pattern.find(":]", place)
            name = pattern[place + 2 : end].lstrip("^") if end > 0 else ""
            if name in _POSIX:
                out.append(_POSIX[name])
                place = end + 2
                continue
        if mark == "[":
            out.append("\\[" if in_class else "[")
            first_closes = not in_class and pattern[place + 1 : place + 2] == "]"
            in_class = True
            if first_closes:
                out.append("\\]")
                place += 1
        elif mark == "]":
            in_class = False
            out.append("]")
        elif mark == "$" and not in_class:
            out.append(r"\Z")
        else:
            out.append(mark)
        place += 1
    return "".join(out)


def _escape(mark: str, *, in_class: bool) -> str:
    if mark == "z" and not in_class:
        return r"\Z"
    if mark == "Q":
        return ""
    return "\\" + mark


def _message(pattern: str, error: Exception) -> str:
    text = str(error)
    for python, go in _PROBLEMS:
        if python in text:
            return f"error parsing regexp: {go}: `{pattern}`"
    return f"error parsing regexp: {text}: `{pattern}`"
