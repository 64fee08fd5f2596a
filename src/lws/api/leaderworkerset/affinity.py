"""Affinity terms: those that keep a group alone in its topology domain (spec 4.4), and away from suspect nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lws.api.leaderworkerset.labels import HOSTNAME
from lws.apimachinery.manifests import JSON, with_spec

_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def with_exclusive_terms(pod: JSON, topology_key: str, label: str, value: str) -> JSON:
    """A pod that shares its topology domain with its own group only.

    The group is told by ``label: value``. Existing terms are kept, and nothing is added when the pod already has both
    a required affinity and a required anti-affinity term for this topology key, whoever wrote them (spec 4.4). An
    empty topology key means none (spec CD-21).
    """
    affinity = (pod.get("spec") or {}).get("affinity") or {}
    if not topology_key or all(_covers(affinity, kind, topology_key) for kind in ("podAffinity", "podAntiAffinity")):
        return pod
    together = _term(topology_key, [{"key": label, "operator": "In", "values": [value]}])
    apart = _term(
        topology_key,
        [{"key": label, "operator": "Exists"}, {"key": label, "operator": "NotIn", "values": [value]}],
    )
    extended = {
        **affinity,
        "podAffinity": _appended(affinity, "podAffinity", together),
        "podAntiAffinity": _appended(affinity, "podAntiAffinity", apart),
    }
    return with_spec(pod, {"affinity": extended})


def with_avoided_hosts(pod: JSON, hosts: Sequence[str]) -> JSON:
    """A pod that prefers other hosts, and takes these if there are none; existing terms are kept (resilience 6.5)."""
    if not hosts:
        return pod
    affinity = (pod.get("spec") or {}).get("affinity") or {}
    of_node = affinity.get("nodeAffinity") or {}
    expression = {"key": HOSTNAME, "operator": "NotIn", "values": list(hosts)}
    term = {"weight": 100, "preference": {"matchExpressions": [expression]}}
    extended = {**of_node, _PREFERRED: [*(of_node.get(_PREFERRED) or []), term]}
    return with_spec(pod, {"affinity": {**affinity, "nodeAffinity": extended}})


def _term(topology_key: str, expressions: list[JSON]) -> JSON:
    return {"labelSelector": {"matchExpressions": expressions}, "topologyKey": topology_key}


def _terms(affinity: JSON, kind: str) -> list[Any]:
    return (affinity.get(kind) or {}).get(_REQUIRED) or []


def _covers(affinity: JSON, kind: str, topology_key: str) -> bool:
    return any((term or {}).get("topologyKey") == topology_key for term in _terms(affinity, kind))


def _appended(affinity: JSON, kind: str, term: JSON) -> JSON:
    return {**(affinity.get(kind) or {}), _REQUIRED: [*_terms(affinity, kind), term]}
