"""What pods prefer of nodes and neighbours, and how evenly they are spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from sandbox.tests.controllers.builders import node, pod

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.scheduler.nodecache import NodeCache
from lws_sandbox.controllers.scheduler.placement import Placer
from lws_sandbox.controllers.scheduler.requests import read_request

ZONE = "zone"
APP = {"app": "a"}
SELECTOR = {"matchLabels": APP}
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
UNEVEN = "node(s) didn't match pod topology spread constraints"


def cache_of(*nodes: JSON) -> NodeCache:
    """NodeCache that know these nodes."""
    cache = NodeCache()
    for each in nodes:
        cache.set_node(each)
    return cache


def zones(*names: str, size: int = 2) -> list[JSON]:
    """Nodes, so many in each zone."""
    return [node(f"{name}{i}", labels={ZONE: name}) for name in names for i in range(size)]


def place(cache: NodeCache, pods: Iterable[JSON]) -> Counter[str]:
    """Place pods one after the other; how many each zone got."""
    placer = Placer(cache)
    found: Counter[str] = Counter()
    for each in pods:
        request = read_request(each)
        where = placer.find(request)
        if where is not None:
            cache.add_pod(request, where)
            found[cache.nodes[where].labels.get(ZONE, "")] += 1
    return found


def spread(skew: int = 1, when: str = "DoNotSchedule", key: str = ZONE, **more: Any) -> JSON:
    """A constraint on the pods of one application."""
    return {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": SELECTOR, **more}


def wishes(kind: str, term: JSON, weight: int = 100) -> JSON:
    """An affinity that only prefers."""
    member = "preference" if kind == "nodeAffinity" else "podAffinityTerm"
    return {kind: {PREFERRED: [{"weight": weight, member: term}]}}


def test_preferred_nodes_are_taken_while_they_fit() -> None:
    """Pods go to the node that they prefer although it is fuller, and elsewhere once it is full."""
    cache = cache_of(node("plain", cpu=64), node("fast", cpu=2, labels={"disk": "ssd"}))
    term = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    placer, found = Placer(cache), []
    for index in range(3):
        request = read_request(pod(f"p{index}", requests={"cpu": "1"}, affinity=wishes("nodeAffinity", term)))
        where = placer.find(request)
        assert where is not None
        cache.add_pod(request, where)
        found.append(where)
    assert found == ["fast", "fast", "plain"]


@pytest.mark.parametrize(("kind", "zone"), [("podAffinity", "b"), ("podAntiAffinity", "a")])
def test_preferred_neighbours_draw_and_repel(kind: str, zone: str) -> None:
    """A pod goes to the zone of those it would like near, or out of it; where there is no other, it goes there."""
    term = {"topologyKey": ZONE, "labelSelector": SELECTOR}
    cache = cache_of(*zones("a", "b"))
    cache.add_pod(read_request(pod("there", labels=APP)), "b0")
    wishing = [pod(f"p{i}", labels={"app": "other"}, affinity=wishes(kind, term)) for i in range(4)]
    assert place(cache, wishing) == {zone: 4}
    alone = cache_of(*zones("b"))
    alone.add_pod(read_request(pod("there", labels=APP)), "b0")
    assert place(alone, wishing) == {"b": 4}


def test_wishes_of_those_who_are_there_count_too() -> None:
    """A pod without any wish is kept off by one that would rather be alone, until that is gone."""
    term = {"topologyKey": ZONE, "labelSelector": SELECTOR}
    cache = cache_of(*zones("a", "b", size=1))
    cache.add_pod(read_request(pod("loner", affinity=wishes("podAntiAffinity", term))), "a0")
    assert place(cache, [pod(f"p{i}", labels=APP) for i in range(3)]) == {"b": 3}
    cache.remove_pod("uid-loner")
    assert not cache.wishing


def test_hard_spread_keeps_zones_even() -> None:
    """No zone holds more than maxSkew more than the emptiest; who would make it so waits, and is told why."""
    cache = cache_of(*zones("a", "b"), node("nowhere"))
    pods = [pod(f"p{i}", labels=APP, topologySpreadConstraints=[spread()]) for i in range(6)]
    assert place(cache, pods) == {"a": 3, "b": 3}
    for name in ("b0", "b1"):
        cache.set_node({**node(name, labels={ZONE: "b"}), "spec": {"unschedulable": True}})
    late = pod("late", labels=APP, topologySpreadConstraints=[spread()])
    assert place(cache, [late]) == {"a": 1}
    request = read_request({**late, "metadata": {**late["metadata"], "uid": "later"}})
    assert Placer(cache).find(request) is None
    told = Placer(cache).explain(request)
    assert f"2 {UNEVEN}, 1 {UNEVEN} (missing required label)" not in told
    assert f"1 {UNEVEN} (missing required label), 2 {UNEVEN}, 2 node(s) were unschedulable" in told
    assert "2 No preemption victims found for incoming pod, 3 Preemption is not helpful for scheduling" in told


def test_pods_that_end_are_spread_over_no_longer() -> None:
    """A pod that is being deleted makes room in its zone before it is gone."""
    cache = cache_of(*zones("a", "b", size=1))
    constraint = [spread(minDomains=2)]
    assert place(cache, [pod(f"p{i}", labels=APP, topologySpreadConstraints=constraint) for i in range(2)]) == {
        "a": 1,
        "b": 1,
    }
    cache.set_node({**node("b0", labels={ZONE: "b"}), "spec": {"unschedulable": True}})
    late = pod("late", labels=APP, topologySpreadConstraints=constraint)
    assert place(cache, [late]) == {"a": 1}
    later = pod("later", labels=APP, topologySpreadConstraints=constraint)
    assert place(cache, [later]) == {}
    version = cache.version
    cache.end_pod("uid-late")
    assert cache.version > version
    assert place(cache, [later]) == {"a": 1}


ALL_NODES: JSON = {"nodeAffinityPolicy": "Ignore"}


@pytest.mark.parametrize(
    ("more", "placed"),
    [
        ({}, 4),
        ({"minDomains": 2}, 1),
        (ALL_NODES, 1),
        ({**ALL_NODES, "skew": 2}, 2),
        ({**ALL_NODES, "labelSelector": {}}, 4),
        ({**ALL_NODES, "labelSelector": {"matchLabels": {"app": "other"}}}, 4),
        ({**ALL_NODES, "matchLabelKeys": ["app", "absent"]}, 1),
        ({**ALL_NODES, "matchLabelKeys": ["nr"]}, 4),
    ],
)
def test_what_a_hard_constraint_counts(more: JSON, placed: int) -> None:
    """Of four pods that only zone a admits, those go there that the skew against the domains that count allows."""
    cache = cache_of(*zones("a", "b"))
    pods = [
        pod(f"p{i}", labels={**APP, "nr": str(i)}, nodeSelector={ZONE: "a"}, topologySpreadConstraints=[spread(**more)])
        for i in range(4)
    ]
    assert place(cache, pods) == {"a": placed}


def test_tainted_nodes_count_unless_taints_are_honoured() -> None:
    """A zone that nobody may enter holds the others back, unless the constraint looks at taints."""
    taint = {"key": "k", "value": "v", "effect": "NoSchedule"}
    for policy, placed in (("Ignore", {"a": 1}), ("Honor", {"a": 3})):
        cache = cache_of(*zones("a", size=1), node("b0", labels={ZONE: "b"}, taints=[taint]))
        constraint = [spread(nodeTaintsPolicy=policy)]
        pods = [pod(f"p{i}", labels=APP, topologySpreadConstraints=constraint) for i in range(3)]
        assert place(cache, pods) == placed


def test_soft_spread_prefers_the_emptier_zone_and_refuses_none() -> None:
    """With ScheduleAnyway zones fill evenly though one has more nodes; where one is closed the other takes all."""
    cache = cache_of(*zones("a", size=3), *zones("b", size=1))
    soft = [spread(when="ScheduleAnyway"), spread(when="ScheduleAnyway", key="kubernetes.io/hostname")]
    pods = [pod(f"p{i}", labels=APP, topologySpreadConstraints=soft[:1]) for i in range(8)]
    assert place(cache, pods) == {"a": 4, "b": 4}
    cache.set_node({**node("b0", labels={ZONE: "b"}), "spec": {"unschedulable": True}})
    more = [pod(f"q{i}", labels=APP, topologySpreadConstraints=soft) for i in range(4)]
    assert place(cache, more) == {"a": 4}


def test_soft_spread_leaves_nodes_without_the_label_for_last() -> None:
    """A node that is in no domain is taken only when there is no other."""
    cache = cache_of(node("nowhere"), *zones("a", size=1))
    soft = [spread(when="ScheduleAnyway")]
    assert place(cache, [pod(f"p{i}", labels=APP, topologySpreadConstraints=soft) for i in range(3)]) == {"a": 3}
    cache.remove_node("a0")
    assert place(cache, [pod("late", labels=APP, topologySpreadConstraints=soft)]) == {"": 1}
