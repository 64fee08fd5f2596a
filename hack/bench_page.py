"""What ``kubectl lws ui`` costs: ``python -m hack.bench_page [SETS]``, with 1,000 sets of 16 pods unless told.

The API server is a sandbox without controllers, whose objects are written as a controller would have left them; the
page runs in a process of its own, as it does for its users, and a Chromium looks at it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from tests.browser.chromium import Browser, executable, launched
from tests.simulation.cluster import DISAGGREGATED, LEADERWORKERSET, _slim_crd

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, PODS, STATEFULSETS, Resource
from lws.client.api import ApiClient
from lws.telemetry.logs import LogSettings, configure_logging
from lws_sandbox.cluster import Sandbox
from lws_sandbox.copying import copied
from lws_sandbox.endpoint import on_sockets

GROUPS: Final = 4
SIZE: Final = 4
ROLLING: Final = 50
SECONDS: Final = 30.0
READY: Final[JSON] = {
    "phase": "Running",
    "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
    "containerStatuses": [
        {"name": "main", "ready": True, "restartCount": 0, "image": "app:1", "imageID": "", "state": {"running": {}}}
    ],
}


async def main(sets: int) -> None:
    """Measure and print."""
    async with Sandbox(loops=("none",)) as sandbox:
        client = sandbox.client()
        for name in (LEADERWORKERSET, *DISAGGREGATED):
            await client.create(CUSTOMRESOURCEDEFINITIONS, _slim_crd(name))
        begin = time.monotonic()
        for number in range(sets):
            _make(sandbox, f"set-{number:04}")
        print(f"{sets} sets, {sets * GROUPS * SIZE} pods, written in {time.monotonic() - begin:.0f} s")
        with tempfile.TemporaryDirectory() as folder:
            async with on_sockets(sandbox, Path(folder, "kubeconfig")) as address:
                await _measure(client, str(address.kubeconfig), sets)


async def _measure(client: ApiClient, kubeconfig: str, sets: int) -> None:
    begin = time.monotonic()
    page = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lws.cli.kubectl.main", "ui", "-A", "--no-browser", "--kubeconfig", kubeconfig),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert page.stdout is not None
        line = (await page.stdout.readline()).decode()
        address = re.search(r"http://\S+", line)
        assert address is not None, line
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, read_bufsize=2**24) as session:
            await session.get(address.group())
            base = "http://" + urlsplit(address.group()).netloc
            await _synced(session, base)
            print(f"caches synced after {time.monotonic() - begin:.1f} s")
            print(f"memory of the server: {_resident(page.pid):.0f} MiB")
            await _stream(session, base)
            await _browser(client, address.group(), sets)
            await _rollout(client, session, base)
        print(f"memory of the server at the end: {_resident(page.pid):.0f} MiB")
    finally:
        page.terminate()
        await page.wait()


async def _synced(session: aiohttp.ClientSession, base: str) -> None:
    async with session.get(f"{base}/api/stream?view=places&name=none") as answer:
        async for line in answer.content:
            if b'"synced":true' in line:
                return


async def _stream(session: aiohttp.ClientSession, base: str) -> None:
    begin = time.monotonic()
    async with session.get(f"{base}/api/stream?view=sets") as answer:
        async for line in answer.content:
            if line.startswith(b"data: "):
                took = time.monotonic() - begin
                print(f"first document of all sets: {took * 1000:.0f} ms, {len(line) / 1024:.0f} KiB")
                return


async def _browser(client: ApiClient, address: str, sets: int) -> None:
    """The first view and a change, as a person sees them."""
    if executable() is None:
        print("no Chromium: the first view is not measured")
        return
    async with launched() as browser:
        tab = await browser.new_page()
        begin = time.monotonic()
        await tab.goto(address)
        await tab.locator(".row").nth(sets - 1).wait_for(state="attached")
        print(f"first view of {sets} sets in Chromium: {time.monotonic() - begin:.2f} s")
        await tab.evaluate(
            """() => { window.seen = new Promise((done) => new MutationObserver(() => {
            if (document.querySelector('lws-app').textContent.includes('/77 ready')) done(Date.now());
            }).observe(document.body, {subtree: true, childList: true, characterData: true})); }"""
        )
        await asyncio.sleep(2)
        written = time.time()
        await client.patch(LEADERWORKERSETS, "default", "set-0001", {"spec": {"replicas": 77}})
        seen = await tab.evaluate("() => window.seen")
        print(f"a change is visible {seen - written * 1000:.0f} ms after it was written")
        session = await tab.context.new_cdp_session(tab)
        heap = await session.send("Runtime.getHeapUsage")
        print(f"memory of the page's heap: {heap['usedSize'] / 2**20:.0f} MiB, {await _nodes(session)} DOM nodes")
        print(f"memory of the page's process: {await _renderer(browser):.0f} MiB")
        await tab.close()


async def _renderer(browser: Browser) -> float:
    """The largest proportional share of memory of a process that renders a page."""
    session = await browser.new_browser_cdp_session()
    found = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
    return max(_share(one["id"]) for one in found if one["type"] == "renderer")


def _share(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0]) / 1024


async def _nodes(session: Any) -> int:
    counters = await session.send("Memory.getDOMCounters")
    return int(counters["nodes"])


async def _rollout(client: ApiClient, session: aiohttp.ClientSession, base: str) -> None:
    """Fifty sets replace their groups one by one; what one tab is told meanwhile."""
    told = 0

    async def listen() -> None:
        nonlocal told
        async with session.get(f"{base}/api/stream?view=sets") as answer:
            first = True
            async for line in answer.content:
                told += 0 if first else len(line)
                first = first and not line.startswith(b"data: ")

    listener = asyncio.create_task(listen())
    await asyncio.sleep(1)
    told, begin = 0, time.monotonic()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*(_roll(client, f"set-{number:04}") for number in range(ROLLING)))
    print(f"a tab during a rollout of {ROLLING} sets: {told / 1024 / (time.monotonic() - begin):.1f} KiB/s")
    listener.cancel()


async def _roll(client: ApiClient, name: str) -> None:
    while True:
        for index in reversed(range(GROUPS)):
            for worker in range(SIZE):
                await _turn(client, _pod_name(name, index, worker), ready=False)
            for worker in range(SIZE):
                await _turn(client, _pod_name(name, index, worker), ready=True)


async def _turn(client: ApiClient, pod: str, *, ready: bool) -> None:
    """A pod that is made anew, and then is ready."""
    conditions = [{"type": "Ready", "status": str(ready)}, {"type": "PodScheduled", "status": "True"}]
    status = READY if ready else {"phase": "Pending", "conditions": conditions, "containerStatuses": None}
    await client.patch(PODS, "default", pod, {"status": status}, subresource="status")
    await asyncio.sleep(0.2)


def _make(sandbox: Sandbox, name: str) -> None:
    """A set and all that belongs to it, as a controller would have left it; stored without a request for each."""
    template = {"size": SIZE, "workerTemplate": {"spec": {"containers": [{"name": "main", "image": "app:1"}]}}}
    counts = {"replicas": GROUPS, "readyReplicas": GROUPS, "updatedReplicas": GROUPS, "observedGeneration": 1}
    available = {"type": "Available", "status": "True", "reason": "AllGroupsReady", "message": "All replicas are ready"}
    status = {**counts, "conditions": [{**available, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    spec = {"replicas": GROUPS, "leaderWorkerTemplate": template}
    owner = _store(sandbox, LEADERWORKERSETS, {"metadata": {"name": name}, "spec": spec, "status": status})
    _store(sandbox, STATEFULSETS, _statefulset(name, name, GROUPS, owner))
    for index in range(GROUPS):
        for worker in range(SIZE):
            owner = _store(sandbox, PODS, _pod(name, index, worker))
            if not worker:
                _store(sandbox, STATEFULSETS, _statefulset(name, f"{name}-{index}", SIZE - 1, owner))


def _store(sandbox: Sandbox, resource: Resource, body: JSON) -> JSON:
    """Store an object; the reference to it as an owner."""
    meta = {**body["metadata"], "namespace": "default", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
    meta["uid"] = f"uid-{resource.plural}-{meta['name']}"
    raw = {"apiVersion": resource.api_version, "kind": resource.kind, **body, "metadata": meta}
    served = sandbox.server.catalog.find(resource.group, resource.version, resource.plural)
    assert served is not None
    strategy = served.strategy
    sandbox.server.storage.create(strategy.storage_key, "default", meta["name"], strategy.write(copied(raw)))
    return {"apiVersion": resource.api_version, "kind": resource.kind, "name": meta["name"], "uid": meta["uid"]}


def _statefulset(of: str, name: str, replicas: int, owner: JSON) -> JSON:
    identity = {labels.NAME: of, labels.REVISION: "new"}
    template = {"metadata": {"labels": {"a": name}}, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}
    spec = {"replicas": replicas, "serviceName": of, "selector": {"matchLabels": {"a": name}}, "template": template}
    counts = {"replicas": replicas, "availableReplicas": replicas, "readyReplicas": replicas, "observedGeneration": 1}
    meta = {"name": name, "labels": identity, "ownerReferences": [{**owner, "controller": True}]}
    return {"metadata": meta, "spec": spec, "status": {**counts, "currentRevision": "r", "updateRevision": "r"}}


def _pod_name(name: str, index: int, worker: int) -> str:
    return f"{name}-{index}-{worker}" if worker else f"{name}-{index}"


def _pod(name: str, index: int, worker: int) -> JSON:
    identity = {labels.NAME: name, labels.GROUP_INDEX: str(index), labels.WORKER_INDEX: str(worker)}
    meta = {
        "name": _pod_name(name, index, worker),
        "labels": {**identity, labels.REVISION: "new"},
        "annotations": {labels.SIZE: str(SIZE)},
    }
    environment = [{"name": f"VARIABLE_{number}", "value": "x" * 40} for number in range(20)]
    containers = [{"name": "main", "image": "app:1", "env": environment}]
    return {"metadata": meta, "spec": {"containers": containers, "nodeName": "n-1"}, "status": READY}


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    configure_logging(LogSettings(level="error", format="console"), sys.stderr)
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
