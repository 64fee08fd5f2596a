"""Clusters on which the product is installed as users do it: their API server, and how it reaches our webhook."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pytest
import structlog

from lws.apimachinery.manifests import JSON
from lws.yamltext import load
from lws_sandbox.control import MASTERS
from lws_sandbox.nodes import parse_shape
from lws_sandbox.real.binaries import API_SERVER, CONTROLLER_MANAGER, REMEDY, VARIABLE, find
from lws_sandbox.real.cluster import real_cluster
from tests.e2e.conftest import LIMIT, SHAPE, Cluster
from tests.tools import need

NAMESPACE: Final = "lws-system"
WEBHOOK: Final = "lws-webhook-service"
LOCAL: Final = "127.0.0.1"
START: Final = 60.0
ADDRESS_OF_INTERFACE: Final = 0x8915  # SIOCGIFADDR
# A real API server goes to the endpoints of a webhook's Service, since nobody routes cluster IPs here; and nobody but
# the test says where these are, since pods of our nodes have addresses that lead nowhere.
FLAGS: Final = {
    # Distributions turn this on; then rights to finalizers are needed to write owner references that block.
    API_SERVER: ["--enable-aggregator-routing=true", "--enable-admission-plugins=OwnerReferencesPermissionEnforcement"],
    CONTROLLER_MANAGER: ["--controllers=-endpointslice-controller"],
}


@dataclass(frozen=True)
class Site:
    """A cluster without us.

    Attributes:
        cluster: commands against it.
        port: where the webhook shall listen.
        host: where the API server looks for it; empty if it was told at its start.
        namespace: of the controller.
    """

    cluster: Cluster
    port: int
    host: str = ""
    namespace: str = NAMESPACE

    def lead(self) -> None:
        """Give the webhook's Service the machine's own address as its endpoint, where it has none yet."""
        if not self.host:
            return
        (port,) = self.cluster.get("service", WEBHOOK, "-n", self.namespace)["spec"]["ports"]
        labels = {"kubernetes.io/service-name": WEBHOOK}
        self.cluster.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": WEBHOOK, "namespace": self.namespace, "labels": labels},
                "addressType": "IPv4",
                "ports": [{"name": port.get("name", ""), "port": self.port}],
                "endpoints": [{"addresses": [self.host]}],
            }
        )


def free_port() -> int:
    """One that nobody listens on, on any address."""
    with socket.create_server(("", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def sandbox_site(folder: Path, namespace: str = NAMESPACE) -> Iterator[Site]:
    """The command ``lws-sandbox start``."""
    kubeconfig, shape, port = folder / "kubeconfig", folder / "shape.yaml", free_port()
    shape.write_text(SHAPE)
    command = [
        sys.executable,
        "-m",
        "lws_sandbox.cli.main",
        "start",
        "--kubeconfig",
        str(kubeconfig),
        "--shape",
        str(shape),
    ]
    command += ["--webhook", f"{namespace}/{WEBHOOK}={LOCAL}:{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            assert process.stdout.readline().startswith("export KUBECONFIG=")
            yield Site(Cluster(kubeconfig, need("kubectl")), port, namespace=namespace)
        finally:
            process.terminate()
            process.wait(LIMIT)


@contextmanager
def real_site(_: Path) -> Iterator[Site]:
    """Real processes with our nodes, which live on an event loop in another thread."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is not set: {REMEDY}")
    host = _own_address()
    logs = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )  # nobody reads the loops'
    made: Future[Path] = Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_forever, name="real site", daemon=True)
    thread.start()
    life = asyncio.run_coroutine_threadsafe(_live(made, stop), loop)
    life.add_done_callback(lambda done: None if made.done() else made.set_exception(done.exception() or OSError()))
    try:
        yield Site(Cluster(made.result(START), need("kubectl")), free_port(), host)
    finally:
        loop.call_soon_threadsafe(stop.set)
        try:
            life.result(START)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
            structlog.configure(**logs)


async def _live(made: Future[Path], stop: asyncio.Event) -> None:
    shape = parse_shape(load(SHAPE))
    async with real_cluster(find(), shape=shape, random=Random(7), more=FLAGS) as cluster:
        plane = cluster.plane
        made.set_result(plane.keys.write_kubeconfig("admin", plane.url, "kubernetes-admin", (MASTERS,)))
        await stop.wait()


def _own_address() -> str:
    """An address of this machine that endpoints may have; loopback is refused there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, interface in socket.if_nameindex():
            with suppress(OSError):  # it has no IPv4 address
                asked = struct.pack("256s", interface.encode()[:15])
                address = socket.inet_ntoa(fcntl.ioctl(any_socket, ADDRESS_OF_INTERFACE, asked)[20:24])
                if not address.startswith("127."):
                    return address
    pytest.skip("this machine has no IPv4 address but loopback, which no endpoint of a Service may have")


def kubeconfig_for(cluster: Cluster, account: str, path: Path, namespace: str = NAMESPACE) -> Path:
    """A kubeconfig for a ServiceAccount, with a token that the API server made."""
    document: JSON = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    document["users"][0]["user"] = {"token": token(cluster, namespace, account)}
    path.touch(mode=0o600)
    path.write_text(json.dumps(document))
    return path


def token(cluster: Cluster, namespace: str, account: str) -> str:
    """A ServiceAccount's token."""
    return cluster.kubectl("create", "token", account, "-n", namespace).strip()
