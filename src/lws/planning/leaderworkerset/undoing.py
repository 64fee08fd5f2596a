"""Puts an earlier revision back when a rollout has stalled, where its set asks for that (resilience 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision
from lws.api.leaderworkerset.policies import SetPolicies
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Action, JsonPatch, Reference, Update
from lws.apimachinery.conditions import find
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.revisions import find_by_key, own_revisions
from lws.planning.leaderworkerset.steering import STALLED, Steering

UNDONE: Final = PREFIX + "undone"
_SECTIONS: Final = ("leaderWorkerTemplate", "networkConfig")


def undo(
    lws: LeaderWorkerSet,
    policies: SetPolicies,
    steering: Steering,
    revisions: Iterable[ControllerRevision],
    key: str,
) -> tuple[Action, ...]:
    """Write the template of the latest earlier revision back, once for each bad revision; nothing where that cannot be.

    The bad revision is marked first: whatever becomes of the write, there is no second one. Who owns the set would
    write the edit again, so nothing is done then. Nothing is done before the set's status tells that it has stalled.
    """
    listed = tuple(revisions)
    told = find(lws.status.conditions, STALLED)
    if not steering.stalled or policies.on_stall != "Undo" or told is None or told.status != "True":
        return ()
    if lws.metadata.controller is not None or not policies.revision_history_limit:
        return ()
    bad, good = find_by_key(lws, listed, key), _earlier(lws, listed, key)
    if bad is None or good is None or bad.metadata.annotation(UNDONE) is not None:
        return ()
    meta, reference = bad.metadata, Reference.to(CONTROLLERREVISIONS, good.metadata)
    told_of = events.rolled_back(key, good.metadata.label(labels.REVISION), reference)
    mark = {"metadata": {"annotations": {UNDONE: "true"}}}
    return (
        Update(CONTROLLERREVISIONS, meta.namespace, meta.name, meta.resource_version, mark),
        JsonPatch(
            LEADERWORKERSETS,
            lws.metadata.namespace,
            lws.metadata.name,
            lws.metadata.resource_version,
            tuple(_operations(lws, good)),
            on_success=(told_of,),
        ),
    )


def _earlier(lws: LeaderWorkerSet, listed: Iterable[ControllerRevision], key: str) -> ControllerRevision | None:
    """The latest earlier revision that was not undone itself."""
    found = (
        each
        for each in own_revisions(lws, listed)
        if each.metadata.label(labels.REVISION) != key
        and not each.metadata.deleting
        and each.metadata.annotation(UNDONE) is None
    )
    return max(found, key=lambda each: each.revision, default=None)


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
