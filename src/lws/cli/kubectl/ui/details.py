"""The view of one LeaderWorkerSet: its groups, pods, reasons, policies, events and failures. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.members import missing
from lws.cli.kubectl.progress import of_rollout
from lws.cli.kubectl.ui.kinds import SetRecord
from lws.cli.kubectl.ui.overview import condition_lines, row
from lws.cli.kubectl.ui.states import State, by_group, restarts
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, owner_notice
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GroupFacts
from lws.planning.leaderworkerset.diagnosis.findings import Finding
from lws.planning.leaderworkerset.diagnosis.objects import Event, PodReport
from lws.planning.leaderworkerset.diagnosis.pods import diagnose_pod
from lws.planning.leaderworkerset.diagnosis.quoting import quoted
from lws.planning.leaderworkerset.diagnosis.words import sentences

EVENTS: Final = 50  # newest warnings that are shown
MISSING: Final = 64  # missing pods of a group that are named
_WORDS: Final = 20  # sentences about a set


def document(facts: Facts, record: SetRecord, ds: str = "") -> dict[str, Any]:
    """Everything that the view shows, by key: the set, each group, each pod, each warning."""
    findings = diagnose(facts)
    shown: dict[str, Any] = {"set": _head(facts, record, findings, ds)}
    groups = by_group(facts, record.status, findings)
    failed = restarts(record.status)
    for group in facts.groups:
        state, found = groups[group.index]
        shown[f"group/{group.index}"] = _group(facts, group, state, found) | _retries(failed.get(group.index))
        for pod in group.pods:
            shown[f"pod/{pod.metadata.name}"] = {**_pod(facts, pod), "group": group.index}
    for pod in facts.strays:
        shown[f"pod/{pod.metadata.name}"] = {**_pod(facts, pod), "group": None}
    for event in newest(facts.events):
        shown[f"event/{event.metadata.name}"] = _event(event)
    return shown | failures(record.status)


def newest(events: Iterable[Event]) -> list[Event]:
    """The newest warnings, newest first."""
    return sorted(events, key=lambda event: event.time, reverse=True)[:EVENTS]


def _head(facts: Facts, record: SetRecord, findings: Sequence[Finding], ds: str) -> dict[str, Any]:
    lws, progress = facts.lws, of_rollout(facts.lws)
    return {
        **row(facts, record.status, ds),
        "uid": lws.metadata.uid,
        "rv": lws.metadata.resource_version,
        "revision": facts.key,
        "partition": facts.partition,
        "created": lws.metadata.creation_timestamp or "",
        "owner": owner_notice(facts),
        "says": list(sentences(findings, _WORDS)),
        "conditions": condition_lines(lws.conditions),
        "progress": progress.text,
        "policies": policies(record.declared),
        "images": images(record.spec),
    }


def _group(facts: Facts, group: GroupFacts, state: State, found: Sequence[Finding]) -> dict[str, Any]:
    present = {pod.metadata.name for pod in group.pods}
    return {
        "index": group.index,
        "name": group.base if facts.lws.hashed else "",
        "state": state.value,
        "old": group.state.present and not group.state.updated,
        "surge": group.index >= facts.lws.replicas and not facts.lws.hashed,
        "revision": group.revision,
        "size": group.size,
        "ready": sum(1 for pod in group.pods if pod.ready and not pod.metadata.deleting),
        "missing": missing(facts.lws, group, MISSING),
        "why": list(sentences([one for one in found if one.name not in present], 4)),
    }


def _retries(failed: JSON | None) -> dict[str, Any]:
    """How often the group failed since it was last settled, and when it is made anew."""
    return {
        "restarts": (failed or {}).get("restarts") or 0,
        "retry": str((failed or {}).get("nextRetryTime") or ""),
    }


def _pod(facts: Facts, pod: PodReport) -> dict[str, Any]:
    found = diagnose_pod(facts, pod)
    statuses = pod.status.container_statuses or ()
    return {
        "name": pod.metadata.name,
        "worker": pod.metadata.label(labels.WORKER_INDEX),
        "node": pod.spec.node_name,
        "phase": "Terminating" if pod.metadata.deleting else quoted(pod.status.phase) or "Unknown",
        "ready": pod.ready and not pod.metadata.deleting,
        "restarts": sum(one.restart_count for one in statuses),
        "created": pod.metadata.creation_timestamp or "",
        "revision": pod.metadata.label(labels.REVISION),
        "why": ". ".join(part for part in (found.text, found.remedy) if part) if found is not None else "",
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "time": event.time,
        "reason": quoted(event.reason),
        "about": f"{event.involved_object.kind} {event.involved_object.name}",
        "message": quoted(event.message, 600),
    }


def failures(status: JSON) -> dict[str, Any]:
    """The failure record that a controller keeps in the status, newest first; nothing where there is none."""
    listed = status.get("failures")
    records = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    records.sort(key=lambda one: str(one.get("time", "")), reverse=True)
    return {f"failure/{place}": _texts(one) for place, one in enumerate(records)}


def _texts(record: Mapping[str, Any]) -> dict[str, str]:
    """What was recorded, without what says nothing."""
    told = {name: value for name, value in record.items() if isinstance(value, str | int) and value and name in _TOLD}
    return {name: quoted(str(value), 600) for name, value in told.items()}


_TOLD: Final = (
    "time",
    "group",
    "reason",
    "message",
    "pod",
    "node",
    "container",
    "exitCode",
    "signal",
    "restarts",
    "ranSeconds",
    "alsoFailed",
    "healed",
    "revision",
)


def policies(lws: LeaderWorkerSet) -> list[list[str]]:
    """What is in force, defaults included: a name, the value, and what it means."""
    spec, template = lws.spec, lws.spec.leader_worker_template
    rolling = spec.rollout_strategy.rolling_update_configuration
    annotation = lws.metadata.annotation
    rows = [
        ["restartPolicy", template.restart_policy, _RESTART.get(template.restart_policy, "")],
        ["startupPolicy", spec.startup_policy, _STARTUP.get(spec.startup_policy, "")],
        ["maxUnavailable", str(rolling.max_unavailable), "groups that an update may take down at once"],
        ["maxSurge", str(rolling.max_surge), "groups that may exist beyond replicas during an update"],
        ["partition", str(rolling.partition), "groups with an index below it keep their revision"],
        [
            "subdomainPolicy",
            spec.network_config.subdomain_policy,
            _DOMAIN.get(spec.network_config.subdomain_policy, ""),
        ],
    ]
    policy = template.sub_group_policy
    if policy is not None:
        rows.append(["subGroupSize", str(policy.sub_group_size), f"subgroups by {policy.sub_group_policy_type}"])
    for key, meaning in _PLACEMENT:
        value = annotation(key)
        if value:
            rows.append([key.rpartition("/")[2], quoted(value), meaning])
    for key, value in sorted((lws.metadata.annotations or {}).items()):
        if key.startswith("ext.leaderworkerset.sigs.k8s.io/"):
            rows.append([key.rpartition("/")[2], quoted(value), "set by an annotation of this controller's own"])
    return rows


_RESTART: Final = {
    "RecreateGroupOnPodRestart": "one failed pod, and the whole group is made anew",
    "RecreateGroupAfterStart": "as RecreateGroupOnPodRestart, once every pod of the group has started",
    "None": "a failed pod is restarted alone",
    "Default": "a failed pod is restarted alone",
}
_STARTUP: Final = {
    "LeaderCreated": "workers start together with their leader",
    "LeaderReady": "workers start once their leader is ready",
}
_DOMAIN: Final = {
    "Shared": "one headless Service for all groups",
    "UniquePerReplica": "a headless Service for each group",
}
_PLACEMENT: Final = (
    (labels.EXCLUSIVE_TOPOLOGY, "each group has a domain of this node label to itself"),
    (labels.SUBGROUP_EXCLUSIVE_TOPOLOGY, "each subgroup has a domain of this node label to itself"),
)


def images(spec: JSON) -> list[str]:
    """The images of leader and workers, each once."""
    template = spec.get("leaderWorkerTemplate") or {}
    found = []
    for part in ("leaderTemplate", "workerTemplate"):
        pod = (template.get(part) or {}).get("spec") or {}
        found += [quoted(str(one.get("image", "")), 300) for one in pod.get("containers") or ()]
    return list(dict.fromkeys(image for image in found if image))
