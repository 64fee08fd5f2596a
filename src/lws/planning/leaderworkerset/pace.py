"""What the leader StatefulSet is told as its maxUnavailable (spec 5.3, CD-37).

The partition keeps the pace of a rollout (spec 7.5); the StatefulSet's own maxUnavailable must never hold back what the
partition has released. Where the server honours it, the StatefulSet controller subtracts every leader that is not
available, whatever its ordinal: with max(1, U + S) alone a rollout with a broken group stands still, its repair and its
undo included.
"""

from __future__ import annotations

from collections.abc import Mapping

from lws.api.leaderworkerset.objects import Pod
from lws.apimachinery.integers import MAX_INT32
from lws.planning.leaderworkerset.groups import revision_key, running_and_ready
from lws.planning.leaderworkerset.rollout import Budget, Decision, LeaderNumbers


def max_unavailable(
    budget: Budget, now: LeaderNumbers | None, decision: Decision, leaders: Mapping[int, Pod], key: str
) -> int:
    """How many leaders may be down for the StatefulSet controller.

    At least max(1, U + S); as many as are unavailable plus those that are released and not replaced, if that is more.
    What an earlier pass raised stays until the rollout is over, so that it costs no write of its own.

    Args:
        budget: the resolved numbers.
        now: the leader StatefulSet, or None when there is none.
        decision: the partition and replicas that are applied with it.
        leaders: the leader pods, by index.
        key: the current revision key.
    """
    base = budget.statefulset_max_unavailable
    if now is None or now.max_unavailable is None:  # a server that drops it is to be spared a write for each change
        return base
    present = {index: pod for index, pod in leaders.items() if index < now.replicas and not pod.metadata.deleting}
    outdated = [index for index, pod in present.items() if revision_key(pod) != key]
    if not outdated:
        return base
    released = sum(1 for index in outdated if index >= decision.partition)
    unavailable = now.replicas - sum(1 for pod in present.values() if running_and_ready(pod))
    raised = max(base, now.max_unavailable)
    return min(MAX_INT32, max(raised, unavailable + released)) if released else raised
