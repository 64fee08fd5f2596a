"""Restarting groups: the pace, the preconditions, and groups that gave up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.cli.kubectl.restart import EXHAUSTED, RECOVER, Work, due, finished
from lws.errors import ConfigurationError, LwsError
from lws.planning.leaderworkerset.diagnosis.facts import Facts
from tests.cli.sessions import Plugin
from tests.cli.shelf import Shelf, pod, site
from tests.planning.diagnosis_facts import group, healthy, set_facts, terminated
from tests.planning.diagnosis_facts import pod as report
from tests.virtual import virtual_time


def four(broken: tuple[int, ...] = (), *, unavailable: int = 1) -> Facts:
    """Four groups, some of them broken."""
    groups = tuple(
        group(index, report(f"s-{index}", group=index, worker=0, status=terminated(1)))
        if index in broken
        else group(index)
        for index in range(4)
    )
    return healthy(4, groups=groups, lws=set_facts(4, allowed_unavailable=unavailable))


def everything(facts: Facts) -> Work:
    """All leaders are to be replaced."""
    return Work({one.leader.metadata.uid: str(one.index) for one in facts.groups if one.leader})


@pytest.mark.parametrize(
    ("broken", "unavailable", "now", "expected"),
    [
        ((), 1, False, [3]),
        ((), 2, False, [3, 2]),
        ((), 0, False, [3]),  # with surge alone, one at a time all the same
        ((0,), 1, False, [0]),  # what is down is restarted, and uses the budget up
        ((0,), 2, False, [0, 3]),
        ((0, 1, 2), 1, False, [2, 1, 0]),
        ((), 1, True, [3, 2, 1, 0]),
    ],
)
def test_no_more_groups_are_down_than_an_update_may_take(
    broken: tuple[int, ...], unavailable: int, now: bool, expected: list[int]
) -> None:
    """At most max(1, maxUnavailable) groups are down at once; the highest first, broken ones before."""
    facts = four(broken, unavailable=unavailable)
    assert [one.index for one in due(facts, everything(facts), now=now)] == expected


def test_a_group_is_not_restarted_twice() -> None:
    """A group that was asked for, is ending, or has another leader already is left alone."""
    facts = four()
    work = everything(facts)
    work.asked.append("uid-s-3")
    meta = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    ending = group(2, report("s-2", group=2, worker=0, metadata=meta))
    other = group(1, report("s-1", group=1, worker=0, metadata={"uid": "another"}))
    now = replace(
        facts, groups=(facts.groups[0], other, ending, facts.groups[3]), lws=set_facts(4, allowed_unavailable=9)
    )
    assert [one.index for one in due(now, work)] == [0]


def test_it_ends_when_every_group_has_another_leader_and_is_ready() -> None:
    """Ready alone is not enough, since the old leader may be; a group that was scaled away is not waited for."""
    facts = four()
    work = everything(facts)
    assert not finished(facts, work)
    renewed = tuple(
        group(index, report(f"s-{index}", group=index, worker=0, metadata={"uid": f"new-{index}"}), workers=None)
        for index in range(3)
    )
    assert not finished(replace(facts, groups=renewed), work)
    assert finished(replace(facts, groups=()), work)


class Recreating(Shelf):
    """Replaces each leader that is deleted, as StatefulSets do."""

    async def delete(self, resource: Any, namespace: str, name: str, **options: Any) -> JSON:
        """Another pod of the name, with a new worker set."""
        await super().delete(resource, namespace, name, **options)
        for one in self.objects[PODS]:
            if one["metadata"]["name"] == name:
                one["metadata"] = {**one["metadata"], "uid": f"{len(self.deleted)}-{name}"}
        return {}


@virtual_time
async def test_leaders_are_deleted_one_after_the_other() -> None:
    """Foreground deletion with the UID as precondition, a line for each, and one at the end."""
    shelf = Recreating(site(2, 1).objects)
    plugin = Plugin(shelf)
    assert (await plugin.run("restart web")).splitlines() == [
        "group 1: leader pod web-1 is deleted",
        "group 0: leader pod web-0 is deleted",
        "leaderworkerset/web restarted (2 groups)",
    ]
    assert shelf.deleted == [
        ("web-1", {"uid": "uid-web-1", "propagation": "Foreground"}),
        ("web-0", {"uid": "uid-web-0", "propagation": "Foreground"}),
    ]
    shelf.deleted.clear()
    await plugin.run("restart web --group 0 -o json")
    assert [name for name, _ in shelf.deleted] == ["web-0"]
    with pytest.raises(ConfigurationError, match="web has no group 9 with a leader; it has 0-1"):
        await plugin.run("restart web --group 9")


@virtual_time
async def test_an_exhausted_group_is_recovered() -> None:
    """Its leader gets the annotation that asks for recovery, and is not deleted (resilience 3.3)."""
    shelf = site(1, 1)
    shelf.objects[PODS] = [pod("web", 0, metadata={"annotations": {EXHAUSTED: "true", labels.SIZE: "1"}})]
    with pytest.raises(LwsError, match="timed out"):
        await Plugin(shelf).run("restart web --group 0 --timeout 5s")
    assert shelf.deleted == []
    ((kind, name, patch, _),) = shelf.patched
    assert (kind, name) == ("pods", "web-0")
    assert patch == {"metadata": {"uid": "uid-web-0", "annotations": {RECOVER: "true"}}}


@virtual_time
async def test_what_a_time_limit_left_undone_is_said() -> None:
    """After --timeout the groups that were not restarted are named."""
    with pytest.raises(LwsError, match=r"not restarted: 0$"):
        await Plugin(site(2, 1)).run("restart web --timeout 5s")


def test_groups_known_by_a_key_are_told_by_their_leaders() -> None:
    """Their order changes as they are replaced: a leader that is gone is done, whichever place its successor takes."""
    facts = four()
    facts = replace(facts, lws=set_facts(4, hashed=True))
    work = everything(facts)
    assert [one.index for one in due(facts, work)] == [3]
    work.asked.append("uid-s-3")
    fresh = group(0, report("s-0", group=0, worker=0, metadata={"uid": "new"}), workers=None)
    shifted = replace(facts, groups=(fresh, *facts.groups[:3]))
    assert not finished(shifted, work)
    assert [one.leader.metadata.uid for one in due(shifted, work) if one.leader] == []  # the new one is not ready
    whole = [group(i, report(f"s-{i}", group=i, worker=0, metadata={"uid": f"new-{i}"}), None) for i in range(4)]
    ready = tuple(replace(one, state=facts.groups[0].state) for one in whole)
    assert finished(replace(facts, groups=ready), work)
    assert not finished(replace(facts, groups=ready[:3]), work)
