"""The installed controller on a real node, and what tests ask of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from tests.node.images import TOOLS
from tests.node.machine import Machine

ROOT: Final = Path(__file__).parents[2]
SYSTEM: Final = "lws-system"
DEPLOYMENT: Final = "deployment/lws-controller-manager"
CONTROLLER: Final = "app.kubernetes.io/name=lws"
LEASE: Final = "b8b2488c.x-k8s.io"
SERVING: Final = "httpd -f -p 8080"
LIMIT: Final = 180.0
TOKEN_SECONDS: Final = 600.0  # the least that a token may live; the kubelet renews it after four fifths
TOKEN_VOLUME: Final = "kubernetes.io~projected/token"


def container(script: str, **more: Any) -> JSON:
    """One that runs a shell script, and ends at once when it is told to."""
    return {
        "name": "main",
        "image": TOOLS,
        "imagePullPolicy": "Never",
        "args": [f"trap 'exit 0' TERM; ({script}) & wait $!"],
        **more,
    }


def leaderworkerset(name: str, *, replicas: int = 2, size: int = 3, worker: JSON | None = None, **spec: Any) -> JSON:
    """A set whose pods serve, or whose workers are as given."""
    template = {"spec": {"terminationGracePeriodSeconds": 2, "containers": [container(SERVING)]}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "leaderWorkerTemplate": {"size": size, "workerTemplate": {"spec": worker} if worker else template},
            **spec,
        },
    }


@dataclass(frozen=True, slots=True)
class World:
    """A cluster with the controller in it.

    Attributes:
        node: on which everything runs.
    """

    node: Machine

    async def create(self, manifest: JSON) -> str:
        """Apply a set; its name."""
        await self.node.kubectl("apply", "-f", "-", text=json.dumps(manifest))
        return str(manifest["metadata"]["name"])

    async def admitted(self, manifest: JSON) -> None:
        """Apply a set again and again until it is admitted."""
        text = json.dumps(manifest)

        async def done() -> bool:
            code, _, _ = await self.node.try_kubectl("apply", "-f", "-", text=text)
            return code == 0

        await self.until(done, "the set is not admitted")

    async def available(self, name: str) -> None:
        """Wait until a set is Available."""
        await self.node.kubectl("wait", f"lws/{name}", "--for=condition=Available", f"--timeout={LIMIT:.0f}s")

    async def delete(self, name: str) -> None:
        """Delete a set; returns when its last pod is gone."""
        await self.node.kubectl("delete", "lws", name, "--cascade=foreground", f"--timeout={LIMIT:.0f}s")

    async def pods(self, name: str) -> dict[str, JSON]:
        """The pods of a set, by name."""
        found = await self.node.get("pods", "-l", f"leaderworkerset.sigs.k8s.io/name={name}")
        return {each["metadata"]["name"]: each for each in found["items"]}

    async def uids(self, name: str) -> dict[str, str]:
        """The pods of a set by name, as what tells one from its successor."""
        return {name: each["metadata"]["uid"] for name, each in (await self.pods(name)).items()}

    async def controllers(self) -> dict[str, JSON]:
        """The replicas of the controller that are not ending, by name."""
        found = await self.node.get("pods", "-n", SYSTEM, "-l", CONTROLLER)
        return {
            each["metadata"]["name"]: each for each in found["items"] if "deletionTimestamp" not in each["metadata"]
        }

    async def leader(self, *, but: str = "") -> str:
        """The name of the replica that holds the lease; waits until there is one, other than the one given.

        Raises:
            AssertionError: there is none in time.
        """
        holder = ""

        async def held() -> bool:
            nonlocal holder
            lease = await self.node.get("lease", LEASE, "-n", SYSTEM)
            holder = str(lease["spec"].get("holderIdentity", "")).partition("_")[0]
            return holder not in ("", but)

        await self.until(held, f"no replica but {but!r} leads")
        return holder

    async def restarts(self, pod: str) -> int:
        """How often the controller's container of a pod was restarted."""
        statuses = (await self.controllers())[pod]["status"]["containerStatuses"]
        return int(statuses[0]["restartCount"])

    def audited(self) -> list[JSON]:
        """Every request that the API server answered, oldest first."""
        return [json.loads(line) for line in (self.node.folder / "audit.log").read_text().splitlines()]

    async def plugin(self, *arguments: str) -> str:
        """What `kubectl lws` prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lws.cli.kubectl.entry", *arguments, "--kubeconfig", str(self.node.kubeconfig)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )
        out, _ = await process.communicate()
        return out.decode()

    async def until(self, holds: Callable[[], Awaitable[object]], failing: str, *, seconds: float = LIMIT) -> None:
        """Wait until a condition holds, which the API server tells only those who ask.

        Raises:
            AssertionError: it did not in time.
        """
        try:
            async with asyncio.timeout(seconds):
                while not await holds():  # noqa: ASYNC110 -- a server has no event for it
                    await asyncio.sleep(0.5)
        except TimeoutError:
            raise AssertionError(f"{failing} within {seconds:.0f} s") from None
