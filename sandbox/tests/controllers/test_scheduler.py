"""Which node a pod gets, and what it is told when it gets none."""

from __future__ import annotations

import time

import pytest
from sandbox.tests.controllers.builders import node, pod

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.scheduler.gang import Gang, gang_message
from lws_sandbox.controllers.scheduler.nodecache import NodeCache
from lws_sandbox.controllers.scheduler.placement import NO_NODES, Placer
from lws_sandbox.controllers.scheduler.requests import pod_resources, read_request, tolerates

TAINT = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
ZONE = "topology.kubernetes.io/zone"


def _cluster(*nodes: JSON, placed: dict[str, JSON] | None = None) -> tuple[NodeCache, Placer]:
    cache = NodeCache()
    for item in nodes:
        cache.set_node(item)
    for where, item in (placed or {}).items():
        cache.add_pod(read_request(item), where)
    return cache, Placer(cache)


def _sentence(total: int, reasons: str, helpless: int) -> str:
    words = [f"{total - helpless} No preemption victims found for incoming pod"] if total > helpless else []
    words += [f"{helpless} Preemption is not helpful for scheduling"] if helpless else []
    here = f"0/{total} nodes are available"
    return f"{here}: {reasons}. no new claims to deallocate, preemption: {here}: {', '.join(words)}."


def _affinity(kind: str, term: JSON) -> JSON:
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _node_affinity(key: str, operator: str, *values: str) -> JSON:
    expression = {"key": key, "operator": operator, "values": list(values)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


FITS = [
    ("any node", pod("p"), node("n")),
    ("a node selector", pod("p", nodeSelector={"disk": "ssd"}), node("n", labels={"disk": "ssd"})),
    ("node affinity In", pod("p", affinity=_node_affinity("disk", "In", "ssd")), node("n", labels={"disk": "ssd"})),
    ("node affinity Gt", pod("p", affinity=_node_affinity("gen", "Gt", "4")), node("n", labels={"gen": "5"})),
    ("a toleration", pod("p", tolerations=[{"key": "dedicated", "operator": "Exists"}]), node("n", taints=[TAINT])),
    ("GPUs", pod("p", requests={"nvidia.com/gpu": "8"}), node("n", gpu=8)),
    ("the very last thousandth", pod("p", requests={"cpu": "4000m"}), node("n", cpu=4)),
    ("a taint that only prefers", pod("p"), node("n", taints=[{**TAINT, "effect": "PreferNoSchedule"}])),
    (
        "an unschedulable node that is tolerated",
        pod("p", tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]),
        node("n", unschedulable=True),
    ),
]


@pytest.mark.parametrize(("case", "wanted", "there"), FITS, ids=[case for case, _, _ in FITS])
def test_pods_find_nodes_that_fit(case: str, wanted: JSON, there: JSON) -> None:
    """A pod gets the node that meets its demands, and not the one beside it that does not."""
    other = node("other", unschedulable=True)
    assert _cluster(there, other)[1].find(read_request(wanted)) == "n"


REFUSALS = [
    ("selector", pod("p", nodeSelector={"disk": "ssd"}), "1 node(s) didn't match Pod's node affinity/selector", 1),
    (
        "affinity",
        pod("p", affinity=_node_affinity("disk", "In", "ssd")),
        "1 node(s) didn't match Pod's node affinity/selector",
        1,
    ),
    ("too large", pod("p", requests={"nvidia.com/gpu": "9"}), "1 Insufficient nvidia.com/gpu", 1),
    ("TPUs", pod("p", requests={"google.com/tpu": "4"}), "1 Insufficient google.com/tpu", 1),
    (
        "two things",
        pod("p", requests={"cpu": "5", "memory": "9Gi"}),
        "1 Insufficient cpu, 1 Insufficient memory",
        1,
    ),
]


@pytest.mark.parametrize(("case", "wanted", "reasons", "helpless"), REFUSALS, ids=[case for case, *_ in REFUSALS])
def test_pods_without_a_node_are_told_why(case: str, wanted: JSON, reasons: str, helpless: int) -> None:
    """The reasons are counted over all nodes, in the scheduler's own words."""
    placer = _cluster(node("n", gpu=8))[1]
    assert placer.find(read_request(wanted)) is None
    assert placer.explain(read_request(wanted)) == _sentence(1, reasons, helpless)


def test_every_node_gives_its_first_reason() -> None:
    """Of several nodes each counts once with what it fails first, sorted as text."""
    full = pod("full", requests={"nvidia.com/gpu": "8"})
    nodes = [
        node("cordoned", unschedulable=True),
        node("tainted", taints=[TAINT], gpu=8),
        node("full", gpu=8),
        node("bare-0"),
        node("bare-1"),
    ]
    placer = _cluster(*nodes, placed={"full": full})[1]
    wanted = read_request(pod("p", requests={"nvidia.com/gpu": "8"}))
    reasons = (
        "1 node(s) had untolerated taint {dedicated: gpu}, 1 node(s) were unschedulable, 3 Insufficient nvidia.com/gpu"
    )
    assert placer.find(wanted) is None
    assert placer.explain(wanted) == _sentence(5, reasons, 4)


def test_an_empty_cluster_says_so() -> None:
    """Without any node the sentence is another one."""
    assert _cluster()[1].explain(read_request(pod("p"))) == NO_NODES


def test_too_many_pods_are_a_reason() -> None:
    """A node takes as many pods as it says."""
    placer = _cluster(node("n", pods=1), placed={"n": pod("first")})[1]
    assert placer.explain(read_request(pod("p"))) == _sentence(1, "1 Too many pods", 0)


def _exclusive(name: str, group: str, key: str = ZONE) -> JSON:
    """A leader as exclusive placement makes it: near its own group, away from all others."""
    own = {"matchExpressions": [{"key": "group", "operator": "In", "values": [group]}]}
    others = {
        "matchExpressions": [
            {"key": "group", "operator": "Exists"},
            {"key": "group", "operator": "NotIn", "values": [group]},
        ]
    }
    affinity = {
        **_affinity("podAffinity", {"topologyKey": key, "labelSelector": own}),
        **_affinity("podAntiAffinity", {"topologyKey": key, "labelSelector": others}),
    }
    return pod(name, labels={"group": group}, affinity=affinity)


def _zones(count: int, size: int = 2) -> list[JSON]:
    return [node(f"z{i}-{j}", labels={ZONE: f"z{i}"}) for i in range(count) for j in range(size)]


def test_the_first_of_its_kind_may_go_anywhere() -> None:
    """A pod that must be near pods like itself starts where it likes when there is none."""
    assert _cluster(*_zones(2))[1].find(read_request(_exclusive("a", "g1"))) is not None


def test_groups_keep_to_their_domain_and_out_of_others() -> None:
    """Members join their group's domain; other groups stay out of it, also those that ask for nothing themselves."""
    cache, placer = _cluster(*_zones(2), placed={"z0-0": _exclusive("a", "g1")})
    mate, stranger = read_request(_exclusive("b", "g1")), read_request(_exclusive("c", "g2"))
    assert (placer.find(mate) or "").startswith("z0-")
    assert (placer.find(stranger) or "").startswith("z1-")
    bystander = read_request(pod("d", labels={"group": "g3"}))
    assert (placer.find(bystander) or "").startswith("z1-")
    cache.add_pod(stranger, "z1-0")
    late = read_request(_exclusive("e", "g4"))
    assert placer.find(late) is None
    reason = "4 node(s) didn't match pod anti-affinity rules"
    assert placer.explain(late) == _sentence(4, reason, 0)
    reason = "4 node(s) didn't satisfy existing pods anti-affinity rules"
    assert placer.explain(bystander) == _sentence(4, reason, 0)


def test_a_domain_is_free_again_when_its_group_goes() -> None:
    """The cache forget what a pod that is gone demanded of others."""
    cache, placer = _cluster(*_zones(1), placed={"z0-0": _exclusive("a", "g1")})
    stranger = read_request(_exclusive("c", "g2"))
    assert placer.find(stranger) is None
    cache.remove_pod("uid-a")
    assert placer.find(stranger) is not None


def test_pods_that_must_be_near_others_wait_for_them() -> None:
    """Without a pod of the kind, and not being of it, a pod finds no domain."""
    term = {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "db"}}}
    wanted = read_request(pod("p", affinity=_affinity("podAffinity", term)))
    cache, placer = _cluster(*_zones(2))
    assert placer.explain(wanted) == _sentence(4, "4 node(s) didn't match pod affinity rules", 4)
    cache.add_pod(read_request(pod("db", labels={"app": "db"})), "z1-1")
    assert (placer.find(wanted) or "").startswith("z1-")


def test_terms_speak_of_their_own_namespace_unless_told() -> None:
    """A pod of another namespace does not count for a term that names none."""
    term = {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "db"}}}
    _, placer = _cluster(*_zones(1), placed={"z0-0": pod("db", labels={"app": "db"}, namespace="other")})
    assert placer.find(read_request(pod("p", affinity=_affinity("podAffinity", term)))) is None
    everywhere = {**term, "namespaceSelector": {}}
    assert placer.find(read_request(pod("p", affinity=_affinity("podAffinity", everywhere)))) is not None


def test_relabelled_nodes_move_their_pods_between_domains() -> None:
    """When a node changes its zone, the pods on it count in the new one."""
    cache, placer = _cluster(*_zones(2, 1), placed={"z0-0": _exclusive("a", "g1")})
    assert placer.find(read_request(_exclusive("b", "g2"))) == "z1-0"
    cache.set_node(node("z0-0", labels={ZONE: "z1"}))
    assert placer.find(read_request(_exclusive("b", "g2"))) is None


RESOURCES = [
    ("containers add up", {"containers": ["1", "2"]}, 3000),
    ("the largest init container", {"containers": ["1"], "initContainers": ["4", "3"]}, 4000),
    ("sidecars stay", {"containers": ["1"], "initContainers": ["2*", "1"]}, 3000),
    ("sidecars and a later init container", {"containers": ["1"], "initContainers": ["2*", "5"]}, 7000),
    ("overhead", {"containers": ["1"], "overhead": {"cpu": "250m"}}, 1250),
    ("limits stand for requests", {"containers": ["limit:2"]}, 2000),
    ("resources of the pod", {"containers": ["1", "1"], "resources": {"requests": {"cpu": "500m"}}}, 500),
]


def test_pods_of_a_node_that_is_gone_are_nobodys_neighbours() -> None:
    """A node that is removed takes its pods along: nothing can be near them any more."""
    nodes = (node("a", labels={ZONE: "1"}), node("b", labels={ZONE: "1"}))
    cache, placer = _cluster(*nodes, placed={"a": pod("x", labels={"app": "x"})})
    near = _affinity("podAffinity", {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "x"}}})
    assert placer.find(read_request(pod("p", affinity=near))) is not None
    cache.remove_node("a")
    assert placer.find(read_request(pod("p", affinity=near))) is None


@pytest.mark.parametrize(("case", "given", "milli"), RESOURCES, ids=[case for case, _, _ in RESOURCES])
def test_pods_take_what_their_containers_need_at_most(case: str, given: JSON, milli: int) -> None:
    """Running containers together, or the worst moment of the start, whichever is more."""

    def container(text: str) -> JSON:
        member = "limits" if text.startswith("limit:") else "requests"
        value = text.removeprefix("limit:").rstrip("*")
        return {
            "resources": {member: {"cpu": value}},
            **({"restartPolicy": "Always"} if text.endswith("*") else {}),
        }

    spec = {
        key: [container(text) for text in value] if isinstance(value, list) else value for key, value in given.items()
    }
    assert pod_resources(spec)["cpu"] == milli


TOLERATIONS = [
    ({"operator": "Exists"}, True),
    ({"key": "dedicated", "operator": "Exists"}, True),
    ({"key": "dedicated", "value": "gpu"}, True),
    ({"key": "dedicated", "value": "cpu"}, False),
    ({"key": "other", "operator": "Exists"}, False),
    ({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, False),
]


@pytest.mark.parametrize(("toleration", "covered"), TOLERATIONS)
def test_tolerations_cover_taints(toleration: JSON, covered: bool) -> None:
    """Key, value and effect have to fit; an absent one fits all."""
    assert tolerates([toleration], TAINT) == covered


def test_gangs_say_what_they_wait_for() -> None:
    """A member of a group that cannot start is told of the group, in Volcano's words."""
    assert gang_message(Gang(3, 0, ["a"], {})) == "pod group is not ready, 1 Pending, 3 minAvailable"
    words = "pod group is not ready, 2 Pending, 2 minAvailable; Pending: 2 Unschedulable"
    assert gang_message(Gang(2, 0, ["a", "b"], {})) == words


def test_ten_thousand_pods_find_nodes_in_seconds() -> None:
    """A thousand groups of ten, each alone in its rack: placing them all costs little a pod, and all fit."""
    cache, placer = _cluster(*(node(f"n{i}", labels={"rack": f"r{i // 1}"}, cpu=64) for i in range(1000)))
    begin = time.perf_counter()
    for group in range(1000):
        leader = read_request(_exclusive(f"l{group}", f"g{group}", key="rack"))
        where = placer.find(leader)
        assert where is not None
        cache.add_pod(leader, where)
        rack = cache.nodes[where].labels["rack"]
        for index in range(9):
            name = f"w{group}-{index}"
            worker = read_request(pod(name, labels={"group": f"g{group}"}, nodeSelector={"rack": rack}))
            found = placer.find(worker)
            assert found is not None
            cache.add_pod(worker, found)
    took = time.perf_counter() - begin
    assert len({cache.node_of(f"uid-l{group}") for group in range(1000)}) == 1000
    assert took < 10.0, f"{took:.1f} s"
