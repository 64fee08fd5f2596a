"""A real kube-apiserver as a target of replays: etcd and kube-apiserver out of ``KUBEBUILDER_ASSETS``, on loopback.

Nothing but the API server runs, so scenarios that need controllers are for the sandbox alone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from lws.api.resources import CUSTOMRESOURCEDEFINITIONS
from lws.client.api import ApiClient
from lws.client.connection import HttpTransport, Identity, StaticCredentials, Tls
from lws.client.transport import Request, Transport
from lws.clock import SystemClock
from lws.errors import AlreadyExistsError, TransportError
from lws.sandbox.certificates import Authority
from tests.conformance.sandbox_target import WebhookServer, _crd, _served, serve_webhooks

JSON: TypeAlias = dict[str, Any]
VARIABLE = "KUBEBUILDER_ASSETS"
NEEDED = ("etcd", "kube-apiserver")
HOW = (
    f"{VARIABLE} does not name a folder with etcd and kube-apiserver; `setup-envtest use 1.36 -p path`, "
    "of controller-runtime, brings them and prints the folder"
)
GROUPS = {"admin": ("system:masters",), "plain-user": ()}
USERS = {"admin": "admin", "plain": "plain-user"}
START = 60.0  # seconds until the server has to be ready


def assets() -> Path | None:
    """The folder of the binaries, if it is named and holds them."""
    folder = Path(os.environ.get(VARIABLE, ""))
    there = bool(os.environ.get(VARIABLE)) and all(os.access(folder / name, os.X_OK) for name in NEEDED)
    return folder if there else None


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running API server: its URL, and the folder of the certificates."""

    server: str
    folder: Path

    def transport(self, user: str | None, authority: str = "ca") -> HttpTransport:
        """As a user known by certificate, or as nobody; ``authority`` is who signed it."""
        name = f"{authority}-{user}"
        files = (str(self.folder / f"{name}.crt"), str(self.folder / f"{name}.key")) if user else (None, None)
        tls = Tls(str(self.folder / "ca.crt"), *files)
        return HttpTransport(self.server, StaticCredentials(Identity(tls=tls)))


@contextmanager
def control_plane(binaries: Path, folder: Path) -> Iterator[ControlPlane]:
    """Start etcd and kube-apiserver, wait until the server is ready, and stop both at the end."""
    _certificates(folder)
    etcd, peer, port = _free_ports(3)
    processes = [_start(binaries / "etcd", _etcd_flags(folder, etcd, peer), folder / "etcd.log")]
    try:
        log = folder / "kube-apiserver.log"
        processes.append(_start(binaries / "kube-apiserver", _server_flags(folder, etcd, port), log))
        plane = ControlPlane(f"https://127.0.0.1:{port}", folder)
        if not asyncio.run(_ready(plane, processes[-1])):
            raise RuntimeError(f"kube-apiserver is not ready; its log ends with:\n{log.read_text()[-2000:]}")
        yield plane
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)


def _etcd_flags(folder: Path, port: int, peer: int) -> list[str]:
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{port}",
        f"--advertise-client-urls=http://127.0.0.1:{port}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
    ]


def _server_flags(folder: Path, etcd: int, port: int) -> list[str]:
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--service-account-key-file={folder / 'server.key'}",
        f"--service-account-signing-key-file={folder / 'server.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/16",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        "--disable-admission-plugins=ServiceAccount",
    ]


def _certificates(folder: Path) -> None:
    now = SystemClock().now()
    for name in ("ca", "stranger"):
        authority = Authority(now)
        (folder / f"{name}.crt").write_bytes(authority.certificate)
        for user, groups in GROUPS.items():
            pair = authority.client(user, groups, now)
            (folder / f"{name}-{user}.crt").write_bytes(pair.certificate)
            (folder / f"{name}-{user}.key").write_bytes(pair.key)
        if name == "ca":
            server = authority.server(["127.0.0.1", "localhost", "kubernetes.default.svc"], now)
            (folder / "server.crt").write_bytes(server.certificate)
            (folder / "server.key").write_bytes(server.key)


def _start(binary: Path, flags: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen([str(binary), *flags], stdout=out, stderr=out)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


async def _ready(plane: ControlPlane, process: subprocess.Popen[bytes]) -> bool:
    transport = plane.transport("admin")
    deadline = time.monotonic() + START
    try:
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(TransportError):
                if (await transport.send(Request("GET", "/readyz", timeout=5))).status == 200:
                    return True
            await asyncio.sleep(0.2)
        return False
    finally:
        await transport.close()


class RealTarget:
    """One scenario's view of the server."""

    def __init__(self, plane: ControlPlane, variables: Mapping[str, str], webhooks: WebhookServer | None) -> None:
        self._plane = plane
        self.variables = variables
        self.webhooks = webhooks
        self.transports: dict[str, HttpTransport] = {}

    def transport(self, identity: str) -> Transport:
        """Over HTTPS, as the identity."""
        if identity not in self.transports:
            authority = "stranger" if identity == "stranger" else "ca"
            user = "admin" if identity == "stranger" else USERS.get(identity)
            self.transports[identity] = self._plane.transport(user, authority)
        return self.transports[identity]


@asynccontextmanager
async def real_target(plane: ControlPlane, scenario: JSON) -> AsyncIterator[RealTarget]:
    """A target for one scenario, on a server that all scenarios share."""
    async with AsyncExitStack() as stack:
        webhooks = await stack.enter_async_context(serve_webhooks(scenario)) if scenario.get("webhooks") else None
        variables = {"server.address": plane.server.removeprefix("https://")}
        target = RealTarget(plane, variables | (webhooks.variables if webhooks else {}), webhooks)
        try:
            client = ApiClient(target.transport("admin"), user_agent="exchange/1.0")
            with suppress(AlreadyExistsError):
                await client.create(CUSTOMRESOURCEDEFINITIONS, _crd(), field_manager=None)
            await _served(target.transport("admin"))
            yield target
        finally:
            for transport in target.transports.values():
                await transport.close()
