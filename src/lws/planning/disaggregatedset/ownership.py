"""Whose is what has a name of ours? (disaggregatedset 1.5, 5.5, DD-14)."""

from __future__ import annotations

from lws.apimachinery.manifests import JSON
from lws.apimachinery.ownership import Relation, same_controller
from lws.apimachinery.resources import SERVICES, Resource


def relation(resource: Resource, wanted: JSON, live: JSON) -> Relation:
    """Whose a live object is that stood in the way of a creation.

    A Service that selects the same pods is as good as ours, whoever owns it.
    """
    whose = same_controller(resource, wanted, live)
    if whose is not Relation.FOREIGN or resource != SERVICES:
        return whose
    same = (live.get("spec") or {}).get("selector") == wanted["spec"]["selector"]
    return Relation.OURS if same else whose
