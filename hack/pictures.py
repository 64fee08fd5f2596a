"""Draws the pictures of terminals in ``docs/images``: a rolling update on the sandbox, in virtual time.

Usage: ``python -m hack.pictures``. The same code gives the same pictures.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from rich.text import Text

from hack.terminal_svg import draw as svg
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.cli.kubectl import render
from lws.cli.kubectl.observe import observe as observe_set
from lws.client.api import ApiClient
from lws.planning.leaderworkerset.diagnosis.facts import Facts
from lws.telemetry.logs import LogSettings, configure_logging
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.nodes import preset
from lws_sandbox.quickstart import view
from lws_sandbox.quickstart.environment import controller, sandbox_env
from lws_sandbox.quickstart.follow import observe as observe_all
from lws_sandbox.quickstart.hints import hints
from lws_sandbox.quickstart.manifests import apply, first_example, read_manifests

ROOT: Final = Path(__file__).parent.parent
IMAGES: Final = ROOT / "docs" / "images"
WIDTH: Final = 80
NAME: Final = "vllm"
PAGE: Final = "http://127.0.0.1:41873/?token=Wq0uTn3c"  # shorter than a real one


async def pictures() -> dict[str, str]:
    """File names and their content."""
    documents = read_manifests([first_example()])
    sandbox = Sandbox(shape=preset("small"), clock=vt.VirtualClock(), random=Random(7))
    async with sandbox:
        env = sandbox_env(sandbox)
        async with controller(env):
            client = env.client("pictures")
            await apply(client, documents)
            await _until(client, lambda facts: facts.lws.ready == 2)
            await _roll(client)
            await _until(client, _in_the_middle)
            facts = (await observe_set(client, "default", NAME)).facts
            sets = await observe_all(client)
    lines = hints("https://127.0.0.1:6443", Path("/home/me/lws/.sandbox/kubeconfig"), documents, "node-0", PAGE)
    told = [Text(line.replace(str(Path(sys.prefix, "bin")), "/home/me/lws/.venv/bin")) for line in lines]
    return {
        "make-run.svg": svg("make run", [*told, view.draw(sets, WIDTH, 20)], WIDTH),
        "kubectl-lws-tree.svg": svg(f"kubectl lws tree {NAME}", [render.tree(facts)], 120),
        "kubectl-lws-status.svg": svg(f"kubectl lws status {NAME}", [render.status(facts)], 110),
    }


async def _roll(client: ApiClient) -> None:
    """Three groups, and a new image for the leaders with one group of surge."""
    live = await client.get(LEADERWORKERSETS, "default", NAME)
    await client.patch(LEADERWORKERSETS, "default", NAME, {"spec": {"replicas": 3}})
    await _until(client, lambda facts: facts.lws.ready == 3)
    template: dict[str, Any] = live["spec"]["leaderWorkerTemplate"]
    for part in ("leaderTemplate", "workerTemplate"):
        template[part]["spec"]["containers"][0]["image"] = "vllm/vllm-openai:v0.12.0"
    pace = {"maxUnavailable": 0, "maxSurge": 1}
    spec = {"leaderWorkerTemplate": template, "rolloutStrategy": {"rollingUpdateConfiguration": pace}}
    await client.patch(LEADERWORKERSETS, "default", NAME, {"spec": spec})


def _in_the_middle(facts: Facts) -> bool:
    """One group is replaced, the next one is coming up, and the surge group stands in."""
    ready = [group.state.ready for group in facts.groups]
    updated = [group.state.updated for group in facts.groups]
    return len(ready) == 4 and updated[2:] == [True, True] and updated[0] is False and not all(ready[:3]) and ready[3]


async def _until(client: ApiClient, happened: Callable[[Facts], bool]) -> None:
    """Look ten times a second, of virtual time."""
    for _ in range(6000):
        if happened((await observe_set(client, "default", NAME)).facts):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("the sandbox does not do what the pictures show")


if __name__ == "__main__":
    configure_logging(LogSettings(level="error", format="console"))
    for name, content in vt.run(pictures()).items():
        (IMAGES / name).write_text(content)
