"""A failed member is replaced before its group is (resilience 7): what one look decides, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.policies import SetPolicies
from lws.api.leaderworkerset.status import Failure, GroupRestarts
from lws.apimachinery.actions import EmitEvent
from lws.apimachinery.conditions import timestamp
from lws.planning.leaderworkerset.grace import Healing
from lws.planning.leaderworkerset.leader_pod import GroupPlan, plan_leader_pod
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from lws.planning.leaderworkerset.worker_pod import plan_worker_pod
from tests.planning import making
from tests.planning.group import Group
from tests.planning.making import NOW

GRANTED = SetPolicies(group_recovery_grace=300.0)


class Given(Group):
    """A group of three that has five minutes to get over failures."""

    def __init__(self, policy: str = "RecreateGroupOnPodRestart") -> None:
        super().__init__(policy)
        self.now = NOW
        self.healing: Healing | None = None
        self.failure: Failure | None = None
        self.entry: GroupRestarts | None = None
        self.settled: dict[str, int] = {}

    def snapshot(self) -> GroupSnapshot:
        """What the planner sees, with what is remembered."""
        return replace(
            super().snapshot(),
            now=self.now,
            policies=GRANTED,
            healing=self.healing,
            failure=self.failure,
            entry=self.entry,
            settled=self.settled,
        )

    def look(self, name: str) -> GroupPlan:
        """One pass over a pod; what it leaves to be remembered is."""
        pods: list[Pod] = [*self.workers, *([] if self.leader is None else [self.leader])]
        pod = next((each for each in pods if each.metadata.name == name), None)
        leads = pod is not None and pod is self.leader
        planned = plan_leader_pod(self.snapshot()) if leads else plan_worker_pod(self.snapshot(), name, pod)
        self.record, self.healing = planned.record, planned.healing
        if planned.incident is not None:
            self.failure = planned.incident.failure
        return planned

    def restart(self, index: int, count: int = 1, *, ready: bool) -> None:
        """Have the containers of a member be restarted."""
        if index:
            self.workers[index - 1] = making.worker(0, index, self.key, restarts=count, ready=ready)
        else:
            self.leader = making.leader(0, self.key, size=3, restarts=count, ready=ready)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now = self.now + timedelta(seconds=seconds)


def events(planned: GroupPlan) -> list[str]:
    """Reasons of the events of a plan."""
    found = [event for action in planned.plan.actions for event in getattr(action, "on_success", (action,))]
    return [event.reason for event in found if isinstance(event, EmitEvent)]


def test_a_worker_is_given_time_and_no_leader_goes() -> None:
    """A restarted worker that is not ready is noted, told of, and looked at again when its time is over."""
    group = Given()
    group.look("sample-0")
    group.restart(1, ready=False)
    planned = group.look("sample-0-1")
    assert making.deleted(planned.plan) == []
    assert events(planned) == ["GroupHealing"]
    assert planned.incident is not None
    assert planned.incident.failure is not None
    assert not planned.incident.final
    assert planned.incident.entry is None
    assert planned.plan.requeue_after == pytest.approx(301.0)
    assert events(group.look("sample-0-1")) == []


def test_ready_in_time_it_is_healed_once() -> None:
    """Whichever pod is looked at then, the failure is recorded as healed, once, and other pods have nothing to add."""
    group = Given()
    group.look("sample-0")
    group.restart(1, ready=False)
    group.look("sample-0-1")
    group.wait(200)
    group.restart(1, ready=True)
    healed = group.look("sample-0-2")
    assert events(healed) == ["GroupHealed"]
    assert healed.incident is not None
    assert healed.incident.failure is not None
    assert healed.incident.failure.healed
    assert healed.incident.failure.pod == "sample-0-1"
    group.failure = None
    for name in ("sample-0", "sample-0-1", "sample-0-2"):
        again = group.look(name)
        assert (events(again), again.incident, again.plan.requeue_after) == ([], None, None)


def test_not_ready_in_time_its_leader_goes_and_the_failure_counts() -> None:
    """When the time is over the group is recreated for what failed first, as its first failure."""
    group = Given()
    group.look("sample-0")
    group.restart(1, ready=False)
    group.look("sample-0-1")
    group.wait(302)
    over = group.look("sample-0")
    assert [each.name for each in making.deleted(over.plan)] == ["sample-0"]
    assert events(over) == ["RecreateGroup", "GroupFailed"]
    assert over.incident is not None
    assert over.incident.failure is not None
    assert (over.incident.failure.pod, over.incident.failure.restarts) == ("sample-0-1", 1)
    assert over.incident.final


def test_a_restart_of_the_leader_costs_its_group_though_it_is_ready_at_once() -> None:
    """The leader's failure recreates its group at once, probes or no probes."""
    group = Given()
    group.look("sample-0")
    group.restart(0, ready=True)
    group.look("sample-0-1")
    assert [each.name for each in making.deleted(group.look("sample-0").plan)] == ["sample-0"]


@pytest.mark.parametrize(("ready", "goes"), [(True, 0), (False, 1)])
def test_at_the_first_look_only_a_group_that_is_not_ready_has_failed(ready: bool, goes: int) -> None:
    """A controller that remembers nothing leaves a ready group alone whose leader was restarted at some time."""
    group = Given()
    group.restart(0, ready=ready)
    assert len(making.deleted(group.look("sample-0").plan)) == goes


def test_a_worker_that_is_ready_again_at_once_is_recorded_as_healed() -> None:
    """Without probes a restart is over as soon as it is seen; it is recorded, and the same one never again."""
    group = Given()
    group.look("sample-0-1")
    group.restart(1, ready=True)
    healed = group.look("sample-0-1")
    assert events(healed) == ["GroupHealed"]
    assert healed.incident is not None
    assert healed.incident.failure is not None
    assert healed.incident.failure.healed
    group.failure = None
    assert events(group.look("sample-0-1")) == []
    group.restart(1, 2, ready=True)
    assert events(group.look("sample-0-1")) == ["GroupHealed"]


def test_a_probe_that_fails_later_is_no_failure() -> None:
    """What a group got over is over: its worker may lose its readiness as any other."""
    group = Given()
    group.look("sample-0")
    group.restart(1, ready=True)
    group.look("sample-0-1")
    group.failure = None
    group.restart(1, ready=False)
    planned = group.look("sample-0-1")
    assert (events(planned), planned.plan.requeue_after) == ([], None)


def test_what_a_group_got_over_is_not_blamed_later() -> None:
    """The record of a later failure names the pod that failed then."""
    group = Given()
    group.look("sample-0")
    group.restart(1, ready=True)
    group.look("sample-0-1")
    group.failure = None
    group.restart(2, ready=False)
    group.look("sample-0-2")
    failure: Failure | None = group.failure
    assert failure is not None
    assert failure.pod == "sample-0-2"


def test_another_process_goes_on_with_the_time_of_the_status() -> None:
    """A failure that the status holds runs on; one that a faster clock noted is given its time from now at most."""
    group = Given()
    group.restart(1, ready=False)
    for seconds, left in ((-200.0, 101.0), (500.0, 301.0)):
        group.healing = None
        group.failure = Failure(
            time=timestamp(NOW + timedelta(seconds=seconds)), group="0", leader_uid="uid-leader-0", pod="sample-0-1"
        )
        planned = group.look("sample-0")
        assert planned.plan.requeue_after == pytest.approx(left)
        assert events(planned) == []


def test_a_back_off_that_is_longer_is_waited_for() -> None:
    """A group that failed often has until its back-off is over to become ready, if that is later."""
    group = Given()
    group.entry = GroupRestarts(index="0", leader_uid="before", restarts=8, time=making.EARLIER)
    group.leader = making.leader(0, group.key, size=3, creation_timestamp=timestamp(NOW))
    group.look("sample-0")
    group.restart(1, ready=False)
    for grace, left in ((300.0, 301.0), (10.0, 300.0)):
        asked = replace(GRANTED, group_recovery_grace=grace)
        planned = plan_worker_pod(replace(group.snapshot(), policies=asked), "sample-0-1", group.workers[0])
        assert planned.plan.requeue_after == pytest.approx(left)


def test_a_group_of_one_has_nobody_to_replace() -> None:
    """A leader without workers is recreated as ever."""
    group = Given()
    group.lws, group.workers, group.worker_set = making.lws(size=1), [], None
    group.leader = making.leader(0, group.key, size=1)
    group.look("sample-0")
    group.leader = making.leader(0, group.key, size=1, restarts=1)
    assert len(making.deleted(group.look("sample-0").plan)) == 1


def test_without_a_policy_that_recreates_nothing_is_noted() -> None:
    """Under None the annotation does nothing."""
    group = Given("None")
    group.look("sample-0")
    group.restart(1, ready=False)
    planned = group.look("sample-0-1")
    assert (planned.healing, planned.incident, events(planned)) == (None, None, [])
