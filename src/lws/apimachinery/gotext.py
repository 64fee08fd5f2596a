"""Values as Go prints them: the texts that clients of Kubernetes read, byte for byte."""

from __future__ import annotations

from typing import Any, Final

import orjson

HTML_ESCAPES: Final = tuple((char, f"\\u{ord(char):04x}") for char in "<>&\u2028\u2029")
_HTML: Final = tuple((raw.encode(), escaped.encode()) for raw, escaped in HTML_ESCAPES)
_SHORT: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def encode(value: Any, *, sort_keys: bool = True) -> bytes:
    """JSON as Go's encoder writes it: no white space, sorted, HTML characters and line separators escaped."""
    encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None)
    for raw, escaped in _HTML:
        if raw in encoded:
            encoded = encoded.replace(raw, escaped)
    return encoded


def encoded(value: Any, *, sort_keys: bool = True) -> str:
    """`encode`, as text."""
    return encode(value, sort_keys=sort_keys).decode()


def quoted(text: str) -> str:
    """A string as the verb ``%q`` prints it."""
    return '"' + "".join(_SHORT.get(char) or _shown(char) for char in text) + '"'


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
