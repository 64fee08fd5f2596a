"""Formats of text that custom resources may ask for; others are ignored (apiextensions `supportedFormats`)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date
from email.utils import parseaddr
from urllib.parse import urlsplit

_UUID = "[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"
_HOST_LABEL = r"[^\W_](?:[^\W_-]|-){0,61}(?:[^\W_])?|[^\W_]"
_DURATION = re.compile(r"[-+]?(?:\d+(?:\.\d*)?(?:ns|us|µs|μs|ms|s|m|h))+|0", re.ASCII)
_SCALA = re.compile(
    r"\d+\s*(?:ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|seconds?|m|mins?|"
    r"minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?)",
    re.ASCII | re.IGNORECASE,
)
_DATE_TIME = re.compile(
    r"\d{4}-(0\d|1[0-2])-([0-2]\d|3[01])[Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
_CARD = re.compile(
    r"(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|6(?:011|5\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|"
    r"(?:2131|1800|35\d{3})\d{11})",
    re.ASCII,
)


def _whole(pattern: str, flags: int = re.IGNORECASE | re.ASCII) -> Callable[[str], bool]:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


def _uri(text: str) -> bool:
    if not text or any(mark <= " " or mark == "\x7f" for mark in text):
        return False
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 -- raises for a port that is none
    except ValueError:
        return False
    return text.startswith("/") or bool(parts.scheme and text[len(parts.scheme) : len(parts.scheme) + 1] == ":")


def _hostname(text: str) -> bool:
    labels = text.split(".")
    fits = 0 < len(text) <= 255 and all(len(label) <= 63 for label in labels)
    return fits and all(re.fullmatch(_HOST_LABEL, label) for label in labels)


def _email(text: str) -> bool:
    address = parseaddr(text)[1]
    local, at, domain = address.rpartition("@")
    return bool(at and local and domain) and " " not in address


def _ipv4(text: str) -> bool:
    try:
        return isinstance(ipaddress.ip_address(re.sub(r"\b0+(?=\d)", "", text)), ipaddress.IPv4Address)
    except ValueError:
        return False


def _ipv6(text: str) -> bool:
    try:
        return isinstance(ipaddress.ip_address(text), ipaddress.IPv6Address) and "%" not in text
    except ValueError:
        return False


def _cidr(text: str) -> bool:
    if "/" not in text or not text.rpartition("/")[2].isdigit():
        return False
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def _base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(text)


def _isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"\d{9}[\dX]", digits, re.ASCII):
        return False
    return sum((index + 1) * (10 if mark == "X" else int(mark)) for index, mark in enumerate(digits)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"\d{13}", digits, re.ASCII):
        return False
    return sum(int(mark) * (1 if index % 2 == 0 else 3) for index, mark in enumerate(digits)) % 10 == 0


def _card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = [int(mark) * (2 if index % 2 else 1) for index, mark in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _rgb(text: str) -> bool:
    match = re.fullmatch(r"rgb\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)", text, re.ASCII)
    return match is not None and all(int(part) <= 255 for part in match.groups())


def _date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10


def _duration(text: str) -> bool:
    return _DURATION.fullmatch(text) is not None or _SCALA.fullmatch(text) is not None


def _date_time(text: str) -> bool:
    return _DATE_TIME.fullmatch(text) is not None


_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SHORT = _whole(_LABEL, re.ASCII)
_LONG = _whole(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)

FORMATS: Mapping[str, Callable[[str], bool]] = {
    "bsonobjectid": _whole("[0-9a-f]{24}"),
    "uri": _uri,
    "email": _email,
    "hostname": _hostname,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "cidr": _cidr,
    "mac": _whole(r"([0-9a-f]{2}[:-]){5,7}[0-9a-f]{2}|([0-9a-f]{4}\.){2,3}[0-9a-f]{4}"),
    "uuid": _whole(_UUID % ("[0-9a-f]", "[0-9a-f]")),
    "uuid3": _whole(_UUID % ("3", "[0-9a-f]")),
    "uuid4": _whole(_UUID % ("4", "[89ab]")),
    "uuid5": _whole(_UUID % ("5", "[89ab]")),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _card,
    "ssn": _whole(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _whole("#?([0-9a-f]{3}|[0-9a-f]{6})"),
    "rgbcolor": _rgb,
    "byte": _base64,
    "password": lambda _text: True,
    "date": _date,
    "duration": _duration,
    "datetime": _date_time,
    "k8sshortname": lambda text: len(text) <= 63 and _SHORT(text),
    "k8slongname": lambda text: len(text) <= 253 and _LONG(text),
}


def supported(format_name: str, kind: str) -> str:
    """A schema's format if it is in force for its type, else empty."""
    if kind in ("", "string"):
        return format_name if format_name.replace("-", "") in FORMATS else ""
    known = {"integer": ("int32", "int64"), "number": ("float", "double")}.get(kind, ())
    return format_name if format_name in known else ""


def fits(format_name: str, text: str) -> bool:
    """Whether a text has a format; unknown formats fit all."""
    test = FORMATS.get(format_name.replace("-", ""))
    return test is None or test(text)
