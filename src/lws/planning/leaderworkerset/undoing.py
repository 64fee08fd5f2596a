"""Puts an earlier revision back when a rollout has stalled, where its set asks for that (resilience 5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Action, JsonPatch, Reference, Update
from lws.apimachinery.conditions import find
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.revisions import find_by_key, own_revisions
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.planning.leaderworkerset.steering import STALLED, Steering

UNDONE: Final = PREFIX + "undone"  # of a revision: the number that it had, so that it differs once the revision is back
REFUSED: Final = "refused"  # its value in place of that number where the server does not admit the earlier template
_SECTIONS: Final = ("leaderWorkerTemplate", "networkConfig")


def considered(snapshot: SetSnapshot, steering: Steering, key: str) -> Steering:
    """The steering, with its ``obstacle``: why a stalled rollout is not undone although its set asks for that.

    A controller that owns the set would write the edit again; a template that was undone and is back, somebody wants.
    """
    if not steering.stalled or snapshot.policies.on_stall != "Undo":
        return steering
    return replace(steering, obstacle=_obstacle(snapshot, key))


def _obstacle(snapshot: SetSnapshot, key: str) -> str:
    owner = snapshot.lws.metadata.controller
    if owner is not None:
        return f"{owner.kind} {owner.name} would write the edit again"
    bad, good = _revisions(snapshot, key)
    if bad is None or good is None or not snapshot.policies.revision_history_limit:
        return "no earlier revision is kept"
    mark = bad.metadata.annotation(UNDONE)
    if mark == REFUSED:
        return f"the server does not admit the template of revision {good.metadata.label(labels.REVISION)}"
    return "" if mark in (None, str(bad.revision)) else "it was undone once, and written again"


def undo(snapshot: SetSnapshot, steering: Steering, key: str) -> tuple[Action, ...]:
    """Write the template of the latest earlier revision back, once for each bad revision; nothing where that cannot be.

    The bad revision is marked first, by a pass of its own: a write that did not come about, since somebody else wrote
    the set meanwhile or the process ended, is made in a later pass, and none is made once the revision has come back
    with another number. Nothing is done before the set's status tells that it has stalled.
    """
    lws, told = snapshot.lws, find(snapshot.lws.status.conditions, STALLED)
    if not steering.stalled or snapshot.policies.on_stall != "Undo" or steering.obstacle:
        return ()
    bad, good = _revisions(snapshot, key)
    if bad is None or good is None or told is None or told.status != "True":
        return ()
    if bad.metadata.annotation(UNDONE) is None:
        return (_marked(bad, str(bad.revision)),)
    found, reference = good.metadata.label(labels.REVISION), Reference.to(CONTROLLERREVISIONS, good.metadata)
    return (
        JsonPatch(
            LEADERWORKERSETS,
            lws.metadata.namespace,
            lws.metadata.name,
            lws.metadata.resource_version,
            tuple(_operations(lws, good)),
            otherwise=_marked(bad, REFUSED),
            on_refusal=(events.roll_back_refused(key, found, reference),),
            on_success=(events.rolled_back(key, found, reference),),
        ),
    )


def _revisions(snapshot: SetSnapshot, key: str) -> tuple[ControllerRevision | None, ControllerRevision | None]:
    """The bad revision, and the latest earlier one that was not undone itself."""
    earlier = (
        each
        for each in own_revisions(snapshot.lws, snapshot.revisions)
        if each.metadata.label(labels.REVISION) != key
        and not each.metadata.deleting
        and each.metadata.annotation(UNDONE) is None
    )
    good = max(earlier, key=lambda each: each.revision, default=None)
    return find_by_key(snapshot.lws, snapshot.revisions, key), good


def _marked(bad: ControllerRevision, value: str) -> Update:
    meta = bad.metadata
    change = {"metadata": {"annotations": {UNDONE: value}}}
    return Update(CONTROLLERREVISIONS, meta.namespace, meta.name, meta.resource_version, change)


def _operations(lws: LeaderWorkerSet, good: ControllerRevision) -> list[JSON]:
    """What is not in the revision stays as it is."""
    stored: JSON = (good.data or {}).get("spec") or {}
    live = lws.raw_spec.get("leaderWorkerTemplate") or {}
    out: list[JSON] = []
    for name in _SECTIONS:
        if name not in stored:
            continue
        value = {each: content for each, content in stored[name].items() if each != "$patch"}
        if name == "leaderWorkerTemplate" and "maxGroupRestarts" in live:
            value["maxGroupRestarts"] = live["maxGroupRestarts"]
        out.append({"op": "add", "path": f"/spec/{name}", "value": value})
    return out
