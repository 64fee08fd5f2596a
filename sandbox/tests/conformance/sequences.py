"""What watches told, put into a form that does not depend on how things interleave."""

from __future__ import annotations

import itertools
import re
from typing import Any

from lws.apimachinery.manifests import JSON

SAME = ("operation", "resource", "subResource", "namespace", "name", "dryRun")
MOMENT = re.compile(r"(?<=\.)[0-9a-f]{16}$")


def identity(obj: JSON) -> str:
    """Kind and name of an object."""
    meta = obj.get("metadata") or {}
    return f"{obj.get('kind')}/{meta.get('name', '')}"


def one_bookmark(events: list[JSON]) -> list[JSON]:
    """The events without bookmarks in a row: how many come is a matter of time."""
    pairs = zip([{"type": ""}, *events], events, strict=False)
    return [event for before, event in pairs if not before["type"] == event["type"] == "BOOKMARK"]


def without_retries(calls: list[JSON], wanted: int) -> list[JSON]:
    """Webhook calls, where there are too many, without those that were made again at once.

    A server that has a stale object in its cache asks the webhooks, finds that it was stale, and asks again.
    """
    kept = calls[:]
    for call, following in itertools.pairwise(calls):
        again = all(call[part] == following[part] for part in ("path", "query"))
        again = again and all(call["body"]["request"].get(k) == following["body"]["request"].get(k) for k in SAME)
        if again and len(kept) > wanted:
            kept.remove(call)
    return kept


def outcome(events: list[JSON]) -> JSON:
    """The part of what happened that does not depend on how controllers interleave."""
    status: JSON = {}
    for event in events:
        if event["object"]["kind"] == "StatefulSet" and event["type"] != "DELETED":
            status[identity(event["object"])] = event["object"].get("status")
    return {
        "added": sorted(identity(event["object"]) for event in events if event["type"] == "ADDED"),
        "deleted": sorted(identity(event["object"]) for event in events if event["type"] == "DELETED"),
        "status": status,
    }


def unnamed(outcome: JSON) -> JSON:
    """An outcome without the moments in the names of events."""
    lists = {name: sorted(MOMENT.sub("", item) for item in outcome[name]) for name in ("added", "deleted")}
    return {**outcome, **lists}


def by_object(events: list[JSON]) -> JSON:
    """Each object's own sequence of events, without the clock that all objects share.

    How many intermediate statuses a StatefulSet shows on its way depends on how its pods interleave: of changes that
    differ in status only, the last counts.
    """
    sequences: JSON = {}
    for event in events:
        obj = {**event["object"], "metadata": {**event["object"]["metadata"]}}
        obj["metadata"].pop("resourceVersion", None)
        sequence = sequences.setdefault(_series(obj), [])
        if (
            sequence
            and obj["kind"] == "StatefulSet"
            and _but_status(sequence[-1]) == _but_status({**event, "object": obj})
        ):
            sequence.pop()
        sequence.append({"type": event["type"], "object": obj})
    return sequences


def _but_status(event: JSON) -> Any:
    obj = event["object"]
    meta = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return event["type"], meta, obj.get("spec")


def _series(obj: JSON) -> str:
    """Names an object across runs; an event, whose name is a moment, by what it says."""
    if obj["kind"] != "Event":
        return identity(obj)
    obj["metadata"]["name"] = MOMENT.sub("", obj["metadata"]["name"])
    return f"{identity(obj)} {obj.get('reason')} {obj.get('message', obj.get('note'))}"
