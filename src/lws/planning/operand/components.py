"""Which components of `config/` an installation has, and what its objects are with them (operator 5.2, OD-28).

A component stands in the assets as whole objects: those that it brings, and those of `config/default` as it would have
them. Where several want the same object otherwise, what each of them changes is put together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lws.api.operand.types import CERT_MANAGER, ENABLED, LeaderWorkerSetOperatorSpec
from lws.apimachinery.manifests import JSON
from lws.planning.operand import monitoring
from lws.planning.operand.assets import Asset
from lws.planning.operand.facts import Facts

# By which member of the spec a component is chosen; any other is chosen by its name.
CHOSEN_BY: Final = {
    "certmanager": "spec.certificates.mode",
    "networkpolicy": "spec.networkPolicy.mode",
    "volcano": "spec.operand.configuration.gangScheduling.schedulerProvider",
    "workloads": "spec.operand.configuration.gangScheduling.schedulerProvider",
    monitoring.COMPONENT: "spec.monitoring.mode",
    monitoring.OPERATOR_COMPONENT: "spec.monitoring.mode",
}
_PROVIDERS: Final = {"volcano": "volcano", "workloads": "kubernetes"}
_ABSENT: Final = object()


def active(spec: LeaderWorkerSetOperatorSpec, facts: Facts, assets: Iterable[Asset]) -> frozenset[str]:
    """The components that the spec asks for, given the facts."""
    gang = spec.operand.configuration.gang_scheduling
    wanted = {
        "certmanager": facts.certificates == CERT_MANAGER,
        "networkpolicy": spec.network_policy.mode == ENABLED,
        monitoring.COMPONENT: monitoring.monitored(spec, facts),
        monitoring.OPERATOR_COMPONENT: monitoring.operator_monitored(spec, facts),
    }
    wanted |= {name: gang is not None and gang.scheduler_provider == each for name, each in _PROVIDERS.items()}
    named = {*spec.operand.components} & {*by_name(assets)}
    return frozenset(name for name, asked in wanted.items() if asked) | named


def by_name(assets: Iterable[Asset]) -> list[str]:
    """The components that are chosen by their names."""
    return sorted({each.component for each in assets} - {"", *CHOSEN_BY})


def unknown(spec: LeaderWorkerSetOperatorSpec, assets: Iterable[Asset]) -> str:
    """What is wrong with the components that the spec names; empty if nothing is."""
    known = by_name(assets)
    for index, name in enumerate(spec.operand.components):
        where = f"spec.operand.components[{index}]"
        if name in CHOSEN_BY:
            return f"{where}: {name} is chosen by {CHOSEN_BY[name]}; set that instead"
        if name not in known:
            choices = ", ".join(known) or "none"
            return f"{where}: this release has no component {name}; choose among {choices}, or remove it"
    return ""


def chosen(assets: Iterable[Asset], components: Collection[str]) -> list[Asset]:
    """One asset for each object that an installation with these components has."""
    groups: dict[tuple[str, str], list[Asset]] = {}
    for each in assets:
        groups.setdefault(each.key, []).append(each)
    found = (_form(group, frozenset(components)) for group in groups.values())
    return [each for each in found if each is not None]


def _form(group: Sequence[Asset], components: frozenset[str]) -> Asset | None:
    """An object with what the components make of it; None if they take it away, or none of them brings it."""
    base = next((each for each in group if not each.component), None)
    forms = [each for each in group if each.component in components]
    if base is None:
        return forms[-1] if forms else None
    if base.without & components - {each.component for each in forms}:
        return None
    return replace(base, manifest=combined(base.manifest, [each.manifest for each in forms])) if forms else base


def combined(base: Any, forms: Sequence[Any]) -> Any:
    """What is changed in one form or another; of two changes of the same value the later holds."""
    changed = [each for each in forms if each != base]
    if len(changed) < 2 or not all(isinstance(each, type(base)) for each in changed):
        return changed[-1] if changed else base
    if isinstance(base, dict):
        return _mapping(base, changed)
    if isinstance(base, list):
        return _listed(base, changed)
    return changed[-1]


def _mapping(base: JSON, forms: Sequence[JSON]) -> JSON:
    result = {}
    for key in dict.fromkeys(key for each in (base, *forms) for key in each):
        before, after = base.get(key, _ABSENT), [each.get(key, _ABSENT) for each in forms]
        value = combined(before, after)
        if value is not _ABSENT:
            result[key] = value
    return result


def _listed(base: list[Any], forms: Sequence[list[Any]]) -> list[Any]:
    """Lists of named things name by name; of others, what some form has more, without what some form lacks."""
    names = [_named(each) for each in (base, *forms)]
    if all(each is not None for each in names):
        by_name = [each for each in names if each is not None]
        return [*_mapping(dict(by_name[0]), [dict(each) for each in by_name[1:]]).values()]
    kept = [each for each in base if all(each in form for form in forms)]
    for form in forms:
        kept += [each for each in form if each not in base and each not in kept]
    return kept


def _named(items: list[Any]) -> Mapping[str, Any] | None:
    """The items by their names; None if they have none, or share one."""
    found = {each["name"]: each for each in items if isinstance(each, dict) and isinstance(each.get("name"), str)}
    return found if len(found) == len(items) else None
