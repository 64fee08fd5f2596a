"""The page in Chromium: what it says, that it is live, that it is safe, and that everybody can use it."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from lws.api.leaderworkerset.policykeys import ROLLOUT
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CORE_EVENTS, NODES, PODS
from tests.browser.chromium import Browser
from tests.browser.world import World
from tests.simulation.cluster import manifest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
Tab = Any
VIEWS: Final = {
    "sets": "/sets",
    "set": "/set/default/vllm",
    "places": "/places",
    "rollout": "/rollout/lws/default/vllm",
    "ds-rollout": "/rollout/ds/default/inference",
}
FAULTS: Final = (
    ("pod.hang", "is running but not ready (container main)"),
    ("pod.crash-loop", "has failing container main: it exited with code"),
)


@asynccontextmanager
async def tab(browser: Browser, address: str, **options: Any) -> AsyncIterator[Tab]:
    """A tab at an address; errors in the page fail the test."""
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    page, problems = await context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.goto(address)
    await page.wait_for_selector("h1")
    try:
        yield page
        assert problems == []
    finally:
        await context.close()


async def told(page: Tab, selector: str, words: str) -> str:
    """The text of a part of the page, as soon as it has these words."""
    found = page.locator(selector)
    try:
        await found.filter(has_text=words).first.wait_for(timeout=30_000)
    except Exception as error:
        shown = await page.locator("lws-app").inner_text()
        raise AssertionError(f"{selector} does not say {words!r}; the page shows:\n{shown[:2000]}") from error
    return str(await found.first.inner_text())


async def same_words(cluster: World, page: Tab, name: str) -> None:
    """Whether the page says what `kubectl lws explain-stuck` says at the same moment."""
    for _ in range(100):
        said = (await cluster.explain(name)).replace("`", "").strip()
        shown = "\n".join(await page.locator("section[aria-labelledby=waits] li").all_inner_texts())
        again = (await cluster.explain(name)).replace("`", "").strip()
        if said == again and (shown == said or (not shown and "waits for nothing" in said)):
            return
        await asyncio.sleep(0.1)
    assert shown == said


async def test_every_view_follows_a_set_through_its_life(browser: Browser, every_cluster: World) -> None:
    """Creation, crash, rollout, lost node, scaling to 0, deletion: the page says what the command says then."""
    cluster = every_cluster
    await cluster.client.create(LEADERWORKERSETS, _life())
    async with tab(browser, cluster.at("/set/default/web")) as one, tab(browser, cluster.at("/sets")) as every:
        await told(one, ".lede", "2 of 2 groups ready")
        await told(every, ".row", "2/2 ready")
        await same_words(cluster, one, "web")
        for drill, words in FAULTS:
            await cluster.drill(drill, {"name": "web-1-1", "namespace": "default"})
            await told(one, "section[aria-labelledby=waits] li", words)
            await same_words(cluster, one, "web")
            await every.locator(".row.s4, .row.s5").first.wait_for()
        await cluster.drill("pod.heal", {"name": "web-1-1", "namespace": "default"})
        await cluster.client.delete(PODS, "default", "web-1-1", grace_period_seconds=0)  # or its back-off would last
        await told(one, ".lede", "2 of 2 groups ready")
        await cluster.roll("web", "app:2")
        async with tab(browser, cluster.at("/rollout/lws/default/web")) as rollout:
            await told(rollout, ".history", "Revision 2")
            await told(rollout, ".lede", "successfully rolled out")
        await told(one, "section[aria-labelledby=policies]", "app:2")
        node = (await cluster.client.get(PODS, "default", "web-0-1"))["spec"]["nodeName"]
        async with tab(browser, cluster.at("/places?key=kubernetes.io/hostname")) as places:
            await cluster.lose(node)
            await told(places, ".node.lost", node)
            await told(one, "section[aria-labelledby=waits] li", f"is on node {node}, which is not ready")
            await same_words(cluster, one, "web")
            await cluster.client.patch(NODES, "", node, {"spec": {"unschedulable": True}})
            await told(places, ".node.lost.cordoned", "cordoned")
            await cluster.drill("node.recover", {"name": node})
        await told(one, ".lede", "2 of 2 groups ready")
        await cluster.client.patch(LEADERWORKERSETS, "default", "web", {"spec": {"replicas": 0}})
        await told(one, ".lede", "0 of 0 groups ready")
        await told(every, ".row", "0/0 ready")
        await cluster.client.delete(LEADERWORKERSETS, "default", "web")
        await told(one, ".empty", "no such set any more")
        await told(every, ".empty", "There are no sets here yet")


def _life() -> JSON:
    body = manifest("web", replicas=2, size=2, section={"restartPolicy": "None"})
    body["metadata"]["namespace"] = "default"
    return body


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
            if name == "set":
                await page.get_by_role("button", name="Pause").first.click()
                await page.get_by_role("heading", name="What it does").wait_for()
                found["dialog"] = await _violations(page, axe)
    assert found == {name: [] for name in (*VIEWS, "dialog")}


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


async def test_everything_can_be_done_by_keyboard(browser: Browser, cluster: World) -> None:
    """From the filter to a row, into the set, and through an action and its dialog, without a mouse."""
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
        await page.get_by_role("button", name="Pause").focus()
        await page.keyboard.press("Enter")
        await page.get_by_text("kubectl lws rollout pause minimal -n default").wait_for()
        await told(page, "dialog .plan", "makes no new revision")
        await page.keyboard.press("Escape")
        await page.locator("dialog").wait_for(state="detached")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Pause", exact=True).focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Resume").wait_for()
    live = await cluster.client.get(LEADERWORKERSETS, "default", "minimal")
    assert live["metadata"]["annotations"][ROLLOUT] == "paused"


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


async def test_no_text_of_the_cluster_runs(browser: Browser, cluster: World) -> None:
    """Markup in images, annotations and a long message is shown as text, and none of it becomes an element."""
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    body = _life()
    body["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]["image"] = evil
    body["metadata"]["annotations"] = {"ext.leaderworkerset.sigs.k8s.io/odd": evil}
    made = await cluster.client.create(LEADERWORKERSETS, body)
    subject = {"kind": "LeaderWorkerSet", "name": "web", "namespace": "default", "uid": made["metadata"]["uid"]}
    warning = {"type": "Warning", "reason": "Odd", "message": (evil * 12)[:1000], "involvedObject": subject}
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "evil", "namespace": "default"}, **warning}
    await cluster.client.create(CORE_EVENTS, event)
    for path in ("/sets", "/set/default/web", "/rollout/lws/default/web", "/places"):
        async with tab(browser, cluster.at(path)) as page:
            await page.locator("main > *").nth(1).wait_for()
            assert await page.locator("main img, main script").count() == 0
            assert "owned" not in await page.title()
            if path == "/set/default/web":
                await told(page, ".log", "onerror=")


async def test_a_lost_server_is_marked_and_found_again_without_a_reload(browser: Browser, cluster: World) -> None:
    """A tab that hears nothing says since when; when it hears again, the mark goes."""
    await cluster.apply("02-minimal.yaml")
    async with tab(browser, cluster.at("/sets")) as page:
        await page.locator(".row").first.wait_for()
        await page.context.set_offline(True)
        await page.evaluate("dispatchEvent(new Event('online'))")  # as after a laptop's sleep: it asks at once
        await told(page, ".banner", "Not live")
        assert "stale" in (await page.locator("main").get_attribute("class") or "")
        await page.context.set_offline(False)
        await page.evaluate("dispatchEvent(new Event('online'))")
        await page.locator(".banner").wait_for(state="detached", timeout=30_000)


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
