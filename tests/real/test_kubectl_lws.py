"""``kubectl lws`` on every control plane."""

from __future__ import annotations

import asyncio
import io
import itertools

import pytest
from rich.console import Console

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS
from lws.cli.kubectl.main import Command
from lws.cli.kubectl.picture import Picture
from lws.errors import ConflictError
from tests.real.planes import Plane
from tests.real.world import World

KEY = "leaderworkerset.sigs.k8s.io/template-revision-hash"


class Terminal:
    """The command at a terminal of 200 columns."""

    def __init__(self, world: World, name: str = "sample") -> None:
        self._console = Console(width=200, record=True, file=io.StringIO())
        self.command = Command(world.client, world.namespace, name, self._console)

    @property
    def text(self) -> str:
        """What was shown since the last look."""
        return self._console.export_text()


def test_a_tree_shows_every_pod_with_its_node_and_revision(plane: Plane) -> None:
    """Groups, pods, nodes and the revision key of a set that is well; it waits for nothing."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=2)
        await world.settled("sample")
        terminal = Terminal(world)
        assert await terminal.command.tree() == 0
        told = terminal.text
        for pod in world.all(PODS):
            (line,) = [line for line in told.splitlines() if f" {pod['metadata']['name']} " in f"{line} "]
            assert pod["spec"]["nodeName"] in line
        assert world.revisions()[0]["metadata"]["labels"][KEY] in told
        assert await terminal.command.explain() == 0
        assert "waits for nothing" in terminal.text

    plane.run(scenario)


def test_what_a_set_waits_for_is_told(plane: Plane) -> None:
    """A group that finds no node is told with the scheduler's own reasons, until it does."""

    async def scenario(world: World) -> None:
        await world.start()
        template = {"spec": {"containers": [{"name": "main", "image": "app:1"}], "nodeSelector": {"stage": "open"}}}
        await world.create(replicas=1, size=2, section={"workerTemplate": template})
        await world.counts(PODS, 2)
        await world.rest()
        terminal = Terminal(world)
        assert await terminal.command.explain() == 1
        told = terminal.text
        assert "leader pod sample-0 finds no node: 0/8 nodes are available: 8 node(s) didn't match Pod's node" in told
        following = asyncio.create_task(terminal.command.status(watch=True))
        await world.open_stage()
        await world.settled("sample")
        async with asyncio.timeout(10):
            assert await following == 0
        assert await terminal.command.explain() == 0

    plane.run(scenario)


def test_a_rollout_is_paused_resumed_and_undone(plane: Plane) -> None:
    """Paused, the update goes no further; resumed, it ends; undone, the first template is back."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=3, size=2)
        await world.settled("sample")
        terminal = Terminal(world)
        await world.roll("app:2")
        await world.until(lambda: world.images("sample").get("sample-2") == "app:2", "the update of group 2")
        assert await terminal.command.rollout("pause", None) == 0
        await world.rest()
        assert world.images("sample")["sample-0"] == "app:1"
        assert await terminal.command.rollout("status", None) == 1
        assert await terminal.command.rollout("history", None) == 0
        keys = [each["metadata"]["labels"][KEY] for each in world.revisions()]
        assert len(keys) == 2
        told = terminal.text
        assert [key for key in keys if key not in told] == []
        assert await terminal.command.rollout("undo", None) == 0
        assert await terminal.command.rollout("resume", None) == 0
        await world.until(lambda: set(world.images("sample").values()) == {"app:1"}, "all groups as before")
        await world.settled("sample")
        assert await terminal.command.rollout("status", None) == 0

    plane.run(scenario)


@pytest.mark.parametrize("edited", [False, True])
def test_only_an_edit_stops_a_step(plane: Plane, monkeypatch: pytest.MonkeyPatch, edited: bool) -> None:
    """A status written between look and write is looked at again; an edit of somebody else's is never overwritten."""

    async def scenario(world: World) -> None:
        await world.create(replicas=2, size=1)
        command = Terminal(world).command
        look, looks = command._look, itertools.count(1)

        async def look_and_be_overtaken() -> Picture:
            picture = await look()
            if (number := next(looks)) <= 2:
                change = {"spec": {"replicas": 3}} if edited else {"status": {"replicas": number}}
                below = "" if edited else "status"
                await world.client.patch(LEADERWORKERSETS, world.namespace, "sample", change, subresource=below)
            return picture

        monkeypatch.setattr(command, "_look", look_and_be_overtaken)
        if edited:
            with pytest.raises(ConflictError):
                await command.rollout("pause", None)
        else:
            assert await command.rollout("pause", None) == 0
        live = await world.client.get(LEADERWORKERSETS, world.namespace, "sample")
        partition = live["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"]["partition"]
        assert (partition, next(looks)) == (0, 3) if edited else (2, 4)

    plane.run(scenario)
