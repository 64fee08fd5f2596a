"""Whether an object still has a reason to be: a pure judgement over its live owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.garbage.graph import FOREGROUND, ORPHAN
from lws_sandbox.controllers.objects import is_terminating, meta, owners_of

Propagation: TypeAlias = Literal["Foreground", "Background", "Orphan"]


@dataclass(frozen=True, slots=True)
class Keep:
    """At least one owner lives, and no reference is to be taken."""


@dataclass(frozen=True, slots=True)
class TakeReferences:
    """Some owner lives; the references to these others are taken."""

    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """No owner is left. ``unblock`` are owners in a circle of foreground deletion, which this object stops holding."""

    propagation: Propagation
    unblock: bool = False


Verdict: TypeAlias = Keep | TakeReferences | DeleteObject


def judge(obj: JSON, owners: Mapping[str, JSON | None], *, has_dependents: bool, circular: bool) -> Verdict:
    """Judge one object that names owners.

    Args:
        obj: the live object.
        owners: the live object at each reference's place, by the UID of the reference; None if there is none, or
            another than the one meant.
        has_dependents: whether anything names the object as its owner.
        circular: whether one of these is itself being deleted in the foreground.
    """
    references = owners_of(obj)
    dangling = [ref["uid"] for ref in references if owners.get(ref["uid"]) is None]
    waiting = [ref["uid"] for ref in references if _waits_for_dependents(owners.get(ref["uid"]))]
    if len(dangling) + len(waiting) < len(references):
        return TakeReferences((*dangling, *waiting)) if dangling or waiting else Keep()
    if waiting and has_dependents:
        return DeleteObject("Foreground", unblock=circular)
    return DeleteObject(_propagation(obj))


def _waits_for_dependents(owner: JSON | None) -> bool:
    """Whether the owner is being deleted in the foreground."""
    return owner is not None and is_terminating(owner) and FOREGROUND in (meta(owner).get("finalizers") or [])


def _propagation(obj: JSON) -> Propagation:
    """The way of deletion that the object's finalizers already promise."""
    finalizers = meta(obj).get("finalizers") or []
    if ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in finalizers else "Background"
