"""What to remove of a set before the reference controller takes it back (resilience 1.4). Pure.

The reference keeps conditions that it does not know for ever, sets each new observedGeneration on them, and lets a
closed budget stand, so that no drain ever ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON
from lws.apimachinery.ownership import controller_of
from lws.planning.leaderworkerset.groups import shown_group

OUR_CONDITIONS: Final = ("Blocked", "GroupsHealthy", "Paused", "Stalled")
_TOLERATES: Final = "None"  # any other policy recreates for a restarted container, whenever it was restarted


@dataclass(frozen=True, slots=True)
class HandBack:
    """What is to be done about one set.

    Attributes:
        conditions: types of those to be removed, in the order of the status.
        kept: the conditions that stay, as they are stored.
        budget: name of the PodDisruptionBudget to be deleted; empty without one.
        budget_uid: its UID.
        recreated: groups that the reference recreates as soon as it looks, by index or the beginning of their key:
            with a container that was restarted once.
    """

    conditions: tuple[str, ...] = ()
    kept: tuple[JSON, ...] = ()
    budget: str = ""
    budget_uid: str = ""
    recreated: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the reference may have the set as it is."""
        return not (self.conditions or self.budget or self.recreated)


def hand_back(lws: JSON, pods: Iterable[JSON] = (), budgets: Iterable[JSON] = ()) -> HandBack:
    """Decide it for a set, from its pods and the budgets of its namespace."""
    stored = [one for one in (lws.get("status") or {}).get("conditions") or () if isinstance(one, dict)]
    ours = tuple(str(one["type"]) for one in stored if one.get("type") in OUR_CONDITIONS)
    budget = next((one for one in budgets if _closed(one, lws["metadata"])), None)
    meta = {} if budget is None else budget["metadata"]
    return HandBack(
        conditions=ours,
        kept=tuple(one for one in stored if one.get("type") not in OUR_CONDITIONS),
        budget=str(meta.get("name", "")),
        budget_uid=str(meta.get("uid", "")),
        recreated=_recreated(lws, pods),
    )


def _closed(budget: JSON, meta: Mapping[str, Any]) -> bool:
    """Whether a budget is ours for this set: of its name, controlled by it (resilience 6.4)."""
    owner = controller_of(budget["metadata"])
    return budget["metadata"].get("name") == meta["name"] and owner is not None and owner.uid == meta["uid"]


def _recreated(lws: JSON, pods: Iterable[JSON]) -> tuple[str, ...]:
    """Groups with a healed member: the reference takes any restart count for a failure (section 7, spec 9.1)."""
    template = (lws.get("spec") or {}).get("leaderWorkerTemplate") or {}
    if template.get("restartPolicy") == _TOLERATES:
        return ()
    found = {_group(pod) for pod in pods if _restarted(pod) and not pod["metadata"].get("deletionTimestamp")}
    return tuple(sorted(found - {""}, key=lambda group: (len(group), group)))


def _group(pod: JSON) -> str:
    return shown_group(str((pod["metadata"].get("labels") or {}).get(labels.GROUP_INDEX) or ""))


def _restarted(pod: JSON) -> bool:
    status = pod.get("status") or {}
    containers: Sequence[JSON] = [
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    ]
    return any((one.get("restartCount") or 0) > 0 for one in containers)
