"""Which revision a DisaggregatedSet is to run (disaggregatedset 4, DD-23)."""

from __future__ import annotations

from collections.abc import Sequence

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.placement import unplaced
from lws.api.disaggregatedset.types import DisaggregatedSet
from lws.api.leaderworkerset import normalform
from lws.api.leaderworkerset.types import HASH, RESTART_DEFAULT, RESTART_NONE
from lws.apimachinery.manifests import JSON
from lws.planning.disaggregatedset.snapshots import Child

_SYSTEM = (labels.NAME, labels.ROLE, labels.SLICE, labels.REVISION, labels.APP)


def choose(ds: DisaggregatedSet, computed: str, children: Sequence[Child]) -> str:
    """The computed revision, or the one of children that are the same in all but their bytes.

    Another order of the roles, or another release of the libraries that the reference hashes with, changes the bytes
    and nothing else. If no child bears the computed revision, one that some slice runs with exactly these roles and
    templates is the target, the newest if there are several.
    """
    if any(child.revision == computed for child in children):
        return computed
    live = {role.get("name", ""): _content(role, ds.metadata.name, 0) for role in ds.raw_roles}
    groups: dict[tuple[int, str], dict[str, Child]] = {}
    for child in children:
        if child.slice is not None:
            groups.setdefault((child.slice, child.revision), {})[child.role] = child
    same = [
        (max(child.lws.metadata.creation_timestamp or "" for child in group.values()), revision)
        for (_, revision), group in groups.items()
        if group.keys() == live.keys() and all(_same(ds, child, live[role]) for role, child in group.items())
    ]
    return max(same)[1] if same else computed


def comparable(template: JSON, name: str, slice_: int) -> JSON:
    """A ``leaderWorkerTemplate`` in normal form, without what is added when a child is made of it or admitted."""
    out = {**template}
    if out.get("restartPolicy") == RESTART_DEFAULT:
        out["restartPolicy"] = RESTART_NONE
    for member in ("leaderTemplate", "workerTemplate"):
        if isinstance(out.get(member), dict):
            out[member] = _unlabelled(unplaced(out[member], name, slice_))
    return normalform.template(out)


def _same(ds: DisaggregatedSet, child: Child, live: tuple[object, ...]) -> bool:
    return _content({"spec": child.lws.raw_spec}, ds.metadata.name, child.slice or 0) == live


def _content(role: JSON, name: str, slice_: int) -> tuple[object, ...]:
    """What of a role belongs to the revision: template, limit of restarts, and how groups are known (next 8.2)."""
    template, identity = _template(role), (role.get("spec") or {}).get("groupIdentity")
    return comparable(template, name, slice_), template.get("maxGroupRestarts"), identity == HASH


def _template(role: JSON) -> JSON:
    return (role.get("spec") or {}).get("leaderWorkerTemplate") or {}


def _unlabelled(template: JSON) -> JSON:
    metadata = template.get("metadata") or {}
    kept = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in _SYSTEM}
    return {**template, "metadata": {**metadata, "labels": kept}}
