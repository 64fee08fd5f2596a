"""Events: one stored object, read and written in the form of the core group or that of events.k8s.io."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.builtinresources import Builtin
from lws_sandbox.kinds.base import IMMUTABLE, Kind, Shown, at, cell, shown, shown_name, text_at
from lws_sandbox.schema.schema import of_builtin
from lws_sandbox.status import Causes
from lws_sandbox.strategy import WriteContext, age

_NOTE_LIMIT: Final = 1024
_LIMIT: Final = 128
# The members of the core form, and what the newer form calls them.
_NAMES: Final[Mapping[str, str]] = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_OBJECT: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _source(event: JSON) -> str:
    return str(at(event, "source.component") or event.get("reportingComponent") or "")


def core_form(event: JSON) -> JSON:
    """An event of the newer group in the form of the core group."""
    names = {new: old for old, new in _NAMES.items()}
    return {names.get(member, member): value for member, value in event.items()}


def new_form(event: JSON) -> JSON:
    """An event of the core group in the form of the newer group."""
    return {_NAMES.get(member, member): value for member, value in event.items()}


def _first(event: JSON, now: datetime) -> str:
    return age(event.get("firstTimestamp") or event.get("eventTime"), now)


def _last(event: JSON, now: datetime) -> str:
    series = event.get("series")
    if series:
        return age(series.get("lastObservedTime"), now)
    return age(event["lastTimestamp"], now) if event.get("lastTimestamp") else _first(event, now)


def _count(event: JSON, _now: datetime) -> int:
    series = event.get("series")
    return int((series.get("count") or 0) if series else (event.get("count") or 1))


def _target(event: JSON, _now: datetime) -> str:
    kind, name = at(event, "involvedObject.kind") or "", at(event, "involvedObject.name") or ""
    return f"{kind.lower()}/{name}" if kind else name


def _origin(event: JSON, _now: datetime) -> str:
    component = _source(event)
    instance = at(event, "source.host") or event.get("reportingInstance") or ""
    return f"{component}, {instance}" if instance else component


_EVENT: Final = "core.v1.Event"
TABLE: Final[tuple[Shown, ...]] = (
    shown("Last Seen", _last, f"{_EVENT}#lastTimestamp"),
    shown("Type", cell("type"), f"{_EVENT}#type"),
    shown("Reason", cell("reason"), f"{_EVENT}#reason"),
    shown("Object", _target, f"{_EVENT}#involvedObject"),
    shown("Subobject", cell("involvedObject.fieldPath"), "core.v1.ObjectReference#fieldPath", wide=True),
    shown("Source", _origin, f"{_EVENT}#source", wide=True),
    shown("Message", lambda event, _now: (event.get("message") or "").strip(), f"{_EVENT}#message"),
    shown("First Seen", _first, f"{_EVENT}#firstTimestamp", wide=True),
    shown("Count", _count, f"{_EVENT}#count", wide=True),
    shown_name(wide=True),
)


@dataclass
class EventKind(Kind):
    """Events in the form of one group; what is stored has the form of the core group."""

    def _core(self, event: JSON) -> JSON:
        return core_form(event) if self.resource.group else event

    def read(self, stored: JSON) -> JSON:
        """In the form of this group."""
        if not self.resource.group:
            return stored
        converted = {**new_form(stored), "kind": "Event", "apiVersion": self.resource.api_version}
        shaped: JSON = self.schema.canonical(converted)
        return shaped

    def write(self, obj: JSON) -> JSON:
        """In the form of the core group."""
        if not self.resource.group:
            return obj
        stored: JSON = of_builtin("v1", "Event").canonical({**core_form(obj), "apiVersion": "v1"})
        return stored

    def row(self, obj: JSON, now: datetime) -> list[Any]:
        """The same for both groups."""
        return super().row(self._core(obj), now)

    def selectable_fields(self, obj: JSON) -> Mapping[str, str]:
        """By what the event is about, why, and who says so."""
        event = self._core(obj)
        about = _NAMES["involvedObject"] if self.resource.group else "involvedObject"
        found = {f"{about}.{member}": at(event, f"involvedObject.{member}") or "" for member in _OBJECT}
        reporter = "reportingController" if self.resource.group else "reportingComponent"
        found |= {"reason": event.get("reason") or "", "type": event.get("type") or "", "source": _source(event)}
        return found | {reporter: event.get("reportingComponent") or ""}

    def check_new(self, obj: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """The rules of new events; those of the newer group obey a few more."""
        event = self._core(obj)
        if event.get("eventTime"):
            _check_modern(event, "reportingController" if self.resource.group else "reportingComponent", causes)
        else:
            _check_namespace(event, causes)
        if self.resource.group:
            _check_strict(event, causes)

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """Of an event in the newer form only the series and the metadata change."""
        if not self.resource.group:
            return
        event, before = self._core(new), self._core(old)
        for member in (
            "involvedObject",
            "reason",
            "message",
            "source",
            "firstTimestamp",
            "lastTimestamp",
            "count",
            "type",
            "eventTime",
            "action",
            "related",
            "reportingComponent",
            "reportingInstance",
        ):
            if event.get(member) != before.get(member):
                path = "reportingController" if member == "reportingComponent" else member
                causes.invalid(path, event.get(member), IMMUTABLE)


def _check_namespace(event: JSON, causes: Causes) -> None:
    namespace = event["metadata"].get("namespace") or ""
    about = at(event, "involvedObject.namespace") or ""
    if (about and about != namespace) or (not about and namespace not in ("", "default")):
        causes.invalid("involvedObject.namespace", about, "does not match event.namespace")


def _check_modern(event: JSON, reporter: str, causes: Causes) -> None:
    namespace = event["metadata"].get("namespace") or ""
    about = at(event, "involvedObject.namespace") or ""
    if not about and namespace not in ("default", "kube-system"):
        causes.invalid("involvedObject.namespace", about, "does not match event.namespace")
    controller = event.get("reportingComponent") or ""
    if not controller:
        causes.required(reporter)
    for why in nameformats.qualified_name(controller):
        causes.invalid(reporter, controller, why)
    for member in ("reportingInstance", "action", "reason"):
        value = event.get(member) or ""
        if not value:
            causes.required(member)
        if len(value.encode()) > _LIMIT:
            causes.invalid(member, "", f"can have at most {_LIMIT} characters")
    if len((event.get("message") or "").encode()) > _NOTE_LIMIT:
        causes.invalid("message", "", f"can have at most {_NOTE_LIMIT} characters")


def _check_strict(event: JSON, causes: Causes) -> None:
    series = event.get("series")
    if series is not None:
        if (series.get("count") or 0) < 2:
            causes.invalid("series.count", "", "should be at least 2")
        if not series.get("lastObservedTime"):
            causes.required("series.lastObservedTime")
    if not event.get("eventTime"):
        causes.required("eventTime")
    kind = event.get("type") or ""
    if kind not in ("Normal", "Warning"):
        causes.invalid("type", "", f"has invalid value: {kind}")
    for member in ("firstTimestamp", "lastTimestamp", "count"):
        if event.get(member):
            causes.invalid(member, "", "needs to be unset")
    if any((event.get("source") or {}).values()):
        causes.invalid("source", "", "needs to be unset")


def strategy(found: Builtin, given: dict[str, Any]) -> EventKind:
    """Events as one of the two groups serves them."""
    about = "regarding" if found.resource.group else "involvedObject"
    names = [f"{about}.{member}" for member in _OBJECT]
    names += ["reason", "type", "source", "reportingController" if found.resource.group else "reportingComponent"]
    more = {"table": TABLE, "create_on_update": True, "fields": {name: text_at(name) for name in names}}
    return EventKind(**{**given, **more})
