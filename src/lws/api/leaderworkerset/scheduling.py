"""What ``spec.scheduling`` asks for: its level, the templates of its Workload, and names (next 7.2, 7.4).

All of it is JSON as it was stored. The names are made here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.revisions import ALPHABET, FNV_OFFSET, FNV_PRIME
from lws.api.rules import integer, member
from lws.apimachinery.manifests import JSON

LWS: Final = "lws"
REPLICA: Final = "replica"
ROLE: Final = "role"
LEADER: Final = "leader"
WORKER: Final = "worker"
GROUP_FIELDS: Final = ("schedulingPolicy", "schedulingConstraints", "disruptionMode")
SCHEDULERS: Final = ("", "default-scheduler")  # by which pods ask for the scheduler of the Workload API
ONLY_GROUPS: Final = "the Volcano provider supports the typed API only at replica level"
LONGEST: Final = 253
INCARNATION: Final = 5  # characters of what some releases add to a Workload's name
_PRE_RELEASE: Final = "true"  # level that pods of a pre-release carry


def levels(scheduling: JSON) -> list[str]:
    """The levels that are active, in the order lws, replica, role; an admitted set has one."""
    replica = scheduling.get("replica")
    inner = member(scheduling, "replica")
    roles = any(isinstance(inner.get(each), dict) for each in (LEADER, WORKER))
    top = any(isinstance(scheduling.get(each), dict) for each in GROUP_FIELDS)
    own = any(isinstance(inner.get(each), dict) for each in GROUP_FIELDS)
    found = [LWS] if top else []
    if own or (not roles and (isinstance(replica, dict) or not top)):
        found.append(REPLICA)
    return [*found, ROLE] if roles else found


def level_of(spec: JSON) -> str:
    """The level of a set's spec; empty without ``scheduling``."""
    scheduling = spec.get("scheduling")
    return levels(scheduling)[0] if isinstance(scheduling, dict) else ""


def sections(scheduling: JSON, level: str) -> dict[str, JSON]:
    """What the level says, by the name of the template that it becomes."""
    if level == LWS:
        return {LWS: {key: scheduling[key] for key in GROUP_FIELDS if key in scheduling}}
    replica = member(scheduling, "replica")
    if level == REPLICA:
        return {REPLICA: {key: replica[key] for key in GROUP_FIELDS if key in replica}}
    return {name: dict(member(replica, name)) for name in (LEADER, WORKER)}


def is_gang(section: JSON, level: str) -> bool:
    """Whether the pods start together or not at all; each group by itself does unless told otherwise."""
    policy = section.get("schedulingPolicy")
    return isinstance(policy.get("gang"), dict) if isinstance(policy, dict) else level == REPLICA


def is_gang_of_all(spec: JSON, level: str) -> bool:
    """Whether all pods of a set are one gang."""
    return level == LWS and is_gang(sections(member(spec, "scheduling"), LWS)[LWS], LWS)


def gang_of_all_unsupported(version: str) -> str:
    """Why all pods of a set cannot be one gang where counts do not change (ND-31)."""
    return (
        f"a gang of the whole set needs scheduling.k8s.io/v1beta1, for its count changes with the set; "
        f"{version} has gangs of groups and roles"
    )


def template_of_parent(annotations: Mapping[str, str] | None) -> str:
    """The template of a parent's Workload that the set's PodGroups are made of; empty if it has its own (next 7.8)."""
    return (annotations or {}).get(labels.GROUP_TEMPLATE_NAME) or ""


def members(name: str, replicas: int, size: int) -> int:
    """How many pods a PodGroup of this template has; a set without groups stands for one pod."""
    return {LWS: max(1, replicas * size), REPLICA: size, LEADER: 1}.get(name, size - 1)


def templates(spec: JSON) -> list[JSON]:
    """The templates of the Workload of a set with this spec (next 7.2)."""
    level = level_of(spec)
    section = member(spec, "leaderWorkerTemplate")
    replicas, size = integer(spec.get("replicas"), 1), integer(section.get("size"), 1)
    found = []
    for name, asked in sections(member(spec, "scheduling"), level).items():
        policy: JSON = {"gang": {"minCount": members(name, replicas, size)}} if is_gang(asked, level) else {"basic": {}}
        out: JSON = {"name": name, "schedulingPolicy": policy}
        out |= {key: value for key, value in asked.items() if key != "schedulingPolicy" and value}
        priority = priority_class(section)
        found.append(out | ({"priorityClassName": priority} if priority else {}))
    return found


def priority_class(section: JSON) -> str:
    """The priority class that all templates of a set have in common."""
    return next((_pod_spec(each).get("priorityClassName") or "" for each in pod_templates(section)), "")


def pod_templates(section: JSON) -> list[JSON]:
    """The leader's template and the workers', or the one of both."""
    worker = member(section, "workerTemplate")
    leader = section.get("leaderTemplate")
    return [leader, worker] if isinstance(leader, dict) else [worker]


def is_placed(section: JSON, schedulers: Collection[str] = SCHEDULERS) -> bool:
    """Whether all pods ask for the provider's scheduler, by default that of the Workload API (ND-28)."""
    return all((_pod_spec(each).get("schedulerName") or "") in schedulers for each in pod_templates(section))


def _pod_spec(template: JSON) -> JSON:
    return member(template, "spec")


def workload_name(set_name: str, uid: str) -> str:
    """``<lws>-<h>``: the UID keeps a set that is made again apart from what is left of its namesake (next 7.4)."""
    value = FNV_OFFSET
    for byte in f"(types.UID){uid}".encode():
        value = (value ^ byte) * FNV_PRIME & 0xFFFFFFFF
    suffix = "-" + "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(value))
    return set_name[: LONGEST - len(suffix)] + suffix


def noted_workload(workload: str, noted: str | None) -> str:
    """By which name the PodGroups of a leader's group go: of its Workload, or of an incarnation of it (next 7.9).

    Newer releases of the reference give each leader of a group one of five characters; ours give none.
    """
    incarnation = (noted or "").removeprefix(f"{workload}.")
    known = noted == f"{workload}.{incarnation}" and len(incarnation) == INCARNATION and incarnation.isalnum()
    return f"{workload}.{incarnation}" if known else workload


def pod_group_name(workload: str, level: str, index: str, key: str, role: str = "") -> str:
    """The PodGroup of a group, or of a role of it; of the whole set at that level."""
    parts = {LWS: (LWS,), REPLICA: (index, key), ROLE: (index, role, key)}[level]
    suffix = "-" + "-".join(parts)
    set_name, _, kept = workload.rpartition("-")
    return f"{set_name[: LONGEST - len(suffix) - len(kept) - 1]}-{kept}{suffix}"


def group_of_pod(pod_labels: Mapping[str, str | None], annotations: Mapping[str, str | None]) -> str:
    """The PodGroup that a pod belongs to by its marks; empty if it belongs to none (next 7.6).

    Raises:
        ValueError: its level is unknown.
    """
    level = annotations.get(labels.SCHEDULING_LEVEL)
    if level is None:
        return ""
    level = REPLICA if level == _PRE_RELEASE else level
    if level not in (LWS, REPLICA, ROLE):
        raise ValueError(f'unsupported workload-aware scheduling mode "{level}"')
    workload = annotations.get(labels.WORKLOAD_NAME) or pod_labels.get(labels.NAME) or ""
    index, key = pod_labels.get(labels.GROUP_INDEX) or "", pod_labels.get(labels.REVISION) or ""
    role = LEADER if pod_labels.get(labels.WORKER_INDEX) == labels.LEADER_INDEX else WORKER
    return pod_group_name(workload, level, index, key, role)


def marks(spec: JSON, name: str, uid: str) -> dict[str, str]:
    """The annotations by which both templates of a set say so; none without ``scheduling``."""
    level: Any = level_of(spec)
    return {labels.SCHEDULING_LEVEL: level, labels.WORKLOAD_NAME: workload_name(name, uid)} if level else {}
