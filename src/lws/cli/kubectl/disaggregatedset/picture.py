"""One look at a DisaggregatedSet: what its controller sees, and what keeps children from being ready."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.disaggregatedset.revision import UnreadableTemplateError, revision_of
from lws.api.disaggregatedset.types import DisaggregatedSet, DisaggregatedSetRoleScaler
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import ObjectMeta
from lws.cli.kubectl.observe import observe
from lws.client.api import ApiClient
from lws.planning.disaggregatedset import revisions
from lws.planning.disaggregatedset.snapshots import Child, Snapshot
from lws.planning.leaderworkerset.diagnosis.facts import Facts


@dataclass(frozen=True, slots=True)
class SetPicture:
    """What was seen; made of lists that were read one after another.

    Attributes:
        snapshot: the set, its children and scalers; no Services.
        unready: children some of whose groups are not ready, by name.
    """

    snapshot: Snapshot
    unready: Mapping[str, Facts] = field(default_factory=dict)

    @property
    def ds(self) -> DisaggregatedSet:
        """The set."""
        return self.snapshot.ds

    @property
    def scales(self) -> dict[str, int]:
        """Wanted replicas of External roles that have a scaler."""
        return {each.metadata.label(labels.ROLE): each.spec.replicas for each in self.snapshot.scalers}


async def look(client: ApiClient, namespace: str, name: str) -> SetPicture:
    """Read the set and what belongs to it.

    Raises:
        NotFoundError: there is no such DisaggregatedSet.
    """
    ds = DisaggregatedSet.from_json(await client.get(DISAGGREGATEDSETS, namespace, name))
    uid, selector = ds.metadata.uid, f"{labels.NAME}={name}"
    listed, scalers = await asyncio.gather(
        client.list(LEADERWORKERSETS, namespace, label_selector=selector),
        client.list(ROLESCALERS, namespace, label_selector=selector),
    )
    found = [LeaderWorkerSet.from_json(item) for item in listed["items"]]
    children = tuple(Child(lws) for lws in found if _owner(lws.metadata) == uid)
    used = [DisaggregatedSetRoleScaler.from_json(item) for item in scalers["items"]]
    try:
        target, fault = revisions.choose(ds, revision_of(ds.raw_roles), children), ""
    except UnreadableTemplateError as error:
        target, fault = "", str(error)
    mine = tuple(each for each in used if _owner(each.metadata) == uid)
    snapshot = Snapshot(ds=ds, target=target, fault=fault, children=children, scalers=mine)
    unready = [child.name for child in children if not child.settled]
    observed = await asyncio.gather(*(observe(client, namespace, each) for each in unready))
    return SetPicture(snapshot, {each: seen.facts for each, seen in zip(unready, observed, strict=True)})


def _owner(meta: ObjectMeta) -> str:
    owner = meta.controller
    return owner.uid if owner is not None else ""
