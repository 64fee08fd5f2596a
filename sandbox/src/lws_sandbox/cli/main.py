"""The command ``lws-sandbox``: start a cluster in this process, and make things go wrong in one that runs."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from lws.client.connection import Connection, connect
from lws.client.transport import Request
from lws.errors import ApiError, ConfigurationError, TransportError
from lws.telemetry.logs import LogSettings, configure_logging
from lws_sandbox.cli.arguments import port, seconds
from lws_sandbox.paths import DRILLS, DRILLS_CONTEXT
from lws_sandbox.time_travel import TravellingLoop

JSON = dict[str, Any]
KUBECONFIG: Final = ".sandbox/kubeconfig"
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
    _add_drills(commands)
    return root


async def _command(options: argparse.Namespace) -> None:
    """A drill is quick only while it does not load the sandbox itself."""
    if options.command == "start":
        from lws_sandbox.cli.start import start

        await start(options)
    else:
        await drill(options)


async def drill(options: argparse.Namespace) -> None:
    """Ask a running sandbox for a drill, and print what it has to tell.

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
            raise ConfigurationError(f"{connection.server} is no sandbox: start one with lws-sandbox start") from error
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
    command.add_argument("--seed", type=int, default=0, help="of all chance")
    command.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    command.add_argument(
        "--webhook",
        action="append",
        default=[],
        metavar="NAMESPACE/SERVICE=HOST:PORT",
        help="where a Service of an admission webhook really listens",
    )


def add_plane_option(command: argparse.ArgumentParser) -> None:
    """Whose control plane it shall have."""
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


def _add_drills(commands: Any) -> None:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--kubeconfig", type=Path, default=Path(KUBECONFIG), help="of the sandbox")
    common.add_argument("--timeout", type=float, default=120.0, help="seconds to wait for the answer")
    _add_node_drills(commands.add_parser("node", help="fail, drain, cordon, label nodes"), common)
    _add_pod_drills(commands.add_parser("pod", help="crash, fail, hang, delete pods"), common)
    _add_api_drills(commands.add_parser("api", help="slow, error, compact the API server"), common)
    _add_clock_drills(commands.add_parser("clock", help="show, move, speed up time"), common)
    metric = commands.add_parser("metric", help="set metrics for autoscalers")
    setter = metric.add_subparsers(dest="drill", required=True).add_parser("set", parents=[common])
    setter.add_argument("metric")
    setter.add_argument("value", type=float)
    setter.add_argument("-n", "--namespace", default="")
    setter.add_argument("--name", default="", help="of the autoscaler; all if absent")


def _add_node_drills(command: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    drills = command.add_subparsers(dest="drill", required=True)
    for name in ("fail", "recover", "cordon", "uncordon", "drain", "label"):
        one = drills.add_parser(name, parents=[common])
        one.add_argument("name", help="of the node")
        if name == "label":
            one.add_argument("labels", nargs="+", metavar="KEY=VALUE|KEY-", help="KEY- takes a label away")


def _add_pod_drills(command: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    drills = command.add_subparsers(dest="drill", required=True)
    for name in ("crash", "fail", "hang", "resume", "delete", "env"):
        one = drills.add_parser(name, parents=[common])
        one.add_argument("name", help="of the pod")
        one.add_argument("-n", "--namespace", default="default")
        if name in ("crash", "env"):
            one.add_argument("-c", "--container", help="the first one if absent")
        if name == "crash":
            one.add_argument("--code", type=int, default=1, help="exit code")
        if name == "delete":
            one.add_argument("--grace", type=int, help="seconds; the pod's own if absent")


def _add_api_drills(command: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    drills = command.add_subparsers(dest="drill", required=True)
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--share", type=float, default=1.0, help="of the requests, from 0 to 1")
    where.add_argument("--count", type=int, help="how many at most")
    where.add_argument("--verb", dest="verbs", action="append", default=[], help="such as create; may be repeated")
    where.add_argument("--resource", dest="resources", action="append", default=[], help="such as pods")
    slow = drills.add_parser("slow", parents=[common, where], help="hold requests")
    slow.add_argument("seconds", type=seconds, help="such as 2s")
    error = drills.add_parser("error", parents=[common, where], help="fail requests")
    error.add_argument("code", type=int, nargs="?", default=500)
    error.add_argument("--after", action="store_true", help="do the request, and lose its answer")
    for name, text in (("heal", "end all faults"), ("compact", "forget the history"), ("break", "end all watches")):
        drills.add_parser(name, parents=[common], help=text)


def _add_clock_drills(command: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    drills = command.add_subparsers(dest="drill", required=True)
    drills.add_parser("show", parents=[common], help="what time it is")
    forward = drills.add_parser("forward", parents=[common], help="let time pass at once")
    forward.add_argument("seconds", type=seconds, help="such as 10m")
    speed = drills.add_parser("speed", parents=[common], help="let time run faster or slower")
    speed.add_argument("factor", type=float)


def request(options: argparse.Namespace) -> tuple[str, JSON]:
    """The drill's name and arguments on the control path."""
    left_out = {"command", "drill", "kubeconfig", "timeout", "log_level"}
    arguments = {key: value for key, value in vars(options).items() if key not in left_out and value is not None}
    if "labels" in arguments:
        arguments["labels"] = dict(_label(text) for text in arguments["labels"])
    return f"{options.command}.{options.drill}", arguments


def _label(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    if equals:
        return key, value
    if not text.endswith("-"):
        raise ConfigurationError(f"a label is KEY=VALUE, or KEY- to take it away, not {text!r}")
    return text[:-1], None


def _say(text: str, *, error: bool = False) -> None:
    stream = sys.stderr if error else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
