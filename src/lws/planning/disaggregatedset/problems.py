"""What keeps a DisaggregatedSet from being as it should be, for its condition and its events (DD-24)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.actions import Action, Create, Delete, EmitEvent, Patch
from lws.planning.disaggregatedset import events

CHILD_REJECTED: Final = "ChildRejected"
NAME_CONFLICT: Final = "NameConflict"
SCALER_MISSING: Final = "ScalerMissing"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        reason: the reason of condition Blocked.
        message: names the object and says what is the matter.
        event: tells of it, if anything does.
    """

    reason: str
    message: str
    event: EmitEvent | None = None


def refused(action: Action, error: str) -> Problem | None:
    """The server refused a creation or the scaling of a child; None for what only concerns ourselves."""
    cause = error.partition("\n")[0]
    match action:
        case Create(resource=resource, manifest=manifest):
            message = f"{resource.kind} {manifest['metadata']['name']}: {cause}"
            return Problem(CHILD_REJECTED, message, events.failed(events.FAILED_CREATE, message))
        case Patch(resource=resource, name=name) if resource == LEADERWORKERSETS:
            message = f"{resource.kind} {name}: {cause}"
            return Problem(CHILD_REJECTED, message, events.failed(events.FAILED_SCALE, message))
    return None


def attempted(action: Action) -> str:
    """What an action was to do, for the error that is logged (disaggregatedset 11.1)."""
    match action:
        case Create(resource=resource, manifest=manifest):
            return f"failed to create {resource.kind} {manifest['metadata']['name']}"
        case Patch(resource=resource, name=name, subresource=subresource):
            return f"failed to {'update the status of' if subresource else 'scale'} {resource.kind} {name}"
        case Delete(resource=resource, name=name):
            return f"failed to delete {resource.kind} {name}"
    return "failed to record an event"


def name_taken(name: str, uid: str, ds: str) -> Problem:
    """Somebody else's LeaderWorkerSet has the name of a child (DD-35)."""
    message = f"LeaderWorkerSet {name} exists but is not controlled by DisaggregatedSet {ds}; refusing to adopt it"
    event = events.failed(events.FAILED_CREATE, message)
    return Problem(NAME_CONFLICT, message, EmitEvent(event.type, event.reason, event.action, event.note, once=uid))


def scaler_missing(role: str, name: str) -> Problem:
    """An External role has no scaler, because the name of its own is somebody else's (DD-08)."""
    message = f"role {role} is External and has no scaler: {name} is not controlled by this DisaggregatedSet"
    return Problem(SCALER_MISSING, message)
