"""Conditions of a set some of whose groups have exhausted their restart budget (next 5.4)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from lws.apimachinery.conditions import Wanted, find, with_condition
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.conditions import AVAILABLE, PROGRESSING, UPDATE_IN_PROGRESS, Conditions

DEGRADED: Final = "Degraded"
AS_EXPECTED: Final = ("AsExpected", "No replica has exhausted its restart budget")
STOPPED: Final = (
    events.RESTART_BUDGET_EXCEEDED,
    "Automatic recovery is stopped for one or more replicas",
)
NOT_AVAILABLE: Final = (events.RESTART_BUDGET_EXCEEDED, "Not all replicas are ready")
_FALSE: Final[Mapping[str, tuple[str, str]]] = {
    AVAILABLE: NOT_AVAILABLE,
    PROGRESSING: STOPPED,
    UPDATE_IN_PROGRESS: (events.RESTART_BUDGET_EXCEEDED, "No rolling update is in progress"),
}


def told(
    turned: Conditions,
    before: Sequence[Condition],
    halted: Collection[str],
    exhausted: int,
    generation: int,
    now: datetime,
) -> Conditions:
    """The conditions with those of ``halted`` False for this reason, and ``Degraded`` last.

    Args:
        turned: the conditions after the standard ones were set.
        before: the conditions as they were stored.
        halted: the standard ones that are False because recovery has stopped; recorded though they were absent.
        exhausted: how many groups have exhausted their budget.
        generation: of the set.
        now: stamps what turns.
    """
    values, news = turned.values, turned.turned
    for kind in halted:
        reason, message = _FALSE[kind]
        news = news or _is_true(values, kind)
        values = with_condition(values, Wanted(kind, reason, message, "False"), generation, now)
    reason, message = STOPPED if exhausted else AS_EXPECTED
    wanted = Wanted(DEGRADED, reason, message, "True" if exhausted else "False")
    values = with_condition(values, wanted, generation, now)
    return Conditions(values, news or _is_true(values, DEGRADED) != _is_true(before, DEGRADED))


def _is_true(values: Sequence[Condition], kind: str) -> bool:
    found = find(values, kind)
    return found is not None and found.status == "True"
