"""``kubectl lws`` on every control plane."""

from __future__ import annotations

import asyncio
import io
import itertools

import pytest

from lws.api.leaderworkerset.policykeys import ROLLOUT
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, PODS, SERVICES, STATEFULSETS
from lws.cli.kubectl.follow import DeletedError
from lws.cli.kubectl.leaderworkerset import LeaderWorkerSetCommand
from lws.cli.kubectl.observe import Observation
from lws.cli.kubectl.terminal import Terminal
from lws.errors import ConflictError, LwsError
from tests.cli.sessions import session
from tests.real.planes import Plane
from tests.real.world import World

KEY = "leaderworkerset.sigs.k8s.io/template-revision-hash"


class Plugin:
    """The plugin, printing into a file of 200 columns."""

    def __init__(self, world: World, name: str = "sample") -> None:
        self._stream = io.StringIO()
        self._world = world
        self._name = name

    def command(self, line: str) -> LeaderWorkerSetCommand:
        """A command on the set."""
        terminal = Terminal(self._stream, {"COLUMNS": "200"})
        line = f"{line} {self._name}"
        return LeaderWorkerSetCommand(session(self._world.client, line, terminal, namespace=self._world.namespace)[0])

    async def run(self, line: str) -> int:
        """Run it; its exit code."""
        return await self.command(line).run()

    @property
    def text(self) -> str:
        """What was printed since the last look."""
        text = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return text

    async def explain(self) -> str:
        """What the set waits for."""
        await self.run("explain-stuck")
        return self.text


def test_a_tree_shows_every_pod_with_its_node_and_revision(plane: Plane) -> None:
    """Groups, pods, nodes and the revision key of a set that is well; it waits for nothing."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=2)
        await world.settled("sample")
        plugin = Plugin(world)
        assert await plugin.run("tree") == 0
        told = plugin.text
        for pod in world.all(PODS):
            (line,) = [line for line in told.splitlines() if f" {pod['metadata']['name']} " in f"{line} "]
            assert pod["spec"]["nodeName"] in line
        assert world.revisions()[0]["metadata"]["labels"][KEY] in told
        assert await plugin.run("explain-stuck") == 0
        assert "waits for nothing" in plugin.text

    plane.run(scenario)


def test_what_a_set_waits_for_is_told(plane: Plane) -> None:
    """A group that finds no node is told with the scheduler's own reasons, until it does."""

    async def scenario(world: World) -> None:
        await world.start()
        template = {"spec": {"containers": [{"name": "main", "image": "app:1"}], "nodeSelector": {"stage": "open"}}}
        await world.create(replicas=1, size=2, section={"workerTemplate": template})
        await world.counts(PODS, 2)
        await world.rest()
        plugin = Plugin(world)
        assert await plugin.run("explain-stuck") == 1
        told = plugin.text
        assert "leader pod sample-0 finds no node: 0/8 nodes are available: 8 node(s) didn't match Pod's node" in told
        following = asyncio.create_task(plugin.run("status -w"))
        await world.open_stage()
        await world.settled("sample")
        async with asyncio.timeout(10):
            assert await following == 0
        assert await plugin.run("explain-stuck") == 0

    plane.run(scenario)


def test_a_rollout_is_paused_resumed_and_undone(plane: Plane) -> None:
    """Paused, the update goes no further; resumed, it ends; undone, the first template is back."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=3, size=2)
        await world.settled("sample")
        plugin = Plugin(world)
        await world.roll("app:2")
        await world.until(lambda: world.images("sample").get("sample-2") == "app:2", "the update of group 2")
        assert await plugin.run("rollout pause") == 0
        await world.rest()
        assert world.images("sample")["sample-0"] == "app:1"
        assert await plugin.run("rollout status --watch=false") == 0
        assert "successfully" not in plugin.text
        assert await plugin.run("rollout history") == 0
        keys = [each["metadata"]["labels"][KEY] for each in world.revisions()]
        assert len(keys) == 2
        told = plugin.text
        assert [key for key in keys if key not in told] == []
        assert await plugin.run("rollout undo") == 0
        assert await plugin.run("rollout resume") == 0
        await world.until(lambda: set(world.images("sample").values()) == {"app:1"}, "all groups as before")
        await world.settled("sample")
        async with asyncio.timeout(10):
            assert await plugin.run("rollout status") == 0
        assert "successfully rolled out" in plugin.text

    plane.run(scenario)


@pytest.mark.parametrize("edited", [False, True])
def test_only_an_edit_stops_a_step(plane: Plane, monkeypatch: pytest.MonkeyPatch, edited: bool) -> None:
    """R30: a status written between look and write is looked at again; an edit of somebody else's is never overwritten.

    Where no controller heeds a pause it is taken back, and the command fails.
    """

    async def scenario(world: World) -> None:
        await world.create(replicas=2, size=1)
        command = Plugin(world).command("rollout pause")
        look, looks = command._observe, itertools.count(1)

        async def look_and_be_overtaken() -> Observation:
            observation = await look()
            if (number := next(looks)) <= 2:
                change = {"spec": {"replicas": 3}} if edited else {"status": {"replicas": number}}
                below = "" if edited else "status"
                await world.client.patch(LEADERWORKERSETS, world.namespace, "sample", change, subresource=below)
            return observation

        monkeypatch.setattr(command, "_observe", look_and_be_overtaken)
        if edited:
            with pytest.raises(ConflictError):
                await command.run()
        else:
            with pytest.raises(LwsError, match="does not support pausing"):
                await command.run()
        live = await world.client.get(LEADERWORKERSETS, world.namespace, "sample")
        assert ROLLOUT not in (live["metadata"].get("annotations") or {})
        assert next(looks) == (3 if edited else 4)

    plane.run(scenario)


def service(world: World) -> JSON:
    """Somebody's Service under the set's name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "sample", "namespace": world.namespace},
        "spec": {"selector": {"app": "other"}, "ports": [{"port": 80}]},
    }


def test_a_foreign_service_is_no_silence(plane: Plane) -> None:
    """Though every group is ready, a Service of the set's name that is not ours is told: its pods have no names."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.client.create(SERVICES, service(world))
        await world.create(replicas=1, size=2)
        await world.settled("sample")
        told = await Plugin(world).explain()
        assert "Service sample does not belong to the set: it is not headless. Delete or rename it" in told

    plane.run(scenario)


def test_a_foreign_worker_statefulset_is_named(plane: Plane) -> None:
    """A StatefulSet of somebody else's under a leader's name is told at once, with its remedy."""

    async def scenario(world: World) -> None:
        await world.start()
        pod = {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}
        spec = {"replicas": 0, "serviceName": "x", "selector": {"matchLabels": {"app": "other"}}, "template": pod}
        meta = {"name": "sample-0", "namespace": world.namespace}
        await world.client.create(
            STATEFULSETS, {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": spec}
        )
        await world.create(replicas=1, size=2)
        await world.counts(PODS, 1)
        await world.rest()
        told = await Plugin(world).explain()
        assert "StatefulSet sample-0 is not the leader pod's: it has no owner. Delete or rename it" in told

    plane.run(scenario)


def test_a_refused_pod_is_told_in_the_servers_words(plane: Plane) -> None:
    """What the StatefulSet controller cannot create is quoted from its event; the controller is not blamed."""

    async def scenario(world: World) -> None:
        await world.start()
        enforced = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
        await world.client.patch(NAMESPACES, "", world.namespace, enforced)
        template = {"spec": {"containers": [{"name": "main", "image": "app:1"}], "hostNetwork": True}}
        await world.create(replicas=2, size=2, section={"workerTemplate": template})
        await world.rest()
        told = await Plugin(world).explain()
        assert "leader pod sample-0 does not exist: create pod sample-0" in told.lower()
        assert "violates PodSecurity" in told
        assert "check that the controller runs" not in told

    plane.run(scenario)


def test_a_refused_edit_is_told_in_the_servers_words(plane: Plane) -> None:
    """An edit that no StatefulSet takes quotes what the API server says to it, and nothing of other groups."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=1, size=1)
        await world.settled("sample")
        mounts = [{"name": "nothing", "mountPath": "/x"}]
        template = {"spec": {"containers": [{"name": "main", "image": "app:2", "volumeMounts": mounts}]}}
        await world.edit("sample", leaderWorkerTemplate={"workerTemplate": template})
        await world.rest()
        told = await Plugin(world).explain()
        assert "volumeMounts[0].name: Not found" in told
        assert "check that the controller runs" not in told

    plane.run(scenario)


def test_a_set_that_is_deleted_while_it_is_followed_is_told(plane: Plane) -> None:
    """Following ends with the news, not with a question about the name."""

    async def scenario(world: World) -> None:
        await world.start()
        template = {"spec": {"containers": [{"name": "main", "image": "app:1"}], "nodeSelector": {"stage": "open"}}}
        await world.create(replicas=1, size=1, section={"workerTemplate": template})
        await world.rest()
        following = asyncio.create_task(Plugin(world).run("status -w"))
        await world.rest()
        await world.client.delete(LEADERWORKERSETS, world.namespace, "sample")
        with pytest.raises(DeletedError, match='leaderworkerset "sample" was deleted'):
            async with asyncio.timeout(30):
                await following

    plane.run(scenario)
