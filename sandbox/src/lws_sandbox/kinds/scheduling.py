"""The rules of affinity, tolerations, gates and topology spread."""

from __future__ import annotations

from typing import Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import selectors
from lws_sandbox.status import Causes

_EFFECTS: Final = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_UNSATISFIABLE: Final = ["DoNotSchedule", "ScheduleAnyway"]


def validate(spec: JSON, path: str, causes: Causes) -> None:
    """Check affinity, gates and spread constraints of a pod spec."""
    affinity = spec.get("affinity") or {}
    _node_affinity(affinity.get("nodeAffinity") or {}, f"{path}.affinity.nodeAffinity", causes)
    for member in ("podAffinity", "podAntiAffinity"):
        _pod_affinity(affinity.get(member) or {}, f"{path}.affinity.{member}", causes)
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        for why in nameformats.qualified_name(kind):
            causes.invalid(f"{path}.readinessGates[{index}].conditionType", kind, why)
    _gates(spec.get("schedulingGates") or [], f"{path}.schedulingGates", causes)
    _spread(spec.get("topologySpreadConstraints") or [], f"{path}.topologySpreadConstraints", causes)


def _node_affinity(affinity: JSON, path: str, causes: Causes) -> None:
    required = affinity.get(_REQUIRED)
    if required is not None:
        terms = required.get("nodeSelectorTerms") or []
        where = f"{path}.{_REQUIRED}.nodeSelectorTerms"
        if not terms:
            causes.required(where, "must have at least one node selector term")
        for index, term in enumerate(terms):
            _node_term(term, f"{where}[{index}]", causes)
    for index, preferred in enumerate(affinity.get(_PREFERRED) or ()):
        where = f"{path}.{_PREFERRED}[{index}]"
        _weight(preferred, where, causes)
        _node_term(preferred.get("preference") or {}, f"{where}.preference", causes)


def _node_term(term: JSON, path: str, causes: Causes) -> None:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        operator, values = expression.get("operator") or "", expression.get("values") or []
        if operator in ("In", "NotIn"):
            if not values:
                causes.required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                causes.forbidden(
                    f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
        elif operator in ("Gt", "Lt"):
            if len(values) != 1:
                causes.required(f"{where}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
        else:
            causes.invalid(f"{where}.operator", operator, "not a valid selector operator")
        for why in nameformats.qualified_name(expression.get("key") or ""):
            causes.invalid(f"{where}.key", expression.get("key") or "", why)


def _weight(preferred: JSON, path: str, causes: Causes) -> None:
    weight = preferred.get("weight") or 0
    if not 1 <= weight <= 100:
        causes.invalid(f"{path}.weight", weight, "must be in the range 1-100")


def _pod_affinity(affinity: JSON, path: str, causes: Causes) -> None:
    for index, term in enumerate(affinity.get(_REQUIRED) or ()):
        _pod_term(term, f"{path}.{_REQUIRED}[{index}]", causes)
    for index, preferred in enumerate(affinity.get(_PREFERRED) or ()):
        where = f"{path}.{_PREFERRED}[{index}]"
        _weight(preferred, where, causes)
        _pod_term(preferred.get("podAffinityTerm") or {}, f"{where}.podAffinityTerm", causes)


def _pod_term(term: JSON, path: str, causes: Causes) -> None:
    selectors.validate(term.get("labelSelector"), f"{path}.labelSelector", causes)
    selectors.validate(term.get("namespaceSelector"), f"{path}.namespaceSelector", causes)
    for name in term.get("namespaces") or ():
        for why in nameformats.dns_label(name):
            causes.invalid(f"{path}.namespace", name, why)
    key = term.get("topologyKey") or ""
    if not key:
        causes.required(f"{path}.topologyKey", "can not be empty")
    for why in nameformats.qualified_name(key):
        causes.invalid(f"{path}.topologyKey", key, why)


def _gates(gates: list[JSON], path: str, causes: Causes) -> None:
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name") or ""
        for why in nameformats.qualified_name(name):
            causes.invalid(f"{path}[{index}]", name, why)
        if name in seen:
            causes.duplicate(f"{path}[{index}]", name)
        seen.add(name)


def _spread(constraints: list[JSON], path: str, causes: Causes) -> None:
    pairs: set[tuple[str, str]] = set()
    for index, constraint in enumerate(constraints):
        where = f"{path}[{index}]"
        skew, key = constraint.get("maxSkew") or 0, constraint.get("topologyKey") or ""
        if skew <= 0:
            causes.invalid(f"{where}.maxSkew", skew, "must be greater than zero")
        if not key:
            causes.required(f"{where}.topologyKey", "can not be empty")
        for why in nameformats.qualified_name(key) if key else ():
            causes.invalid(f"{where}.topologyKey", key, why)
        action = constraint.get("whenUnsatisfiable") or ""
        if action not in _UNSATISFIABLE:
            causes.not_supported(f"{where}.whenUnsatisfiable", action, _UNSATISFIABLE)
        if (key, action) in pairs:
            causes.duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")
        pairs.add((key, action))
        selectors.validate(constraint.get("labelSelector"), f"{where}.labelSelector", causes)


def tolerations(listed: list[JSON], path: str, causes: Causes) -> None:
    """Check a list of tolerations."""
    for index, toleration in enumerate(listed):
        where = f"{path}[{index}]"
        key, operator = toleration.get("key") or "", toleration.get("operator") or ""
        for why in nameformats.qualified_name(key) if key else ():
            causes.invalid(f"{where}.key", key, why)
        if not key and operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            causes.invalid(f"{where}.operator", operator, why)
        effect = toleration.get("effect") or ""
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            causes.invalid(f"{where}.effect", effect, why)
        value = toleration.get("value") or ""
        if operator in ("", "Equal"):
            problems = nameformats.label_value(value)
            if problems:
                causes.invalid(f"{where}.operator", value, ";".join(problems))
        elif operator == "Exists":
            if value:
                causes.invalid(f"{where}.operator", toleration, "value must be empty when `operator` is 'Exists'")
        else:
            causes.not_supported(f"{where}.operator", operator, ["Equal", "Exists"])
        if effect and effect not in _EFFECTS:
            causes.not_supported(f"{where}.effect", effect, _EFFECTS)
