"""Validation by an OpenAPI schema, with the messages of a real server (kube-openapi `validate`).

Values that an old object holds unchanged at the same place are let pass (ratcheting): members by name, elements of
keyed lists by key; elements of other lists have no place of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema import formats, goregex
from lws_sandbox.schema.goprint import go_float, go_print
from lws_sandbox.status import Cause, show


class _Unknown:
    """No old value to compare with."""


UNKNOWN: Final = _Unknown()


@dataclass
class Result:
    """What was found wrong, each text once, and how many checks were made: the more, the nearer a schema came."""

    causes: list[Cause] = field(default_factory=list)
    checks: int = 0

    def add(self, *causes: Cause) -> None:
        """Add what is not there yet."""
        for cause in causes:
            if cause not in self.causes:
                self.causes.append(cause)

    def merge(self, other: Result) -> None:
        """Add another's."""
        self.add(*other.causes)
        self.checks += other.checks


def validate(schema: JSON, value: Any, path: str = "", old: Any = UNKNOWN) -> Result:
    """Check a value.

    Args:
        schema: an OpenAPI schema, references resolved.
        value: JSON.
        path: of the value, as messages show it.
        old: what stood at its place before, or `UNKNOWN`.
    """
    result = _Check(schema, path, old).run(value)
    if result.causes and old is not UNKNOWN and value == old:
        return Result(checks=result.checks)
    return result


def json_type(value: Any) -> str:
    """The JSON type of a value as schemas name it."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


class _Check:
    """One value against one schema."""

    def __init__(self, schema: JSON, path: str, old: Any) -> None:
        self.schema = schema
        self.path = path
        self.old = old
        both = bool(schema.get("x-kubernetes-int-or-string"))
        self.types: tuple[str, ...] = ("integer", "string") if both else tuple(filter(None, [schema.get("type")]))
        single = self.types[0] if len(self.types) == 1 else "" if not self.types else "several"
        self.format = formats.supported(schema.get("format") or "", single)
        self.result = Result()

    def run(self, value: Any) -> Result:
        """Every check that applies, in the order in which a server makes them."""
        if value is None:
            self._type(value)
            self._enum(value)
            return self.result
        if self.types or self.format:
            self._type(value)
            self.result.checks += 1
        self._combinations(value)
        self.result.checks += 2
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, str):
            self._string(value)
            self.result.checks += 1
        elif number:
            self._number(value)
            self.result.checks += 2
        elif isinstance(value, list):
            self._list(value)
            self.result.checks += 2
        self._enum(value)
        self.result.checks += 1
        if isinstance(value, dict):
            self._object(value)
            self.result.checks += 1
        self.result.checks += 1
        return self.result

    def _invalid(self, value: Any, why: str, path: str | None = None) -> None:
        field_path = (self.path if path is None else path).removeprefix(".")
        self.result.add(Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {why}", field_path))

    def _general(self, why: str) -> None:
        """A complaint that the server does not tie to a field."""
        self.result.add(Cause("FieldValueInvalid", f'Invalid value: "": {why}', "<nil>"))

    def _wrong_type(self, wanted: str, value: str) -> None:
        why = f"{self.path} in body must be of type {wanted}: {show(value)}"
        cause = Cause("FieldValueTypeInvalid", f"Invalid value: {show(value)}: {why}", self.path.removeprefix("."))
        self.result.add(cause)

    def _type(self, value: Any) -> None:
        if value is None:
            if self.types and not self.schema.get("nullable"):
                self._wrong_type(",".join(self.types), "null")
            return
        kind = json_type(value)
        whole = isinstance(value, float) and value.is_integer() and "integer" in self.types
        fits = kind in self.types or whole or (kind == "integer" and "number" in self.types)
        textual = isinstance(value, str | list)
        if not textual and self.format and not fits:
            self._wrong_type(self.format, {"integer": "int64", "number": "float64"}.get(kind, ""))
        elif textual and self.format and not {"number", "integer"} & set(self.types):
            self.result.checks += 1
        elif self.types and not fits:
            self._wrong_type(",".join(self.types), kind)
        else:
            self.result.checks += 1

    def _combinations(self, value: Any) -> None:
        if self.schema.get("anyOf"):
            self._any_of(value)
        if self.schema.get("oneOf"):
            self._one_of(value)
        if self.schema.get("allOf"):
            results = [self._inner(schema, value) for schema in self.schema["allOf"]]
            valid = sum(1 for result in results if not result.causes)
            for result in results:
                self.result.merge(result)
            if valid != len(results):
                suffix = "" if valid else ". None validated"
                self._general(f'"{self.path}" must validate all the schemas (allOf){suffix}')
        if isinstance(self.schema.get("not"), dict) and not self._inner(self.schema["not"], value).causes:
            self._general(f'"{self.path}" must not validate the schema (not)')

    def _inner(self, schema: JSON, value: Any) -> Result:
        return validate(schema, value, self.path)

    def _any_of(self, value: Any) -> None:
        best: Result | None = None
        for schema in self.schema["anyOf"]:
            result = self._inner(schema, value)
            if not result.causes:
                self.result.merge(result)
                return
            if best is None or result.checks > best.checks:
                best = result
        self._general(f'"{self.path}" must validate at least one schema (anyOf)')
        if best is not None:
            self.result.merge(best)

    def _one_of(self, value: Any) -> None:
        results = [self._inner(schema, value) for schema in self.schema["oneOf"]]
        valid = [result for result in results if not result.causes]
        if len(valid) == 1:
            self.result.merge(valid[0])
            return
        found = "Found none valid" if not valid else f"Found {len(valid)} valid alternatives"
        self._general(f'"{self.path}" must validate one and only one schema (oneOf). {found}')
        if not valid:
            self.result.merge(max(results, key=lambda result: result.checks))

    def _string(self, value: str) -> None:
        schema = self.schema
        if schema.get("maxLength") is not None and len(value) > schema["maxLength"]:
            text = f"Too long: may not be more than {schema['maxLength']} bytes"
            self.result.add(Cause("FieldValueTooLong", text, self.path.removeprefix(".")))
        elif schema.get("minLength") is not None and len(value) < schema["minLength"]:
            self._invalid(value, f"{self.path} in body should be at least {schema['minLength']} chars long")
        elif schema.get("pattern"):
            self._pattern(value, schema["pattern"])
        if self.format and not formats.fits(self.format, value):
            self._wrong_type(self.format, value)

    def _pattern(self, value: str, pattern: str) -> None:
        try:
            if not goregex.matches(pattern, value):
                self._invalid(value, f"{self.path} in body should match '{pattern}'")
        except goregex.PatternError as error:
            self._invalid(value, f"{self.path} in body should match '{pattern}, but pattern is invalid: {error}'")

    def _number(self, value: float) -> None:
        kind = self.types[0] if len(self.types) == 1 and self.types[0] in ("integer", "number") else ""
        if not _in_range(value, kind, self.format):
            form = f"with format {self.format}" if self.format else "(default format)"
            self._general(f"Checked value must be of type {kind} {form} in {self.path}")
        if self.schema.get("multipleOf") is not None:
            self._multiple(value, self.schema["multipleOf"])
        low, high = self.schema.get("minimum"), self.schema.get("maximum")
        if low is not None:
            exclusive = bool(self.schema.get("exclusiveMinimum"))
            if value < _limit(low, value) or (exclusive and value == _limit(low, value)):
                word = "greater than" if exclusive else "greater than or equal to"
                self._invalid(value, f"{self.path} in body should be {word} {_number_text(_limit(low, value))}")
        if high is not None:
            exclusive = bool(self.schema.get("exclusiveMaximum"))
            if value > _limit(high, value) or (exclusive and value == _limit(high, value)):
                word = "less than" if exclusive else "less than or equal to"
                self._invalid(value, f"{self.path} in body should be {word} {_number_text(_limit(high, value))}")

    def _multiple(self, value: float, factor: float) -> None:
        whole = isinstance(value, int)
        factor = int(factor) if whole else factor
        if factor <= 0:
            text = f"factor MultipleOf declared for {self.path} must be positive: {_number_text(factor)}"
            self._invalid(factor, text)
            return
        quotient = value / factor if whole or factor >= 1 else 1 / factor * value
        if abs(quotient - round(quotient)) > 1e-9 * max(1.0, abs(quotient)):
            self._invalid(value, f"{self.path} in body should be a multiple of {_number_text(factor)}")

    def _list(self, value: list[Any]) -> None:
        items = self.schema.get("items")
        if isinstance(items, dict):
            before = self._old_elements(value)
            for index, item in enumerate(value):
                self.result.merge(validate(items, item, f"{self.path}[{index}]", before[index]))
        low, high = self.schema.get("minItems"), self.schema.get("maxItems")
        if low is not None and len(value) < low:
            self._invalid(len(value), f"{self.path} in body should have at least {low} items")
        if high is not None and len(value) > high:
            self._too_many(len(value), high)
        if self.schema.get("uniqueItems") and any(item in value[:place] for place, item in enumerate(value)):
            self._invalid("", f"{self.path} in body shouldn't contain duplicates")

    def _old_elements(self, value: list[Any]) -> list[Any]:
        keys = self.schema.get("x-kubernetes-list-map-keys") or ()
        keyed = self.schema.get("x-kubernetes-list-type") == "map"
        if not keyed or not isinstance(self.old, list):
            return [UNKNOWN] * len(value)
        before = {_identity(item, keys): item for item in self.old if isinstance(item, dict)}
        return [before.get(_identity(item, keys), UNKNOWN) if isinstance(item, dict) else UNKNOWN for item in value]

    def _too_many(self, actual: int, limit: int) -> None:
        text = f"Too many: {actual}: must have at most {limit} items"
        self.result.add(Cause("FieldValueTooMany", text, self.path.removeprefix(".")))

    def _object(self, value: JSON) -> None:
        low, high = self.schema.get("minProperties"), self.schema.get("maxProperties")
        if low is not None and len(value) < low:
            self._invalid(len(value), f"{self.path} in body should have at least {low} properties")
        if high is not None and len(value) > high:
            self._too_many(len(value), high)
        members = self.schema.get("properties") or {}
        others = self.schema.get("additionalProperties")
        for name, item in value.items():
            if name in members:
                continue
            if others is False:
                self._invalid(name, f"{self.path}.{name} in body is a forbidden property")
            elif isinstance(others, dict):
                self.result.merge(validate(others, item, f"{self.path}.{name}", self._old_member(name)))
        for name in sorted(members):
            if name in value:
                below = f"{self.path}.{name}" if self.path else name
                self.result.merge(validate(members[name], value[name], below, self._old_member(name)))
        for name in self.schema.get("required") or ():
            if name not in value:
                self.result.add(Cause("FieldValueRequired", "Required value", f"{self.path}.{name}".removeprefix(".")))

    def _old_member(self, name: str) -> Any:
        if not isinstance(self.old, dict) or (not self.path and name in ("kind", "apiVersion")):
            return UNKNOWN
        return self.old.get(name, UNKNOWN)

    def _enum(self, value: Any) -> None:
        allowed = self.schema.get("enum")
        if not allowed or any(_same(value, item) for item in allowed):
            return
        names = ", ".join(f'"{item}"' if isinstance(item, str) else f'"{show(item)}"' for item in allowed)
        text = f"Unsupported value: {shown(value)}: supported values: {names}"
        self.result.add(Cause("FieldValueNotSupported", text, self.path.removeprefix(".")))


def _same(value: Any, allowed: Any) -> bool:
    if isinstance(value, bool) or isinstance(allowed, bool):
        return value is allowed
    return bool(value == allowed)


def _identity(item: JSON, keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(go_print(item.get(key)) for key in keys)


def _in_range(value: float, kind: str, format_name: str) -> bool:
    if kind == "integer":
        limit = 2**31 if format_name == "int32" else 2**63
        return -limit <= value < limit
    return not (format_name == "float" and abs(value) > 3.4028235e38)


def _limit(bound: float, value: float) -> float:
    """A bound as the value's own type sees it: integers are compared with integers."""
    return int(bound) if isinstance(value, int) else bound


def _number_text(value: float) -> str:
    return go_float(value) if isinstance(value, float) else str(value)


def shown(value: Any) -> str:
    """A value in a message: text quoted, numbers bare, the rest as JSON."""
    return _number_text(value) if isinstance(value, int | float) and not isinstance(value, bool) else show(value)
