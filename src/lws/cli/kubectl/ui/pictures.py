"""What the caches have of a DisaggregatedSet, as `kubectl lws` looks at it. Pure but for reading caches."""

from __future__ import annotations

from lws.api.disaggregatedset.revision import UnreadableTemplateError, revision_of
from lws.apimachinery.objects import Key
from lws.cli.kubectl.disaggregatedset.picture import SetPicture
from lws.cli.kubectl.ui.caches import OF_DS, Caches
from lws.planning.disaggregatedset import revisions
from lws.planning.disaggregatedset.snapshots import Snapshot
from lws.planning.leaderworkerset.diagnosis.facts import Facts


def of(caches: Caches, key: Key) -> SetPicture | None:
    """The picture; None if there is no such set."""
    record = caches.disaggregated.store.get(*key)
    if record is None:
        return None
    ds, uid = record.model, record.metadata.uid
    children = tuple(
        each.child
        for each in caches.sets.store.by_index(OF_DS, key)
        if (owner := each.metadata.controller) is not None and owner.uid == uid
    )
    scalers = tuple(
        each.model
        for each in caches.scalers.store.by_index(OF_DS, key)
        if (owner := each.metadata.controller) is not None and owner.uid == uid
    )
    try:
        target, fault = revisions.choose(ds, revision_of(ds.raw_roles), children), ""
    except UnreadableTemplateError as error:
        target, fault = "", str(error)
    snapshot = Snapshot(ds=ds, target=target, fault=fault, children=children, scalers=scalers)
    unready: dict[str, Facts] = {}
    for child in children:
        facts = None if child.settled else caches.facts(key[0], child.name)
        if facts is not None:
            unready[child.name] = facts
    return SetPicture(snapshot, unready)
