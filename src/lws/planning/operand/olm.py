"""OLM's OperatorCondition: where it looks whether an upgrade may be offered (operator 5.4).

OLM makes the object, names it to the operator, and grants the right to write it; of its entries one is ours. An entry
counts for OLM only while its ``observedGeneration`` is that of the object, which our own write raises by one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource

OPERATORCONDITIONS: Final = Resource("operators.coreos.com", "v2", "operatorconditions", "OperatorCondition")
UPGRADEABLE: Final = "Upgradeable"


def mirrored(live: JSON, condition: JSON, now: datetime) -> list[JSON] | None:
    """The entries of ``spec.conditions`` with ours as the condition is; None if that is so already.

    Args:
        live: the OperatorCondition.
        condition: Upgradeable of the LeaderWorkerSetOperator.
        now: when it changes, if it does.
    """
    entries = (live.get("spec") or {}).get("conditions") or []
    generation = int(live["metadata"].get("generation") or 0)
    told = {name: condition.get(name) or "" for name in ("type", "status", "reason", "message")}
    known: JSON = next((each for each in entries if each.get("type") == UPGRADEABLE), {})
    if told.items() <= known.items() and known.get("observedGeneration") == generation:
        return None
    same = known.get("status") == told["status"] and known.get("lastTransitionTime")
    stamp = known["lastTransitionTime"] if same else now.strftime("%Y-%m-%dT%H:%M:%SZ")
    ours = {**told, "lastTransitionTime": stamp, "observedGeneration": generation + 1}
    return [*(each for each in entries if each.get("type") != UPGRADEABLE), ours]
