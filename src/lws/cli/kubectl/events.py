"""``kubectl lws events``: what was told of a set, its StatefulSets and its pods, merged by time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CORE_EVENTS, PODS, STATEFULSETS
from lws.cli.kubectl.documents import EventList, SetEvent
from lws.cli.kubectl.members import short_group
from lws.cli.kubectl.plain import age, table
from lws.cli.kubectl.session import Session
from lws.errors import ForbiddenError

_PARTS: Final = ("Pod", "StatefulSet", "Service", "PodGroup", "PodDisruptionBudget", "ConfigMap", "Deployment")
_SHORT: Final = {"LeaderWorkerSet": "lws", "StatefulSet": "sts", "Service": "svc", "PodDisruptionBudget": "pdb"}
_INDICES: Final = re.compile(r"(?:-(\d+))?(?:-[1-9]\d*)?")


async def run(session: Session) -> int:
    """List the events, the newest last."""
    sets = [str(one["metadata"]["name"]) for one in await session.child_sets()]
    listed = (await session.client.list(CORE_EVENTS, session.namespace))["items"]
    family = await _family(session, sets)
    wanted = session.arguments
    items = []
    for raw in sorted(listed, key=_moment):
        place = Place("") if _about(raw, session) else family.place(raw.get("involvedObject") or {})
        if place is not None:
            items.append(_event(raw, place.group))
    items = [one for one in items if not wanted.types or one.type.lower() == wanted.types.lower()]
    if wanted.group:
        items = [one for one in items if one.group == short_group(wanted.group)]
    document = EventList(set_kind=session.set_kind, namespace=session.namespace, name=session.name, items=tuple(items))
    session.show(lambda: document, lambda: _text(session, items), [f"event/{one.name}" for one in items])
    return 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a set an object is: in a group by its name; ``group`` is empty for what belongs to the whole set."""

    group: str


@dataclass(frozen=True, slots=True)
class Family:
    """The objects of some sets, living and past.

    Attributes:
        sets: UIDs of the sets by name.
        living: group labels of living objects by kind and name.
        others: names of the other sets of the namespace; what belongs to them may have a name that begins like ours.
    """

    sets: Mapping[str, str]
    living: Mapping[tuple[str, str], str]
    others: Sequence[str] = ()

    def place(self, reference: JSON) -> Place | None:
        """Where the object of an event is, or None if it belongs to none of the sets.

        An object that is gone is judged by its name; of two sets whose names fit it the longer one has it.
        """
        kind, name = str(reference.get("kind") or ""), str(reference.get("name") or "")
        if kind == "LeaderWorkerSet":
            return Place("") if self.sets.get(name, "?") in (reference.get("uid") or "", "") else None
        if (kind, name) in self.living:
            return Place(short_group(self.living[kind, name]))
        if kind not in _PARTS or any(name == other or name.startswith(f"{other}-") for other in self.others):
            return None
        for each in sorted(self.sets, key=len, reverse=True):
            found = _INDICES.fullmatch(name[len(each) :]) if name.startswith(each) else None
            if found is not None:
                return Place(found[1] or "")
        return None


async def _family(session: Session, sets: Sequence[str]) -> Family:
    client, namespace = session.client, session.namespace
    selector = f"{labels.NAME} in ({','.join(sets)})"
    living: dict[tuple[str, str], str] = {}
    for resource in (STATEFULSETS, PODS) if sets else ():
        for raw in (await client.list(resource, namespace, label_selector=selector))["items"]:
            own = raw["metadata"].get("labels") or {}
            living[resource.kind, raw["metadata"]["name"]] = str(own.get(labels.GROUP_INDEX, ""))
    try:
        every = (await client.list(LEADERWORKERSETS, namespace))["items"]
    except ForbiddenError:
        every = []
    uids = {str(one["metadata"]["name"]): str(one["metadata"]["uid"]) for one in every}
    others = [name for name in uids if any(name.startswith(f"{one}-") for one in sets) and name not in sets]
    return Family({name: uids.get(name, "") for name in sets}, living, others)


def _about(raw: JSON, session: Session) -> bool:
    about = raw.get("involvedObject") or {}
    return (about.get("kind"), about.get("name")) == (session.set_kind, session.name)


def _time(raw: JSON) -> str:
    """When it was last seen."""
    series = raw.get("series") or {}
    times = (series.get("lastObservedTime"), raw.get("lastTimestamp"), raw.get("eventTime"), raw.get("firstTimestamp"))
    return str(next((time for time in times if time), raw["metadata"].get("creationTimestamp") or ""))


def _moment(raw: JSON) -> tuple[str, int]:
    """Orders events by the second, which is all that many of them tell, and within it as they were stored."""
    version = natural(str(raw["metadata"].get("resourceVersion", "")))
    return _time(raw)[: len("2026-01-01T00:00:00")], version or 0


def _event(raw: JSON, group: str) -> SetEvent:
    about, series = raw.get("involvedObject") or {}, raw.get("series") or {}
    source = raw.get("source") or {}
    return SetEvent(
        time=_time(raw),
        type=raw.get("type") or "",
        reason=raw.get("reason") or "",
        object_kind=about.get("kind") or "",
        object_name=about.get("name") or "",
        message=raw.get("message") or "",
        name=raw["metadata"]["name"],
        group=group,
        count=series.get("count") or raw.get("count") or 1,
        source=source.get("component") or raw.get("reportingComponent") or "",
    )


def _text(session: Session, items: Iterable[SetEvent]) -> list[str]:
    now = datetime.now(UTC)
    more = ["COUNT", "SOURCE"] if session.wide else []
    rows = [
        [
            age(one.time, now),
            one.type,
            one.reason,
            f"{_SHORT.get(one.object_kind, one.object_kind.lower())}/{one.object_name}",
            *([str(one.count), one.source] if session.wide else []),
            one.message,
        ]
        for one in items
    ]
    if not rows:
        session.tell(f"no such events of {session.name} are stored; API servers keep them for an hour by default")
        return []
    return table(["LAST SEEN", "TYPE", "REASON", "OBJECT", *more, "MESSAGE"], rows, session.terminal.width)
