"""A stage for control loops: a small cluster in virtual time, and eyes on everything that its caches see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS, Resource
from lws.client.api import ApiClient
from lws.informers.kinds import RawObject, raw_kind
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.controllers.objects import is_terminating, name_of
from lws_sandbox.controllers.pods import is_ready
from lws_sandbox.nodes import Shape, uniform

LOOPS: Final = (
    "statefulset-controller",
    "garbage-collector-controller",
    "persistentvolumeclaim-protection-controller",
    "persistentvolume-binder-controller",
    "kubelet-heartbeat",
    "kubelet",
)
DELAYS: Final = Delays(start=0.0, init=0.2, ready=0.4, stop=0.3, jitter=3.0)
NODE: Final = "node-0"
LIMIT: Final = 900.0


def small_cluster(seed: int, loops: tuple[str, ...] | None = LOOPS, **options: Any) -> Sandbox:
    """A node whose pods take random times, without heartbeats and events."""
    shape = Shape(uniform(1), DELAYS, heartbeat=0.0, events=False)
    return Sandbox(shape=shape, clock=vt.VirtualClock(), random=Random(seed), loops=loops, **options)


class Stage:
    """One set in a namespace of its own, and what happens there.

    ``seen`` is called with every change of a pod of the namespace, after the caches have it.
    """

    def __init__(self, sandbox: Sandbox, namespace: str, seed: int) -> None:
        self.sandbox = sandbox
        self.namespace = namespace
        self.random = Random(seed)
        self.client: ApiClient = sandbox.client()
        self.seen: list[Callable[[JSON | None, JSON | None], None]] = []
        self.faults: list[str] = []
        self._watch(PODS).on_change(self._on_pod)
        self._watch(STATEFULSETS)
        self._watch(PERSISTENTVOLUMECLAIMS)

    def _watch(self, resource: Resource) -> Any:
        return self.sandbox.loops.informers.informer(raw_kind(resource))

    def _on_pod(self, old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        about = new or old
        if about is not None and about.metadata.namespace == self.namespace:
            for handler in self.seen:
                handler(old.raw if old else None, new.raw if new else None)

    def pods(self) -> dict[int, JSON]:
        """The pods that there are, by ordinal."""
        found = (obj.raw for obj in self._watch(PODS).store.list(self.namespace))
        return {int(name_of(pod).rpartition("-")[2]): pod for pod in found}

    def claims(self) -> set[str]:
        """Names of the claims that there are."""
        return {obj.metadata.name for obj in self._watch(PERSISTENTVOLUMECLAIMS).store.list(self.namespace)}

    def set(self) -> JSON | None:
        """The set, as the caches have it."""
        found = self._watch(STATEFULSETS).store.get(self.namespace, "a")
        return found.raw if found else None

    def ready(self, wanted: int) -> bool:
        """Whether exactly that many pods are there, all ready, and the set says so."""
        pods, live = self.pods(), self.set()
        if sorted(pods) != list(range(wanted)) or live is None:
            return False
        if not all(is_ready(pod) and not is_terminating(pod) for pod in pods.values()):
            return False
        status = live["status"]
        settled = status.get("observedGeneration") == live["metadata"]["generation"]
        return bool(settled and status["replicas"] == (status.get("readyReplicas") or 0) == wanted)

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Let time pass until it holds."""
        for _ in range(int(LIMIT / 0.5)):
            if holds():
                return
            await asyncio.sleep(0.5)
        shown = {ordinal: (is_ready(pod), is_terminating(pod)) for ordinal, pod in self.pods().items()}
        raise AssertionError(f"{self.namespace}: {what} never came true: {shown}, {(self.set() or {}).get('status')}")

    async def pause(self, longest: float) -> None:
        """Let some time pass."""
        await asyncio.sleep(self.random.uniform(0.0, longest))

    async def create(self, **spec: Any) -> None:
        """Create the set ``a``."""
        labels = {"app": "a"}
        containers = [{"name": "main", "image": "app:1"}]
        template = {"metadata": {"labels": labels}, "spec": {"containers": containers, "nodeName": NODE}}
        manifest = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "a", "namespace": self.namespace},
            "spec": {"serviceName": "a", "selector": {"matchLabels": labels}, "template": template, **spec},
        }
        await self.client.create(STATEFULSETS, manifest)

    async def change(self, **spec: Any) -> None:
        """Change the set's spec."""
        await self.client.patch(STATEFULSETS, self.namespace, "a", {"spec": spec})

    async def change_template(self, image: str, **spec: Any) -> None:
        """Give the set another image, and more of a pod's spec."""
        containers = [{"name": "main", "image": image}]
        await self.change(template={"spec": {"containers": containers, **spec}})

    def images(self) -> dict[int, str]:
        """The image of each pod."""
        return {ordinal: pod["spec"]["containers"][0]["image"] for ordinal, pod in self.pods().items()}

    def uids(self) -> dict[int, str]:
        """The UID of each pod."""
        return {ordinal: pod["metadata"]["uid"] for ordinal, pod in self.pods().items()}


Scenario = Callable[[Stage], Coroutine[Any, Any, None]]


async def play(scenario: Scenario, seeds: range) -> None:
    """Play a scenario with each seed, all of them side by side in one cluster."""
    async with small_cluster(seeds.start) as sandbox:
        stages = []
        for seed in seeds:
            name = f"seed-{seed}"
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await sandbox.client().create(NAMESPACES, manifest)
            stages.append(Stage(sandbox, name, seed))
        async with asyncio.TaskGroup() as group:
            for stage in stages:
                group.create_task(scenario(stage))
        assert [fault for stage in stages for fault in stage.faults] == []
