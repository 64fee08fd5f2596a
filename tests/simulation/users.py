"""What the user of a simulated set does to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.errors import NotFoundError
from tests.simulation.cluster import NAMESPACE, manifest
from tests.simulation.policies import CHOICES, NOTHING
from tests.simulation.world import NAME, World

POLICIES: Final = ("RecreateGroupOnPodRestart", "RecreateGroupOnPodRestart", "RecreateGroupAfterStart", "None")
SURGES: Final = (0, 0, 0, 1, 2, "25%", "40%", "75%")
UNAVAILABLES: Final = (0, 1, 2, 3, "30%", "50%", "75%")
RECOVERING: Final[JSON] = {"metadata": {"annotations": {labels.RECOVER: "true"}}}
BUDGETED: Final = 0.4  # of sets whose groups are recreated
MOVING: Final = (1, 1, 2, "100%")  # without surge


class User:
    """Creates and edits the set; each method tells what it did."""

    partitions: ClassVar[Sequence[int]] = (0, 0, 1, 2)

    def __init__(self, world: World) -> None:
        self._world = world
        self._edits = 0

    async def create(self) -> str:
        """Create the set."""
        world, random = self._world, self._world.random
        marked = {labels.RECREATE_GROUP_AFTER_START: "true"} if random.random() < 0.1 else {}
        chosen = self._born_with()
        made = await world.cluster.client.create(
            LEADERWORKERSETS,
            manifest(
                NAME,
                replicas=random.randint(1, 4),
                size=random.choice([1, 2, 2, 3]),
                rolling=self._pace(),
                section=self._recovery(),
                startupPolicy=random.choice(["LeaderCreated", "LeaderReady"]),
                networkConfig={"subdomainPolicy": random.choice(["Shared", "UniquePerReplica"])},
                metadata={"annotations": {**marked, **chosen}},
                **self._identity(),
            ),
        )
        world.ledger.edited(made)
        world.ledger.rules.chose({**NOTHING, **chosen}, born=True)
        return f"created: {_summary(made)}{f' {chosen}' if chosen else ''}"

    def _born_with(self) -> dict[str, str]:
        """What the set chooses beyond the reference from the beginning; often nothing."""
        random = self._world.random
        picked = random.sample(CHOICES, random.choice([0, 0, 1, 2, 3]))
        return {key: value for each in picked for key, value in each.items() if value is not None}

    def _identity(self) -> JSON:
        """What the set's groups are known by."""
        return {}

    async def patch(self, patch: JSON) -> str:
        """Edit the set."""
        made = await self._world.cluster.client.patch(LEADERWORKERSETS, NAMESPACE, NAME, patch)
        self._world.ledger.edited(made)
        return _summary(made)

    async def edit_template(self) -> str:
        """Another image, or the last one again."""
        random = self._world.random
        self._edits = max(1, self._edits + random.choice([1, 1, 1, -1]))
        containers = [{"name": "main", "image": f"app:{self._edits + 1}"}]
        template = random.choice(["workerTemplate", "workerTemplate", "leaderTemplate"])
        section = {template: {"spec": {"containers": containers}}}
        return f"{template} edited: " + await self.patch({"spec": {"leaderWorkerTemplate": section}})

    async def scale(self) -> str:
        """Another number of groups."""
        return "scaled: " + await self.patch({"spec": {"replicas": self._world.random.randint(0, 4)}})

    async def pace(self) -> str:
        """Another partition and other budgets."""
        rolling = {"partition": self._world.random.choice(self.partitions), **self._pace()}
        return "pace: " + await self.patch({"spec": {"rolloutStrategy": {"rollingUpdateConfiguration": rolling}}})

    def _pace(self) -> JSON:
        random = self._world.random
        surge = random.choice(SURGES)
        return {"maxSurge": surge, "maxUnavailable": random.choice(UNAVAILABLES if surge else MOVING)}

    async def policy(self) -> str:
        """Another restart policy."""
        self._world.policies += 1
        policy = self._world.random.choice(POLICIES)
        return "policy: " + await self.patch({"spec": {"leaderWorkerTemplate": {"restartPolicy": policy}}})

    def _recovery(self) -> JSON:
        """A restart policy, and now and then a budget where it recreates groups."""
        random = self._world.random
        section: JSON = {"restartPolicy": random.choice(POLICIES)}
        if section["restartPolicy"] != "None" and random.random() < BUDGETED:
            section["maxGroupRestarts"] = random.randint(0, 2)
        return section

    async def recover(self) -> str:
        """Have every group recreated whose budget is exhausted."""
        client, found = self._world.cluster.client, []
        for pod in await self._world.cluster.all(PODS):
            meta = pod["metadata"]
            if (meta.get("annotations") or {}).get(labels.RESTART_BUDGET_EXHAUSTED) == "true":
                with suppress(NotFoundError):
                    await client.patch(PODS, NAMESPACE, meta["name"], RECOVERING)
                    found.append(meta["name"])
        return f"recovered: {' '.join(found)}"

    async def resize(self) -> str:
        """Other groups."""
        size = self._world.random.randint(1, 3)
        return "resized: " + await self.patch({"spec": {"leaderWorkerTemplate": {"size": size}}})

    async def startup(self) -> str:
        """Another startup policy."""
        policy = self._world.random.choice(["LeaderCreated", "LeaderReady"])
        return "startup: " + await self.patch({"spec": {"startupPolicy": policy}})

    async def network(self) -> str:
        """Another subdomain policy."""
        policy = self._world.random.choice(["Shared", "UniquePerReplica"])
        return f"{policy}: " + await self.patch({"spec": {"networkConfig": {"subdomainPolicy": policy}}})

    async def annotate(self) -> str:
        """Labels and annotations that mean nothing."""
        random = self._world.random
        entries = {f"note-{random.randint(0, 2)}": random.choice(["a", "b", None])}
        where = random.choice(["annotations", "labels"])
        return f"{where} {entries}: " + await self.patch({"metadata": {where: entries}})

    async def choose(self) -> str:
        """Choose, or choose no more, something that goes beyond the reference."""
        chosen = self._world.random.choice(CHOICES)
        told = await self.patch({"metadata": {"annotations": chosen}})
        self._world.ledger.rules.chose(chosen)
        return f"chosen {chosen}: {told}"

    async def choose_nothing(self) -> None:
        """Choose nothing any more."""
        await self.patch({"metadata": {"annotations": NOTHING}})
        self._world.ledger.rules.chose(NOTHING)

    async def recreate(self) -> str:
        """Delete the set, and create another one of its name."""
        self._world.policies += 1
        how = self._world.random.choice(["Background", "Foreground"])
        cluster = self._world.cluster
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, NAME, propagation=how)
        while await cluster.get(LEADERWORKERSETS, NAME) is not None:  # noqa: ASYNC110 -- virtual time
            await asyncio.sleep(0.2)
        return f"set deleted ({how}), " + await self.create()


def _summary(lws: JSON) -> str:
    spec = lws["spec"]
    section, rolling = spec["leaderWorkerTemplate"], spec["rolloutStrategy"]["rollingUpdateConfiguration"]
    images = [
        section[each]["spec"]["containers"][0]["image"]
        for each in ("leaderTemplate", "workerTemplate")
        if each in section
    ]
    return (
        f"generation {lws['metadata']['generation']} R={spec['replicas']} size={section['size']} "
        f"U={rolling['maxUnavailable']} S={rolling['maxSurge']} Q={rolling['partition']} {'+'.join(images)} "
        f"{section['restartPolicy']} {spec['startupPolicy']} {spec['networkConfig']['subdomainPolicy']}"
    )
