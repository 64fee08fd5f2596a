"""Drills beside a real control plane: who may ask for them, and what they can do there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
import pytest
from sandbox.tests.controllers.stage import NODE, small_cluster

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES
from lws.client.api import ApiClient
from lws.client.transport import Request
from lws.clock import Clock
from lws_sandbox.cluster import Sandbox
from lws_sandbox.control import DrillServer
from lws_sandbox.control_loops import ControlLoops
from lws_sandbox.drills import Drills
from lws_sandbox.paths import DRILLS
from lws_sandbox.user import ADMIN, UserInfo
from tests.virtual import virtual_time

CORDON = {"drill": "node.cordon", "arguments": {"name": NODE}}


@dataclass
class _NotOurs:
    """A cluster whose API server is somebody else's."""

    loops: ControlLoops
    clock: Clock
    admin: Callable[[str], ApiClient]
    server: None = None


async def _ask(
    sandbox: Sandbox, asked: JSON, *, user: UserInfo | None = ADMIN, method: str = "POST", path: str = DRILLS
) -> tuple[int, JSON]:
    server = DrillServer(Drills(_NotOurs(sandbox.loops, sandbox.clock, sandbox.admin)))
    reply = await server.handle(Request(method, path, (), {}, orjson.dumps(asked)), user)
    return reply.status, orjson.loads(reply.body)


@virtual_time
async def test_nodes_and_pods_take_drills() -> None:
    """What our kubelets and the API can do is done."""
    async with small_cluster(1) as sandbox:
        status, told = await _ask(sandbox, CORDON)
        assert (status, told) == (200, {"node": NODE, "state": "cordoned"})
        assert (await sandbox.client().get(NODES, "", NODE))["spec"]["unschedulable"]


@virtual_time
@pytest.mark.parametrize(
    ("drill", "arguments"),
    [
        ("api.slow", {"seconds": 2}),
        ("api.error", {}),
        ("api.compact", {}),
        ("clock.forward", {"seconds": 60}),
        ("clock.speed", {"factor": 2}),
    ],
)
async def test_a_real_server_is_not_ours_to_break(drill: str, arguments: JSON) -> None:
    """Faults of the API server and a clock that jumps are refused, with what to do instead."""
    async with small_cluster(1) as sandbox:
        status, told = await _ask(sandbox, {"drill": drill, "arguments": arguments})
    assert status == 422
    assert "the control plane is a real one" in told["message"]
    assert "start the sandbox's own" in told["message"]


@virtual_time
async def test_only_administrators_may_ask() -> None:
    """Nobody without a certificate, and nobody outside the group of masters."""
    async with small_cluster(1) as sandbox:
        for user in (None, UserInfo("ada", groups=("system:authenticated",))):
            status, _ = await _ask(sandbox, CORDON, user=user)
            assert status == 403
        assert not (await sandbox.client().get(NODES, "", NODE))["spec"].get("unschedulable")


@virtual_time
async def test_what_is_no_drill_is_told() -> None:
    """Other paths, methods and bodies have their statuses."""
    async with small_cluster(1) as sandbox:
        assert (await _ask(sandbox, CORDON, path="/api/v1/nodes"))[0] == 404
        assert (await _ask(sandbox, CORDON, method="GET"))[0] == 405
        assert (await _ask(sandbox, {"arguments": {}}))[0] == 400
