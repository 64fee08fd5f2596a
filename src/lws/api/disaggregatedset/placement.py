"""The terms that keep slices together and apart (disaggregatedset 5.7)."""

from __future__ import annotations

from typing import Any, Final

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.types import EXCLUSIVE_TOPOLOGY, NO_PLACEMENT, PlacementPolicy
from lws.apimachinery.manifests import JSON, with_spec

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_KINDS: Final = ("podAffinity", "podAntiAffinity")


def placed(template: JSON, policy: PlacementPolicy | None, name: str, slice_: int) -> JSON:
    """A pod template with the policy's terms after those of its author."""
    if policy is None or policy.type in ("", NO_PLACEMENT) or not policy.topology:
        return template
    affinity = (template.get("spec") or {}).get("affinity") or {}
    apart = [_apart(name, slice_)]
    if policy.type == EXCLUSIVE_TOPOLOGY:
        apart.append(_alone(name))
    added = {"podAffinity": [_together(name, slice_)], "podAntiAffinity": apart}
    extended = dict(affinity)
    for kind, expressions in added.items():
        terms = [{"labelSelector": {"matchExpressions": each}, "topologyKey": policy.topology} for each in expressions]
        extended[kind] = {**(affinity.get(kind) or {}), _REQUIRED: [*_terms(affinity, kind), *terms]}
    return with_spec(template, {"affinity": extended})


def unplaced(template: JSON, name: str, slice_: int) -> JSON:
    """A pod template without any terms that `placed` adds, whatever the policy was; empty affinity is left out."""
    spec = template.get("spec") or {}
    if not spec.get("affinity"):
        return {**template, "spec": {key: value for key, value in spec.items() if key != "affinity"}}
    ours = (_together(name, slice_), _apart(name, slice_), _alone(name))
    affinity = dict(spec["affinity"])
    for kind in _KINDS:
        kept = [term for term in _terms(affinity, kind) if _expressions(term) not in ours]
        rest = {key: value for key, value in (affinity.get(kind) or {}).items() if key != _REQUIRED and value}
        affinity[kind] = rest | ({_REQUIRED: kept} if kept else {})
    affinity = {kind: value for kind, value in affinity.items() if value}
    bare = {key: value for key, value in spec.items() if key != "affinity"}
    return {**template, "spec": bare | ({"affinity": affinity} if affinity else {})}


def _together(name: str, slice_: int) -> list[JSON]:
    return [_in(labels.NAME, name), _in(labels.SLICE, str(slice_))]


def _apart(name: str, slice_: int) -> list[JSON]:
    """Other slices; slice 0 leaves pods alone that were made before there were slices."""
    sliced = [] if slice_ else [{"key": labels.SLICE, "operator": "Exists"}]
    return [_in(labels.NAME, name), *sliced, {"key": labels.SLICE, "operator": "NotIn", "values": [str(slice_)]}]


def _alone(name: str) -> list[JSON]:
    """Slices of other sets."""
    return [
        {"key": labels.NAME, "operator": "Exists"},
        {"key": labels.NAME, "operator": "NotIn", "values": [name]},
        {"key": labels.SLICE, "operator": "Exists"},
    ]


def _in(key: str, value: str) -> JSON:
    return {"key": key, "operator": "In", "values": [value]}


def _terms(affinity: JSON, kind: str) -> list[JSON]:
    return (affinity.get(kind) or {}).get(_REQUIRED) or []


def _expressions(term: JSON) -> Any:
    """The expressions of a term that has nothing else but its topology key."""
    selector = term.get("labelSelector") or {}
    plain = set(term) <= {"labelSelector", "topologyKey"} and set(selector) <= {"matchExpressions"}
    return selector.get("matchExpressions") if plain else None
