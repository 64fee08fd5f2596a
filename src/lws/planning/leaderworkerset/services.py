"""Headless Services: one for the set, or one for each group (spec 5.4, CD-20, CD-26)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, Service, controlled_by
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import SHARED, UNIQUE_PER_REPLICA, LeaderWorkerSet
from lws.apimachinery.actions import Create, EmitEvent, Reference
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, SERVICES
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.groups import is_hashed
from lws.planning.leaderworkerset.metadata import owned_by_pod, owned_by_set

NOT_HEADLESS: Final = "service {namespace}/{name} exists but is not headless or selects other pods"


def shared(lws: LeaderWorkerSet, existing: Service | None) -> tuple[Create | EmitEvent, ...]:
    """The Service of the whole set: created once, under the shared policy only."""
    if lws.spec.network_config.subdomain_policy != SHARED:
        return ()
    wanted = {labels.NAME: lws.metadata.name}
    owner = Reference.to(LEADERWORKERSETS, lws.metadata)
    return _ensure(lws, lws.metadata.name, wanted, owned_by_set(lws), existing, owner)


def per_replica(lws: LeaderWorkerSet, leader: Pod, existing: Service | None) -> tuple[Create | EmitEvent, ...]:
    """The Service of one group, if the live policy or the leader itself asks for it (CD-20)."""
    if not own_service(lws, leader):
        return ()
    wanted = {
        labels.NAME: lws.metadata.name,
        labels.GROUP_INDEX: leader.metadata.label(labels.GROUP_INDEX),
    }
    owner = Reference.to(PODS, leader.metadata)
    return _ensure(lws, service_name(leader), wanted, owned_by_pod(leader), existing, owner)


def own_service(lws: LeaderWorkerSet, leader: Pod) -> bool:
    """Whether the group has a Service of its own; one known by a key, by what its subdomain is (next 3.6 step 6)."""
    asked = leader.metadata.annotation(labels.SUBDOMAIN_POLICY)
    if is_hashed(leader):
        return asked == UNIQUE_PER_REPLICA
    return UNIQUE_PER_REPLICA in (lws.spec.network_config.subdomain_policy, asked)


def service_name(leader: Pod) -> str:
    """The name of the group's own Service."""
    return leader.spec.subdomain if is_hashed(leader) else leader.metadata.name


def not_of_leader(lws: LeaderWorkerSet, leader: Pod, existing: Service | None) -> str:
    """Why the Service of a group that is known by a key cannot be; empty if nothing is in the way (ND-20)."""
    if existing is None or not is_hashed(leader) or not own_service(lws, leader):
        return ""
    meta, owner = existing.metadata, existing.metadata.controller
    if controlled_by(meta, leader) and not meta.deleting:
        return ""
    whose = "<none>" if owner is None else f"{owner.kind} {owner.name}"
    return f"headless service {meta.name} has controller owner {whose}; expected {leader.metadata.name}"


def serves(cluster_ip: str, selector: Mapping[str, str] | None, wanted: Mapping[str, str]) -> bool:
    """Whether a Service gives the pods their names: headless, with our selector."""
    return cluster_ip == "None" and dict(selector or {}) == dict(wanted)


def _ensure(
    lws: LeaderWorkerSet,
    name: str,
    selector: Mapping[str, str],
    owners: list[JSON],
    existing: Service | None,
    owner: Reference,
) -> tuple[Create | EmitEvent, ...]:
    namespace = lws.metadata.namespace
    complaint = NOT_HEADLESS.format(namespace=namespace, name=name)
    if existing is not None:
        if serves(existing.spec.cluster_ip, existing.spec.selector, selector):
            return ()
        return (events.service_failed(complaint, once=existing.metadata.uid),)
    body = _manifest(lws, name, selector, owners)
    return (
        Create(
            SERVICES,
            body,
            owner=owner,
            on_failure=(events.service_failed(),),
            on_foreign=(events.service_failed(complaint),),
        ),
    )


def _manifest(lws: LeaderWorkerSet, name: str, selector: Mapping[str, str], owners: list[JSON]) -> dict[str, Any]:
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {
            "name": name,
            "namespace": lws.metadata.namespace,
            "labels": {labels.NAME: lws.metadata.name},
            "ownerReferences": owners,
        },
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": dict(selector)},
    }
