"""What came of a plan, and what the controller is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lws.apimachinery.actions import FOREIGN_RECHECK, Action, Applied, Plan
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.errors import LwsError, TerminalError
from lws.runtime.controller import Done, RequeueAfter, Verdict

PASSING: Final = (401, 408, 429, 502, 503, 504)  # statuses of failures that say nothing of the object


class FoundError(LwsError):
    """An object has the name that the caches showed as free; nothing was written over it."""

    def __init__(self, live: JSON) -> None:
        super().__init__("an object of that name exists that is not in the cache")
        self.live = live


class PlanError(LwsError):
    """The plan itself says what is wrong; worth trying again."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(slots=True)
class Outcome:
    """What a run did.

    Attributes:
        written: (verb, resource, name) of every write that the server accepted, in order.
        applied: how the last apply left its object; None if there was none.
        deleted: UIDs whose deletion was accepted.
        status_written: whether the status was written.
        name_taken: whether somebody else's object has the name of one that was to be created.
        failed: the action at which the run ended with an error.
    """

    written: list[tuple[str, Resource, str]] = field(default_factory=list)
    applied: Applied | None = None
    deleted: list[str] = field(default_factory=list)
    status_written: bool = False
    name_taken: bool = False
    failed: Action | None = None


def verdict(plan: Plan, outcome: Outcome | None = None) -> Verdict:
    """The controller's verdict once the actions have run.

    The end of an object that is not ours may wake nobody, for the caches may not hold it; so it is looked for.

    Raises:
        TerminalError: the plan says that trying again cannot help.
        PlanError: the plan says that something is wrong for now.
    """
    if plan.error is not None:
        raise (TerminalError if plan.terminal else PlanError)(plan.error, plan.remedy)
    if plan.requeue_after is not None:
        return RequeueAfter(plan.requeue_after)
    return RequeueAfter(FOREIGN_RECHECK) if outcome is not None and outcome.name_taken else Done()


def sooner(found: Verdict, seconds: float | None) -> Verdict:
    """The verdict, but the key is looked at again after so many seconds at the latest; None for no such limit."""
    if seconds is None or (isinstance(found, RequeueAfter) and found.seconds <= seconds):
        return found
    return RequeueAfter(seconds)
