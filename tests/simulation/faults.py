"""What goes wrong in a simulated cluster: pods, nodes, operators, networks, and people who delete things."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import RECOVERY_GRACE
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS, SERVICES, STATEFULSETS, Resource
from lws.reconcilers.leaderworkerset.caches import OWN_REVISIONS
from lws_sandbox.controllers.kubelet.loop import NoSuchPodError
from tests.simulation.cluster import NAMESPACE
from tests.simulation.world import NAME, NODES, World

NOTICE_SECONDS: Final = 20.0  # within which a lost member takes its group down, if nothing is in the way
PATIENCE: Final = 15  # seconds to wait for a complete group


class Faults:
    """Each method does some harm and tells which."""

    leaders_by: ClassVar[Resource] = STATEFULSETS  # the kind of the object that makes the leaders
    whose: ClassVar[str] = f"{labels.NAME}={NAME}"  # selects the pods that come to harm

    def __init__(self, world: World) -> None:
        self._world = world

    # Pods.

    async def delete_pod(self) -> str:
        """Some pod is deleted, at once or with grace."""
        name = await self._any(PODS)
        if name is None:
            return "no pod to delete"
        return await self._end(name, self._world.random.choice([None, 0, 0, 10]))

    async def lose_worker(self) -> str:
        """A worker of a group that is complete vanishes."""
        group = await self._complete_group()
        workers = [each for each in group if each["metadata"]["labels"].get(labels.WORKER_INDEX) != "0"]
        if not workers:
            return "no complete group to take a worker from"
        name = self._world.random.choice(workers)["metadata"]["name"]
        return await (self._end(name, 0) if self._world.random.random() < 0.3 else self._end_unseen(name))

    async def strike_group(self) -> str:
        """Several pods of a complete group fail in the same moment."""
        group = await self._complete_group()
        if not group:
            return "no complete group to strike"
        told = []
        for pod in group:
            name = pod["metadata"]["name"]
            if self._world.random.random() < 0.5:
                self._world.cluster.sandbox.loops.kubelets.crash(NAMESPACE, name)
                told.append(f"{name} crashes")
            elif name.count("-") > 1:
                told.append(await self._end(name, 0))
        return ", ".join(told) or "no pod is struck"

    async def crash_pod(self) -> str:
        """A container exits."""
        name = await self._any(PODS)
        if name is None:
            return "no pod to crash"
        self._world.cluster.sandbox.loops.kubelets.crash(NAMESPACE, name)
        return f"pod {name} crashes"

    async def crash_again(self) -> str:
        """A container exits whenever it has run for a moment, its successors' as well."""
        name, random = await self._any(PODS), self._world.random
        if name is None:
            return "no pod to crash"

        async def crash() -> None:
            for _ in range(4):
                with suppress(NoSuchPodError):
                    self._world.cluster.sandbox.loops.kubelets.crash(NAMESPACE, name)
                await asyncio.sleep(random.uniform(2, 4))

        self._world.later(0.0, crash)
        return f"pod {name} crashes again and again"

    async def fail_pod(self) -> str:
        """A pod is evicted."""
        name = await self._any(PODS)
        if name is None:
            return "no pod to fail"
        self._world.cluster.sandbox.loops.kubelets.fail(NAMESPACE, name)
        return f"pod {name} is evicted"

    async def _end(self, name: str, grace: int | None) -> str:
        world = self._world
        owed = await self._owed(name)
        await world.cluster.client.delete(PODS, NAMESPACE, name, grace_period_seconds=grace)
        if owed:
            operators, policies = [*world.cluster.operators], world.policies
            world.later(NOTICE_SECONDS, lambda: self._expect_gone(name, owed, operators, policies))
        return f"pod {name} deleted, grace {grace}"

    async def _end_unseen(self, name: str) -> str:
        """A pod is deleted at once, and nobody can look until its successor may have its name."""
        world, drills = self._world, self._world.cluster.drills
        world.trouble.blind = True
        await drills.api_break()
        told = await self._end(name, 0)
        await asyncio.sleep(world.random.uniform(0.1, 3))
        if world.random.random() < 0.7:
            await drills.api_compact()
        world.trouble.blind = False
        return f"{told}, unseen"

    async def _owed(self, worker: str) -> str:
        """The UID of the leader that has to go with this worker; empty if the group may stay (CD-01)."""
        base, _, index = worker.rpartition("-")
        cluster = self._world.cluster
        pod = await self._leader_of(worker, base) if base != NAME and index.isdigit() else None
        named = NAME if pod is None else pod["metadata"]["labels"][labels.NAME]
        lws, sets = await cluster.get(LEADERWORKERSETS, named), await cluster.get(STATEFULSETS, base)
        if pod is None or lws is None or sets is None or not self._world.steady:
            return ""
        dying = any("deletionTimestamp" in each["metadata"] for each in (pod, lws, sets))
        policy = lws["spec"]["leaderWorkerTemplate"]["restartPolicy"]
        # These let a pending group stay, and one whose member may yet come back (resilience 7).
        stays = {labels.RECREATE_GROUP_AFTER_START, RECOVERY_GRACE} & set(lws["metadata"].get("annotations") or {})
        if dying or stays or policy != "RecreateGroupOnPodRestart":
            return ""
        complete = (sets.get("status") or {}).get("availableReplicas") == sets["spec"]["replicas"]
        same = sets["metadata"]["labels"][labels.REVISION] == pod["metadata"]["labels"][labels.REVISION]
        return str(pod["metadata"]["uid"]) if complete and same else ""

    async def _leader_of(self, _worker: str, base: str) -> JSON | None:
        """The leader of a worker, by what the worker's name begins with."""
        return await self._world.cluster.get(PODS, base)

    async def _expect_gone(self, worker: str, uid: str, operators: Sequence[object], policies: int) -> None:
        """A leader whose worker ended is gone or going, if nothing kept its operator from seeing to it."""
        world = self._world
        if not world.steady or [*operators] != world.cluster.operators or policies != world.policies:
            return
        for pod in await world.cluster.all(PODS):
            if pod["metadata"]["uid"] == uid and "deletionTimestamp" not in pod["metadata"]:
                world.ledger.complain(f"{worker} ended, and its group was not recreated")

    async def _complete_group(self) -> list[JSON]:
        """The pods of some group of which all are ready, if there is one soon."""
        for _ in range(PATIENCE):
            groups: dict[tuple[str, str], list[JSON]] = {}
            for pod in await self._world.cluster.all(PODS, self.whose):
                told = pod["metadata"]["labels"]
                groups.setdefault((told[labels.NAME], told.get(labels.GROUP_INDEX, "")), []).append(pod)
            whole = [group for group in groups.values() if len(group) > 1 and _whole(group)]
            if whole:
                await asyncio.sleep(0.5)  # those who look see it too
                return self._world.random.choice(whole)
            await asyncio.sleep(1)
        return []

    # Things that are deleted or changed by others.

    async def _any(self, resource: Resource) -> str | None:
        found = await self._world.cluster.all(resource, self.whose if resource is PODS else Faults.whose)
        names = [each["metadata"]["name"] for each in found]
        return self._world.random.choice(names) if names else None

    async def delete_worker_set(self) -> str:
        """Somebody deletes a worker StatefulSet."""
        name = await self._any(STATEFULSETS)
        if name is None or name == NAME:
            return "no worker set to delete"
        how = self._world.random.choice(["Background", "Foreground", "Orphan"])
        lws, index = await self._world.cluster.get(LEADERWORKERSETS, NAME), name.rpartition("-")[2]
        if how == "Orphan" and lws is not None and index.isdigit() and int(index) >= lws["spec"]["replicas"]:
            how = "Background"  # the group may go before its set is made again, and nobody would take the pods
        await self._world.cluster.client.delete(STATEFULSETS, NAMESPACE, name, propagation=how)
        return f"worker set {name} deleted ({how})"

    async def delete_leader_set(self) -> str:
        """Somebody deletes the leader StatefulSet."""
        how = self._world.random.choice(["Background", "Foreground"])
        await self._world.cluster.client.delete(self.leaders_by, NAMESPACE, NAME, propagation=how)
        return f"leader set deleted ({how})"

    async def delete_service(self) -> str:
        """Somebody deletes the Service."""
        await self._world.cluster.client.delete(SERVICES, NAMESPACE, NAME)
        return "service deleted"

    async def delete_revision(self) -> str:
        """Somebody deletes a revision."""
        revisions = await self._world.cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)
        if not revisions:
            return "no revision to delete"
        name = self._world.random.choice(revisions)["metadata"]["name"]
        await self._world.cluster.client.delete(CONTROLLERREVISIONS, NAMESPACE, name)
        return f"revision {name} deleted"

    async def drift(self) -> str:
        """Somebody changes the leader StatefulSet."""
        world = self._world
        patch = world.random.choice(
            [
                {"spec": {"replicas": world.random.randint(0, 4)}},
                {"metadata": {"annotations": {labels.REPLICAS: "9"}}},
                {"metadata": {"labels": {"stray": "yes"}}},
            ]
        )
        world.ledger.drifted = world.time
        await world.cluster.client.patch(self.leaders_by, NAMESPACE, NAME, patch, field_manager="kubectl")
        return f"leader set drifts: {patch}"

    # Machines.

    async def freeze_node(self) -> str:
        """A node stands still for a while."""
        node = f"node-{self._world.random.randint(0, NODES - 1)}"
        drills = self._world.cluster.drills
        await drills.node_fail(node)
        self._world.later(self._world.random.expovariate(1 / 15), lambda: drills.node_recover(node))
        return f"{node} freezes"

    async def crash_operator(self) -> str:
        """An operator dies, and comes back after a while."""
        operators = self._world.cluster.operators
        if not operators:
            return "no operator to crash"
        await self._world.random.choice(operators).crash()
        self._world.ledger.rules.ended_operator()
        self._world.later(self._world.random.expovariate(1 / 5), self._world.start)
        return "operator crashes"

    async def replace_operator(self) -> str:
        """An operator is replaced as in an upgrade."""
        if self._world.cluster.operators:
            await self._world.cluster.operators[0].stop()
            self._world.ledger.rules.ended_operator()
        await self._world.start()
        return "operator is replaced in order"

    async def make_trouble(self) -> str:
        """The network or the server is bad for a while."""
        world, random = self._world, self._world.random
        kind = random.choice(["refused", "unsent", "unanswered"])
        setattr(world.trouble, kind, random.choice([0.1, 0.3, 0.6]))
        world.trouble.broken = random.choice([0.0, 0.02, 0.1])

        async def heal() -> None:
            world.trouble.heal()

        world.later(random.expovariate(1 / 8), heal)
        return f"trouble: {kind} {getattr(world.trouble, kind)}, watches {world.trouble.broken}"

    async def break_watches(self) -> str:
        """Watches end, and perhaps what they would go on from is forgotten."""
        drills = self._world.cluster.drills
        if self._world.random.random() < 0.5:
            await drills.api_compact()
        await drills.api_break()
        return "watches break, history forgotten"

    async def heal(self) -> None:
        """End all troubles."""
        self._world.trouble.heal()
        await self._world.cluster.drills.api_heal()
        for node in sorted(self._world.cluster.sandbox.loops.fleet.failed):
            await self._world.cluster.drills.node_recover(node)


def _whole(group: list[JSON]) -> bool:
    """Whether every pod of a group is there, ready, and not going."""
    size = int(group[0]["metadata"]["annotations"].get(labels.SIZE, 0))
    ready = all(
        "deletionTimestamp" not in each["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in each["status"].get("conditions", ()))
        for each in group
    )
    return ready and len(group) == size
