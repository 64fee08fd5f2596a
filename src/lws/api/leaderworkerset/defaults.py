"""Defaulting of LeaderWorkerSets at admission (spec 3.1), as a JSON Patch that touches nothing else."""

from __future__ import annotations

from typing import Any, TypeAlias

from lws.api.leaderworkerset import types
from lws.apimachinery.manifests import JSON

PatchOp: TypeAlias = JSON

_PACE: JSON = {"partition": 0, "maxUnavailable": 1, "maxSurge": 0}


def default_leaderworkerset(obj: JSON) -> list[PatchOp]:
    """The patch that fills in what rules 1 to 5 of spec 3.1, with next 3.2, ask for; empty when nothing is missing.

    Values of a wrong type are left alone: the schema refuses them with a better message.
    """
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return []
    return [*_restart_policy(spec), *_identity(spec), *_rollout_strategy(spec), *_network_config(spec)]


def _restart_policy(spec: JSON) -> list[PatchOp]:
    template = spec.get("leaderWorkerTemplate")
    if not isinstance(template, dict):
        return []
    renamed = {
        None: types.RECREATE_ON_RESTART,
        "": types.RECREATE_ON_RESTART,
        types.RESTART_DEFAULT: types.RESTART_NONE,
    }
    policy = template.get("restartPolicy")
    if not (policy is None or isinstance(policy, str)) or policy not in renamed:
        return []
    return [_set(template, "/spec/leaderWorkerTemplate", "restartPolicy", renamed[policy])]


def _identity(spec: JSON) -> list[PatchOp]:
    """Absent or empty is the default, which an older schema has not filled in (next 3.2)."""
    defaults = {"groupIdentity": types.ORDINAL, "groupReplacementPolicy": types.POST_TERMINATION}
    return [_set(spec, "/spec", name, value) for name, value in defaults.items() if spec.get(name) in (None, "")]


def _rollout_strategy(spec: JSON) -> list[PatchOp]:
    strategy = spec.get("rolloutStrategy")
    if strategy is None:
        value = {"type": types.ROLLING_UPDATE, "rollingUpdateConfiguration": dict(_PACE)}
        return [_set(spec, "/spec", "rolloutStrategy", value)]
    if not isinstance(strategy, dict):
        return []
    patch = []
    kind = strategy.get("type")
    if kind is None or kind == "":
        kind = types.ROLLING_UPDATE
        patch.append(_set(strategy, "/spec/rolloutStrategy", "type", kind))
    if kind == types.ROLLING_UPDATE and strategy.get("rollingUpdateConfiguration") is None:
        patch.append(_set(strategy, "/spec/rolloutStrategy", "rollingUpdateConfiguration", dict(_PACE)))
    return patch


def _network_config(spec: JSON) -> list[PatchOp]:
    config = spec.get("networkConfig")
    if config is None:
        return [_set(spec, "/spec", "networkConfig", {"subdomainPolicy": types.SHARED})]
    if isinstance(config, dict) and config.get("subdomainPolicy") is None:
        return [_set(config, "/spec/networkConfig", "subdomainPolicy", types.SHARED)]
    return []


def _set(parent: JSON, path: str, member: str, value: Any) -> PatchOp:
    return {"op": "replace" if member in parent else "add", "path": f"{path}/{member}", "value": value}
