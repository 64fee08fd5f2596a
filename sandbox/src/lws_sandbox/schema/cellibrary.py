"""Functions that Kubernetes adds to CEL: text, lists, regular expressions, URLs, quantities, addresses.

Optional values (``self.?x``) are not part of the library that evaluates rules, and so not here either.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from celpy import celtypes

from lws.apimachinery.quantity import Quantity, QuantityError
from lws_sandbox.schema import goregex

Function = Callable[..., Any]


def _text(function: Callable[..., str]) -> Function:
    return lambda *arguments: celtypes.StringType(function(*map(_plain, arguments)))


def _number(function: Callable[..., int]) -> Function:
    return lambda *arguments: celtypes.IntType(function(*map(_plain, arguments)))


def _truth(function: Callable[..., bool]) -> Function:
    return lambda *arguments: celtypes.BoolType(bool(function(*map(_plain, arguments))))


def _plain(value: Any) -> Any:
    if isinstance(value, celtypes.StringType):
        return str(value)
    if isinstance(value, celtypes.IntType | celtypes.UintType):
        return int(value)
    return value


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise ValueError(f"index out of range: {index}")
    return text[index : index + 1]


def _index_of(where: Any, what: Any, start: int = 0) -> int:
    if isinstance(where, str):
        return where.find(what, start)
    return next((place for place, item in enumerate(where) if item == what), -1)


def _last_index_of(where: Any, what: Any, end: int | None = None) -> int:
    if isinstance(where, str):
        return where.rfind(what) if end is None else where.rfind(what, 0, end + len(what))
    return next((place for place in reversed(range(len(where))) if where[place] == what), -1)


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    return text.replace(old, new, limit)


def _split(text: Any, separator: Any, limit: Any = -1) -> Any:
    parts = str(text).split(str(separator)) if str(separator) else list(str(text))
    most = int(limit)
    if most == 0:
        parts = []
    elif 0 < most < len(parts):
        parts = [*parts[: most - 1], str(separator).join(parts[most - 1 :])]
    return celtypes.ListType([celtypes.StringType(part) for part in parts])


def _substring(text: str, start: int, end: int | None = None) -> str:
    if start < 0 or start > len(text) or (end is not None and not start <= end <= len(text)):
        raise ValueError(f"index out of range: {start if end is None else end}")
    return text[start:end]


def _join(items: Any, separator: Any = "") -> Any:
    return celtypes.StringType(str(separator).join(str(item) for item in items))


def _total(items: Any) -> Any:
    result = items[0] if items else celtypes.IntType(0)
    for item in items[1:]:
        result = result + item
    return result


def _best(choose: Callable[[Any], Any]) -> Function:
    def best(items: Any) -> Any:
        if not items:
            raise ValueError("min/max called on empty list")
        return choose(items)

    return best


def _sorted(items: Any) -> bool:
    return all(items[place] <= items[place + 1] for place in range(len(items) - 1))


def _find(text: str, pattern: str) -> str:
    match = goregex.compile_pattern(pattern).search(text)
    return match[0] if match else ""


def _find_all(text: Any, pattern: Any, limit: Any = -1) -> Any:
    found = [celtypes.StringType(match[0]) for match in goregex.compile_pattern(str(pattern)).finditer(str(text))]
    return celtypes.ListType(found if int(limit) < 0 else found[: int(limit)])


class _Opaque:
    """A value that only functions can look into."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opaque) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value)


def _is_quantity(text: str) -> bool:
    try:
        Quantity.parse(text)
    except QuantityError:
        return False
    return True


def _as_decimal(value: Any) -> Decimal:
    quantity = value.value if isinstance(value, _Opaque) else Quantity.parse(int(value))
    return Decimal(quantity.mantissa).scaleb(quantity.exponent)


def _compare(left: Any, right: Any) -> Any:
    first, second = _as_decimal(left), _as_decimal(right)
    return celtypes.IntType((first > second) - (first < second))


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme) or text.startswith("/")


def _url_part(name: str) -> Function:
    def part(url: Any) -> Any:
        parts = urlsplit(url.value)
        host, port = parts.hostname or "", "" if parts.port is None else str(parts.port)
        shown = f"[{host}]" if ":" in host else host
        values = {"getScheme": parts.scheme, "getHostname": host, "getPort": port, "getEscapedPath": parts.path}
        values["getHost"] = f"{shown}:{port}" if port else shown
        return celtypes.StringType(values[name])

    return part


def _url_query(url: Any) -> Any:
    query = parse_qs(urlsplit(url.value).query, keep_blank_values=True)
    return celtypes.MapType(
        {
            celtypes.StringType(name): celtypes.ListType([celtypes.StringType(value) for value in values])
            for name, values in query.items()
        }
    )


def _is_address(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return test


FUNCTIONS: Mapping[str, Function] = {
    "charAt": _text(_char_at),
    "indexOf": _number(_index_of),
    "lastIndexOf": _number(_last_index_of),
    "lowerAscii": _text(lambda text: text.lower() if text.isascii() else text),
    "upperAscii": _text(lambda text: text.upper() if text.isascii() else text),
    "replace": _text(_replace),
    "split": _split,
    "substring": _text(_substring),
    "trim": _text(lambda text: text.strip()),
    "join": _join,
    "isSorted": _truth(_sorted),
    "sum": _total,
    "min": _best(min),
    "max": _best(max),
    "find": _text(_find),
    "findAll": _find_all,
    "isQuantity": _truth(_is_quantity),
    "quantity": lambda text: _Opaque(Quantity.parse(str(text))),
    "compareTo": _compare,
    "isGreaterThan": lambda left, right: celtypes.BoolType(_as_decimal(left) > _as_decimal(right)),
    "isLessThan": lambda left, right: celtypes.BoolType(_as_decimal(left) < _as_decimal(right)),
    "asInteger": lambda value: celtypes.IntType(int(_as_decimal(value))),
    "isInteger": lambda value: celtypes.BoolType(_as_decimal(value) % 1 == 0),
    "asApproximateFloat": lambda value: celtypes.DoubleType(float(_as_decimal(value))),
    "sign": lambda value: _compare(value, celtypes.IntType(0)),
    "isURL": _truth(_is_url),
    "url": lambda text: _Opaque(str(text)),
    **{name: _url_part(name) for name in ("getScheme", "getHost", "getHostname", "getPort", "getEscapedPath")},
    "getQuery": _url_query,
    "isIP": _truth(_is_address(ipaddress.ip_address)),
    "ip": lambda text: _Opaque(ipaddress.ip_address(str(text))),
    "family": lambda address: celtypes.IntType(address.value.version),
    "isCIDR": _truth(_is_address(ipaddress.ip_interface)),
    "cidr": lambda text: _Opaque(ipaddress.ip_network(str(text), strict=False)),
    "containsIP": lambda net, text: celtypes.BoolType(
        (text.value if isinstance(text, _Opaque) else ipaddress.ip_address(str(text))) in net.value
    ),
    "prefixLength": lambda net: celtypes.IntType(net.value.prefixlen),
}
