"""Alerts about one LeaderWorkerSet, or one DisaggregatedSet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import NODES, PODS, STATEFULSETS
from lws_sandbox.controllers.quotas import RESOURCEQUOTAS
from tests.acceptance.disaggregatedset.site import A, B, roles
from tests.api.disaggregatedset.making import manifest as made
from tests.api.disaggregatedset.making import role
from tests.monitoring.incidents.staging import QUIET, SET, Incident, Site, site, staged
from tests.monitoring.promtool import Story
from tests.simulation.cluster import LOOPS, NAMESPACE, manifest

BROKEN: Final = {"spec": {"containers": [{"name": "bad", "image": "broken:1"}]}}  # no node can pull its image
HISTORY: Final = {f"{PREFIX}revision-history-limit": "5"}  # which the shipped policies say of every set
FOREIGN: Final = {
    "metadata": {"name": "web", "namespace": NAMESPACE},
    "spec": {
        "replicas": 0,
        "serviceName": "x",
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}},
    },
}


@staged("LWSSetNotReady", "`kubectl uncordon NODE`")
async def no_node() -> Story:
    """No node takes pods."""
    async with site() as here:
        nodes = [f"node-{number}" for number in range(4)]
        for node in nodes:
            await here.drill("node.cordon", name=node)
        await here.create()
        early = await here.wait(1740)
        late = await here.wait(660)
        for node in nodes:
            await here.drill("node.uncordon", name=node)
        await here.available()
        after = await here.wait(600)
        return here.story().silent(early, after, alerts=QUIET).fires("LWSSetNotReady", late, **SET)


async def _broken_update(here: Site, **spec: Any) -> None:
    """Bring the set up, and begin an update to a template whose image cannot be pulled."""
    for index in range(3):
        here.cluster.sandbox.loops.kubelets.faults.image((NAMESPACE, f"web-{index}"), "bad")
    await here.create(size=2, **spec)
    await here.available()
    await here.patch(spec={"leaderWorkerTemplate": {"workerTemplate": BROKEN}})


@staged("LWSSetNotReady", "`kubectl lws rollout undo -n NS NAME` in the middle of an update")
async def unpullable_image() -> Story:
    """The image of an update cannot be pulled."""
    async with site() as here:
        await _broken_update(here)
        early = await here.wait(1740)
        late = await here.wait(660)
        await here.lws("rollout undo web")
        await here.available()
        after = await here.wait(600)
        return here.story().silent(early, after, alerts=QUIET).fires("LWSSetNotReady", late, **SET)


@staged("LWSSetNotReady", "raise the quota")
async def pods_over_quota() -> Story:
    """The quota of the namespace has room for one group of two."""
    async with site(loops=(*LOOPS, "resourcequota-controller")) as here:
        quota = {"metadata": {"name": "tight", "namespace": NAMESPACE}, "spec": {"hard": {"pods": "3"}}}
        await here.client.create(RESOURCEQUOTAS, quota)
        await here.wait(30)
        await here.create()
        late = await here.wait(2400)
        await here.client.patch(RESOURCEQUOTAS, NAMESPACE, "tight", {"spec": {"hard": {"pods": "10"}}})
        await here.available(1500)
        after = await here.wait(600)
        return here.story().fires("LWSSetNotReady", late, **SET).silent(after, alerts=QUIET)


@staged("LWSSetBlocked", "`kubectl -n NS delete statefulset NAME`")
async def blocked() -> Story:
    """A StatefulSet of somebody else has the set's name."""
    async with site() as here:
        await here.client.create(STATEFULSETS, FOREIGN)
        await here.create()
        during = await here.wait(600)
        await here.client.delete(STATEFULSETS, NAMESPACE, "web")
        await here.available()
        after = await here.wait(600)
        return here.story().fires("LWSSetBlocked", during, **SET).silent(after, alerts=QUIET)


async def _failing(remedy: Callable[[Site], Awaitable[None]]) -> Story:
    async with site() as here:
        for wire in here.wires:
            wire.refused = {"statefulsets"}
        await here.create()
        during = await here.wait(900)
        for wire in here.wires:
            wire.refused = set()
        await remedy(here)
        after = await here.wait(900)
        return here.story().fires("LWSSetFailing", during, **SET).silent(after, alerts=QUIET)


@staged("LWSSetFailing", "the controller tries again by itself, at the latest after 17 minutes")
async def failing() -> Story:
    """Every write of a StatefulSet is refused by a quota, until it is raised."""
    return await _failing(lambda here: here.available(17 * 60))


@staged("LWSSetFailing", '`kubectl -n NS annotate leaderworkerset NAME try-again="$(date +%s)" --overwrite`')
async def failing_until_told() -> Story:
    """The same; with the annotation the set comes up at once."""

    async def annotate(here: Site) -> None:
        await here.patch(metadata={"annotations": {"try-again": "1"}})
        await here.available(30)

    return await _failing(annotate)


@staged("LWSGroupCrashLooping", "`kubectl cordon NODE`")
async def bad_node() -> Story:
    """A group fails every four minutes on a bad node; cordoned, its next pods go elsewhere, and no other group's."""
    async with site() as here:
        await here.create()
        await here.available()
        before = await here.pods()
        for _ in range(3):
            await here.wait(240)
            await here.drill("pod.crash", name="web-0-1")
        during = await here.wait(60)
        bad = before["web-0-1"][1]
        await here.drill("node.cordon", name=bad)
        await here.drill("pod.crash", name="web-0-1")
        await here.available()
        now = await here.pods()
        assert all(now[name] == before[name] for name in before if name.startswith("web-1"))
        assert now["web-0-1"][1] != bad
        after = await here.wait(3600 + 1200)
        return here.story().fires("LWSGroupCrashLooping", during, **SET).silent(after, alerts=QUIET)


async def _bad_program(first: dict[str, Any], bad: dict[str, Any], drill: str, remedy: str | dict[str, Any]) -> Story:
    """Containers fail every four minutes as long as they are like the bad one; a command or template is the remedy."""

    def template(container: dict[str, Any]) -> dict[str, Any]:
        return {"spec": {"leaderWorkerTemplate": {"workerTemplate": {"spec": {"containers": [container]}}}}}

    async def fail_if_bad(here: Site) -> None:
        (container,) = (await here.client.get(PODS, NAMESPACE, "web-0-1"))["spec"]["containers"]
        limits = [each.get("resources", {}).get("limits") for each in (bad, container)]
        if container["image"] == bad["image"] and limits[0] == limits[1]:
            await here.drill(drill, name="web-0-1")

    async with site() as here:
        for node in (await here.client.list(NODES))["items"]:
            memory = {
                "status": {each: {**node["status"][each], "memory": "64Gi"} for each in ("capacity", "allocatable")}
            }
            await here.client.patch(NODES, "", node["metadata"]["name"], memory, subresource="status")
        await here.create(metadata={"annotations": HISTORY})
        await here.patch(**template({"name": "main", **first}))
        await here.available()
        await here.patch(**template({"name": "main", **bad}))
        await here.wait(300)
        for _ in range(3):
            await fail_if_bad(here)
            during = await here.wait(240)
        if isinstance(remedy, str):
            await here.lws(remedy)
        else:
            await here.patch(**template({"name": "main", **remedy}))
        await here.wait(300)
        for _ in range(18):
            await fail_if_bad(here)
            after = await here.wait(240)
        return here.story().fires("LWSGroupCrashLooping", during, **SET).silent(after, alerts=QUIET)


@staged("LWSGroupCrashLooping", "`kubectl lws rollout undo -n NS NAME`")
async def bad_revision() -> Story:
    """A group fails every four minutes since an update, which is complete."""
    return await _bad_program({"image": "app:1"}, {"image": "app:2"}, "pod.crash", "rollout undo web")


@staged("LWSGroupCrashLooping", "raise the memory of the template: a rolling update")
async def too_little_memory() -> Story:
    """A worker is killed for its memory every four minutes, as long as its limit is what it was."""
    small, enough = ({"image": "app:1", "resources": {"limits": {"memory": each}}} for each in ("1Gi", "4Gi"))
    return await _bad_program(small, small, "pod.oom", enough)


@staged("LWSGroupFailed", "kubectl lws restart -n NS NAME --group 1")
async def exhausted() -> Story:
    """A group that may be recreated once fails twice."""
    async with site() as here:
        await here.create(section={"maxGroupRestarts": 1})
        await here.available()
        for _ in range(2):
            await here.drill("pod.crash", name="web-1-1")
            await here.cluster.quiet(5)
        early = await here.wait(30)
        during = await here.wait(270)
        await here.lws("restart web --group 1")
        await here.available()
        after = await here.wait(600)
        story = here.story().fires("LWSGroupFailed", during, **SET).silent(early, alerts=["LWSGroupFailed"])
        return story.silent(after, alerts=QUIET)


async def _lost_node(remedy: Callable[[Site, str], Awaitable[Any]]) -> Story:
    """The kubelet of a node that has a worker of the first group is heard no more."""
    async with site(heartbeat=10.0) as here:
        await here.create()
        await here.available()
        lost = (await here.pods())["web-0-1"][1]
        await here.drill("node.fail", name=lost)
        early = await here.wait(600)
        during = await here.wait(1200)
        await remedy(here, lost)
        await here.available()
        after = await here.wait(900)
        story = here.story().fires("LWSNodeLostHoldsGroup", during, **SET)
        return story.silent(early, alerts=["LWSNodeLostHoldsGroup"]).silent(after, alerts=QUIET)


@staged("LWSNodeLostHoldsGroup", "`kubectl delete node NODE`")
async def lost_node() -> Story:
    """The machine is gone."""
    return await _lost_node(lambda here, node: here.client.delete(NODES, "", node))


@staged("LWSNodeLostHoldsGroup", "`node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`")
async def node_shut_down() -> Story:
    """The machine is off for good."""
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}

    async def shut_down(here: Site, node: str) -> None:
        found = await here.client.get(NODES, "", node)
        found["spec"]["taints"] = [*found["spec"].get("taints", ()), taint]
        await here.client.update(NODES, found)

    return await _lost_node(shut_down)


@staged("LWSNodeLostHoldsGroup", "annotation `release-lost-nodes-after`")
async def lost_node_let_go() -> Story:
    """The set is told that it may let go of lost nodes."""
    release = {"annotations": {f"{PREFIX}release-lost-nodes-after": "2m"}}
    return await _lost_node(lambda here, _: here.patch(metadata=release))


@staged("LWSRolloutStalled", "kubectl lws rollout undo NAME -n NS")
async def stalled_update() -> Story:
    """An update whose image cannot be pulled has a deadline of ten minutes."""
    async with site() as here:
        await _broken_update(here, metadata={"annotations": {f"{PREFIX}progress-deadline": "10m"}})
        early = await here.wait(540)
        during = await here.wait(360)
        await here.lws("rollout undo web")
        await here.available()
        after = await here.wait(600)
        return here.story().silent(early, after, alerts=QUIET).fires("LWSRolloutStalled", during, **SET)


@staged("LWSDisaggregatedSetStalled", "see to its finalizers: its successor waits for the name")
async def held_by_a_finalizer() -> Story:
    """A new LeaderWorkerSet is deleted amid a rollout, and a foreign finalizer keeps it."""
    async with site(disaggregated=True) as here:
        client, target = here.client, f"web-0-{B}-decode"

        async def begun() -> bool:
            return await here.cluster.get(LEADERWORKERSETS, target) is not None

        await client.create(DISAGGREGATEDSETS, {**made(*roles(3, 3), name="web"), "metadata": SET})
        await here.wait(300)
        await client.patch(DISAGGREGATEDSETS, NAMESPACE, "web", {"spec": {"roles": roles(3, 3, "3.10")}})
        await here.cluster.until(begun)
        await client.patch(LEADERWORKERSETS, NAMESPACE, target, {"metadata": {"finalizers": ["example.com/slow"]}})
        await client.delete(LEADERWORKERSETS, NAMESPACE, target)
        early = await here.wait(600)
        during = await here.wait(600)
        await client.patch(LEADERWORKERSETS, NAMESPACE, target, {"metadata": {"finalizers": []}})
        after = await here.wait(900)
        story = here.story().fires("LWSDisaggregatedSetStalled", during, **SET)
        return story.silent(early, after, alerts=QUIET).silent(during, alerts=["LWSSetNotReady"])


@staged("LWSDisaggregatedSetStalled", "delete or rename the foreign object that is named")
async def foreign_child() -> Story:
    """A LeaderWorkerSet of somebody else has the name of one that is needed."""
    async with site(disaggregated=True) as here:
        name = f"web-0-{A}-prefill"
        await here.client.create(LEADERWORKERSETS, manifest(name, replicas=1, size=1))
        await here.client.create(DISAGGREGATEDSETS, {**made(*roles(2, 2), name="web"), "metadata": SET})
        during = await here.wait(600)
        await here.client.delete(LEADERWORKERSETS, NAMESPACE, name)
        after = await here.wait(900)
        return here.story().fires("LWSDisaggregatedSetStalled", during, **SET).silent(after, alerts=QUIET)


@staged("LWSDisaggregatedSetStalled", "mend the role that is named, or raise the quota")
async def unreadable_role() -> Story:
    """A role's template has a quantity that nobody can read."""
    container = {"name": "main", "image": "app", "resources": {"limits": {"cpu": "1e1.5"}}}
    broken = role("prefill", template={"workerTemplate": {"spec": {"containers": [container]}}})
    async with site(disaggregated=True) as here:
        await here.client.create(DISAGGREGATEDSETS, {**made(broken, role("decode"), name="web"), "metadata": SET})
        during = await here.wait(600)
        await here.client.patch(DISAGGREGATEDSETS, NAMESPACE, "web", {"spec": {"roles": roles(2, 2)}})
        after = await here.wait(900)
        return here.story().fires("LWSDisaggregatedSetStalled", during, **SET).silent(after, alerts=QUIET)


INCIDENTS: Final[tuple[Incident, ...]] = (
    *(no_node, unpullable_image, pods_over_quota, blocked, failing, failing_until_told),
    *(bad_node, bad_revision, too_little_memory, exhausted, lost_node, node_shut_down, lost_node_let_go),
    *(stalled_update, held_by_a_finalizer, foreign_child, unreadable_role),
)
