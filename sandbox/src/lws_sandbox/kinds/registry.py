"""Which strategy serves which built-in resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lws_sandbox.builtinresources import Builtin, builtins
from lws_sandbox.catalog import generic
from lws_sandbox.kinds import (
    access,
    autoscaling,
    budgets,
    cluster,
    configmaps,
    events,
    leases,
    networking,
    pods,
    statefulsets,
    storage,
    webhooks,
    workloads,
)
from lws_sandbox.kinds.base import Kind, settings
from lws_sandbox.kinds.services import ServiceKind
from lws_sandbox.releases import Features
from lws_sandbox.schema.schema import of_builtin
from lws_sandbox.strategy import Strategy

Key = tuple[str, str, str]


_OWN: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("", "pods"): (pods.PodKind, {"returns_deleted": True, "generation": True}),
    ("", "services"): (ServiceKind, {"returns_deleted": True, "create_on_update": True}),
    **workloads.KINDS,
    **statefulsets.KINDS,
    **cluster.KINDS,
    **storage.KINDS,
    **configmaps.KINDS,
    **leases.KINDS,
    **budgets.KINDS,
    **autoscaling.KINDS,
    **access.KINDS,
    **networking.KINDS,
    **webhooks.KINDS,
}


def strategies(features: Features | None = None) -> dict[Key, Strategy]:
    """A strategy for every built-in resource, by group, version and plural."""
    features = features or Features()
    made: dict[Key, Strategy] = {}
    for found in builtins():
        resource = found.resource
        made[resource.group, resource.version, resource.plural] = _made(found, features)
    return made


def _made(found: Builtin, features: Features) -> Strategy:
    resource = found.resource
    given = settings(generic(found))
    try:
        given["schema"] = of_builtin(resource.api_version, resource.kind)
    except KeyError:
        return generic(found)
    if resource.plural == "events":
        return events.strategy(found, given)
    kind, more = _OWN.get((resource.group, resource.plural), (Kind, {}))
    if kind is statefulsets.StatefulSetKind:
        more = {
            **more,
            "keep_max_unavailable": features.max_unavailable_statefulset,
            "each_immutable_field": features.each_immutable_field,
        }
    if kind is autoscaling.AutoscalerKind:
        more = {**more, "version": resource.version}
    return kind(**{**given, **more})
