"""What keeps a set from becoming Available for good, or until somebody acts: told by event and condition.

Nothing here changes what is done. An event is recorded once for each cause; the words of a condition are written with
the status write that happens anyway (CD-29).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.namelengths import LONGEST_STATEFULSET_NAME, first_index_without_pods
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import EmitEvent
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.groups import ABSENT, GroupState
from lws.planning.leaderworkerset.rollout import Decision, LeaderNumbers

NAMED: Final = 3  # groups that a message names; of more it tells the number


@dataclass(frozen=True, slots=True)
class Blocker:
    """One cause.

    Attributes:
        reason: the reason that the condition Available gives while it is False.
        message: what is wrong, as the second half of a sentence; without a percent sign.
        event: tells of it once.
    """

    reason: str
    message: str
    event: EmitEvent


def name_too_long(lws: LeaderWorkerSet, groups: int) -> Blocker | None:
    """The name leaves no room for the index of one of so many groups (spec 1.6)."""
    first = first_index_without_pods(lws.metadata.name, lws.spec.leader_worker_template.size)
    if first is None or first >= groups:
        return None
    whose = f"groups from index {first} on" if first else "its groups"
    remedy = f"a StatefulSet's name must not be longer than {LONGEST_STATEFULSET_NAME} characters, so use a shorter one"
    note = f"The name of the set is too long for {whose} to get all their pods: {remedy}"
    event = events.name_too_long(note, once=f"{lws.metadata.uid}/{events.NAME_TOO_LONG}/{first}")
    return Blocker(events.NAME_TOO_LONG, f"the name is too long for {whose} to get all their pods", event)


def rollout_waiting(
    lws: LeaderWorkerSet,
    key: str,
    now: LeaderNumbers,
    decision: Decision,
    groups: Mapping[int, GroupState],
) -> Blocker | None:
    """A rollout that may release no group, because groups that it has not reached are down and use the budget up.

    A partition cannot pick groups: those of higher indices go first. So where the budget is used up below it, nothing
    that the rollout itself does will let it go on.
    """
    if decision.case != "5" or not decision.below or decision.partition != now.partition:
        return None
    above = range(decision.partition, now.replicas)
    if any(not groups.get(index, ABSENT).good for index in islice(above, len(groups) + 1)):
        return None
    down = list(islice(_down(groups, decision.partition), NAMED))
    who = named(down, decision.below)
    note = (
        f"A rolling update waits for {who} below partition {decision.partition}: not ready, maxUnavailable is "
        "used up, and groups of higher indices go first. See to it, raise maxUnavailable, or allow for maxSurge"
    )
    event = events.rollout_waiting(note, once=f"{lws.metadata.uid}/{events.ROLLOUT_WAITING}/{key}/{down}")
    return Blocker(events.ROLLOUT_WAITING, f"the update waits for {who}, as maxUnavailable is used up", event)


def _down(groups: Mapping[int, GroupState], end: int) -> Iterable[int]:
    states = ((index, groups.get(index, ABSENT)) for index in range(end))
    return (index for index, state in states if not state.ready and not state.free)


def named(indices: Sequence[int | str], count: int) -> str:
    """Groups by index, or the beginning of their key, and of many how many more there are."""
    more = count - len(indices)
    listed = ", ".join(str(index) for index in indices)
    return f"group{'s' if count != 1 else ''} {listed}{f' and {more} more' if more > 0 else ''}"


def unadmitted(lws: LeaderWorkerSet, leaders: Iterable[Pod]) -> EmitEvent | None:
    """Some leader was admitted without the webhook, so the containers of its group lack the variables of spec 4.7."""
    pod = next((each for each in leaders if not each.metadata.label(labels.GROUP_KEY)), None)
    if pod is None:
        return None
    note = (
        f"Pod {pod.metadata.name} was admitted without the webhook, so its containers lack "
        f"{labels.ENV_LEADER_ADDRESS}, {labels.ENV_GROUP_SIZE} and {labels.ENV_WORKER_INDEX}: see that the webhook "
        "configurations are there and take in this namespace, then delete the pod"
    )
    return events.unadmitted(note, once=f"{lws.metadata.uid}/{events.UNADMITTED}")
