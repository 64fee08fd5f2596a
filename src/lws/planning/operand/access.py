"""What rules of a role grant, and whether that covers what others grant (operator 5.7)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from lws.apimachinery.manifests import JSON

Grant = tuple[str, str, str, str]  # verb, group, resource, name; of URLs: verb, "", "", URL


def covers(held: Sequence[JSON], wanted: Sequence[JSON]) -> bool:
    """Whether whoever holds these rules may do everything that the wanted ones grant."""
    return all(any(_allows(rule, grant) for rule in held) for grant in grants(wanted))


def grants(rules: Iterable[JSON]) -> Iterator[Grant]:
    """Everything that rules grant, one by one; an empty name stands for every object."""
    for rule in rules:
        verbs = rule.get("verbs") or ()
        yield from ((verb, "", "", url) for verb, url in itertools.product(verbs, rule.get("nonResourceURLs") or ()))
        named = rule.get("resourceNames") or ("",)
        groups, resources = rule.get("apiGroups") or (), rule.get("resources") or ()
        yield from itertools.product(verbs, groups, resources, named)


def _allows(rule: JSON, grant: Grant) -> bool:
    verb, group, resource, name = grant
    if not _has(rule.get("verbs"), verb):
        return False
    if not resource:
        return _has(rule.get("nonResourceURLs"), name)
    if not (_has(rule.get("apiGroups"), group) and _has(rule.get("resources"), resource)):
        return False
    named = rule.get("resourceNames")
    return not named or name in named


def _has(values: Sequence[str] | None, value: str) -> bool:
    return "*" in (values or ()) or value in (values or ())
