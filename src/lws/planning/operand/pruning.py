"""Objects of ours that an installation no longer has (operator 5.7)."""

from __future__ import annotations

from collections.abc import Iterator

from lws.api.operand import names
from lws.apimachinery.manifests import JSON, labels_of
from lws.apimachinery.resources import CONFIGMAPS, CUSTOMRESOURCEDEFINITIONS, Resource
from lws.planning.operand import claims
from lws.planning.operand.desired import Desired
from lws.planning.operand.world import Key, World


def unwanted(wanted: Desired, world: World) -> Iterator[tuple[Resource, JSON]]:
    """What is there, is ours, and is not wanted; definitions and configurations that pods may mount are kept."""
    known = {each.key for each in wanted.objects}
    kept = _config_maps_in_use(world)
    for key, live in world.live.items():
        if key in known or key in kept or key[0] == CUSTOMRESOURCEDEFINITIONS.kind:
            continue
        ours = labels_of(live).get(names.MANAGED_BY) == names.MANAGED_BY_VALUE or key in names.LEFTOVERS
        resource = world.resources.get((str(live.get("apiVersion")), key[0]))
        if ours and claims.owned_by_operator(live) and resource is not None:
            yield resource, live


def _config_maps_in_use(world: World) -> set[Key]:
    """Configurations that pods may still mount, and the newest two of those that none does."""
    kind = CONFIGMAPS.kind
    copies = [
        (str(live["metadata"].get("creationTimestamp") or ""), key)
        for key, live in world.live.items()
        if key[0] == kind and key[1].startswith(f"{names.CONFIG_MAP}-")
    ]
    used = {
        volume["configMap"]["name"]
        for each in world.replica_sets
        if int((each.get("status") or {}).get("replicas") or 0) or int(each["spec"].get("replicas") or 0)
        for volume in each["spec"]["template"]["spec"].get("volumes") or ()
        if "configMap" in volume
    }
    newest = sorted(copies, reverse=True)[:2]
    return {key for _, key in newest} | {key for _, key in copies if key[1] in used}
