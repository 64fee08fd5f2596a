"""JSON as Go reads it: duplicate members are noticed, and syntax errors are told in Go's words."""

from __future__ import annotations

import json
import re
from typing import Any

END = "unexpected end of JSON input"
_DECODER = json.JSONDecoder()
_SKIP = re.compile(r"[ \t\r\n:,]*")
_SURROGATE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_SPACE = b" \t\r\n"
_STRING = re.compile(rb'[^"\\\x00-\x1f]*')
_ESCAPES = b'bfnrt\\/"'
_HEX = b"0123456789abcdefABCDEF"
_LITERALS = {b"t": b"true", b"f": b"false", b"n": b"null"}


class JsonError(ValueError):
    """The text is no JSON; the message is Go's own."""


class Repeating(dict[str, Any]):
    """An object in which some member was given more than once; the last one counts.

    Attributes:
        repeated: the names of these members, once for each repetition.
    """

    repeated: list[str]


class Spelled(dict[str, Any]):
    """An object that is kept as it was sent, white space and all: bytes count, where Go holds it raw.

    Attributes:
        text: as it was sent.
    """

    text: str


def member_text(raw: bytes, name: str) -> str:
    """A member of the object in a text that `loads` has read, as it is spelled there; the last one counts."""
    text, found = raw.decode("utf-8", "replace"), ""
    place = _SKIP.match(text, text.index("{") + 1).end()  # type: ignore[union-attr]  # it matches anywhere
    while text[place] != "}":
        key, place = _DECODER.raw_decode(text, place)
        start = _SKIP.match(text, place).end()  # type: ignore[union-attr]
        place = _DECODER.raw_decode(text, start)[1]
        if key == name:
            found = text[start:place]
        place = _SKIP.match(text, place).end()  # type: ignore[union-attr]
    return found


def with_floats(value: Any) -> Any:
    """The value as Go holds what it knows no type of: numbers beyond 64 bits are floats."""
    if isinstance(value, dict):
        for name, item in value.items():
            value[name] = with_floats(item)
    elif isinstance(value, list):
        value[:] = [with_floats(item) for item in value]
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def loads(raw: bytes) -> Any:
    """Read JSON; objects with repeated members come as `Repeating`.

    Raises:
        JsonError: it is none.
    """
    text = raw.decode("utf-8", "replace")
    if "\\ud" in text or "\\uD" in text:  # Go reads half a surrogate pair as U+FFFD
        text = _SURROGATE.sub(lambda found: "\\ufffd" if found[1] else found[0], text)
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except RecursionError:
        raise JsonError("exceeded max depth") from None
    except ValueError:
        raise JsonError(syntax_error(raw)) from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    repeating = Repeating(members)
    seen: set[str] = set()
    repeating.repeated = []
    for name, _ in pairs:
        if name in seen:
            repeating.repeated.append(name)
        seen.add(name)
    return repeating


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def type_name(value: Any) -> str:
    """What Go's decoder calls the JSON type of a value."""
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "null"


def syntax_error(raw: bytes) -> str:
    """Go's words for what is wrong with a text that is no JSON."""
    try:
        scanner = _Scanner(raw)
        scanner.value()
        scanner.space()
        if scanner.place < len(raw):
            scanner.fail("after top-level value")
    except JsonError as error:
        return str(error)
    except RecursionError:
        return "exceeded max depth"
    return "invalid character in JSON input"


class _Scanner:
    """Walks a text until the place that Go's scanner would complain about."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.place = 0

    def fail(self, why: str) -> None:
        raise JsonError(f"invalid character {_quote(self.raw, self.place)} {why}")

    def space(self) -> None:
        while self.place < len(self.raw) and self.raw[self.place] in _SPACE:
            self.place += 1

    def peek(self) -> bytes:
        """The next byte.

        Raises:
            JsonError: there is none.
        """
        if self.place >= len(self.raw):
            raise JsonError(END)
        return self.raw[self.place : self.place + 1]

    def value(self) -> None:
        self.space()
        first = self.peek()
        if first == b"{":
            self.object()
        elif first == b"[":
            self.array()
        elif first == b'"':
            self.string()
        elif first in _LITERALS:
            self.literal(_LITERALS[first])
        elif first == b"-" or first.isdigit():
            self.number()
        else:
            self.fail("looking for beginning of value")

    def object(self) -> None:
        self.place += 1
        self.space()
        if self.peek() == b"}":
            self.place += 1
            return
        while True:
            self.space()
            if self.peek() != b'"':
                self.fail("looking for beginning of object key string")
            self.string()
            self.space()
            if self.peek() != b":":
                self.fail("after object key")
            self.place += 1
            self.value()
            self.space()
            if self.peek() == b"}":
                self.place += 1
                return
            if self.peek() != b",":
                self.fail("after object key:value pair")
            self.place += 1

    def array(self) -> None:
        self.place += 1
        self.space()
        if self.peek() == b"]":
            self.place += 1
            return
        while True:
            self.value()
            self.space()
            if self.peek() == b"]":
                self.place += 1
                return
            if self.peek() != b",":
                self.fail("after array element")
            self.place += 1

    def string(self) -> None:
        self.place += 1
        while True:
            match = _STRING.match(self.raw, self.place)
            self.place = match.end() if match else self.place
            mark = self.peek()
            if mark == b'"':
                self.place += 1
                return
            if mark != b"\\":
                self.fail("in string literal")
            self.place += 1
            self.escape()

    def escape(self) -> None:
        if self.peek() == b"u":
            for _ in range(4):
                self.place += 1
                if self.peek() not in [bytes([digit]) for digit in _HEX]:
                    self.fail("in \\u hexadecimal character escape")
        elif self.peek()[0] not in _ESCAPES:
            self.fail("in string escape code")
        self.place += 1

    def literal(self, word: bytes) -> None:
        for index in range(1, len(word)):
            self.place += 1
            if self.peek() != word[index : index + 1]:
                self.fail(f"in literal {word.decode()} (expecting '{chr(word[index])}')")
        self.place += 1

    def number(self) -> None:
        if self.peek() == b"-":
            self.place += 1
            if not self.peek().isdigit():
                self.fail("in numeric literal")
        if self.peek() == b"0":
            self.place += 1
        else:
            self.digits()
        if self.raw[self.place : self.place + 1] == b".":
            self.place += 1
            if not self.peek().isdigit():
                self.fail("after decimal point in numeric literal")
            self.digits()
        if self.raw[self.place : self.place + 1] in (b"e", b"E"):
            self.place += 1
            if self.peek() in (b"+", b"-"):
                self.place += 1
            if not self.peek().isdigit():
                self.fail("in exponent of numeric literal")
            self.digits()

    def digits(self) -> None:
        while self.place < len(self.raw) and self.raw[self.place : self.place + 1].isdigit():
            self.place += 1


def _quote(raw: bytes, place: int) -> str:
    mark = chr(raw[place])
    if mark == "'":
        return "'\\''"
    if mark == '"':
        return "'\"'"
    escaped = json.dumps(mark)[1:-1].replace("\\u00", "\\x") if not mark.isprintable() or mark == "\\" else mark
    return f"'{escaped}'"
