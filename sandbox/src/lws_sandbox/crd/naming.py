"""Who may have which names: definitions of a group share theirs with each other.

Plural, singular and short names are one set, kind and list kind another. First come, first served, name by name: what
is accepted stays accepted (k8s.io/apiextensions-apiserver `controller/status`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from lws.apimachinery.manifests import JSON

_SINGLE: Final = (("plural", "PluralConflict"), ("singular", "SingularConflict"))
_KINDS: Final = (("kind", "KindConflict"), ("listKind", "ListKindConflict"))


def accepted_names(crd: JSON) -> JSON:
    """The names of a definition that are accepted so far."""
    names: JSON = (crd.get("status") or {}).get("acceptedNames") or {}
    return names


def same_names(one: JSON, other: JSON) -> bool:
    """Whether two sets of names are the same; empty members do not count."""
    return {name: value for name, value in one.items() if value} == {
        name: value for name, value in other.items() if value
    }


def accept(crd: JSON, group: Iterable[JSON]) -> tuple[JSON, str, str]:
    """The names that ``crd`` may have among all definitions of its ``group``.

    Returns:
        the accepted names; the reason why not all were, or the empty string; and a message.
    """
    asked, have = crd["spec"]["names"], accepted_names(crd)
    words, kinds = _taken(group)
    names, reason, message = dict(have), "", ""
    for taken, members in ((words, _SINGLE), (kinds, _KINDS)):
        for member, why in members:
            wanted = asked.get(member) or ""
            if wanted == (have.get(member) or "") or wanted not in taken:
                _put(names, member, wanted)
            else:
                reason, message = why, _in_use(wanted)
        if taken is words:
            refused = _short_names(asked, have, words, names)
            if refused:
                reason, message = "ShortNamesConflict", refused
    _put(names, "categories", asked.get("categories"))
    return _ordered(names), reason, message


def _taken(group: Iterable[JSON]) -> tuple[set[str], set[str]]:
    words: set[str] = set()
    kinds: set[str] = set()
    for crd in group:
        names = accepted_names(crd)
        words |= {names.get("plural") or "", names.get("singular") or "", *(names.get("shortNames") or ())}
        kinds |= {names.get("kind") or "", names.get("listKind") or ""}
    return words, kinds


def _short_names(asked: JSON, have: JSON, taken: set[str], names: JSON) -> str:
    """Accept all short names or none; returns what stands against them."""
    own = have.get("shortNames") or []
    errors = [_in_use(name) for name in asked.get("shortNames") or [] if name not in own and name in taken]
    if not errors:
        _put(names, "shortNames", asked.get("shortNames"))
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]" if errors else ""


def _in_use(name: str) -> str:
    return f'"{name}" is already in use'


def _put(names: JSON, member: str, value: Any) -> None:
    if value or member in ("plural", "kind"):
        names[member] = value or ""
    else:
        names.pop(member, None)


def _ordered(names: JSON) -> JSON:
    order = ("plural", "singular", "shortNames", "kind", "listKind", "categories")
    return {member: names[member] for member in order if member in names}
