"""The kubelets' loop: moves the pods of every node on, writes their status, and takes ended ones away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, NODES, PERSISTENTVOLUMECLAIMS, PODS, SECRETS
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
from lws_sandbox.controllers.kubelet import lifecycle, termination
from lws_sandbox.controllers.kubelet.admission import Rejection, reject
from lws_sandbox.controllers.kubelet.arrival import begin
from lws_sandbox.controllers.kubelet.fleet import Fleet
from lws_sandbox.controllers.kubelet.podfaults import PodFaults, obstacles
from lws_sandbox.controllers.kubelet.runtime import NO_OBSTACLES, Delays, Obstacles, PodRun, Role
from lws_sandbox.controllers.kubelet.status import pod_status, rejection_status
from lws_sandbox.controllers.kubelet.statuspatch import as_patch, differs
from lws_sandbox.controllers.objects import is_terminating, meta, name_of, namespace_of, uid_of
from lws_sandbox.controllers.pods import is_finished
from lws_sandbox.controllers.scheduler.requests import PodRequest, read_request

KUBELET: Final = "kubelet"
NODE_LOW: Final = "The node was low on resource: memory. "


class NoSuchPodError(LwsError):
    """There is no such pod on a working node."""


class KubeletLoop(KeyedLoop[Key]):
    """All kubelets of the sandbox.

    Args:
        tools: shared by all loops.
        fleet: the nodes that they speak for.
        delays: how long things take.

    Attributes:
        trusting: whether what pods refer to is taken to exist, as where only a part of a cluster was copied.
    """

    def __init__(self, tools: Toolbox, fleet: Fleet, delays: Delays) -> None:
        self._client = tools.client(KUBELET)
        self._recorder = tools.recorder
        self._clock = tools.clock
        self._random = tools.random
        self._fleet = fleet
        self.delays = delays
        self.faults = PodFaults()
        self.trusting = False
        self._withheld: set[str] = set()
        self._pods: Raw = tools.watch(PODS)
        self._nodes: Raw = tools.watch(NODES)
        self._referenced: dict[str, Raw] = {
            "ConfigMap": tools.watch(CONFIGMAPS),
            "Secret": tools.watch(SECRETS),
            "PersistentVolumeClaim": tools.watch(PERSISTENTVOLUMECLAIMS),
        }
        self._pods.add_index(NODE_INDEX, node_values)
        self._runs: dict[str, PodRun] = {}
        self._requests: dict[str, PodRequest] = {}
        self._addresses: dict[str, tuple[int, str]] = {}
        self._taken_away: set[str] = set()
        caches = (self._pods, self._nodes, *self._referenced.values())
        super().__init__(tools, KUBELET, self.sync, workers=32, caches=caches)
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
        self._requests.pop(uid, None)
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
        before = self._runs.get(uid)
        if before is None and is_finished(pod):
            return await self._end(key, pod, None)
        run = before or self._admit(key, pod, node, now)
        if isinstance(run, tuple):
            return await self._reject(key, pod, run, now)
        if is_terminating(pod):
            run = termination.stop(run, float(meta(pod).get("deletionGracePeriodSeconds") or 0), now)
        run, wait = lifecycle.advance(run, now, self._obstacles(key, pod, run))
        self._record(pod, node, run)
        run = replace(run, events=())
        ending = before is not None and before.stopping is not None and not run.stopped
        self._runs[uid] = run
        if not ending:  # a kubelet that waits for containers to end says nothing meanwhile
            await self._write(key, pod, self._status(pod, node, run, now))
        if run.stopped and is_terminating(pod):
            return await self._end(key, pod, run)
        return Done() if wait is None else RequeueAfter(wait)

    def _admit(self, key: Key, pod: JSON, node: str, now: datetime) -> PodRun | Rejection:
        """A run for a pod that has arrived, or why the node does not take it."""
        known = self._nodes.store.get("", node)
        here = self._pods.store.by_index(NODE_INDEX, node)
        others = [self._requests[item.metadata.uid] for item in here if self._holds(item.raw)]
        rejection = self.faults.of(key).rejection or (reject(pod, known.raw, others) if known else None)
        if rejection is not None:
            return rejection
        self._requests[uid_of(pod)] = read_request(pod)
        run = begin(pod, self.delays.scaled(self._random.random()), now)
        return lifecycle.hang(run, True) if uid_of(pod) in self._withheld else run

    def _holds(self, pod: JSON) -> bool:
        """Whether the pod was admitted and holds what it asked for."""
        return uid_of(pod) in self._requests and not is_finished(pod)

    def _obstacles(self, key: Key, pod: JSON, run: PodRun) -> Obstacles:
        fault = self.faults.of(key)
        starts = run.stopping is None and any(not item.running for item in run.containers)
        if (self.trusting or not starts) and not fault.exits:
            return NO_OBSTACLES

        def lookup(kind: str, name: str) -> JSON | None:
            found = self._referenced[kind].store.get(key[0], name)
            return found.raw if found else None

        return obstacles(pod, fault, lookup)

    def _status(self, pod: JSON, node: str, run: PodRun, now: datetime) -> JSON:
        number, address = self._addresses.get(uid_of(pod), (0, ""))
        if run.sandboxes != number:
            address = self._fleet.new_pod_ip(node)
            self._addresses[uid_of(pod)] = (run.sandboxes, address)
        return pod_status(pod, run, pod_ip=address, host_ip=self._fleet.host_ip(node), now=now)

    async def _reject(self, key: Key, pod: JSON, rejection: Rejection, now: datetime) -> Verdict:
        reason, message = rejection
        self._recorder.record(pod, KUBELET, "Warning", reason, message, host=pod["spec"]["nodeName"])
        await self._write(key, pod, rejection_status(pod, reason, message, now))
        return Done()

    async def _write(self, key: Key, pod: JSON, status: JSON) -> None:
        live = pod.get("status") or {}
        if not differs(live, status):
            return
        try:
            written = await self._client.patch(
                PODS,
                namespace_of(pod),
                name_of(pod),
                {"metadata": {"uid": uid_of(pod)}, "status": as_patch(live, status)},
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

    def _record(self, pod: JSON, node: str, run: PodRun) -> None:
        """Record the events of what happened."""
        roles = {item.name: item.role for item in run.containers}
        for event in run.events:
            path = ""
            if event.container:
                member = "containers" if roles[event.container] is Role.MAIN else "initContainers"
                path = f"spec.{member}{{{event.container}}}"
            self._recorder.record(pod, KUBELET, event.type, event.reason, event.message, host=node, field_path=path)

    # What can be made to go wrong.

    def crash(self, namespace: str, name: str, container: str | None = None, code: int = 1, reason: str = "") -> None:
        """Let a container of the pod exit.

        Raises:
            NoSuchPodError: the pod runs on no working node.
        """
        self._change(namespace, name, lambda run: lifecycle.crash(run, container, code, self._clock.now(), reason))

    def fail(self, namespace: str, name: str, reason: str = "Evicted", message: str = NODE_LOW) -> None:
        """Let the node give the pod up: its containers are ended, then its phase is Failed.

        Raises:
            NoSuchPodError: the pod runs on no working node.
        """
        self._change(namespace, name, lambda run: termination.fail(run, reason, message, self._clock.now()))

    def hang(self, namespace: str, name: str, hung: bool = True) -> None:
        """Let the pod answer no probe and ignore the signal to stop, or let it recover.

        Raises:
            NoSuchPodError: the pod runs on no working node.
        """
        self._change(namespace, name, lambda run: lifecycle.hang(run, hung))

    def withhold(self, uid: str) -> None:
        """Let a pod that arrives never become ready; its successors do."""
        self._withheld.add(uid)

    def recreate(self, namespace: str, name: str) -> None:
        """Let the pod's network be lost: all of it starts once more, and meets the faults of its name.

        A pod that does not exist yet meets them when it starts.
        """
        found = self._pods.store.get(namespace, name)
        if found is not None and found.metadata.uid in self._runs:
            self._change(namespace, name, lambda run: lifecycle.recreate(run, self._clock.now()))

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
