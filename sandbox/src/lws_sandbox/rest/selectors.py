"""Label and field selectors, parsed and refused as k8s.io/apimachinery does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lws_sandbox import naming
from lws_sandbox.status import StatusError, bad_request, show

Labels = Mapping[str, str]
_SYMBOLS: Final = {"!": "!", "=": "=", "==": "==", "!=": "!=", ",": ",", "(": "(", ")": ")", ">": ">", "<": "<"}
_WORD: Final = re.compile(r"[=!(),<>]+|[^\s=!(),<>]+")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        """Whether an object with these labels meets it."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "in" | "=" | "==":
                return value in self.values
            case "notin" | "!=":
                return value not in self.values
        return value is not None and _greater(value, next(iter(self.values)), self.operator)


def _greater(value: str, bound: str, operator: str) -> bool:
    if not re.fullmatch(r"[+-]?\d+", value):
        return False
    return int(value) > int(bound) if operator == "gt" else int(value) < int(bound)


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of requirements; without any it takes everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Labels | None) -> bool:
        """Whether an object with these labels is selected."""
        return all(requirement.matches(labels or {}) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        """Whether it takes everything."""
        return not self.requirements


EVERYTHING: Final = Selector()


class _Parser:
    """Recursive descent over the words; messages are those of `labels.Parser`."""

    def __init__(self, text: str) -> None:
        self._words = list(_lex(text))
        self._at = 0

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            word = self._peek()
            if _identifier(word) or word == "!":
                found.append(self._requirement())
                following = self._next()
                if not following:
                    return found
                if following != ",":
                    raise bad_request(f"found '{following}', expected: ',' or 'end of string'")
                after = self._peek()
                if not (_identifier(after) or after == "!"):
                    raise bad_request(f"found '{after}', expected: identifier after ','")
            elif not word:
                return found
            else:
                raise bad_request(f"found '{word}', expected: !, identifier, or 'end of string'")

    def _requirement(self) -> Requirement:
        negated = self._peek() == "!"
        if negated:
            self._next()
        key = self._next()
        if not _identifier(key):
            raise _unparsed(f"found '{key}', expected: identifier")
        _check_key(key)
        if negated or self._peek() in ("", ","):
            return Requirement(key, "!" if negated else "exists")
        operator = self._operator()
        values = self._set() if operator in ("in", "notin") else frozenset({self._exact()})
        if operator in ("gt", "lt"):
            for value in values:
                if not re.fullmatch(r"[+-]?\d+", value):
                    why = "for 'Gt', 'Lt' operators, the value must be an integer"
                    raise _unparsed(f"values[0]: Invalid value: {show(value)}: {why}")
        for index, value in enumerate(sorted(values)):
            for why in naming.label_value(value):
                raise _unparsed(f"values[{index}][{key}]: Invalid value: {show(value)}: {why}")
        return Requirement(key, operator, values)

    def _operator(self) -> str:
        word = self._next()
        operator = {">": "gt", "<": "lt"}.get(word, word)
        if operator not in ("in", "notin", "=", "==", "!=", "gt", "lt"):
            raise _unparsed(f"found '{word}', expected: in, notin, =, ==, !=, gt, lt")
        return operator

    def _exact(self) -> str:
        word = self._peek()
        if word in ("", ","):
            return ""
        self._next()
        if not _identifier(word):
            raise _unparsed(f"found '{word}', expected: identifier")
        return word

    def _set(self) -> frozenset[str]:
        opening = self._next()
        if opening != "(":
            raise _unparsed(f"found '{opening}' expected: '('")
        word = self._peek()
        if word == ")":
            self._next()
            return frozenset({""})
        if not _identifier(word) and word != ",":
            raise _unparsed(f"found '{word}', expected: ',', ')' or identifier")
        values = self._identifiers()
        closing = self._next()
        if closing != ")":
            raise _unparsed(f"found '{closing}', expected: ')'")
        return values

    def _identifiers(self) -> frozenset[str]:
        found: set[str] = set()
        while True:
            word = self._next()
            if _identifier(word):
                found.add(word)
                after = self._peek()
                if after == ",":
                    continue
                if after == ")":
                    return frozenset(found)
                raise _unparsed(f"found '{after}', expected: ',' or ')'")
            if word != ",":
                raise _unparsed(f"found '{word}', expected: ',', or identifier")
            if not found:
                found.add("")
            after = self._peek()
            if after == ")":
                found.add("")
                return frozenset(found)
            if after == ",":
                self._next()
                found.add("")


def _lex(text: str) -> Iterable[str]:
    for word in _WORD.findall(text):
        if word[0] not in "=!(),<>":
            yield word
            continue
        while word:
            size = 2 if word[:2] in _SYMBOLS else 1
            yield word[:size]
            word = word[size:]


def _identifier(word: str) -> bool:
    return bool(word) and word not in _SYMBOLS


def _unparsed(why: str) -> StatusError:
    return bad_request(f"unable to parse requirement: {why}")


def _check_key(key: str) -> None:
    for why in naming.qualified_name(key):
        raise _unparsed(f"<nil>: Invalid value: {show(key)}: {why}")


def parse_labels(text: str) -> Selector:
    """A label selector in its text form.

    Raises:
        StatusError: 400 in the words of the real parser.
    """
    return Selector(tuple(sorted(_Parser(text).parse(), key=lambda found: found.key))) if text else EVERYTHING


def from_object(selector: Mapping[str, object] | None) -> Selector | None:
    """A LabelSelector object; None, which selects nothing, for an absent one."""
    if selector is None:
        return None
    labels = selector.get("matchLabels") or {}
    found = [Requirement(key, "in", frozenset({value})) for key, value in labels.items()]  # type: ignore[attr-defined]
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    for expression in selector.get("matchExpressions") or []:  # type: ignore[attr-defined]
        values = frozenset(expression.get("values") or ())
        found.append(Requirement(expression["key"], operators[expression["operator"]], values))
    return Selector(tuple(found))


def to_text(selector: Mapping[str, object] | None) -> str:
    """A LabelSelector object in its text form, as the scale subresource tells it."""
    parts: list[tuple[str, str]] = []
    source = selector or {}
    for key, value in (source.get("matchLabels") or {}).items():  # type: ignore[attr-defined]
        parts.append((key, f"{key}={value}"))
    for expression in source.get("matchExpressions") or []:  # type: ignore[attr-defined]
        key, values = expression["key"], ",".join(sorted(expression.get("values") or ()))
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        parts.append((key, forms[expression["operator"]]))
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0]))


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Conditions on fields: (field, wanted value, whether it has to be that value)."""

    terms: tuple[tuple[str, str, bool], ...] = ()

    def matches(self, fields: Callable[[str], str]) -> bool:
        """Whether an object is selected; ``fields`` tells a field's value."""
        return all((fields(name) == value) is wanted for name, value, wanted in self.terms)

    def exact(self, field: str) -> str | None:
        """The value that ``field`` has to have, if the selector demands one."""
        return next((value for name, value, wanted in self.terms if name == field and wanted), None)

    @property
    def empty(self) -> bool:
        """Whether it takes everything."""
        return not self.terms


def parse_fields(text: str, selectable: frozenset[str], *, named: bool) -> FieldSelector:
    """A field selector in its text form.

    Args:
        text: terms joined by commas.
        selectable: fields that the kind selects by, besides name and namespace.
        named: whether the kind has selectable fields of its own, which is told in other words when one is unknown.

    Raises:
        StatusError: 400 in the words of the real parser.
    """
    terms: list[tuple[str, str, bool]] = []
    for term in _split_terms(text):
        if not term:
            continue
        field, operator, value = _split_term(term)
        if operator is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        terms.append((field, _unescape(value), operator != "!="))
    for field, _, _ in terms:
        if field not in selectable and field not in ("metadata.name", "metadata.namespace"):
            if named:
                raise bad_request(f"field label not supported: {field}")
            why = f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            raise bad_request(why)
    return FieldSelector(tuple(terms))


def named_object(text: str) -> str | None:
    """The name that a field selector demands, if it demands one; whatever else is in it, and None if it is garbled."""
    terms = [_split_term(term) for term in _split_terms(text) if term]
    if any(operator is None for _, operator, _ in terms):
        return None
    return next(
        (_unescape(value) for name, operator, value in terms if name == "metadata.name" and operator != "!="), None
    )


def _split_terms(text: str) -> list[str]:
    return re.split(r"(?<!\\),", text)


def _split_term(term: str) -> tuple[str, str | None, str]:
    found = re.search(r"!=|==|=", term)
    if not found:
        return term, None, ""
    return term[: found.start()], found.group(), term[found.end() :]


def _unescape(value: str) -> str:
    return re.sub(r"\\([\\,=])", r"\1", value)
