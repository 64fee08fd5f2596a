"""`kubectl lws` on a set whose groups are known by a key (next 3)."""

from __future__ import annotations

import asyncio

from rich.console import Console, RenderableType

from lws.apimachinery.resources import PODS
from lws.cli.kubectl import render
from lws.cli.kubectl.observe import observe
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.words import sentences
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.cli.sessions import Plugin
from tests.simulation.cluster import NAMESPACE
from tests.simulation.hashed import NAME, going, hash_cluster
from tests.virtual import virtual_time


def printed(picture: RenderableType) -> str:
    """What a person sees."""
    console = Console(width=160, record=True, file=None, color_system=None)
    with console.capture() as captured:
        console.print(picture)
    return captured.get()


@virtual_time
async def test_tree_status_and_explain_tell_groups_by_their_names() -> None:
    """A whole set is drawn whole; of one that replaces a group it is said who waits for what."""
    async with hash_cluster(delays=Delays(stop=30.0)) as found:
        client = found.cluster.client
        leaders = await found.up(replicas=2, size=2)
        observation = await observe(client, NAMESPACE, NAME)
        drawn = printed(render.tree(observation.facts))
        assert "2/2 groups ready" in drawn
        for leader in leaders:
            assert f"  {leader['spec']['hostname']}  " in drawn
            assert f"{leader['spec']['hostname']}-1  " in drawn
        assert "2 groups exist, known by a key" in printed(render.status(observation.facts))
        assert diagnose(observation.facts) == ()
        for step in ("pause", "resume"):
            assert await Plugin(client).run(f"rollout {step} {NAME}") == f"leaderworkerset/{NAME} {step}d\n"

        await client.delete(PODS, NAMESPACE, leaders[0]["metadata"]["name"])
        await asyncio.sleep(3)
        facts = (await observe(client, NAMESPACE, NAME)).facts
        (waiting,) = [pod["metadata"]["name"] for pod in await found.leaders() if not going(pod)][1:]
        told = " ".join(sentences(diagnose(facts), 9))
        assert f"leader pod {waiting} waits for 1 terminating group(s) to be removed before it is scheduled" in told
        assert f"leader pod {leaders[0]['metadata']['name']} on" in told
        assert "1/2 groups ready" in printed(render.tree(facts))
