"""``python -m hack.peer [--sets N] [--groups N] [--size N] [--svg FILE] [NAME=COMMAND …]``: controllers side by side.

Runs the workloads W1 to W7 on a real control plane of its own for each controller, one after the other. A command is
started with ``{config}`` and ``{kubeconfig}`` replaced; ours is the one that runs if none is given, and beside those
that are named. Any controller of the API that takes the reference's configuration file can be compared: webhooks are
installed for it, with its certificate in the configured directory, and its probe says when it is ready.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shlex
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import structlog
import yaml
from tests.real.ledger import AuditLog

from hack.peer.meters import Figures, Meter
from hack.peer.report import chart, table
from hack.peer.workloads import NAMES, Fleet
from lws.webhook.certificate import CERTIFICATE_FILE, KEY_FILE
from lws_sandbox.control import MASTERS
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.nodes import preset
from lws_sandbox.quickstart.environment import wait_effective
from lws_sandbox.quickstart.installation import by_url, install
from lws_sandbox.real.binaries import API_SERVER, find
from lws_sandbox.real.cluster import RealCluster, real_cluster

OURS: Final = f"{shlex.quote(sys.executable)} -m lws --config {{config}} --kubeconfig {{kubeconfig}}"
USER: Final = "bench-controller"
HOST: Final = "127.0.0.1"
READY: Final = 60.0
DELAYS: Final = Delays(start=0.2, init=0.2, ready=1.0, stop=0.5, jitter=1.0)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def controller(command: str, cluster: RealCluster, folder: Path, webhook: int) -> AsyncIterator[int]:
    """The command as a process that serves, its webhook at a port; its id."""
    probe = free_port()
    pair = cluster.plane.keys.authority.server((HOST, "localhost"), cluster.clock.now())
    (folder / CERTIFICATE_FILE).write_bytes(pair.certificate)
    (folder / KEY_FILE).write_bytes(pair.key)
    configuration = {
        "apiVersion": "config.lws.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "leaderElection": {"leaderElect": False},
        "webhook": {"host": HOST, "port": webhook, "certDir": str(folder)},
        "metrics": {"bindAddress": "0"},
        "health": {"healthProbeBindAddress": f"{HOST}:{probe}"},
        "internalCertManagement": {"enable": False},
        "clientConnection": {"qps": 500, "burst": 500},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration))
    kubeconfig = cluster.plane.keys.write_kubeconfig(USER, cluster.plane.url, USER, (MASTERS,))
    argv = shlex.split(command.format(config=folder / "config.yaml", kubeconfig=kubeconfig))
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=log, stderr=log)
    try:
        await _ready(probe, process)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _ready(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(READY):
        while True:
            if process.returncode is not None:
                raise SystemExit(f"the controller ended with {process.returncode}")
            try:
                reader, writer = await asyncio.open_connection(HOST, port)
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
                writer.close()
                if b" 200 " in answer[:20]:
                    return
            except OSError:
                pass
            await asyncio.sleep(0.1)


async def run(name: str, command: str, arguments: argparse.Namespace) -> tuple[dict[str, Figures], dict[str, Any]]:
    """All workloads for one controller, and its admission."""
    nodes = 1 + arguments.sets * (arguments.groups + 2) * arguments.size // 100
    shape = replace(preset("small"), delays=DELAYS, heartbeat=10.0, events=False)
    first = replace(shape.nodes[0], taints=(), capacity={"cpu": "640", "memory": "1Ti", "pods": "500"})
    shape = replace(shape, nodes=tuple(replace(first, name=f"node-{number}") for number in range(nodes)))
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        more = {API_SERVER: AuditLog.flags(folder)}
        async with real_cluster(find(), shape=shape, random=Random(7), more=more) as cluster:
            client = cluster.admin("bench-user")
            port = free_port()
            url = f"https://{HOST}:{port}"
            await install(client, by_url(url, cluster.plane.keys.authority.certificate))
            async with controller(command, cluster, folder, port) as pid:
                await wait_effective(client)
                meter = Meter(pid, AuditLog.path(folder), USER)
                fleet = Fleet(client, arguments.sets, arguments.groups, arguments.size)
                for code, workload in fleet.workloads().items():
                    meter.begin()
                    await workload()
                    await asyncio.sleep(2.5)  # what is still to be told
                    figures[code] = meter.end()
                    sys.stderr.write(f"{name} {code} {NAMES[code]}: {figures[code]}\n")
                admission = await _admission(url, cluster, folder)
    return figures, admission


async def _admission(url: str, cluster: RealCluster, folder: Path) -> dict[str, Any]:
    authority = folder / "authority.crt"
    authority.write_bytes(cluster.plane.keys.authority.certificate)
    command = [sys.executable, "-m", "hack.peer.admission", url, str(authority)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    found: dict[str, Any] = orjson.loads(out)
    return found


def compare(arguments: argparse.Namespace) -> None:
    """One controller after the other; table on the standard output."""
    commands = {"ours": OURS, **dict(each.split("=", 1) for each in arguments.controllers)}
    runs, admissions = {}, {}
    for name, command in commands.items():
        runs[name], admissions[name] = asyncio.run(run(name, command, arguments))
    sys.stdout.write(f"{arguments.sets} sets × {arguments.groups} groups × {arguments.size} pods\n\n{table(runs)}\n")
    for name, found in admissions.items():
        sys.stdout.write(
            f"admission, {name}: {found['reviews']} reviews at 200 a second over TLS, median {found['median']:.1f} ms, "
            f"p99 {found['p99']:.1f} ms\n"
        )
    if arguments.svg:
        Path(arguments.svg).write_text(chart(runs))


def main() -> None:
    """Read the arguments and compare."""
    parser = argparse.ArgumentParser(prog="python -m hack.peer")
    parser.add_argument("--sets", type=int, default=10)
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--size", type=int, default=4)
    parser.add_argument("--svg", default="")
    parser.add_argument("controllers", nargs="*", metavar="NAME=COMMAND")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    compare(parser.parse_args())


if __name__ == "__main__":
    main()
