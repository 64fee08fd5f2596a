"""The drills on the command line: what each is called, what it takes, and how it is sent."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.errors import ConfigurationError
from lws_sandbox.cli.arguments import integer, number, seconds
from lws_sandbox.ranges import COUNTS, EXIT_CODES, NUMBERS, SECONDS, SHARES, SPEEDS, STATUS_CODES

KUBECONFIG: Final = ".sandbox/kubeconfig"
NODE_DRILLS: Final[Mapping[str, str]] = {
    "fail": "stop the node's kubelet",
    "recover": "start it again",
    "cordon": "schedule no more pods to the node",
    "uncordon": "schedule pods to it again",
    "drain": "cordon the node and evict its pods",
    "label": "set and remove labels",
    "add": "add a node like another one",
    "remove": "take a node away",
}
POD_DRILLS: Final[Mapping[str, str]] = {
    "crash": "let a container exit",
    "oom": "let a container be killed for its memory",
    "evict": "let the node evict the pod for lack of a resource",
    "fail": "let the node give the pod up as it shuts down",
    "hang": "let the pod answer no probe and ignore the signal to stop",
    "resume": "let a hung pod recover",
    "restart": "start everything in the pod once more, as after a reboot of the node",
    "delete": "delete the pod",
    "env": "show what a container finds in its environment",
    "crash-loop": "let a container exit soon after each start *",
    "oom-loop": "let a container be killed for its memory soon after each start *",
    "init-fail": "let an init container fail *",
    "bad-image": "let an image be impossible to pull *",
    "missing-config": "let a ConfigMap be missing that a container's environment needs *",
    "missing-volume": "let a volume be impossible to mount *",
    "no-network": "let the pod's network be impossible to set up *",
    "reject": "let the kubelet not admit the next pod of this name *",
    "heal": "end the faults marked * of the pod's name",
}
_WITH_CONTAINER: Final = frozenset(
    {"crash", "oom", "env", "crash-loop", "oom-loop", "init-fail", "bad-image", "missing-config"}
)


def add_drills(commands: Any) -> None:
    """Every drill as a command of its own."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--kubeconfig", type=Path, default=Path(KUBECONFIG), help="of the sandbox")
    common.add_argument("--timeout", type=number(SECONDS), default=120.0, help="seconds to wait for the answer")
    for name, text in (("status", "show nodes, pods, faults and time"), ("stop", "end the sandbox")):
        commands.add_parser(name, parents=[common], help=text).set_defaults(drill=name)
    _add_node_drills(commands.add_parser("node", help="fail, drain, cordon, label, add, remove nodes"), common)
    pods = commands.add_parser(
        "pod",
        help="crash, kill, evict, hang pods; let their start fail",
        epilog="* stays with the pod's name until heal: a pod that runs starts once more, every later one meets it",
    )
    _add_pod_drills(pods, common)
    _add_api_drills(commands.add_parser("api", help="slow, error, compact the API server"), common)
    _add_clock_drills(commands.add_parser("clock", help="show, move, speed up time"), common)
    metric = commands.add_parser("metric", help="set metrics for autoscalers")
    setter = metric.add_subparsers(dest="drill", required=True).add_parser("set", parents=[common])
    setter.add_argument("metric")
    setter.add_argument("value", type=number(NUMBERS))
    setter.add_argument("-n", "--namespace", default="")
    setter.add_argument("--name", default="", help="of the autoscaler; all if absent")


def _add_node_drills(command: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    drills = command.add_subparsers(dest="drill", required=True)
    for name, text in NODE_DRILLS.items():
        one = drills.add_parser(name, parents=[common], help=text)
        one.add_argument("name", help="of the node")
        if name == "label":
            one.add_argument("labels", nargs="+", metavar="KEY=VALUE|KEY-", help="KEY- removes a label")
        elif name == "add":
            one.add_argument("--like", help="node whose labels, taints and capacity it has; the first one if absent")
        elif name == "drain":
            one.add_argument("--seconds", type=seconds, help="how long to try; 60 if absent")


def _add_pod_drills(command: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    drills = command.add_subparsers(dest="drill", required=True)
    for name, text in POD_DRILLS.items():
        one = drills.add_parser(name, parents=[common], help=text)
        one.add_argument("name", help="of the pod")
        one.add_argument("-n", "--namespace", default="default")
        if name in _WITH_CONTAINER:
            one.add_argument("-c", "--container", help="the first one if absent")
        if name in ("crash", "crash-loop", "init-fail"):
            one.add_argument("--code", type=integer(EXIT_CODES), default=1, help="exit code")
        elif name == "delete":
            one.add_argument("--grace", type=integer(SECONDS), help="seconds; the pod's own if absent")
        elif name == "evict":
            resources = ("memory", "ephemeral-storage", "pids")
            one.add_argument("--resource", choices=resources, default="memory", help="that the node is short of")
        elif name == "missing-volume":
            one.add_argument("--volume", help="the pod's first one if absent")
        elif name in ("fail", "reject"):
            one.add_argument("--reason", help="of the pod's status")
            one.add_argument("--message", help="of the pod's status")


def _add_api_drills(command: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    drills = command.add_subparsers(dest="drill", required=True)
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--share", type=number(SHARES), default=1.0, help="of the requests, from 0 to 1")
    where.add_argument("--count", type=integer(COUNTS), help="how many at most")
    where.add_argument("--verb", dest="verbs", action="append", default=[], help="such as create; may be repeated")
    where.add_argument("--resource", dest="resources", action="append", default=[], help="such as pods")
    slow = drills.add_parser("slow", parents=[common, where], help="hold requests")
    slow.add_argument("seconds", type=seconds, help="such as 2s")
    error = drills.add_parser("error", parents=[common, where], help="fail requests")
    error.add_argument("code", type=integer(STATUS_CODES), nargs="?", default=500, help=f"HTTP status {STATUS_CODES}")
    error.add_argument("--after", action="store_true", help="do the request, and lose its answer")
    for name, text in (("heal", "end all faults"), ("compact", "forget the history"), ("break", "end all watches")):
        drills.add_parser(name, parents=[common], help=text)


def _add_clock_drills(command: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    drills = command.add_subparsers(dest="drill", required=True)
    drills.add_parser("show", parents=[common], help="what time it is")
    forward = drills.add_parser("forward", parents=[common], help="let time pass at once")
    forward.add_argument("seconds", type=seconds, help="such as 10m")
    speed = drills.add_parser("speed", parents=[common], help="let time run faster or slower")
    speed.add_argument("factor", type=number(SPEEDS), help=f"seconds of the sandbox in one second, {SPEEDS}")


def request(options: argparse.Namespace) -> tuple[str, JSON]:
    """The drill's name and arguments on the control path.

    Raises:
        ConfigurationError: a label has another form.
    """
    left_out = {"command", "drill", "kubeconfig", "timeout", "log_level"}
    arguments = {key: value for key, value in vars(options).items() if key not in left_out and value is not None}
    if "labels" in arguments:
        arguments["labels"] = dict(_label(text) for text in arguments["labels"])
    group = "cluster" if options.command == options.drill else options.command
    return f"{group}.{options.drill}", arguments


def _label(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    if equals:
        return key, value
    if not text.endswith("-"):
        raise ConfigurationError(f"a label is KEY=VALUE, or KEY- to remove it, not {text!r}")
    return text[:-1], None
