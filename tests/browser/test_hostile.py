"""The page under what a cluster, a network or a laptop may do to it: nothing runs, nothing sticks, nothing is stale."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Final

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CORE_EVENTS, NODES, PODS
from lws.client.api import ApiClient
from tests.browser.chromium import Browser
from tests.browser.commands import views
from tests.browser.tabs import Tab, fresh, tab, told
from tests.browser.test_life import life
from tests.browser.world import World
from tests.simulation.cluster import manifest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
MEBIBYTE: Final = 2**20
EVENTS: Final = 10_000
HEAP: Final = 150 * MEBIBYTE
EVIL: Final = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


async def scaled(cluster: World, replicas: int) -> None:
    """Ask for so many groups."""
    await cluster.client.patch(LEADERWORKERSETS, "default", "web", {"spec": {"replicas": replicas}})


def warning(name: str, uid: str, message: str, about: str = "web", second: int = 0) -> JSON:
    """A warning about the set, or another object of it."""
    subject = {"kind": "LeaderWorkerSet", "name": about, "namespace": "default", "uid": uid}
    told = {"type": "Warning", "reason": "Odd", "message": message, "involvedObject": subject}
    meta = {"name": name, "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": meta,
        "lastTimestamp": f"2026-01-01T00:00:{second:02}Z",
        **told,
    }


async def test_no_text_of_the_cluster_runs(browser: Browser, every_cluster: World) -> None:
    """Markup in images, annotations, messages, conditions of nodes and addresses is text; none becomes an element."""
    cluster, body = every_cluster, life()
    body["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]["image"] = EVIL
    body["metadata"]["annotations"] = {"ext.leaderworkerset.sigs.k8s.io/odd": EVIL}
    made = await cluster.client.create(LEADERWORKERSETS, body)
    await cluster.client.create(CORE_EVENTS, warning("evil", made["metadata"]["uid"], (EVIL * 12)[:1000]))
    node = (await cluster.client.list(NODES))["items"][0]
    conditions = [*node["status"]["conditions"], {"type": EVIL, "status": "True", "message": EVIL}]
    name = node["metadata"]["name"]
    await cluster.client.patch(NODES, "", name, {"status": {"conditions": conditions}}, subresource="status")
    quoted = EVIL.replace("<", "%3C").replace(">", "%3E").replace(" ", "%20").replace("/", "%2F")
    shown = {
        "/sets": "web",
        f"/sets?q={quoted}": "No set matches the filter",
        "/set/default/web": "onerror=",
        f"/set/default/{quoted}": "no such set",
        "/rollout/lws/default/web": "onerror=",
        "/places?key=kubernetes.io/hostname": "onerror=",
        f"/places?key={quoted}": "without the label",
    }
    for path, words in shown.items():
        async with tab(browser, cluster.at(path)) as page:
            await told(page, "main", words)
            assert await page.locator("main img, main script").count() == 0, path
            assert await page.title() != "owned", path


async def test_a_flood_of_events_and_messages_of_a_mebibyte_stick_nowhere(
    browser: Browser, every_cluster: World
) -> None:
    """Ten thousand warnings and mebibytes of text: the newest are shown, cut; the page stays small, live and right."""
    cluster = every_cluster
    body = manifest("web", replicas=1, size=1)
    body["metadata"]["namespace"] = "default"
    body["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["nodeSelector"] = {"nowhere": "at-all"}
    made = await cluster.client.create(LEADERWORKERSETS, body)
    async with views(browser, cluster, "web") as seen:
        await told(seen.set, "#group-0", "web-0")
        await _flood(cluster.client, made["metadata"]["uid"])
        await _swell(cluster.client)
        await told(seen.set, "section[aria-labelledby=warnings] li", "mmmm", within=60_000)
        await seen.agree()
        assert await seen.set.locator("section[aria-labelledby=warnings] li").count() == 50
        text = await seen.set.evaluate("document.body.textContent.length")
        assert text < 100_000
        for page in seen.tabs:
            heap = await (await page.context.new_cdp_session(page)).send("Runtime.getHeapUsage")
            assert heap["usedSize"] < HEAP
        await cluster.client.patch(LEADERWORKERSETS, "default", "web", {"spec": {"replicas": 3}})
        await told(seen.sets, ".row", "0/3 ready", within=5_000)
        await told(seen.set, ".lede", "of 3 groups", within=5_000)


async def _flood(client: ApiClient, uid: str) -> None:
    waiting = iter(range(EVENTS))

    async def some() -> None:
        for number in waiting:
            huge = number % 500 == 0
            message, about = "m" * MEBIBYTE if huge else f"message {number}", "web" if number % 2 else "web-0"
            await client.create(CORE_EVENTS, warning(f"web.{number}", uid, message, about, second=30 if huge else 0))

    await asyncio.gather(*(some() for _ in range(8)))


async def _swell(client: ApiClient) -> None:
    """The pod's container has a mebibyte to say."""
    waits = {"reason": "ImagePullBackOff", "message": "x" * MEBIBYTE}
    container = {"name": "main", "image": "app:1", "imageID": "", "ready": False, "restartCount": 0}
    status = {"containerStatuses": [{**container, "state": {"waiting": waits}}]}
    await client.patch(PODS, "default", "web-0", {"status": status}, subresource="status")


async def test_a_server_that_ends_every_watch_leaves_nothing_stale(browser: Browser, every_cluster: World) -> None:
    """Again and again every watch ends, in the middle of changes: what is shown then is what the commands say."""
    cluster = every_cluster
    await cluster.client.create(LEADERWORKERSETS, life())
    await cluster.ready("web")
    async with views(browser, cluster, "web") as seen:
        for replicas in (3, 1, 2):
            await scaled(cluster, replicas)
            await cluster.end_watches()
            await told(seen.set, ".lede", f"{replicas} of {replicas} groups ready", within=60_000)
            await told(seen.sets, ".row", f"{replicas}/{replicas} ready")
            for page in seen.tabs:
                await fresh(page, within=120_000)  # a server that starts anew is asked more and more slowly
            await seen.agree()


async def test_a_server_that_answers_nothing_is_marked_until_it_does(browser: Browser, cluster: World) -> None:
    """While every request fails, each view says what is not up to date; then the marks go, and the news is there."""
    await cluster.client.create(LEADERWORKERSETS, life())
    await cluster.ready("web")
    async with views(browser, cluster, "web") as seen:
        await cluster.drill("api.error", {"code": 503, "verbs": ["list", "watch"]})
        await cluster.end_watches()
        for page in seen.tabs:
            await told(page, ".banner.bad", "Not up to date")
            await _stale(page)
        await scaled(cluster, 1)
        await cluster.drill("api.heal", {})
        await told(seen.set, ".lede", "1 of 1 groups ready", within=60_000)
        for page in seen.tabs:
            await fresh(page, within=60_000)
        await seen.agree()


async def test_a_token_revoked_in_the_middle_is_said_and_acts_no_more(
    browser: Browser, every_cluster: World, tmp_path: Path
) -> None:
    """The page of a revoked token marks every view with what the server says, and no action of it writes anything."""
    cluster = every_cluster
    await cluster.client.create(LEADERWORKERSETS, life())
    await cluster.ready("web")
    async with cluster.command(tmp_path) as command, tab(browser, command.at("/set/default/web")) as page:
        await told(page, ".lede", "2 of 2 groups ready")
        async with tab(browser, command.at("/sets")) as other:
            await told(other, ".row", "2/2 ready")
            await cluster.revoke()
            await cluster.end_watches()
            for each in (page, other):
                await told(each, ".banner.bad", "nauthorized", within=60_000)
                await _stale(each)
            await scaled(cluster, 1)
            await page.get_by_role("button", name="Pause").click()
            await page.get_by_role("alert").filter(has_text="nauthorized").wait_for()
            await page.keyboard.press("Escape")
            assert "2/2 ready" in await other.locator(".row").first.inner_text()  # as it was, and marked
    live = await cluster.client.get(LEADERWORKERSETS, "default", "web")
    assert "ext.leaderworkerset.sigs.k8s.io/rollout" not in (live["metadata"].get("annotations") or {})


async def test_a_lost_server_is_marked_and_found_again_without_a_reload(browser: Browser, cluster: World) -> None:
    """A tab that hears nothing says since when; when it hears again, the mark goes."""
    await cluster.apply("02-minimal.yaml")
    async with tab(browser, cluster.at("/sets")) as page:
        await page.locator(".row").first.wait_for()
        await page.context.set_offline(True)
        await page.evaluate("dispatchEvent(new Event('online'))")  # as after a laptop's sleep: it asks at once
        await told(page, ".banner", "Not live")
        await _stale(page)
        await page.context.set_offline(False)
        await page.evaluate("dispatchEvent(new Event('online'))")
        await fresh(page)


async def test_a_laptop_that_slept_shows_what_is_true_when_it_wakes(
    browser: Browser, every_cluster: World, tmp_path: Path
) -> None:
    """Tab and command stand still, connections die, the cluster goes on: on waking all is news, without a reload."""
    cluster = every_cluster
    await cluster.client.create(LEADERWORKERSETS, life())
    await cluster.ready("web")
    async with cluster.command(tmp_path) as command, views(browser, cluster, "web", command.at) as seen:
        await told(seen.set, ".lede", "2 of 2 groups ready")
        await _lifecycle(seen.tabs, "frozen")
        os.kill(command.pid, signal.SIGSTOP)
        try:
            await scaled(cluster, 1)
            await cluster.until("web", lambda live: live["status"].get("replicas") == 1)
            await cluster.end_watches()
        finally:
            os.kill(command.pid, signal.SIGCONT)
        await _lifecycle(seen.tabs, "active")
        await told(seen.set, ".lede", "1 of 1 groups ready", within=60_000)
        for page in seen.tabs:
            await fresh(page)
        await seen.agree()


async def _lifecycle(tabs: tuple[Tab, ...], state: str) -> None:
    """Have tabs stand still, or go on."""
    for page in tabs:
        session = await page.context.new_cdp_session(page)
        await session.send("Page.setWebLifecycleState", {"state": state})
        await session.detach()


async def test_a_command_that_stands_still_is_marked_by_its_tabs(
    browser: Browser, cluster: World, tmp_path: Path
) -> None:
    """A tab that gets no sign of life for a while says so, and what it shows then is not taken for true."""
    await cluster.client.create(LEADERWORKERSETS, life())
    await cluster.ready("web")
    async with cluster.command(tmp_path) as command, tab(browser, command.at("/sets")) as page:
        await told(page, ".row", "2/2 ready")
        os.kill(command.pid, signal.SIGSTOP)
        try:
            await told(page, ".banner.bad", "Not live")
            await _stale(page)
        finally:
            os.kill(command.pid, signal.SIGCONT)
        await fresh(page)


async def _stale(page: Tab) -> None:
    assert "stale" in (await page.locator("main").get_attribute("class") or "")
