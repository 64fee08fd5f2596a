"""Which groups would a controller of this version restart at its first pass, and why (operator 5.7).

A release that renders the leader template of a running set otherwise, or takes its spec for an update, has the
controller of its leader StatefulSet, or leader Deployment under the hash identity, replace leaders, and with each its
group. Everything else that a first pass may write restarts nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from lws.api.leaderworkerset import labels
from lws.apimachinery import drift
from lws.apimachinery.actions import Apply, Plan
from lws.apimachinery.manifests import JSON, labels_of, name_of
from lws.apimachinery.resources import DEPLOYMENTS, STATEFULSETS
from lws.errors import TerminalError
from lws.planning.leaderworkerset.sets import plan_leaderworkerset
from lws.planning.leaderworkerset.snapshots import SetSnapshot

Judge: TypeAlias = Callable[[SetSnapshot, datetime], Plan]
UPDATE: Final = "its spec counts as an update"
TEMPLATE: Final = "its leader template is rendered otherwise"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Groups of one set that would restart, and why."""

    groups: int
    reason: str


def forecast(snapshot: SetSnapshot, live: JSON, now: datetime, judge: Judge = plan_leaderworkerset) -> Forecast | None:
    """What the first pass over a set restarts; None if nothing.

    Args:
        snapshot: the set, its leader StatefulSet or Deployment, and its revisions.
        live: that StatefulSet or Deployment, whole.
        now: stamps conditions.
        judge: the planner that decides.
    """
    try:
        plan = judge(snapshot, now)
    except TerminalError:
        return None  # nothing is done until the set is edited
    name = snapshot.lws.metadata.name
    kind = DEPLOYMENTS if snapshot.lws.spec.hashed else STATEFULSETS
    writes = (each for each in plan.actions if isinstance(each, Apply) and each.resource == kind)
    body = next((each.manifest for each in writes if name_of(each.manifest) == name), None)
    if body is None:
        return None
    reason = _reason(body, live)
    floor = snapshot.lws.spec.rollout_strategy.rolling_update_configuration.partition
    groups = int((live.get("spec") or {}).get("replicas") or 0) - floor
    return Forecast(groups, reason) if reason and groups > 0 else None


def _reason(body: JSON, live: JSON) -> str:
    if labels_of(body).get(labels.REVISION) != labels_of(live).get(labels.REVISION):
        return UPDATE
    wanted, have = body["spec"]["template"], (live.get("spec") or {}).get("template") or {}
    owned = ((drift.owned(live, labels.FIELD_MANAGER) or {}).get("f:spec") or {}).get("f:template") or {}
    same = drift.holds(have, wanted, owned) and drift.wants(wanted, owned)
    return "" if same else TEMPLATE
