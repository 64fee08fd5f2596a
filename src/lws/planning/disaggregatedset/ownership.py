"""Whose is what has a name of ours? (disaggregatedset spec 1.5, 5.5, DD-14)."""

from __future__ import annotations

from lws.apimachinery.manifests import JSON
from lws.apimachinery.ownership import Relation, controller_of
from lws.apimachinery.resources import SERVICES, Resource


def relation(resource: Resource, wanted: JSON, live: JSON) -> Relation:
    """Whose a live object is that stood in the way of a creation.

    A Service that selects the same pods is as good as ours, whoever owns it.
    """
    ours, theirs = controller_of(wanted["metadata"]), controller_of(live.get("metadata") or {})
    if ours is not None and theirs is not None and theirs.uid == ours.uid:
        return Relation.OURS
    if resource == SERVICES and (live.get("spec") or {}).get("selector") == wanted["spec"]["selector"]:
        return Relation.OURS
    if ours is not None and theirs is not None and (theirs.kind, theirs.name) == (ours.kind, ours.name):
        return Relation.EARLIER
    return Relation.FOREIGN
