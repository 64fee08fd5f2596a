"""Every action of the page by keyboard alone."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from lws.api.leaderworkerset.policykeys import ROLLOUT
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import NODES, PODS
from lws.errors import NotFoundError
from tests.browser.chromium import Browser
from tests.browser.tabs import Tab, tab, told
from tests.browser.world import World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
MOST = 300  # presses of Tab
FOCUSED = """() => { const { tagName, ariaLabel, textContent } = document.activeElement;
  return `${tagName} ${ariaLabel ?? textContent.trim()}`; }"""


async def reach(page: Tab, what: str) -> None:
    """Press Tab until an element with this tag and text has the focus."""
    seen = []
    for _ in range(MOST):
        await page.keyboard.press("Tab")
        seen.append(await page.evaluate(FOCUSED))
        if seen[-1].startswith(what):
            return
    raise AssertionError(f"{what!r} cannot be reached; Tab leads to {seen}")


async def do(page: Tab, button: str, line: str, name: str) -> None:
    """Open the dialog of an action, see its line of kubectl, and do it."""
    await reach(page, f"BUTTON {button}")
    await page.keyboard.press("Enter")
    await told(page, "dialog pre", line)
    await reach(page, f"BUTTON {name}")
    await page.keyboard.press("Enter")
    await page.locator("dialog").wait_for(state="detached")


async def test_sets_are_found_and_steered_by_keyboard(browser: Browser, cluster: World) -> None:
    """From the filter to a row and into the set; pause, resume, restart and undo, each through its dialog."""
    await cluster.apply("01-vllm-two-groups.yaml", "02-minimal.yaml")
    await cluster.ready("vllm", "minimal")
    async with tab(browser, cluster.at("/sets")) as page:
        await page.locator(".row").nth(1).wait_for()
        await page.keyboard.press("/")
        await page.keyboard.type("mini")
        await page.locator(".row").nth(1).wait_for(state="detached")
        assert "q=mini" in page.url
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await told(page, "h1", "minimal")
        await reach(page, "BUTTON Pause…")
        await page.keyboard.press("Enter")
        await told(page, "dialog .plan", "makes no new revision")
        await page.keyboard.press("Escape")
        await page.locator("dialog").wait_for(state="detached")
        await do(page, "Pause…", "kubectl lws rollout pause minimal -n default", "Pause")
        await told(page, "button", "Resume…")
        live = await cluster.client.get(LEADERWORKERSETS, "default", "minimal")
        assert live["metadata"]["annotations"][ROLLOUT] == "paused"
        await do(page, "Resume…", "kubectl lws rollout resume minimal -n default", "Resume")
        await told(page, "button", "Pause…")
        before = (await cluster.client.get(PODS, "default", "minimal-0"))["metadata"]["uid"]
        await reach(page, "SUMMARY Group 0")
        await page.keyboard.press("Enter")
        await do(page, "Restart group 0…", "kubectl lws restart minimal --group=0 -n default", "Restart group")
        await _replaced(cluster, "minimal-0", before)
    await cluster.roll("minimal", "app:2")
    async with tab(browser, cluster.at("/rollout/lws/default/minimal")) as page:
        await told(page, ".history", "Revision 2")
        await do(page, "Undo to revision 1…", "rollout undo minimal --to-revision=1 -n default", "Undo")
        await told(page, ".history", "Revision 3")


async def _replaced(cluster: World, pod: str, uid: str) -> None:
    """Wait until the pod of this name is another one."""
    async with asyncio.timeout(60):
        while True:
            with suppress(NotFoundError):
                if (await cluster.client.get(PODS, "default", pod))["metadata"]["uid"] != uid:
                    return
            await asyncio.sleep(0.1)


async def test_nodes_are_evacuated_and_released_by_keyboard(browser: Browser, cluster: World) -> None:
    """A node is cordoned, and a lost one tainted, each through a dialog with the command's words."""
    await cluster.apply("02-minimal.yaml")
    await cluster.ready("minimal")
    node = (await cluster.client.get(PODS, "default", "minimal-0"))["spec"]["nodeName"]
    async with tab(browser, cluster.at("/places?key=kubernetes.io/hostname")) as page:
        await told(page, ".node", node)
        await do(page, f"Evacuate {node}…", f"kubectl lws evacuate {node}", "Evacuate")
        await told(page, ".node.cordoned", node)
        assert (await cluster.client.get(NODES, "", node))["spec"]["unschedulable"] is True
        await cluster.lose(node)
        await _long_ago(cluster, node)
        await told(page, ".node.lost", node)
        await do(page, f"Release {node}…", f"kubectl lws release {node}", "Release")
        await told(page, ".node.suspect", "taint node.kubernetes.io/out-of-service")
    taints = (await cluster.client.get(NODES, "", node))["spec"]["taints"]
    assert "node.kubernetes.io/out-of-service" in [taint["key"] for taint in taints]


async def _long_ago(cluster: World, node: str) -> None:
    """Have a node have been lost for long: a release waits half a minute for it to come back."""
    conditions = (await cluster.client.get(NODES, "", node))["status"]["conditions"]
    for one in conditions:
        if one["type"] == "Ready":
            one["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    await cluster.client.patch(NODES, "", node, {"status": {"conditions": conditions}}, subresource="status")
