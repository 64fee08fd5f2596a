"""The page in Chromium: what it says, that it is live, that it is safe, and that everybody can use it."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Final

import pytest

from lws.api.leaderworkerset.policykeys import ROLLOUT
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import NODES, PODS
from tests.browser.chromium import Browser
from tests.browser.tabs import Tab, tab, told
from tests.browser.world import World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
VIEWS: Final = {
    "sets": "/sets",
    "set": "/set/default/vllm",
    "places": "/places",
    "rollout": "/rollout/lws/default/vllm",
    "ds-rollout": "/rollout/ds/default/inference",
}
DIALOGS: Final = {"set": ("Pause", "Restart group 0"), "places": ("Evacuate",), "rollout": ("Undo to revision 1",)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_any_view(browser: Browser, cluster: World, scheme: str) -> None:
    """No view, in trouble or with an open dialog, breaks a rule of accessibility that axe-core knows."""
    axe = _axe()
    await _troubled(cluster)
    found: dict[str, list[str]] = {}
    for name, path in VIEWS.items():
        async with tab(browser, cluster.at(path), color_scheme=scheme) as page:
            await page.locator("main > *").nth(1).wait_for()
            found[name] = await _violations(page, axe)
            for opened in DIALOGS.get(name, ()):
                await page.get_by_role("button", name=opened).first.click()
                await page.get_by_role("heading", name="What it does").wait_for()
                found[opened] = await _violations(page, axe)
                await page.keyboard.press("Escape")
    assert found == {name: [] for name in (*VIEWS, *(each for names in DIALOGS.values() for each in names))}


def _axe() -> str:
    if importlib.util.find_spec("axe_playwright_python") is None:
        pytest.skip("axe-core is not installed: `make test-browser` installs it")
    return Path(str(importlib.import_module("axe_playwright_python").__file__)).with_name("axe.min.js").read_text()


async def _violations(page: Tab, axe: str) -> list[str]:
    await page.evaluate(axe)
    report = await page.evaluate("axe.run()")
    return [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in report["violations"]]


async def _troubled(cluster: World) -> None:
    await cluster.apply("01-vllm-two-groups.yaml", "07-exclusive-topology.yaml", "13-disaggregated.yaml")
    await cluster.ready("vllm")
    await cluster.roll("vllm", "vllm/vllm-openai:v0.12.0")
    await cluster.drill("pod.crash-loop", {"name": "vllm-0-1", "namespace": "default", "code": 9})
    node = (await cluster.client.get(PODS, "default", "vllm-0-1"))["spec"]["nodeName"]
    await cluster.client.patch(NODES, "", node, {"spec": {"unschedulable": True}})


async def test_an_action_is_refused_if_the_set_changed_meanwhile(browser: Browser, cluster: World) -> None:
    """An edit while the dialog is open, and nothing is written; the dialog then shows what is true."""
    await cluster.apply("02-minimal.yaml")
    await cluster.ready("minimal")
    async with tab(browser, cluster.at("/set/default/minimal")) as page:
        await page.get_by_role("button", name="Pause").click()
        await page.get_by_text("No further group is replaced").wait_for()
        await cluster.client.patch(LEADERWORKERSETS, "default", "minimal", {"spec": {"replicas": 4}})
        await page.get_by_role("button", name="Pause", exact=True).click()
        await page.get_by_role("alert").filter(has_text="changed since this was shown").wait_for()
    live = await cluster.client.get(LEADERWORKERSETS, "default", "minimal")
    assert ROLLOUT not in (live["metadata"].get("annotations") or {})


@pytest.mark.parametrize("width", [360, 768, 1280, 3840])
async def test_no_view_is_wider_than_its_window(browser: Browser, cluster: World, width: int) -> None:
    """From a phone to a wall, nothing is cut off or scrolls sideways as a whole."""
    await _troubled(cluster)
    for path in VIEWS.values():
        async with tab(browser, cluster.at(path), viewport={"width": width, "height": 900}) as page:
            await page.locator("main > *").nth(1).wait_for()
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path


async def test_two_tabs_see_the_same(browser: Browser, cluster: World) -> None:
    """A change is in both, and a tab that leaves a view for another leaves nothing of it."""
    await cluster.apply("02-minimal.yaml")
    async with tab(browser, cluster.at("/sets")) as one, tab(browser, cluster.at("/set/default/minimal")) as other:
        await told(one, ".row", "3/3 ready")
        await cluster.client.patch(LEADERWORKERSETS, "default", "minimal", {"spec": {"replicas": 1}})
        await told(one, ".row", "1/1 ready")
        await told(other, ".lede", "1 of 1 groups ready")
        await other.get_by_role("link", name="Places").click()
        await told(other, "h1", "Places")
        await other.go_back()
        await told(other, "h1", "minimal")
