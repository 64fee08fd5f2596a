"""Volcano's scheduler and controller manager, built from its sources, with its own definitions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from typing import Final

import pytest

from lws.api.leaderworkerset.resources import PODGROUPS, QUEUES
from lws.apimachinery.manifests import JSON
from lws.errors import TooManyRequestsError
from lws_sandbox.nodes import RACK, uniform
from tests.real.partners.processes import free_port, install_definitions, kubeconfig_for, process, published
from tests.real.planes import RealPlane
from tests.real.world import World

SCHEDULER: Final = "vc-scheduler"
MANAGER: Final = "vc-controller-manager"  # makes PodGroups for pods that have none, and opens queues
NODES: Final = uniform(4, labels={RACK: "rack-{i//2}"}, capacity={"cpu": "4"})
# The actions and plugins of Volcano's own chart.
_CONFIGURATION: Final = """\
actions: "enqueue, allocate, backfill"
tiers:
- plugins:
  - name: priority
  - name: gang
    enablePreemptable: false
  - name: conformance
- plugins:
  - name: overcommit
  - name: drf
    enablePreemptable: false
  - name: predicates
  - name: proportion
  - name: nodeorder
  - name: binpack
"""


def built(name: str) -> str:
    """The path of one of its commands; without it the test is skipped, also in CI: no Go module has it."""
    found = which(name)
    if found is None:
        pytest.skip(f"{name} is not in PATH: hack/partners/README.md tells how to build it")
    return found


@asynccontextmanager
async def volcano(plane: RealPlane, folder: Path) -> AsyncIterator[None]:
    """Volcano beside a control plane; ready when its queues are open."""
    client = plane.env.client("test-volcano")
    await install_definitions(client, published(SCHEDULER, "config/crd/volcano/bases"))
    settings = folder / "settings"  # read again whenever something in its folder changes
    settings.mkdir()
    configuration = settings / "volcano-scheduler.conf"
    configuration.write_text(_CONFIGURATION)
    kubeconfig = kubeconfig_for(plane.cluster, "volcano")
    command = [
        built(SCHEDULER),
        f"--kubeconfig={kubeconfig}",
        f"--scheduler-conf={configuration}",
        f"--listen-address=127.0.0.1:{free_port()}",
        *("--leader-elect=false", "--cache-dumper=false"),
    ]

    async def opened() -> bool:
        """The scheduler makes the queues, the controller manager opens them: before that nothing is enqueued."""
        try:
            found = (await client.list(QUEUES))["items"]
        except TooManyRequestsError:  # the definitions are new
            return False
        states = {each["metadata"]["name"]: (each.get("status") or {}).get("state") for each in found}
        return states.get("default") == "Open"

    manager = [
        built(MANAGER),
        f"--kubeconfig={kubeconfig}",
        f"--healthz-address=127.0.0.1:{free_port()}",
        *("--leader-elect=false", "--controllers=pg-controller,queue-controller,gc-controller,job-controller"),
    ]

    async def begun() -> bool:
        return True

    for name in ("scheduler", "manager"):
        (folder / name).mkdir()
    async with process(manager, folder / "manager", begun), process(command, folder / "scheduler", opened):
        yield


def ganged(name: str, *, cpu: str = "3", scheduler: str = "volcano", **more: object) -> JSON:
    """What `World.create` takes for a set whose pods leave no room for another on their node, unless they ask less."""
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": cpu}}}
    spec = {"schedulerName": scheduler, "containers": [container], "priorityClassName": more.pop("priority", None)}
    template = {"spec": {key: value for key, value in spec.items() if value}}
    return {"name": name, "replicas": 1, "size": 2, "section": {"workerTemplate": template}, **more}


async def pod_groups(world: World) -> list[JSON]:
    """Every PodGroup of a namespace."""
    found: list[JSON] = (await world.client.list(PODGROUPS, world.namespace))["items"]
    return found


async def members(world: World) -> dict[str, int]:
    """MinMember of every PodGroup, by the leader that owns it."""
    return {
        each["metadata"]["ownerReferences"][0]["name"]: each["spec"]["minMember"] for each in await pod_groups(world)
    }
