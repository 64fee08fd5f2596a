"""Definitions of sets that the operator's object owns: deleting it would take every set with them [OD-01]."""

from __future__ import annotations

from collections.abc import Iterable

from lws.api.operand import names
from lws.apimachinery.actions import Action, JsonPatch
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS
from lws.planning.operand import events


def released(owned: Iterable[ObjectMeta]) -> list[Action]:
    """What takes the owner away from each; the first writes of all."""
    return [_released(meta) for meta in owned]


def _released(meta: ObjectMeta) -> Action:
    places = [place for place, each in enumerate(meta.owner_references or ()) if each.kind == names.KIND]
    owners = [(meta.owner_references or ())[place] for place in places]
    tests = [
        {"op": "test", "path": f"/metadata/ownerReferences/{place}/uid", "value": each.uid}
        for place, each in zip(places, owners, strict=True)
    ]
    removals = [{"op": "remove", "path": f"/metadata/ownerReferences/{place}"} for place in reversed(places)]
    told = events.taken_over(CUSTOMRESOURCEDEFINITIONS, meta.name)
    return JsonPatch(
        CUSTOMRESOURCEDEFINITIONS, "", meta.name, meta.resource_version, (*tests, *removals), on_success=(told,)
    )
