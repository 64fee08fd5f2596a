"""Validation of LeaderWorkerSets at admission: the rules of spec 3.2 in their order, paths and words byte for byte.

Absent fields count with their defaults (CD-18). The functions are total: values of a type that the schema refuses are
passed over here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lws.api.leaderworkerset import groupidentity, labels, normalform, policykeys, schedulingrules, types
from lws.api.leaderworkerset.namelengths import LONGEST_STATEFULSET_NAME, too_long_for
from lws.api.leaderworkerset.schedulingrules import NOTHING, Support
from lws.api.rules import int_or_percent, int_or_string, integer, member
from lws.apimachinery import nameformats, objectmeta
from lws.apimachinery.gotext import encoded, quoted
from lws.apimachinery.intstr import scaled
from lws.apimachinery.manifests import JSON

MAX_REPLICAS: Final = 1_000_000
MAX_INT32: Final = 2**31 - 1
_TEMPLATE: Final = "spec.leaderWorkerTemplate"
_SUBGROUP_SIZE: Final = f"{_TEMPLATE}.subGroupPolicy.subGroupSize"
_PACE: Final = "spec.rolloutStrategy.rollingUpdateConfiguration"


def validate_create(obj: JSON, support: Support = NOTHING) -> list[str]:
    """What is wrong with a new object; empty when it is admitted.

    Args:
        obj: the object.
        support: what there is for typed scheduling.
    """
    identity = [*groupidentity.rules(_spec(obj)), *groupidentity.name_rule(obj, None)]
    return [*_general(obj), *identity, *schedulingrules.rules(obj, None, support)]


def validate_update(obj: JSON, old: JSON, support: Support = NOTHING) -> list[str]:
    """What is wrong with a change; empty when it is admitted."""
    identity = [*groupidentity.rules(_spec(obj)), *groupidentity.name_rule(obj, old)]
    scheduled = schedulingrules.rules(obj, old, support)
    return [*_general(obj), *identity, *scheduled, *_changes(obj, old), *groupidentity.immutable(obj, old)]


def warnings(obj: JSON, old: JSON | None) -> list[str]:
    """What is admitted but will not do what its author may expect (CD-27, CD-41, CD-42, CD-90, ND-05, spec 1.6)."""
    found = [*_topology_keys(_annotations(obj), {} if old is None else _annotations(old))]
    if old is not None and _claims(obj) != _claims(old):
        found.append(
            f"{_TEMPLATE}.volumeClaimTemplates: the claim templates of a StatefulSet cannot change, so this edit is "
            "never applied; delete and create the LeaderWorkerSet instead"
        )
    if member(_metadata(obj), "labels").get(labels.KUEUE_QUEUE):
        found += _queued(obj, old)
    if _spec(obj).get("groupIdentity") == types.HASH:
        return [*found, *groupidentity.name_warning(obj, old)]
    name = _metadata(obj).get("name")
    if isinstance(name, str) and too_long_for(name, _size(obj), _most_groups(obj)):
        found.append(
            "metadata.name: with so long a name some groups may never get their worker pods; "
            f"name and highest group index should not exceed {LONGEST_STATEFULSET_NAME - 1} characters together"
        )
    return found


def _queued(obj: JSON, old: JSON | None) -> Iterator[str]:
    """What Kueue does not do for the groups of a set that it queues (CD-42, CD-90)."""
    if old is not None and _size(obj) > _size(old):
        yield (
            f"{_TEMPLATE}.size: Kueue does not renew the Workloads of running groups when their size grows: delete "
            "each Workload that becomes Finished (OutOfSync), or its group stays gated"
        )
    surge = _surge(obj)
    if isinstance(surge, str) and (old is None or _surge(old) != surge):
        yield (
            f"{_PACE}.maxSurge: Kueue takes a percentage for 0 and queues no surge group, so they stay gated: "
            "write the number of groups"
        )


def _surge(obj: JSON) -> int | str:
    pace = member(member(_spec(obj), "rolloutStrategy"), "rollingUpdateConfiguration")
    return int_or_string(pace.get("maxSurge"), 0)


def _most_groups(obj: JSON) -> int:
    """How many groups there may be at once: with those of a surge, or the one that stands in for one that is moved."""
    replicas = max(_replicas(obj), 1)
    extra = int(_annotations(obj).get(policykeys.EVACUATE) == "true")
    try:
        return replicas + max(extra, min(replicas, scaled(_surge(obj), replicas, round_up=True)))
    except ValueError:
        return replicas + extra


def _topology_keys(annotations: JSON, before: JSON) -> Iterator[str]:
    """Topologies that no node can have, since they are no label keys: such groups never get a node (CD-41)."""
    for annotation in (labels.EXCLUSIVE_TOPOLOGY, labels.SUBGROUP_EXCLUSIVE_TOPOLOGY):
        key = annotations.get(annotation)
        if not isinstance(key, str) or not key or key == before.get(annotation):
            continue
        why = nameformats.qualified_name(key)
        if why:
            yield (
                f"metadata.annotations[{annotation}]: {quoted(key)} cannot be the key of a node label, so no group "
                f"ever finds a node: {why[0]}; name a label of the nodes, such as topology.kubernetes.io/zone"
            )


def _general(obj: JSON) -> Iterator[str]:
    yield from objectmeta.validate(_metadata(obj), nameformats.dns_1035_label)
    missing = list(_missing_template(_spec(obj)))
    if missing:
        yield from missing
        return
    yield from _numbers(obj)
    yield from _pace(obj)
    yield from _subgroups(obj)
    yield from restart_rule(_spec(obj))


def _missing_template(spec: JSON) -> Iterator[str]:
    """What the schema does not ask for, though nothing can run without it (CD-18, spec 2.5)."""
    template = spec.get("leaderWorkerTemplate")
    if not isinstance(template, dict):
        yield f"{_TEMPLATE}: Required value"
        return
    if not isinstance(template.get("workerTemplate"), dict):
        yield f"{_TEMPLATE}.workerTemplate: Required value"
    for name in ("leaderTemplate", "workerTemplate"):
        pod = template.get(name)
        if isinstance(pod, dict) and not member(pod, "spec").get("containers"):
            yield f"{_TEMPLATE}.{name}.spec.containers: Required value"


def _numbers(obj: JSON) -> Iterator[str]:
    replicas, size = _replicas(obj), _size(obj)
    if replicas < 0:
        yield f"spec.replicas: Invalid value: {replicas}: replicas must be equal or greater than 0"
    if replicas > MAX_REPLICAS:
        yield f"spec.replicas: Invalid value: {replicas}: replicas must be equal or less than {MAX_REPLICAS}"
    if size < 1:
        yield f"{_TEMPLATE}.size: Invalid value: {size}: size must be equal or greater than 1"
    if replicas * size > MAX_INT32:
        why = f"the product of replicas and worker replicas must not exceed {MAX_INT32}"
        yield f"spec.replicas: Invalid value: {replicas}: {why}"


def _pace(obj: JSON) -> Iterator[str]:
    pace = member(member(_spec(obj), "rolloutStrategy"), "rollingUpdateConfiguration")
    unavailable = int_or_string(pace.get("maxUnavailable"), 1)
    surge = int_or_string(pace.get("maxSurge"), 0)
    yield from int_or_percent(f"{_PACE}.maxUnavailable", unavailable)
    yield from int_or_percent(f"{_PACE}.maxSurge", surge)
    partition = integer(pace.get("partition"), 0)
    if partition < 0:
        yield f"{_PACE}.partition: Invalid value: {partition}: must be greater than or equal to 0"
    replicas = _replicas(obj)
    resolved = []
    for name, value, up in (("maxUnavailable", unavailable, False), ("maxSurge", surge, True)):
        try:
            resolved.append(scaled(value, replicas, up))
        except ValueError:
            resolved.append(0)
            yield f"{_PACE}.{name}: Invalid value: {encoded(value)}: invalid value"
    if resolved == [0, 0] and replicas != 0:
        why = "must not be 0 when `maxSurge` is 0"
        yield f"{_PACE}.maxUnavailable: Invalid value: {encoded(unavailable)}: {why}"


def _subgroups(obj: JSON) -> Iterator[str]:
    policy = _policy(obj)
    if policy is None:
        topology = member(_metadata(obj), "annotations").get(labels.SUBGROUP_EXCLUSIVE_TOPOLOGY)
        if isinstance(topology, str):
            path = f"metadata.annotations.{labels.SUBGROUP_EXCLUSIVE_TOPOLOGY}"
            why = "cannot have subgroup-exclusive-topology without subGroupSize set"
            yield f"{path}: Invalid value: {quoted(topology)}: {why}"
        return
    if policy.get("subGroupSize") is None:
        yield f"{_SUBGROUP_SIZE}: Required value: subGroupSize is required"
        return
    subgroup, size = integer(policy["subGroupSize"], 0), _size(obj)
    refused = f"{_SUBGROUP_SIZE}: Invalid value: {subgroup}:"
    if subgroup < 1:
        yield f"{refused} subGroupSize must be equal or greater than 1"
        return
    if size % subgroup != 0 and (size - 1) % subgroup != 0:
        yield f"{refused} size or size - 1 must be divisible by subGroupSize"
    if size < subgroup:
        yield f"{refused} subGroupSize cannot be larger than size"
    if policy.get("subGroupPolicyType") == types.LEADER_EXCLUDED and (size - 1) % subgroup != 0:
        yield f"{refused} size-1 must be divisible by subGroupSize when using LeaderExcluded"


def restart_rule(spec: JSON, path: str = "spec") -> Iterator[str]:
    """Row 23 of next 3.2; a role of a DisaggregatedSet has it under its own path."""
    template = member(spec, "leaderWorkerTemplate")
    limit, policy = template.get("maxGroupRestarts"), template.get("restartPolicy") or types.RECREATE_ON_RESTART
    if limit is None or policy in (types.RECREATE_ON_RESTART, types.RECREATE_AFTER_START):
        return
    why = "maxGroupRestarts is only supported when restartPolicy recreates the group"
    yield f"{path}.leaderWorkerTemplate.maxGroupRestarts: Invalid value: {encoded(limit)}: {why}"


def _changes(obj: JSON, old: JSON) -> Iterator[str]:
    policy, before = _policy(obj), _policy(old)
    now_size = (policy or {}).get("subGroupSize")
    old_size = (before or {}).get("subGroupSize")  # a policy without a size is none (CD-09)
    if policy is not None and old_size is not None and now_size is not None and now_size != old_size:
        yield f"{_SUBGROUP_SIZE}: Invalid value: {encoded(now_size)}: field is immutable"
    if policy is not None and old_size is None and now_size is not None:
        why = "cannot enable subGroupSize after the lws is already created"
        yield f"{_SUBGROUP_SIZE}: Invalid value: {encoded(now_size)}: {why}"
    if policy is None and old_size is not None:
        yield f"{_SUBGROUP_SIZE}: Invalid value: {encoded(old_size)}: cannot remove subGroupSize after enabled"
    network = _spec(obj).get("networkConfig")
    if isinstance(network, dict) and network.get("subdomainPolicy") is None:
        shown = encoded(member(_spec(old), "networkConfig").get("subdomainPolicy"))
        yield f"spec.networkConfig.subdomainPolicy: Invalid value: {shown}: cannot set subdomainPolicy as null"


def _metadata(obj: JSON) -> JSON:
    return member(obj, "metadata")


def _annotations(obj: JSON) -> JSON:
    return member(_metadata(obj), "annotations")


def _spec(obj: JSON) -> JSON:
    return member(obj, "spec")


def _replicas(obj: JSON) -> int:
    return integer(_spec(obj).get("replicas"), 1)


def _size(obj: JSON) -> int:
    return integer(member(_spec(obj), "leaderWorkerTemplate").get("size"), 1)


def _policy(obj: JSON) -> JSON | None:
    policy = member(_spec(obj), "leaderWorkerTemplate").get("subGroupPolicy")
    return policy if isinstance(policy, dict) else None


def _claims(obj: JSON) -> Any:
    template = member(_spec(obj), "leaderWorkerTemplate")
    return normalform.template(template).get("volumeClaimTemplates", [])
