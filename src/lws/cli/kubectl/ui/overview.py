"""The view of all sets: a row for each LeaderWorkerSet and DisaggregatedSet. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition
from lws.cli.kubectl import rollout
from lws.cli.kubectl.disaggregatedset.explain import explain
from lws.cli.kubectl.disaggregatedset.picture import SetPicture
from lws.cli.kubectl.render import TRUE_WORDS
from lws.cli.kubectl.ui.states import SEVERITY, State, by_group, letter
from lws.planning.disaggregatedset import pace
from lws.planning.leaderworkerset.diagnosis.diagnose import PAUSED, diagnose
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GroupFacts
from lws.planning.leaderworkerset.diagnosis.findings import Reason
from lws.planning.leaderworkerset.diagnosis.quoting import quoted
from lws.planning.leaderworkerset.diagnosis.words import sentences

_ORDER: Final = ("Blocked", "Degraded", "UpdateInProgress", "Progressing", "Available")  # which True condition is shown


def row(facts: Facts, status: JSON, ds: str = "") -> dict[str, Any]:
    """The row of a LeaderWorkerSet with its status; ``ds`` is the DisaggregatedSet that it is a child of."""
    lws, findings = facts.lws, diagnose(facts)
    groups = by_group(facts, status, findings)
    said = sentences(findings, 1)
    waiting = any(one.reason is not Reason.ROLLOUT_HELD for one in findings)
    severity = max((SEVERITY[state] for state, _ in groups.values()), default=0)
    if any(one.group is None and one.reason in (Reason.BLOCKED, Reason.FAILED_CREATE) for one in findings):
        severity = SEVERITY[State.STUCK]
    return {
        "kind": "LeaderWorkerSet",
        "ns": lws.metadata.namespace,
        "name": lws.name,
        "ds": ds,
        "want": lws.replicas,
        "size": lws.size,
        "ready": min(lws.replicas, sum(1 for group in facts.groups if group.state.ready and _counted(facts, group))),
        "updated": sum(1 for group in facts.groups if group.state.updated),
        "surge": max(0, len(facts.groups) - lws.replicas),
        "cells": "".join(letter(groups[group.index][0], group) for group in facts.groups),
        "condition": condition_word(lws.conditions),
        "why": said[0] if said else "",
        "more": max(0, len(sentences(findings, len(findings) or 1)) - 1),
        "severity": max(severity, 1) if waiting else severity,
        "paused": lws.metadata.annotation(PAUSED) is not None or rollout.paused(lws),
        "deleting": lws.metadata.deleting,
    }


def _counted(facts: Facts, group: GroupFacts) -> bool:
    """Whether the group is one of the wanted ones; of groups that are known by a key, any may be the one too many."""
    return facts.lws.hashed or group.index < facts.lws.replicas


def disaggregated_row(picture: SetPicture) -> dict[str, Any]:
    """The row of a DisaggregatedSet: its roles' numbers; its children have rows of their own beneath it."""
    ds, said = picture.ds, explain(picture)
    told = {each.name: each for each in ds.status.role_statuses}
    roles = []
    for role in ds.spec.roles:
        count, status = pace.wanted(role, picture.scales), told.get(role.name)
        roles.append(
            {
                "role": role.name,
                "want": None if count is None else count * ds.spec.slices,
                "ready": status.ready_replicas if status is not None else 0,
                "updated": status.updated_replicas if status is not None else 0,
            }
        )
    return {
        "kind": "DisaggregatedSet",
        "ns": ds.metadata.namespace,
        "name": ds.metadata.name,
        "slices": ds.spec.slices,
        "roles": roles,
        "condition": condition_word(ds.status.conditions),
        "why": quoted(said[0], 600) if said else "",
        "more": max(0, len(said) - 1),
        "severity": 1 if said else 0,
        "deleting": ds.metadata.deleting,
    }


def condition_word(conditions: Sequence[Condition]) -> dict[str, str]:
    """The True condition that says most, with its reason and message; empty members without one."""
    true = {one.type: one for one in conditions if one.status == "True"}
    for kind in _ORDER:
        if kind in true:
            found = true[kind]
            return {"type": kind, "reason": quoted(found.reason), "message": quoted(found.message)}
    return {"type": "", "reason": "", "message": ""}


def condition_lines(conditions: Sequence[Condition]) -> list[dict[str, str]]:
    """Every condition, without the message that a False one may have kept from when it was True."""
    return [
        {
            "type": quoted(one.type),
            "status": quoted(one.status),
            "reason": quoted(one.reason),
            "message": "" if one.status == "False" and one.message == TRUE_WORDS.get(one.type) else quoted(one.message),
            "since": one.last_transition_time or "",
        }
        for one in conditions
    ]
