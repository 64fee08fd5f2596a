"""Rules of RBAC, evaluated and compared (k8s.io/component-helpers `auth/rbac/validation`). Pure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lws_sandbox.rest.call import RequestInfo

ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule."""

    verbs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, rule: Mapping[str, Any]) -> Rule:
        """Read a rule of a role."""
        return cls(
            tuple(rule.get("verbs") or ()),
            tuple(rule.get("apiGroups") or ()),
            tuple(rule.get("resources") or ()),
            tuple(rule.get("resourceNames") or ()),
            tuple(rule.get("nonResourceURLs") or ()),
        )

    def to_json(self) -> dict[str, Any]:
        """As a role or a rules review carries it."""
        members = {
            "verbs": self.verbs,
            "apiGroups": self.groups,
            "resources": self.resources,
            "resourceNames": self.names,
            "nonResourceURLs": self.urls,
        }
        return {key: list(values) for key, values in members.items() if values}

    def __str__(self) -> str:
        """As messages about escalation name it."""
        parts = {
            "APIGroups": self.groups,
            "Resources": self.resources,
            "NonResourceURLs": self.urls,
            "ResourceNames": self.names,
            "Verbs": self.verbs,
        }
        return "{" + ", ".join(f"{name}:{quoted(values)}" for name, values in parts.items() if values) + "}"


def quoted(values: Iterable[str]) -> str:
    """A list of strings as Go's ``%q`` prints it."""
    return "[" + " ".join(json.dumps(value, ensure_ascii=False) for value in values) + "]"


def rules_of(role: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules of a Role or ClusterRole."""
    return tuple(Rule.from_json(rule) for rule in role.get("rules") or ())


def allows(rule: Rule, info: RequestInfo) -> bool:
    """Whether the rule grants the request."""
    if not _has(rule.verbs, info.verb):
        return False
    if not info.resource:
        return any(_url_covers(url, info.path) for url in rule.urls)
    return (
        _has(rule.groups, info.group)
        and _resource_matches(rule.resources, info.resource, info.subresource)
        and (not rule.names or info.name in rule.names)
    )


def missing(held: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """What ``wanted`` grants and ``held`` does not, broken down to single verbs, resources and names."""
    return [part for rule in wanted for part in _parts(rule) if not any(_covers(owner, part) for owner in held)]


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Join rules that differ in their verbs only."""
    joined: dict[tuple[Any, ...], Rule] = {}
    others: list[Rule] = []
    for rule in rules:
        if rule.urls or len(rule.groups) != 1 or len(rule.resources) != 1 or len(rule.names) > 1:
            others.append(rule)
            continue
        key = (rule.groups, rule.resources, rule.names)
        known = joined.get(key)
        verbs = (*known.verbs, *(verb for verb in rule.verbs if verb not in known.verbs)) if known else rule.verbs
        joined[key] = replace(rule, verbs=verbs)
    return others + list(joined.values())


def _has(values: Sequence[str], value: str) -> bool:
    return ALL in values or value in values


def _resource_matches(resources: Sequence[str], resource: str, subresource: str) -> bool:
    if ALL in resources:
        return True
    if not subresource:
        return resource in resources
    return f"{resource}/{subresource}" in resources or f"*/{subresource}" in resources


def _url_covers(owner: str, url: str) -> bool:
    if owner in (ALL, url):
        return True
    return owner.endswith("*") and url.startswith(owner.rstrip("*"))


def _parts(rule: Rule) -> Iterator[Rule]:
    for group, resource, verb in itertools.product(rule.groups, rule.resources, rule.verbs):
        if rule.names:
            for name in rule.names:
                yield Rule((verb,), (group,), (resource,), (name,))
        else:
            yield Rule((verb,), (group,), (resource,))
    for url, verb in itertools.product(rule.urls, rule.verbs):
        yield Rule((verb,), urls=(url,))


def _covers(owner: Rule, part: Rule) -> bool:
    return (
        all(_has(owner.verbs, verb) for verb in part.verbs)
        and all(_has(owner.groups, group) for group in part.groups)
        and all(_resource_matches(owner.resources, *_split(resource)) for resource in part.resources)
        and all(any(_url_covers(held, url) for held in owner.urls) for url in part.urls)
        and (not owner.names or (bool(part.names) and all(name in owner.names for name in part.names)))
    )


def _split(resource: str) -> tuple[str, str]:
    name, _, subresource = resource.partition("/")
    return name, subresource
