"""The command ``lws-sandbox``: start a cluster in this process, and make things go wrong in one that runs."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from lws.client.connection import Connection, connect
from lws.client.transport import Request
from lws.errors import ApiError, ConfigurationError, TransportError
from lws.telemetry.logs import LogSettings, configure_logging
from lws_sandbox.cli.arguments import port
from lws_sandbox.cli.drills import KUBECONFIG as KUBECONFIG
from lws_sandbox.cli.drills import add_drills, request
from lws_sandbox.paths import DRILLS, DRILLS_CONTEXT
from lws_sandbox.releases import RELEASES, Features
from lws_sandbox.time_travel import TravellingLoop

PRESETS: Final = ("small", "gpu-rack", "1000-nodes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 1 after one sentence with the cause and the remedy."""
    options = parser().parse_args(arguments)
    configure_logging(LogSettings(level=getattr(options, "log_level", "error"), format="console"))
    try:
        with asyncio.Runner(loop_factory=TravellingLoop) as runner:
            runner.run(_command(options))
    except (ConfigurationError, ApiError, TransportError) as error:
        _say(f"lws-sandbox: {error}", error=True)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def parser() -> argparse.ArgumentParser:
    """Everything that the command understands."""
    root = argparse.ArgumentParser(
        prog="lws-sandbox", description="A Kubernetes in one process, and drills for what can go wrong in it."
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_start(commands.add_parser("start", help="run a cluster until interrupted"))
    add_drills(commands)
    return root


async def _command(options: argparse.Namespace) -> None:
    """A drill is quick only while it does not load the sandbox itself."""
    if options.command == "start":
        from lws_sandbox.cli.start import start

        await start(options)
    else:
        await drill(options)


async def drill(options: argparse.Namespace) -> None:
    """Ask a running sandbox for a drill, and print its result.

    Raises:
        ConfigurationError: there is no kubeconfig, or the drill cannot be done.
        ApiError: the sandbox refuses.
        TransportError: nobody answers.
    """
    name, arguments = request(options)
    found = options.kubeconfig.exists()
    if not found and not os.environ.get("KUBECONFIG"):
        raise ConfigurationError(f"{options.kubeconfig} does not exist: start a sandbox with lws-sandbox start")
    connection = await _connection(str(options.kubeconfig) if found else None)
    try:
        body = orjson.dumps({"drill": name, "arguments": arguments})
        headers = {"content-type": "application/json"}
        client = connection.client(user_agent="lws-sandbox")
        answer = await client.send(Request("POST", DRILLS, (), headers, body, timeout=options.timeout))
    except ApiError as error:
        if error.status == 404:
            raise ConfigurationError(
                f"{connection.server} is not a sandbox: start one with lws-sandbox start"
            ) from error
        raise ConfigurationError(str(error)) from error
    finally:
        await connection.close()
    for key, value in orjson.loads(answer.body).items():
        _say(f"{key}: {value if isinstance(value, str | int | float) else orjson.dumps(value).decode()}")


async def _connection(kubeconfig: str | None) -> Connection:
    """To where drills are answered: the API server itself, unless a context of their own leads elsewhere."""
    try:
        return await connect(kubeconfig, DRILLS_CONTEXT)
    except ConfigurationError:
        return await connect(kubeconfig)


def _add_start(command: argparse.ArgumentParser) -> None:
    add_shape_options(command)
    add_plane_option(command)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on")
    command.add_argument("--port", type=port, default=0, help="port to listen on; 0 takes a free one")
    command.add_argument("--kubeconfig", type=Path, default=Path(KUBECONFIG), help="file to write")
    command.add_argument("--gang", action="store_true", help="place the pods of a Volcano PodGroup together")
    command.add_argument("--seed", type=int, default=0, help="of everything random")
    command.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    command.add_argument(
        "--webhook",
        action="append",
        default=[],
        metavar="NAMESPACE/SERVICE=HOST:PORT",
        help="where a Service of an admission webhook really listens",
    )


def add_plane_option(command: argparse.ArgumentParser) -> None:
    """Whose control plane it shall have, and which release of Kubernetes the sandbox shall be."""
    command.add_argument("--kubernetes", choices=tuple(RELEASES), default=Features().release, help="release to be like")
    command.add_argument(
        "--control-plane",
        choices=("sandbox", "real"),
        default="sandbox",
        help="the sandbox's own, or etcd, kube-apiserver and what else is in the folder KUBEBUILDER_ASSETS",
    )


def add_shape_options(command: argparse.ArgumentParser) -> None:
    """How the cluster shall look."""
    shape = command.add_mutually_exclusive_group()
    shape.add_argument("--preset", choices=PRESETS, default="small", help="shape of the cluster")
    shape.add_argument("--shape", type=Path, help="YAML file with the shape of the cluster")


def _say(text: str, *, error: bool = False) -> None:
    stream = sys.stderr if error else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
