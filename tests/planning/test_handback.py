"""What is removed before the reference controller takes a set back (resilience 1.4)."""

from __future__ import annotations

import pytest

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.handback import OUR_CONDITIONS, hand_back

META: JSON = {"name": "web", "uid": "u", "namespace": "ns"}


def lws(*conditions: str, policy: str = "RecreateGroupOnPodRestart") -> JSON:
    """A set with these conditions."""
    told = [{"type": one, "status": "True", "custom": "kept"} for one in conditions]
    return {
        "metadata": META,
        "spec": {"leaderWorkerTemplate": {"restartPolicy": policy}},
        "status": {"conditions": told},
    }


def budget(name: str = "web", uid: str = "u", *, controller: bool = True) -> JSON:
    """A budget with an owner."""
    owner = {"kind": "LeaderWorkerSet", "name": "web", "uid": uid, "controller": controller}
    return {"metadata": {"name": name, "uid": "b", "ownerReferences": [owner]}}


def member(group: int, restarts: int, **meta: str) -> JSON:
    """A pod one of whose containers was restarted so often."""
    status = {"containerStatuses": [{"restartCount": 0}, {"restartCount": restarts}]}
    return {"metadata": {"labels": {labels.GROUP_INDEX: str(group)}, **meta}, "status": status}


def test_our_conditions_go_and_all_others_stay_as_they_are() -> None:
    """Those of the API, and of strangers, are kept member for member."""
    found = hand_back(lws("Available", "Stalled", "Degraded", "GroupsHealthy", "Foreign", "Blocked", "Paused"))
    assert set(found.conditions) == set(OUR_CONDITIONS)
    assert [one["type"] for one in found.kept] == ["Available", "Degraded", "Foreign"]
    assert all(one["custom"] == "kept" for one in found.kept)


@pytest.mark.parametrize(
    ("one", "ours"),
    [
        (budget(), True),
        (budget("other"), False),
        (budget(uid="another"), False),
        (budget(controller=False), False),
        ({"metadata": {"name": "web"}}, False),
    ],
)
def test_only_our_budget_goes(one: JSON, ours: bool) -> None:
    """One of the set's name that the set controls; a stranger's stays."""
    found = hand_back(lws(), budgets=[one])
    assert (found.budget, found.budget_uid) == (("web", "b") if ours else ("", ""))


def test_groups_that_the_reference_recreates_are_named() -> None:
    """A container restarted anywhere in a group, where the policy takes it for a failure; ending pods do not count."""
    pods = [member(3, 1), member(0, 2), member(1, 0), member(2, 1, deletionTimestamp="x")]
    assert hand_back(lws(), pods).recreated == ("0", "3")
    assert hand_back(lws(policy="RecreateGroupAfterStart"), pods).recreated == ("0", "3")
    assert hand_back(lws(policy="None"), pods).recreated == ()


def test_groups_known_by_a_key_are_named_by_its_beginning() -> None:
    """A group with identity Hash is named as its set's status names it."""
    pod = member(0, 1)
    pod["metadata"]["labels"][labels.GROUP_INDEX] = "3f" * 20
    assert hand_back(lws(), [pod]).recreated == ("3f3f3f3f",)


def test_a_set_that_can_be_taken_as_it_is_needs_nothing() -> None:
    """Without status, pods and budgets there is nothing to do."""
    assert hand_back({"metadata": META}).nothing
    assert not hand_back(lws("Stalled")).nothing
