"""Plays what becomes of pods, groups and conditions of a set over time, on the sandbox and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.cli.kubectl.observe import observe
from lws.cli.kubectl.ui.states import by_group, letter
from lws.client.api import ApiClient
from lws.planning.leaderworkerset.diagnosis.facts import Facts
from lws.planning.leaderworkerset.diagnosis.objects import PodReport
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.drills import Drills
from lws_sandbox.nodes import preset
from lws_sandbox.quickstart.environment import controller, sandbox_env

DELAYS: Final = Delays(start=2.0, init=1.0, ready=4.0, stop=3.0)
NAME: Final = "llama"
SETTLED: Final = 30.0  # seconds of virtual time after which a new set is whole
Course = dict[str, str]  # by row: a letter for each second


@dataclass(frozen=True, slots=True)
class Stage:
    """What an act plays with."""

    client: ApiClient
    drills: Drills

    async def drill(self, drill: str, /, **arguments: Any) -> None:
        """Run a drill."""
        await self.drills.run(drill, arguments)

    async def edit(self, **spec: Any) -> None:
        """Change members of the set's spec."""
        await self.client.patch(LEADERWORKERSETS, "default", NAME, {"spec": spec})

    async def annotate(self, **annotations: str | None) -> None:
        """Write annotations of ours, or with None remove them."""
        chosen = {PREFIX + key: value for key, value in annotations.items()}
        await self.client.patch(LEADERWORKERSETS, "default", NAME, {"metadata": {"annotations": chosen}})

    async def image(self, image: str) -> None:
        """Roll the set to another image."""
        await self.edit(leaderWorkerTemplate={"workerTemplate": _pods(image)})

    async def node_of(self, pod: str) -> str:
        """Where a pod is."""
        return str((await self.client.get(PODS, "default", pod))["spec"]["nodeName"])


@dataclass(frozen=True, slots=True)
class Act:
    """Something that happens in a scene: after how many seconds, in words, and how."""

    second: int
    words: str
    do: Callable[[Stage], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Scene:
    """A set, and what happens to it.

    Attributes:
        title: of the scene.
        seconds: that it takes.
        rows: what is shown: ``pods``, ``groups`` or ``conditions``.
        spec: of the set, beside its template.
        template: members of leaderWorkerTemplate.
        annotations: of the set.
        acts: in order.
        ready: whether the scene begins when the set is whole.
    """

    title: str
    seconds: int
    rows: str = "groups"
    spec: JSON = field(default_factory=dict)
    template: JSON = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    acts: tuple[Act, ...] = ()
    ready: bool = True

    @property
    def manifest(self) -> JSON:
        """The set."""
        template = {"size": 2, "workerTemplate": _pods("app:1"), **self.template}
        return {
            "apiVersion": LEADERWORKERSETS.api_version,
            "kind": LEADERWORKERSETS.kind,
            "metadata": {"name": NAME, "namespace": "default", "annotations": dict(self.annotations)},
            "spec": {"replicas": 2, "leaderWorkerTemplate": template, **self.spec},
        }


def _pods(image: str) -> JSON:
    return {"spec": {"terminationGracePeriodSeconds": 5, "containers": [{"name": "main", "image": image}]}}


async def play(scene: Scene) -> Course:
    """What became of every row, second by second; a space where it was not there."""
    sandbox = Sandbox(shape=replace(preset("small"), delays=DELAYS), clock=vt.VirtualClock(), random=Random(7))
    async with sandbox:
        env = sandbox_env(sandbox)
        async with controller(env):
            stage = Stage(env.client("courses"), Drills(sandbox))
            await stage.client.create(LEADERWORKERSETS, scene.manifest)
            if scene.ready:
                await asyncio.sleep(SETTLED)
            return await _watched(stage, scene)


async def _watched(stage: Stage, scene: Scene) -> Course:
    course: Course = {}
    for second in range(scene.seconds):
        for act in scene.acts:
            if act.second == second:
                await act.do(stage)
        raw = await stage.client.get(LEADERWORKERSETS, "default", NAME)
        facts = (await observe(stage.client, "default", NAME)).facts
        for row, now in READ[scene.rows](facts, raw).items():
            course[row] = course.get(row, "").ljust(second) + now
        await asyncio.sleep(1)
    return {row: letters.ljust(scene.seconds) for row, letters in course.items()}


def _groups(facts: Facts, raw: JSON) -> Course:
    told = by_group(facts, raw.get("status") or {})
    return {
        group.base if facts.lws.hashed else f"group {group.index}": letter(told[group.index][0], group)
        for group in facts.groups
        if group.leader is not None
    }


def _members(facts: Facts, _raw: JSON) -> Course:
    return {pod.metadata.name: _member(pod) for group in facts.groups for pod in group.pods}


def _member(pod: PodReport) -> str:
    if pod.metadata.deleting:
        return "t"
    if pod.ready:
        return "r"
    ended = [
        one for one in pod.status.container_statuses or () if one.terminated or (one.waiting and one.restart_count)
    ]
    return "b" if ended else "s" if pod.spec.node_name else "q"


def _conditions(_facts: Facts, raw: JSON) -> Course:
    conditions = (raw.get("status") or {}).get("conditions") or ()
    return {one["type"]: "r" for one in conditions if one["status"] == "True"}


READ: Final[Mapping[str, Callable[[Facts, JSON], Course]]] = {
    "groups": _groups,
    "pods": _members,
    "conditions": _conditions,
}
