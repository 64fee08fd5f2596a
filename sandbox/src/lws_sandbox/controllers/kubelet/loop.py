"""The kubelets' loop: moves the pods of every node on, writes their status, and takes ended ones away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from lws.apimachinery.resources import NODES, PODS
from lws.client.api import STRATEGIC_MERGE_PATCH
from lws.errors import ConflictError, LwsError, NotFoundError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import (
    NODE_INDEX,
    Done,
    Key,
    KeyedLoop,
    Raw,
    RequeueAfter,
    Toolbox,
    Verdict,
    key_of,
    node_values,
)
from lws_sandbox.controllers.kubelet import runtime
from lws_sandbox.controllers.kubelet.fleet import Fleet
from lws_sandbox.controllers.kubelet.runtime import Container, Delays, PodRun
from lws_sandbox.controllers.kubelet.status import OWN_CONDITIONS, pod_status
from lws_sandbox.controllers.objects import JSON, is_terminating, meta, name_of, namespace_of, uid_of
from lws_sandbox.controllers.recorder import EventType

KUBELET: Final = "kubelet"


class NoSuchPodError(LwsError):
    """There is no such pod on a working node."""


class KubeletLoop(KeyedLoop[Key]):
    """All kubelets of the sandbox.

    Args:
        tools: shared by all loops.
        fleet: the nodes that they speak for.
        delays: how long things take.
    """

    def __init__(self, tools: Toolbox, fleet: Fleet, delays: Delays) -> None:
        self._client = tools.client(KUBELET)
        self._recorder = tools.recorder
        self._clock = tools.clock
        self._random = tools.random
        self._fleet = fleet
        self.delays = delays
        self._pods: Raw = tools.watch(PODS)
        self._nodes: Raw = tools.watch(NODES)
        self._pods.add_index(NODE_INDEX, node_values)
        self._runs: dict[str, PodRun] = {}
        self._addresses: dict[str, str] = {}
        self._taken_away: set[str] = set()
        super().__init__(tools, KUBELET, self.sync, workers=32, caches=(self._pods,))
        self._pods.on_change(self._on_pod)

    def _on_pod(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is None:
            if old is not None:
                self._forget(old.metadata.uid)
            return
        node = new.raw["spec"].get("nodeName")
        if node and self._fleet.runs(node):
            self.queue.add(key_of(new), initial)

    def _forget(self, uid: str) -> None:
        self._runs.pop(uid, None)
        self._addresses.pop(uid, None)
        self._taken_away.discard(uid)

    async def sync(self, key: Key) -> Verdict:
        """Move one pod on."""
        found = self._pods.store.get(*key)
        if found is None or found.metadata.uid in self._taken_away:
            return Done()
        pod, uid = found.raw, found.metadata.uid
        node = pod["spec"].get("nodeName") or ""
        if not self._fleet.runs(node):
            return Done()
        now = self._clock.now()
        run = self._runs.get(uid)
        if run is None:
            if _ended(pod):
                return await self._end(key, pod, None)
            run = runtime.begin(pod, self.delays.scaled(self._random.random()), now)
            self._addresses[uid] = self._fleet.new_pod_ip(node)
        if is_terminating(pod):
            run = runtime.stop(run, float(meta(pod).get("deletionGracePeriodSeconds") or 0), now)
        moved, wait = runtime.advance(run, now)
        self._tell(pod, node, run, moved)
        self._runs[uid] = moved
        await self._write(key, pod, node, moved, now)
        if moved.stopped and is_terminating(pod):
            return await self._end(key, pod, moved)
        return Done() if wait is None else RequeueAfter(wait)

    async def _write(self, key: Key, pod: JSON, node: str, run: PodRun, now: datetime) -> None:
        host = self._fleet.host_ip(node)
        status = pod_status(pod, run, pod_ip=self._addresses[uid_of(pod)], host_ip=host, now=now)
        if not _differs(pod.get("status") or {}, status):
            return
        try:
            written = await self._client.patch(
                PODS,
                namespace_of(pod),
                name_of(pod),
                {"metadata": {"uid": uid_of(pod)}, "status": _as_patch(status)},
                content_type=STRATEGIC_MERGE_PATCH,
                subresource="status",
            )
        except NotFoundError:
            return
        self.wrote(key, self._pods, written)

    async def _end(self, key: Key, pod: JSON, run: PodRun | None) -> Verdict:
        """Take an ended pod away, if its deletion was asked for."""
        if not is_terminating(pod) or (run is not None and not run.stopped):
            return Done()
        self._taken_away.add(uid_of(pod))
        try:
            await self._client.delete(PODS, *key, uid=uid_of(pod), grace_period_seconds=0)
        except (NotFoundError, ConflictError):
            self._forget(uid_of(pod))
        except BaseException:
            self._taken_away.discard(uid_of(pod))
            raise
        return Done()

    def _tell(self, pod: JSON, node: str, before: PodRun, after: PodRun) -> None:
        """The events of what happened to containers."""
        earlier = {item.name: item for item in before.containers}
        images = {
            item["name"]: item.get("image", "")
            for item in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
        }
        for item in after.containers:
            old = earlier[item.name]
            if item.started is not None and item.started != old.started:
                words = f'Container image "{images[item.name]}" already present on machine'
                self._note(pod, node, item, "Normal", "Pulled", words)
                self._note(pod, node, item, "Normal", "Created", f"Container created: {item.name}")
                self._note(pod, node, item, "Normal", "Started", f"Container started: {item.name}")
            if item.due is not None and old.due is None and item.ended and item.due > item.ended.finished:
                words = f"Back-off restarting failed container {item.name} in pod {name_of(pod)}_{namespace_of(pod)}"
                self._note(pod, node, item, "Warning", "BackOff", f"{words}({uid_of(pod)})")
        if after.stopping is not None and before.stopping is None:
            for item in after.containers:
                if item.running:
                    self._note(pod, node, item, "Normal", "Killing", f"Stopping container {item.name}")

    def _note(self, pod: JSON, node: str, item: Container, type_: EventType, reason: str, message: str) -> None:
        member = "containers" if item.role is runtime.Role.MAIN else "initContainers"
        path = f"spec.{member}{{{item.name}}}"
        self._recorder.record(pod, KUBELET, type_, reason, message, host=node, field_path=path)

    # What can be made to go wrong.

    def crash(self, namespace: str, name: str, container: str | None = None, code: int = 1) -> None:
        """Let a container of the pod exit.

        Raises:
            NoSuchPodError: the pod runs on no working node.
        """
        self._change(namespace, name, lambda run: runtime.crash(run, container, code, self._clock.now()))

    def fail(
        self, namespace: str, name: str, reason: str = "Evicted", message: str = "The node was low on memory."
    ) -> None:
        """Let the node give the pod up: phase Failed, everything killed."""
        self._change(namespace, name, lambda run: runtime.fail(run, reason, message, self._clock.now()))

    def hang(self, namespace: str, name: str, hung: bool = True) -> None:
        """Let the pod answer no probe and ignore the order to stop, or let it come back to itself."""
        self._change(namespace, name, lambda run: runtime.hang(run, hung))

    def run_of(self, namespace: str, name: str) -> PodRun | None:
        """What runs in the pod, if it is on a working node."""
        found = self._pods.store.get(namespace, name)
        return self._runs.get(found.metadata.uid) if found else None

    def _change(self, namespace: str, name: str, change: Callable[[PodRun], PodRun]) -> None:
        found = self._pods.store.get(namespace, name)
        run = self._runs.get(found.metadata.uid) if found else None
        if found is None or run is None or not self._fleet.runs(found.raw["spec"].get("nodeName") or ""):
            raise NoSuchPodError(f"pod {namespace}/{name} runs on no working node")
        self._runs[found.metadata.uid] = change(run)
        self.queue.add((namespace, name))

    def wake_node(self, node: str) -> None:
        """Look at every pod of a node, as after its return."""
        for pod in self._pods.store.by_index(NODE_INDEX, node):
            self.queue.add(key_of(pod))


def _ended(pod: JSON) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _as_patch(status: JSON) -> JSON:
    """The status as a strategic merge patch: a condition without a reason loses the one that it had."""
    conditions = [{"reason": None, "message": None, **item} for item in status["conditions"]]
    return {**status, "conditions": conditions}


def _differs(live: JSON, wanted: JSON) -> bool:
    """Whether the live status lacks something of the wanted one; conditions of others do not count."""
    for member, value in wanted.items():
        if member != "conditions":
            if _meaning(live.get(member)) != _meaning(value):
                return True
            continue
        known = {item["type"]: item for item in live.get("conditions") or ()}
        for item in value:
            if item["type"] in OWN_CONDITIONS and _meaning(known.get(item["type"])) != _meaning(item):
                return True
    return False


def _meaning(value: object) -> object:
    """A value without what the API may leave out: empty members."""
    if isinstance(value, dict):
        return {key: _meaning(item) for key, item in value.items() if item not in (None, "", {}, [])}
    if isinstance(value, list):
        return [_meaning(item) for item in value]
    return value
