"""A real control plane on loopback: started in order, watched, and stopped in the reverse order."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from lws.client.connection import HttpTransport, Identity, StaticCredentials, Tls
from lws.client.transport import Request
from lws.clock import Clock, SystemClock
from lws.errors import ConfigurationError, TransportError
from lws_sandbox.control import MASTERS
from lws_sandbox.real import flags
from lws_sandbox.real.binaries import API_SERVER, CONTROLLER_MANAGER, ETCD, SCHEDULER, Binaries
from lws_sandbox.real.keys import Keys
from lws_sandbox.real.process import Process, running

READY: Final = 60.0  # seconds that kube-apiserver may take
BETWEEN: Final = 0.1


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Processes that run.

    Attributes:
        url: of the API server.
        keys: by which it is trusted and trusts.
        processes: in the order in which they were started.
    """

    url: str
    keys: Keys
    processes: tuple[Process, ...]

    def transport(self, user: str = "kubernetes-admin", groups: Sequence[str] = (MASTERS,)) -> HttpTransport:
        """A way to the API server as a user known by certificate; close it at the end."""
        self.keys.write_client(user, user, groups)
        tls = Tls(str(self.keys.ca), str(self.keys.certificate(user)), str(self.keys.key(user)))
        return HttpTransport(self.url, StaticCredentials(Identity(tls=tls)))

    async def ended(self) -> ConfigurationError:
        """Wait until any process ends of itself; returns which, and why."""
        waiting = [asyncio.ensure_future(process.ended()) for process in self.processes]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for each in waiting:
                each.cancel()


@asynccontextmanager
async def control_plane(
    binaries: Binaries,
    *,
    clock: Clock | None = None,
    host: str = flags.LOCAL,
    port: int = 0,
    controllers: Collection[str] = (),
    disabled_plugins: Sequence[str] = (),
    more: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> AsyncIterator[ControlPlane]:
    """Run etcd and kube-apiserver, then the managers that are there; ready when kube-apiserver is.

    Args:
        binaries: those of kube-controller-manager and kube-scheduler are used if they are there.
        clock: from when certificates hold.
        host: address that kube-apiserver listens on.
        port: to listen on; 0 takes a free one.
        controllers: of kube-controller-manager, as ``--controllers`` has them; it is not started for none.
        disabled_plugins: of admission.
        more: further flags, by the name of the process.

    Raises:
        ConfigurationError: a process cannot be started, ends, or is not ready in time; with the end of its log.
    """
    etcd_port, peer_port, free = _free_ports(3)
    port = port or free
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lws-control-plane-")))
        keys = Keys(folder, (clock or SystemClock()).now(), host)
        plane = ControlPlane(f"https://{host}:{port}", keys, ())
        processes: list[Process] = []

        async def start(name: str, arguments: list[str]) -> Process:
            arguments = [*arguments, *more.get(name, ())]
            process = await stack.enter_async_context(running(binaries.path(name), arguments, folder))
            processes.append(process)
            return process

        await start(ETCD, flags.etcd(folder / "data", etcd_port, peer_port))
        await start(API_SERVER, flags.api_server(keys, etcd_port, host, port, disabled_plugins))
        await _wait_ready(plane, processes)
        if CONTROLLER_MANAGER in binaries and controllers:
            kubeconfig = keys.write_kubeconfig(
                CONTROLLER_MANAGER, plane.url, f"system:{CONTROLLER_MANAGER}", (MASTERS,)
            )
            await start(CONTROLLER_MANAGER, flags.controller_manager(keys, kubeconfig, controllers))
        if SCHEDULER in binaries and controllers:
            kubeconfig = keys.write_kubeconfig(SCHEDULER, plane.url, f"system:{SCHEDULER}", ())
            await start(SCHEDULER, flags.scheduler(kubeconfig))
        yield ControlPlane(plane.url, keys, tuple(processes))


async def _wait_ready(plane: ControlPlane, processes: Sequence[Process]) -> None:
    transport = plane.transport()
    ended = [asyncio.create_task(process.ended()) for process in processes]
    try:
        async with asyncio.timeout(READY):
            while not any(each.done() for each in ended):
                with suppress(TransportError):
                    if (await transport.send(Request("GET", "/readyz", timeout=5))).status == 200:
                        return
                await asyncio.wait(ended, timeout=BETWEEN, return_when=asyncio.FIRST_COMPLETED)
        raise next(each for each in ended if each.done()).result()
    except TimeoutError:
        raise processes[-1].unready(READY) from None
    finally:
        for each in ended:
            each.cancel()
        await transport.close()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((flags.LOCAL, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
