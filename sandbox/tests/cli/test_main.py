"""The commands around the sandbox, without a sandbox."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from lws.apimachinery.manifests import JSON
from lws_sandbox.cli.arguments import seconds
from lws_sandbox.cli.drills import NODE_DRILLS, POD_DRILLS, request
from lws_sandbox.cli.main import main, parser
from lws_sandbox.drills import GROUPS, Drills
from lws_sandbox.quickstart.view import blockers, changes, read_set
from lws_sandbox.real.binaries import VARIABLE

REQUESTS: list[tuple[str, str, JSON]] = [
    ("node fail n1", "node.fail", {"name": "n1"}),
    ("node label n1 a=b c-", "node.label", {"name": "n1", "labels": {"a": "b", "c": None}}),
    ("pod delete p -n ns", "pod.delete", {"name": "p", "namespace": "ns"}),
    ("api compact", "api.compact", {}),
    ("pod init-fail p -c prep --code 3", "pod.init-fail", {"name": "p", "container": "prep", "code": 3}),
    ("pod evict p --resource pids", "pod.evict", {"name": "p", "resource": "pids"}),
    ("node add n9 --like n1", "node.add", {"name": "n9", "like": "n1"}),
    ("status", "cluster.status", {}),
    ("stop", "cluster.stop", {}),
    ("clock forward 1m30s", "clock.forward", {"seconds": 90.0}),
]


@pytest.mark.parametrize(("line", "drill", "arguments"), REQUESTS)
def test_a_command_line_becomes_a_drill(line: str, drill: str, arguments: JSON) -> None:
    """What is not given is left to the sandbox's own defaults."""
    name, sent = request(parser().parse_args(line.split()))
    assert name == drill
    assert arguments.items() <= sent.items()
    assert None not in sent.values()


def test_without_a_sandbox_the_remedy_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drill without a kubeconfig ends with 1 and says how to get one."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert main(["node", "fail", "n1", "--kubeconfig", "/nowhere/kubeconfig"]) == 1
    assert "start a sandbox with lws-sandbox start" in capsys.readouterr().err


def test_a_real_control_plane_needs_its_binaries(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them the start ends with 1 and says how to get them."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert main(["start", "--control-plane", "real"]) == 1
    assert capsys.readouterr().err.startswith(f"lws-sandbox: {VARIABLE} is not set: `make control-plane`")


def test_a_real_control_plane_finds_webhooks_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """An address given for a webhook is refused rather than forgotten."""
    assert main(["start", "--control-plane", "real", "--webhook", "a/b=127.0.0.1:1"]) == 1
    assert "let the webhook configuration name a url" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "span"), [("90", 90.0), ("0.5", 0.5), ("1m30s", 90.0), ("250ms", 0.25)])
def test_spans_are_numbers_or_durations(text: str, span: float) -> None:
    """Seconds, or a duration as Go writes it."""
    assert seconds(text) == pytest.approx(span)


@pytest.mark.parametrize("text", ["soon", "nan", "inf", "-1", "1e300"])
def test_other_spans_are_refused(text: str) -> None:
    """Anything else is an error of the command line that says what is taken."""
    with pytest.raises(argparse.ArgumentTypeError, match=r"write it as 90 or 1m30s|from 0 to"):
        seconds(text)


@pytest.mark.parametrize(
    "line",
    [
        "clock speed 1e300",
        "clock speed nan",
        "clock speed inf",
        "clock speed 0",
        "clock forward -- -1",
        "api error 999",
        "api error 200",
        "api slow inf",
        "api slow 1 --share 2",
        "api slow 1 --count 0",
        "pod crash p --code 256",
        "pod delete p --grace -1",
        "pod evict p --resource gpu",
        "metric set m nan",
        "node drain n --seconds nan",
    ],
)
def test_numbers_out_of_range_are_refused(capsys: pytest.CaptureFixture[str], line: str) -> None:
    """The command ends with 2 and names the argument; nothing is sent."""
    with pytest.raises(SystemExit) as caught:
        main(line.split())
    assert caught.value.code == 2
    assert ": error: argument " in capsys.readouterr().err


def _set(ready: int) -> JSON:
    condition = {"type": "Available" if ready == 1 else "Progressing", "status": "True"}
    return {
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {"replicas": 1},
        "status": {"readyReplicas": ready, "conditions": [condition]},
    }


def _pod(ready: bool) -> JSON:
    labels = {
        "leaderworkerset.sigs.k8s.io/name": "s",
        "leaderworkerset.sigs.k8s.io/group-index": "0",
        "leaderworkerset.sigs.k8s.io/worker-index": "0",
    }
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    conditions = [{"type": "Ready", "status": "True"}] if ready else [unplaced]
    status = {"phase": "Running" if ready else "Pending", "conditions": conditions}
    return {"metadata": {"name": "s-0", "labels": labels}, "spec": {}, "status": status}


def test_the_view_tells_what_changed_and_what_is_in_the_way() -> None:
    """Every change is one line, told once; a set that is not ready names its first pod in the way and why."""
    waiting, done = read_set(_set(0), [_pod(ready=False)]), read_set(_set(1), [_pod(ready=True)])
    assert (waiting.done, done.done) == (False, True)
    before: dict[str, str] = {}
    assert len(changes(before, [waiting])) == 2
    assert changes(before, [waiting]) == []
    assert "pod/s-0: Ready" in changes(before, [done])
    assert blockers([waiting]).startswith("default/s has 0 of 1 groups ready: s-0 is ")
    assert "0/1 nodes" in blockers([waiting])
    assert blockers([]) == "nothing was applied"


@pytest.mark.parametrize("port", ["99999", "-1", "x", "³"])
def test_a_port_is_a_port(capsys: pytest.CaptureFixture[str], port: str) -> None:
    """What cannot be a port is refused with the flag's name."""
    with pytest.raises(SystemExit):
        main(["start", "--port", port])
    assert "argument --port: " in capsys.readouterr().err
    assert main(["start", "--webhook", f"a/b=127.0.0.1:{port}"]) == 1
    assert "--webhook is NAMESPACE/SERVICE=HOST:PORT" in capsys.readouterr().err


def _drills() -> set[str]:
    """Every drill that the command line offers."""
    nodes = {f"node.{name}" for name in NODE_DRILLS}
    pods = {f"pod.{name}" for name in POD_DRILLS}
    others = ("api.slow", "api.error", "api.heal", "api.compact", "api.break", "clock.show", "clock.forward")
    return nodes | pods | {*others, "clock.speed", "metric.set", "cluster.status", "cluster.stop"}


def test_every_drill_is_a_command_and_is_documented() -> None:
    """What Python offers, the command line does, and the page tells of."""
    methods = {name.replace("_", ".", 1).replace("_", "-") for name in dir(Drills) if GROUPS.match(name)}
    assert methods == _drills()
    page = (Path(__file__).parents[2] / "README.md").read_text()
    for drill in _drills():
        word = drill.partition(".")[2]
        assert re.search(rf"[` ]{word}[` ]", page), f"{drill} is not in sandbox/README.md"
