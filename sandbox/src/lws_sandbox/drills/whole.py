"""Drills on the cluster as a whole: how it is, and its end."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODS
from lws_sandbox.controllers.objects import condition
from lws_sandbox.drills.base import ClusterAccess, DrillError, checked
from lws_sandbox.time_travel import TravellingLoop

_REPLY_TIME: Final = 0.1  # seconds in which the answer reaches whoever asked


class ClusterDrills(ClusterAccess):
    """The drills whose names begin with ``cluster``."""

    @checked
    async def cluster_status(self) -> JSON:
        """Nodes, pods, faults in force, time."""
        nodes = (await self._client.list(NODES))["items"]
        pods = (await self._client.list(PODS))["items"]
        phases = Counter((pod.get("status") or {}).get("phase") or "Pending" for pod in pods)
        ready = sum((condition(node, "Ready") or {}).get("status") == "True" for node in nodes)
        loop, server = asyncio.get_running_loop(), self._cluster.server
        return {
            "controlPlane": "real" if server is None else "sandbox",
            "nodes": f"{ready} of {len(nodes)} ready",
            "pods": ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items())) or "none",
            "podFaults": len(self._cluster.loops.kubelets.faults),
            "apiFaults": 0 if server is None else len(server.faults.active),
            "now": self._cluster.clock.now().isoformat(timespec="seconds"),
            "speed": loop.speed if isinstance(loop, TravellingLoop) else 1.0,
        }

    @checked
    async def cluster_stop(self) -> JSON:
        """End the sandbox as an interrupt does."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, TravellingLoop):
            raise DrillError("this sandbox is part of another program: end that")
        loop.call_later(_REPLY_TIME * loop.speed, signal.raise_signal, signal.SIGTERM)
        return {"state": "stopping"}
