"""Values as they come out of a Go struct: checked by type, empty members left out or written as its tags say.

What a real server answers of a built-in kind has been decoded into Go structs and encoded again. `GoReader` does both
at once and collects what the decoder would have said: the first type error, and the fields that it does not know.
"""

from __future__ import annotations

import base64
import binascii
import functools
from typing import Any

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity, QuantityError
from lws_sandbox.schema import gotime
from lws_sandbox.schema.gojson import Repeating, Spelled, type_name
from lws_sandbox.schema.goprint import go_kind
from lws_sandbox.schema.node import Field, Node

_RANGES = {"int32": 2**31, "int64": 2**63, "int": 2**63}
_EMPTY: tuple[Any, ...] = ("", 0, False, [], {})


class GoReader:
    """Reads one value.

    Attributes:
        error: the first error, in Go's words, or empty.
        strict: ``unknown field "…"`` and ``duplicate field "…"`` in the order of the text.
    """

    def __init__(self) -> None:
        self.error = ""
        self.strict: list[str] = []
        self._struct = ""
        self._names: list[str] = []
        self._place: list[str] = []

    def read(self, node: Node, value: Any) -> Any:
        """The value as it comes back out of the Go type of ``node``."""
        return self._value(node, value, "")

    def fail(self, message: str) -> None:
        """Keep the first error."""
        self.error = self.error or message

    def _mismatch(self, value: Any, go_type: str, shown: str = "") -> None:
        what = shown or type_name(value)
        where = f"struct field {self._struct}.{'.'.join(self._names)}" if self._names else "value"
        self.fail(f"json: cannot unmarshal {what} into Go {where} of type {go_type}")

    def _value(self, node: Node, value: Any, go_type: str) -> Any:
        if value is None:
            return None
        if node.special:
            return self._special(node, value)
        if node.type == "object" or node.fields:
            return self._object(node, value)
        if node.type == "array":
            return self._list(node, value)
        return self._scalar(node, value, go_type)

    def _object(self, node: Node, value: Any) -> Any:
        if not isinstance(value, dict):
            self._mismatch(value, spelled(node))
            return None
        if node.definition and (node.fields or node.values is None):
            return self._struct_value(node, value)
        if isinstance(value, Repeating):
            self._repeated(value)
        read = {}
        for name, item in value.items():
            self._place.append(f".{name}")
            found = self._value(node.values, item, "") if node.values is not None else item
            self._place.pop()
            read[name] = zero(node.values) if found is None and node.values is not None else found
        return dict(sorted(read.items()))

    def _struct_value(self, node: Node, value: JSON) -> JSON:
        outer, self._struct = self._struct, node.go_struct
        if isinstance(value, Repeating):
            self._repeated(value)
        found: JSON = {}
        for name, item in value.items():
            known = node.fields.get(name)
            if known is None:
                self.strict.append(f'unknown field "{self._shown(name)}"')
                continue
            self._names.append(name)
            self._place.append(f".{name}")
            found[name] = self._value(known.node, item, known.go_type)
            self._place.pop()
            self._names.pop()
            self._struct = node.go_struct
        self._struct = outer
        return written(node, found)

    def _repeated(self, value: Repeating) -> None:
        self.strict.extend(f'duplicate field "{self._shown(name)}"' for name in value.repeated)

    def _shown(self, name: str) -> str:
        return ("".join(self._place) + "." + name).lstrip(".")

    def _list(self, node: Node, value: Any) -> Any:
        if not isinstance(value, list):
            self._mismatch(value, spelled(node))
            return None
        if node.items is None:
            return value
        read = []
        for index, item in enumerate(value):
            self._place.append(f"[{index}]")
            found = self._value(node.items, item, "")
            self._place.pop()
            read.append(zero(node.items) if found is None else found)
        return read

    def _scalar(self, node: Node, value: Any, go_type: str) -> Any:
        if node.type == "string":
            if node.raw.get("format") == "byte":
                return self._bytes(value)
            return value if isinstance(value, str) else self._mismatch(value, go_type or "string")
        if node.type == "boolean":
            return value if isinstance(value, bool) else self._mismatch(value, go_type or "bool")
        if node.type in ("integer", "number"):
            return self._number(node, value, go_type)
        return value

    def _number(self, node: Node, value: Any, go_type: str) -> Any:
        spelling = go_type or ("float64" if node.type == "number" else node.raw.get("format") or "int64")
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self._mismatch(value, spelling)
        if node.type == "number":
            return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value
        limit = _RANGES.get(spelling, 2**63)
        if isinstance(value, float) or not -limit <= value < limit:
            return self._mismatch(value, spelling, f"number {go_number(value)}")
        return value

    def _bytes(self, value: Any) -> Any:
        if not isinstance(value, str):
            return self._mismatch(value, "[]uint8")
        try:
            return base64.b64encode(base64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)).decode()
        except (binascii.Error, ValueError):
            self.fail(f"illegal base64 data at input byte {_first_bad(value)}")
            return None

    def _special(self, node: Node, value: Any) -> Any:
        match node.special:
            case "time" | "microtime":
                return self._time(value, micro=node.special == "microtime")
            case "quantity":
                try:
                    return str(Quantity.parse(value))
                except (QuantityError, TypeError, AttributeError) as error:
                    self.fail(str(error) if isinstance(error, QuantityError) else QUANTITY_FORMAT)
                    return None
            case "int-or-string":
                if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
                    return value
                shown = f"number {go_number(value)}" if isinstance(value, float) else type_name(value)
                self.fail(f"json: cannot unmarshal {shown} into Go value of type int32")
                return None
            case "schema-or-bool" | "schema-or-array" if isinstance(value, dict):
                return self.read_nested(value)
            case "raw" if isinstance(value, Spelled):
                return dict(value)  # a patch spells it anew
            case _:
                return value

    def read_nested(self, value: JSON) -> JSON:
        """A JSON schema inside a JSON schema, without its empty members."""
        from lws_sandbox.schema import builtin

        node = builtin.node_of("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
        read: JSON = self._object(node, value)
        return read

    def _time(self, value: Any, *, micro: bool) -> Any:
        if not isinstance(value, str):
            self.fail(f"json: cannot unmarshal {type_name(value)} into Go value of type string")
            return None
        try:
            return gotime.render(gotime.parse(value, micro=micro), micro=micro)
        except gotime.TimeError as error:
            self.fail(str(error))
            return None


QUANTITY_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def written(node: Node, found: JSON) -> JSON:
    """A struct's members as a server writes them: in its order, without what it leaves out, with what it always has."""
    out: JSON = {}
    for known in node.fields.values():
        value = found.get(known.name)
        if value is None:
            value = _absent(known)
            if value is OMITTED:
                continue
        elif (known.fact == "o" and value in _EMPTY) or (known.fact == "z" and value == zero(known.node)):
            continue
        out[known.name] = value
    return out


class _Omitted:
    """A member that is left out."""


OMITTED = _Omitted()


def _absent(known: Field) -> Any:
    if known.fact == "s":
        return zero(known.node)
    if known.fact == "a":
        scalar = known.node.type in ("string", "integer", "number", "boolean")
        return zero(known.node) if scalar or known.node.special else None
    return OMITTED


def zero(node: Node) -> Any:
    """The zero value of a Go type by value, as JSON."""
    match node.special or node.type:
        case "string":
            return ""
        case "integer" | "number" | "int-or-string":
            return 0
        case "boolean":
            return False
        case "quantity":
            return "0"
        case "object" if node.definition:
            return written(node, {})
        case _:
            return None


def spelled(node: Node) -> str:
    """A Go type as error texts name it."""
    if node.definition:
        parts = node.definition.split(".")
        return f"{parts[-2]}.{parts[-1]}"
    if node.type == "array" and node.items is not None:
        return f"[]{spelled(node.items)}"
    if node.type == "object":
        return f"map[string]{spelled(node.values)}" if node.values is not None else "map[string]interface {}"
    if node.raw.get("format") == "byte":
        return "[]uint8"
    if node.type == "integer":
        return str(node.raw.get("format", "int64"))
    return {"boolean": "bool", "number": "float64"}.get(node.type, "string")


def go_number(value: float) -> str:
    """A number as the text of an error repeats it."""
    return repr(value) if not isinstance(value, float) or not value.is_integer() else repr(value).removesuffix(".0")


def _first_bad(text: str) -> int:
    alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n")
    return next((index for index, mark in enumerate(text) if mark not in alphabet), len(text) - len(text) % 4)


class GoConverter(GoReader):
    """Like `GoReader`, for values that are decoded already: messages are those of the converter, not of the decoder."""

    def _mismatch(self, value: Any, go_type: str, shown: str = "") -> None:  # noqa: ARG002 -- the decoder's
        kind = go_kind(value)
        if go_type.startswith("[]"):
            self.fail(f"cannot restore slice from {kind}")
        elif go_type.startswith("map["):
            self.fail(f"cannot restore map from {kind}")
        elif "." in go_type and go_type.rpartition(".")[2] in self._structs():
            self.fail(f"cannot restore struct from: {kind}")
        elif (kind in ("int64", "float64")) == (go_type in ("int32", "int64", "float64")) or kind == "int64":
            self.fail(f"cannot convert {kind} to {go_type}")
        else:
            self.fail(f"unrecognized type: {'string' if '.' in go_type else go_type}")

    def _structs(self) -> frozenset[str]:
        return _struct_names()


@functools.cache
def _struct_names() -> frozenset[str]:
    from lws_sandbox.schema import builtin

    return frozenset(name.rpartition(".")[2] for name, node in builtin.definitions().items() if "properties" in node)
