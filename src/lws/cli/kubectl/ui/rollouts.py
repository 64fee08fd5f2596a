"""The view of a rollout: every group and role from old to new, the budget, what it waits for, the history. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision
from lws.cli.kubectl.disaggregatedset.explain import explain, rolling, states
from lws.cli.kubectl.disaggregatedset.picture import SetPicture
from lws.cli.kubectl.progress import of_rollout
from lws.cli.kubectl.revisions import change, section
from lws.cli.kubectl.ui.details import images
from lws.cli.kubectl.ui.kinds import SetRecord
from lws.cli.kubectl.ui.overview import condition_lines, disaggregated_row, row
from lws.cli.kubectl.ui.states import by_group
from lws.planning.disaggregatedset.guard import floor
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, owner_notice
from lws.planning.leaderworkerset.diagnosis.facts import Facts
from lws.planning.leaderworkerset.diagnosis.words import sentences

LONGEST_CHANGE: Final = 20_000  # characters of a difference


def document(facts: Facts, record: SetRecord, revisions: Sequence[ControllerRevision], ds: str = "") -> dict[str, Any]:
    """Everything that the view shows of a LeaderWorkerSet, by key: the rollout, each group, each revision."""
    lws, findings, progress = facts.lws, diagnose(facts), of_rollout(facts.lws)
    shown: dict[str, Any] = {
        "rollout": {
            **row(facts, record.status, ds),
            "uid": lws.metadata.uid,
            "rv": lws.metadata.resource_version,
            "owner": owner_notice(facts),
            "progress": progress.text,
            "complete": progress.complete,
            "revision": facts.key,
            "userPartition": lws.partition,
            "partition": facts.partition,
            "unavailable": lws.allowed_unavailable,
            "down": sum(1 for group in facts.groups if group.index < lws.replicas and not group.state.ready),
            "maxSurge": lws.max_surge,
            "surging": sum(1 for group in facts.groups if group.index >= lws.replicas),
            "says": list(sentences(findings)),
            "conditions": condition_lines(lws.conditions),
            "images": images(record.spec),
        }
    }
    states_of = by_group(facts, record.status, findings)
    for group in facts.groups:
        state, found = states_of[group.index]
        shown[f"group/{group.index}"] = {
            "index": group.index,
            "revision": group.revision,
            "new": bool(facts.key) and group.revision == facts.key,
            "state": state.value,
            "surge": group.index >= lws.replicas,
            "held": group.index < lws.partition and not group.state.updated and group.state.present,
            "why": sentences(found, 1)[0] if found else "",
        }
    return shown | history(facts, revisions)


def history(facts: Facts, revisions: Sequence[ControllerRevision]) -> dict[str, Any]:
    """The stored revisions, and what each changed of the one before it."""
    stored = sorted(revisions, key=lambda one: one.revision)
    changes = {newer.revision: change(older, newer)[:LONGEST_CHANGE] for older, newer in pairwise(stored)}
    shown = {}
    for revision in stored:
        key = revision.metadata.label(labels.REVISION)
        template = section(revision, "leaderWorkerTemplate")
        shown[f"revision/{revision.revision}"] = {
            "number": revision.revision,
            "key": key,
            "current": key == facts.key,
            "size": template.get("size", 1),
            "created": revision.metadata.creation_timestamp or "",
            "images": images({"leaderWorkerTemplate": template}),
            "groups": [group.index for group in facts.groups if group.revision == key],
            "change": changes.get(revision.revision, ""),
        }
    return shown


def disaggregated(picture: SetPicture) -> dict[str, Any]:
    """The same of a DisaggregatedSet: slices, roles and the revisions that run."""
    ds, target = picture.ds, picture.snapshot.target
    shown: dict[str, Any] = {
        "rollout": {
            **disaggregated_row(picture),
            "uid": ds.metadata.uid,
            "rv": ds.metadata.resource_version,
            "revision": target,
            "says": list(explain(picture)),
            "conditions": condition_lines(ds.status.conditions),
            "rolling": any(rolling(view) for view in picture.snapshot.slices),
        }
    }
    if picture.snapshot.fault:
        return shown
    for view in picture.snapshot.slices:
        for role, state in states(picture, view).items():
            shown[f"role/{view.index}/{role}"] = {
                "slice": view.index,
                "role": role,
                "old": state.old,
                "new": state.new,
                "want": state.target,
                "surge": state.surge,
                "unavailable": state.unavailable,
                "keeps": floor(state),
                "ready": view.target[role].lws.status.ready_replicas if role in view.target else 0,
            }
    for child in picture.snapshot.children:
        shown[f"child/{child.name}"] = {
            "name": child.name,
            "role": child.role,
            "slice": child.slice,
            "revision": child.revision,
            "current": child.revision == target,
            "want": child.replicas,
            "ready": child.lws.status.ready_replicas,
            "going": child.going,
        }
    return shown
