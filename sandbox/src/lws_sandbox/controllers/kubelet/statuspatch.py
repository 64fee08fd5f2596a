"""A pod's status as a patch: what of it is new, and how members that are gone are taken away."""

from __future__ import annotations

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.kubelet.status import OWN_CONDITIONS


def as_patch(live: JSON, status: JSON) -> JSON:
    """The status as a strategic merge patch: reasons and conditions of the kubelet's own that are gone go."""
    wanted = {item["type"] for item in status["conditions"]}
    gone = [
        {"$patch": "delete", "type": item["type"]}
        for item in live.get("conditions") or ()
        if item["type"] in OWN_CONDITIONS and item["type"] not in wanted
    ]
    kept = [{"reason": None, "message": None, **item} for item in status["conditions"]]
    return {**status, "conditions": [*kept, *gone]}


def differs(live: JSON, wanted: JSON) -> bool:
    """Whether the live status lacks something of the wanted one; conditions of others do not count."""
    for member, value in wanted.items():
        if member != "conditions":
            if _meaning(live.get(member)) != _meaning(value):
                return True
            continue
        known = {item["type"]: item for item in live.get("conditions") or ()}
        if any(_meaning(known.get(item["type"])) != _meaning(item) for item in value):
            return True
    return False


def _meaning(value: object) -> object:
    """A value without what the API may leave out: empty members."""
    if isinstance(value, dict):
        return {key: _meaning(item) for key, item in value.items() if item not in (None, "", {}, [])}
    if isinstance(value, list):
        return [_meaning(item) for item in value]
    return value
