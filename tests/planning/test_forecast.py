"""Which groups a first pass would restart (operator 5.7, operator A35)."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest

from lws.api.leaderworkerset.objects import ControllerRevision, Deployment, StatefulSet
from lws.apimachinery.actions import Apply, Create, Plan
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS
from lws.planning.leaderworkerset.forecast import TEMPLATE, UPDATE, Forecast, forecast
from lws.planning.leaderworkerset.sets import plan_leaderworkerset
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from tests.planning import making


def created(**arguments: Any) -> tuple[SetSnapshot, JSON]:
    """A set as it is after its first pass, and its leader StatefulSet, whole."""
    lws = making.lws(**arguments)
    plan = plan_leaderworkerset(SetSnapshot(lws), making.NOW)
    made_first = [each for each in plan.actions if isinstance(each, Create)]
    (revision,) = [each.manifest for each in made_first if each.resource == CONTROLLERREVISIONS]
    (body,) = [each.manifest for each in plan.actions if isinstance(each, Apply)]
    live = {**body, "metadata": {**body["metadata"], "uid": making.STATEFULSET_UID}}
    made = msgspec.convert({**revision, "metadata": {**revision["metadata"], "uid": "r"}}, ControllerRevision)
    if lws.spec.hashed:
        return SetSnapshot(lws, leader_deployment=msgspec.convert(live, Deployment), revisions=(made,)), live
    return SetSnapshot(lws, leader_statefulset=msgspec.convert(live, StatefulSet), revisions=(made,)), live


def annotated(snapshot: SetSnapshot, now: datetime) -> Plan:
    """A planner that renders leader templates otherwise."""
    plan = plan_leaderworkerset(snapshot, now)
    manifests = {
        place: copy.deepcopy(each.manifest) for place, each in enumerate(plan.actions) if isinstance(each, Apply)
    }
    for manifest in manifests.values():
        manifest["spec"]["template"]["metadata"]["annotations"]["new"] = "1"
    actions = [
        replace(each, manifest=manifests[place]) if place in manifests and isinstance(each, Apply) else each
        for place, each in enumerate(plan.actions)
    ]
    return replace(plan, actions=tuple(actions))


@pytest.mark.parametrize("identity", ["Ordinal", "Hash"])
def test_a_controller_of_the_same_mind_restarts_nothing(identity: str) -> None:
    """What the planners themselves rendered is left alone, whatever the server added to it."""
    snapshot, live = created(replicas=3, groupIdentity=identity)
    live["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    assert forecast(snapshot, live, making.NOW) is None


@pytest.mark.parametrize(("partition", "groups"), [(0, 3), (2, 1), (3, 0)])
def test_another_leader_template_restarts_the_groups_above_the_partition(partition: int, groups: int) -> None:
    """Groups below the partition keep what they have."""
    snapshot, live = created(replicas=3, rolling={"partition": partition})
    expected = Forecast(groups, TEMPLATE) if groups else None
    assert forecast(snapshot, live, making.NOW, annotated) == expected


def test_leaders_of_a_deployment_are_looked_at_too() -> None:
    """Groups that are known by a key have their leaders from a Deployment, which knows no partition."""
    snapshot, live = created(replicas=3, groupIdentity="Hash")
    assert forecast(snapshot, live, making.NOW, annotated) == Forecast(3, TEMPLATE)


def test_a_spec_that_counts_as_an_update_restarts_groups() -> None:
    """A controller that sees another content than the stored revision has rolls the set."""
    snapshot, live = created(replicas=2)
    other = making.lws(replicas=2, image="app:2")
    assert forecast(replace(snapshot, lws=other), live, making.NOW) == Forecast(2, UPDATE)
