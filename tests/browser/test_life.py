"""A set's whole life, as the page shows it in every view, beside what `kubectl lws` says at each moment of it."""

from __future__ import annotations

from typing import Final

import pytest

from lws.api.leaderworkerset.policykeys import EVACUATE
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODS
from tests.browser.chromium import Browser
from tests.browser.commands import views
from tests.browser.tabs import told
from tests.browser.world import World
from tests.simulation.cluster import manifest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
FAULTS: Final = (
    ("pod.hang", "is running but not ready (container main)"),
    ("pod.crash-loop", "has failing container main: it exited with code"),
)
WAITS: Final = "section[aria-labelledby=waits] li"


def life() -> JSON:
    """A set of two groups of two."""
    body = manifest("web", replicas=2, size=2, section={"restartPolicy": "None"})
    body["metadata"] |= {"namespace": "default", "annotations": {EVACUATE: "true"}}
    return body


async def node_of(cluster: World, pod: str) -> str:
    """Where a pod is."""
    return str((await cluster.client.get(PODS, "default", pod))["spec"]["nodeName"])


async def test_every_view_follows_a_set_through_its_life(browser: Browser, every_cluster: World) -> None:
    """Creation, crash, rollout, lost node, scaling to 0, deletion: every view says what the commands say then."""
    cluster = every_cluster
    async with views(browser, cluster, "web") as seen:
        await seen.agree()  # there is none yet
        await cluster.client.create(LEADERWORKERSETS, life())
        await seen.agree()
        await told(seen.set, ".lede", "2 of 2 groups ready")
        await seen.agree()
        for drill, words in FAULTS:
            await cluster.drill(drill, {"name": "web-1-1", "namespace": "default"})
            await told(seen.set, WAITS, words)
            await seen.agree()
            await seen.sets.locator(".row.s4, .row.s5").first.wait_for()
        await cluster.drill("pod.heal", {"name": "web-1-1", "namespace": "default"})
        await cluster.client.delete(PODS, "default", "web-1-1", grace_period_seconds=0)  # or its back-off would last
        await told(seen.set, ".lede", "2 of 2 groups ready")
        await cluster.roll("web", "app:2")
        await told(seen.rollout, ".history", "Revision 2")
        await seen.agree()
        await told(seen.rollout, ".lede", "successfully rolled out")
        await told(seen.set, "section[aria-labelledby=policies]", "app:2")
        await seen.agree()
        lost = await node_of(cluster, "web-0-1")
        await cluster.lose(lost)
        await told(seen.places, ".node.lost", lost)
        await told(seen.set, WAITS, f"is on node {lost}, which is not ready")
        await seen.agree()
        await cluster.drill("node.recover", {"name": lost})
        await told(seen.set, ".lede", "2 of 2 groups ready")
        await seen.agree()
        await cluster.client.patch(LEADERWORKERSETS, "default", "web", {"spec": {"replicas": 0}})
        await told(seen.set, ".lede", "0 of 0 groups ready")
        await told(seen.sets, ".row", "0/0 ready")
        await seen.agree()
        await cluster.client.delete(LEADERWORKERSETS, "default", "web")
        await told(seen.set, ".empty", "no such set any more")
        await told(seen.sets, ".empty", "There are no sets here yet")
        await seen.agree()


async def test_every_view_follows_a_drain(browser: Browser, every_cluster: World) -> None:
    """A node is evacuated from the page: each view says what the commands say until another group has stood in."""
    cluster = every_cluster
    await cluster.client.create(LEADERWORKERSETS, life())
    await cluster.ready("web")
    async with views(browser, cluster, "web") as seen:
        node = await node_of(cluster, "web-0")
        await seen.places.get_by_role("button", name=f"Evacuate {node}…").click()
        await told(seen.places, "dialog .says", "moved one by one, each after another group stands in")
        await told(seen.places, "dialog pre", f"kubectl lws evacuate {node}")
        await told(seen.places, "dialog .plan", "Estimated time", within=60_000)
        await seen.places.get_by_role("button", name="Evacuate", exact=True).click()
        await told(seen.places, ".node.cordoned", node)
        await told(seen.places, ".leaving", "group 0 is moved once an extra group is ready")
        await seen.agree()
        await told(
            seen.places, "section[aria-labelledby=emptying]", "No group of a LeaderWorkerSet is there", within=90_000
        )
        await seen.agree()
        await told(seen.set, ".lede", "2 of 2 groups ready")
        await cluster.client.patch(NODES, "", node, {"spec": {"unschedulable": None}})
        await seen.places.locator("section[aria-labelledby=emptying]").wait_for(state="detached")
        await seen.agree()
