"""Takes the pictures of the page in ``docs/images``: sets, a set, places and a rollout, in light and dark.

Usage: ``python -m hack.screenshots [FOLDER]``. A cluster of 32 nodes is played on the sandbox, with a node that is lost
and a rollout that waits; a Chromium looks at it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from tests.browser.chromium import executable, launched
from tests.browser.world import World, world

from lws.api.leaderworkerset.policykeys import EVACUATE
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.telemetry.logs import LogSettings, configure_logging

IMAGES: Final = Path(__file__).parent.parent / "docs" / "images"
PICTURES: Final = (
    ("page-sets-light", "/sets", "light", (1280, 650)),
    ("page-sets-dark", "/sets", "dark", (1280, 650)),
    ("page-set-light", "/set/default/vllm", "light", (1280, 980)),
    ("page-places-light", "/places?key=example.com%2Frack", "light", (1280, 980)),
    ("page-places-dark", "/places?key=example.com%2Frack", "dark", (1280, 980)),
    ("page-rollout-dark", "/rollout/lws/default/vllm", "dark", (1280, 980)),
)


async def take(folder: Path) -> list[Path]:
    """Play the cluster and take every picture; the files."""
    async with world() as cluster, launched() as browser:
        await _play(cluster)
        return [await _picture(browser, cluster, folder, *each) for each in PICTURES]


async def _play(cluster: World) -> None:
    await cluster.apply("01-vllm-two-groups.yaml", "02-minimal.yaml", "07-exclusive-topology.yaml")
    await cluster.apply("04-leader-ready.yaml", "13-disaggregated.yaml")
    await cluster.ready("minimal", "vllm", "leader-ready")
    wanted = {"metadata": {"annotations": {EVACUATE: "true"}}, "spec": {"replicas": 8}}
    await cluster.client.patch(LEADERWORKERSETS, "default", "vllm", wanted)
    await cluster.ready("vllm")
    await cluster.lose(await _away_from_vllm(cluster))
    await cluster.roll("vllm", "vllm/vllm-openai:v0.12.0")
    await cluster.until("vllm", lambda live: _updated(live) >= 3)
    await cluster.drill(
        "pod.hang", {"name": "vllm-6", "namespace": "default"}
    )  # the update stands still until it is ready
    await cluster.until("vllm", lambda live: live["status"]["readyReplicas"] == 7)
    await cluster.drill("node.cordon", {"name": await _node(cluster, "vllm-1")})


async def _away_from_vllm(cluster: World) -> str:
    """A node with pods of other sets alone: the update of vllm would wait for a group on a lost one."""
    used: dict[bool, set[str]] = {True: set(), False: set()}
    for pod in (await cluster.client.list(PODS, "default"))["items"]:
        used[pod["metadata"]["name"].startswith("vllm-")].add(str(pod["spec"].get("nodeName", "")))
    return min(used[False] - used[True] - {""})


async def _node(cluster: World, pod: str) -> str:
    return str((await cluster.client.get(PODS, "default", pod))["spec"]["nodeName"])


def _updated(live: JSON) -> int:
    """Groups of the revision that was asked for last."""
    status = live["status"]
    return (
        int(status.get("updatedReplicas", 0)) if status["observedGeneration"] == live["metadata"]["generation"] else 0
    )


async def _picture(
    browser: object, cluster: World, folder: Path, name: str, path: str, scheme: str, size: tuple[int, int]
) -> Path:
    width, height = size
    context = await browser.new_context(  # type: ignore[attr-defined]
        viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1.5
    )
    page = await context.new_page()
    await page.goto(cluster.at(path))
    await page.locator("main > *").nth(1).wait_for()
    await page.wait_for_timeout(500)
    file = folder / f"{name}.png"
    await page.screenshot(path=file)
    await context.close()
    return file


def main() -> int:
    """Take the pictures and say where they are."""
    if executable() is None:
        sys.stderr.write("screenshots: Chromium is not installed\n")
        return 1
    configure_logging(LogSettings(level="error", format="console"), sys.stderr)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    for file in asyncio.run(take(folder)):
        print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
