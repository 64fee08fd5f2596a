"""What must hold of restart budgets: one failure costs one restart, and nothing is taken down that was not paid for."""

from __future__ import annotations

import orjson

from lws.api.leaderworkerset import labels, restartcounts
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON, annotations_of
from tests.simulation.ledger import Ledger


class Budgets:
    """Follows the counts that operators store, and the leaders that they delete (next 5.4)."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def stored(self, body: JSON, live: JSON) -> None:
        """A count rises by one, for a leader for which it has not risen yet; nothing else of a set is written."""
        name = live["metadata"]["name"]
        if body.keys() != {"metadata"} or not body["metadata"].keys() <= {"resourceVersion", "uid", "annotations"}:
            self._ledger.complain(f"PATCH of set {name}: {body}")
        if live["metadata"]["resourceVersion"] != body["metadata"].get("resourceVersion"):
            self._ledger.complain(f"counts of {name} are stored over what was not read")
        notes = body["metadata"]["annotations"]
        before, after = counts_of(annotations_of(live)), counts_of(notes)
        leaders = orjson.loads(notes.get(labels.RESTART_CHARGED) or "{}")
        gone = {(live["metadata"]["uid"], entry) for entry in before if entry not in after}
        self._ledger.charges = {each for each in self._ledger.charges if each[:2] not in gone}
        for entry, count in after.items():
            if count <= before.get(entry, 0):
                continue
            charge = (live["metadata"]["uid"], entry, leaders.get(entry, ""))
            if count != before.get(entry, 0) + 1 or charge in self._ledger.charges:
                self._ledger.complain(f"{name}: the count of {entry} rises from {before.get(entry, 0)} to {count}")
            self._ledger.charges.add(charge)

    def deleted(self, leader: JSON, body: JSON) -> None:
        """A group is recreated within its budget, for which the leader was charged; else its end was marked before."""
        meta = leader["metadata"]
        lws = self._ledger.get(LEADERWORKERSETS, meta["namespace"], meta["labels"][labels.NAME])
        limit = None if lws is None else lws["spec"]["leaderWorkerTemplate"].get("maxGroupRestarts")
        if lws is None or limit is None or body.get("propagationPolicy") != "Foreground" or self._ledger.relimited:
            return
        entry = restartcounts.key_of(meta["labels"][labels.REVISION], meta["labels"][labels.GROUP_INDEX])
        if annotations_of(leader).get(labels.RESTART_BUDGET_EXHAUSTED) == "true":
            return
        if (lws["metadata"]["uid"], entry, meta["uid"]) not in self._ledger.charges:
            self._ledger.complain(f"{meta['name']} is deleted though nothing was charged for it")
        if counts_of(annotations_of(lws)).get(entry, 0) > limit:
            self._ledger.complain(f"{meta['name']} is recreated beyond its budget of {limit}")


def counts_of(annotations: JSON) -> dict[str, int]:
    """The counts that annotations hold."""
    found: dict[str, int] = orjson.loads(annotations.get(labels.GROUP_RESTART_COUNTS) or "{}")
    return found
