"""The events about a DisaggregatedSet, byte for byte (disaggregatedset 10)."""

from __future__ import annotations

from datetime import datetime

from lws.apimachinery.actions import EmitEvent

CREATE = "Create"
UPDATE = "Update"
DELETE = "Delete"
CONFLICT = "Conflict"
DELETED = "LWSDeleted"
FAILED_CREATE = "FailedCreate"
FAILED_SCALE = "FailedScale"
_LONGEST_NOTE = 1024  # bytes


def started(revision: str) -> EmitEvent:
    """Event 1."""
    return EmitEvent("Normal", "RollingUpdateStarted", UPDATE, f"Started rolling update to revision {revision}")


def completed(revision: str) -> EmitEvent:
    """Event 2 (DD-10)."""
    return EmitEvent("Normal", "RollingUpdateCompleted", UPDATE, f"Completed rolling update to revision {revision}")


def scaled(role: str, child: str, old: int, new: int) -> EmitEvent:
    """Event 3 when replicas rise, 4 when they fall."""
    reason, verb = ("ScalingUp", "Scaling up") if new > old else ("ScalingDown", "Scaling down")
    return EmitEvent("Normal", reason, UPDATE, f"{verb} {role} LWS {child} from {old} to {new} replicas")


def slice_removed(child: str, slice_: int) -> EmitEvent:
    """Event 5."""
    return EmitEvent("Normal", DELETED, DELETE, f"Deleted LWS {child} for removed slice {slice_}")


def drained(child: str) -> EmitEvent:
    """Event 6."""
    return EmitEvent("Normal", DELETED, DELETE, f"Deleted drained LWS {child}")


def scaler_conflict(name: str, uid: str, now: datetime) -> EmitEvent:
    """Event 7: for each foreign object at most once an hour (DD-18)."""
    note = f"Scaler {name} exists but is not controlled by this DisaggregatedSet; not adopting"
    return EmitEvent("Warning", "ScalerConflict", CONFLICT, note, once=f"{uid} {int(now.timestamp()) // 3600}")


def migrated(child: str) -> EmitEvent:
    """Event 8."""
    note = f"Deleted legacy slice-0 LWS {child} to recreate it in slice-aware form"
    return EmitEvent("Normal", DELETED, "Migrate", note)


def scaler_created(name: str, role: str) -> EmitEvent:
    """Event 9."""
    return EmitEvent("Normal", "ScalerCreated", CREATE, f"Created scaler {name} for role {role}")


def scaler_deleted(name: str, role: str) -> EmitEvent:
    """Event 10."""
    note = f"Deleted scaler {name} (role {role} is no longer External)"
    return EmitEvent("Normal", "ScalerDeleted", DELETE, note)


def service_conflict(name: str, uid: str = "") -> EmitEvent:
    """Somebody else's Service has the name of ours (DD-14)."""
    note = f"Service {name} exists but is not controlled by this DisaggregatedSet; not adopting"
    return EmitEvent("Warning", "ServiceConflict", CONFLICT, note, once=uid)


def failed(reason: str, note: str) -> EmitEvent:
    """Something of the set's could not be created or scaled: told at first, and when the cause changes (DD-24)."""
    shown = note.encode()[:_LONGEST_NOTE].decode(errors="ignore")
    return EmitEvent("Warning", reason, CREATE if reason == FAILED_CREATE else UPDATE, shown, once=shown)
