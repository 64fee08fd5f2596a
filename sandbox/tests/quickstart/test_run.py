"""``make run``: what it reads, and that it goes on when drills make the API server fail."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lws.errors import ServerError
from lws_sandbox.certificates import Authority
from lws_sandbox.kubeconfig import kubeconfig_file
from lws_sandbox.quickstart import follow, run
from lws_sandbox.quickstart.hints import hints
from lws_sandbox.quickstart.view import PodRow, SetRow, draw, read_set
from tests.virtual import virtual_time

READY = SetRow("default", "vllm", 1, 1, "Available", ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read: line 1"),
        ("a: !!int many", "cannot be read: a value is not what its tag says"),
        ("just words", "an object needs apiVersion, kind and metadata"),
        ("apiVersion: v1\nkind: Pod\n", "an object needs apiVersion, kind and metadata"),
        ("apiVersion: v1\nkind: [Pod]\nmetadata: {}\n", "an object needs apiVersion, kind and metadata"),
    ],
)
def test_a_manifest_that_is_none_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """What is no object is told with its file, before anything is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "configure_logging", lambda *_: None)
    (tmp_path / "set.yaml").write_text(text)
    assert run.main(["set.yaml"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"run: set.yaml: {said}")
    assert error.count("\n") == 1


def answering(*answers: Any) -> Any:
    """A look at the cluster that sees, or fails with, one answer after the other; the last for ever."""
    waiting = list(answers)

    async def observe(_: Any) -> list[SetRow]:
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    return observe


@virtual_time
async def test_a_failing_api_server_is_told_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a drill makes every request fail the view says so once, and goes on when that is over."""
    drill = ServerError(500, "", "drill")
    monkeypatch.setattr(follow, "observe", answering(drill, drill, [READY]))
    shown = io.StringIO()
    stop = asyncio.create_task(asyncio.sleep(60.0))
    client: Any = None
    assert await follow.follow_in_lines(client, Console(file=shown, width=200), [], stop, once=True) == 0
    told = shown.getvalue().splitlines()
    assert told[:2] == ["the API server cannot be read: drill", "leaderworkerset/vllm: 1/1 groups ready, Available"]
    stop.cancel()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 24), (60, 12)])
@virtual_time
async def test_hints_are_printed_whole_and_the_picture_fits_below(
    monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    """On a small terminal no hint is broken, and what is drawn over is no taller than what the hints leave."""
    monkeypatch.setattr(follow, "observe", answering([crowd("one", 3), crowd("two", 3)]))
    shown = io.StringIO()
    console = Console(file=shown, width=width, height=height, force_terminal=True, legacy_windows=False)
    stop = asyncio.create_task(asyncio.sleep(1.0))
    client: Any = None
    lines = [f"  export KUBECONFIG=/{'long/' * 20}kubeconfig", "Ctrl-C ends it."]
    await follow.follow_in_place(client, console, lines, stop)
    printed = shown.getvalue()
    assert f"{lines[0]}\n{lines[1]}\n" in printed
    (picture, *_) = printed.split(lines[1], 1)[1].split("\x1b[2K")
    used = -(-len(lines[0]) // width) + 1
    assert picture.count("\n") <= max(height - used, follow.FEWEST + 1)


def crowd(name: str, unready: int, ready: int = 40) -> SetRow:
    """A set of many pods, of which the last are not ready."""
    states = ["Ready"] * ready + ["Pending"] * unready
    pods = tuple(
        PodRow(f"{name}-{index}", str(index), "0", "node-0", state, "no room anywhere" if state == "Pending" else "")
        for index, state in enumerate(states)
    )
    return SetRow("default", name, ready, ready + unready, "Progressing", pods)


def drawn(sets: list[SetRow], width: int, height: int, notice: str = "") -> list[str]:
    """The picture, line by line."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(draw(sets, width, height, notice))
    return console.export_text().splitlines()


@pytest.mark.parametrize("height", [6, 12, 24])
def test_pods_that_are_not_ready_are_never_left_out_for_those_that_are(height: int) -> None:
    """Of 43 pods those in trouble are shown and the others counted, in as many lines as there are."""
    lines = drawn([crowd("web", 3)], 80, height)
    assert len(lines) <= height
    assert sum(" Pending" in line for line in lines) == min(3, height - 4)
    assert "web-40 and 2 more: no room anywhere" in lines
    assert any(line.startswith("and ") and "more pods" in line for line in lines)


def test_several_sets_share_a_small_terminal() -> None:
    """Each set keeps its title and its troubled pods; a notice has its line."""
    lines = drawn(
        [crowd("one", 2), crowd("two", 2), crowd("three", 0, ready=1)], 60, 20, "the API server cannot be read"
    )
    assert len(lines) <= 20
    titles = ("default/one  40/42", "default/two  40/42", "default/three  1/1")
    assert all(any(line.startswith(title) for line in lines) for title in titles)
    assert sum(" Pending" in line for line in lines) >= 3
    assert lines[-1] == "the API server cannot be read"


def test_reasons_are_whole() -> None:
    """What the scheduler says is wrapped, not cut, and said once for all pods that wait for the same."""
    why = "0/8 nodes are available: 8 Insufficient nvidia.com/gpu. preemption: 0/8 nodes are available: none helps."
    pods = tuple(PodRow(f"web-{index}", str(index), "0", "", "Pending", why) for index in range(4))
    text = " ".join(" ".join(drawn([SetRow("default", "web", 0, 4, "Progressing", pods)], 60, 24)).split())
    assert f"web-0 and 3 more: {why}" in text
    assert text.startswith("default/web 0/4 groups ready Progressing")


def test_surge_is_counted_apart() -> None:
    """A title never says 4/3."""
    spec = {"replicas": 3, "leaderWorkerTemplate": {"size": 1}}
    status = {"readyReplicas": 3, "conditions": [{"type": "Progressing", "status": "True"}]}
    live = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec, "status": status}
    row = read_set(live, [ready_pod(0), ready_pod(1), ready_pod(3)])
    assert row.title == "default/web  2/3 groups ready (+1 surge)  Progressing"


def ready_pod(group: int) -> dict[str, Any]:
    """A ready leader."""
    labels = {"name": "web", "group-index": str(group), "worker-index": "0"}
    prefixed = {f"leaderworkerset.sigs.k8s.io/{key}": value for key, value in labels.items()}
    return {
        "metadata": {"name": f"web-{group}", "labels": prefixed},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_hints_fit_the_manifest() -> None:
    """Names, namespace and numbers are those of what was applied; paths are absolute and quoted."""
    manifest = {
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "web", "namespace": "team-a"},
        "spec": {"replicas": 4, "leaderWorkerTemplate": {"size": 1}},
    }
    lines = hints(
        "https://x", Path("some folder/kubeconfig"), [{"kind": "ConfigMap"}, manifest], "gpu-0", "http://p/?token=t"
    )
    folder = Path.cwd() / "some folder" / "kubeconfig"
    assert lines[1] == f"  export KUBECONFIG='{folder}'"
    assert f"  export PATH={Path(sys.prefix, 'bin')}:" in lines[2]
    assert "  kubectl scale lws web --replicas=5 -n team-a" in lines
    assert "  lws-sandbox pod crash web-0 -n team-a" in lines
    assert "  lws-sandbox node drain gpu-0" in lines


def test_a_second_run_leaves_the_first_ones_log_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that is refused because another one answers writes nothing over its log."""
    monkeypatch.setattr(run, "configure_logging", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        authority = Authority(datetime.now(UTC))
        user = authority.client("admin", (), datetime.now(UTC))
        url = f"https://127.0.0.1:{other.getsockname()[1]}"
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_bytes(kubeconfig_file(url, authority.certificate, user))
        (tmp_path / "run.log").write_text("of the first\n")
        assert run.main(["--kubeconfig", str(kubeconfig)]) == 1
    assert "leads to a sandbox that answers" in capsys.readouterr().err
    assert (tmp_path / "run.log").read_text() == "of the first\n"


INTERRUPT = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""


@pytest.mark.long
@pytest.mark.parametrize("module", ["asyncio", "aiohttp", "lws.manager.manager", "lws_sandbox.cluster", "rich.live"])
def test_ctrl_c_during_the_imports_prints_nothing(tmp_path: Path, module: str) -> None:
    """Whatever is being imported when Ctrl-C comes, the command ends without a traceback."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT.format(module=module))
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    started = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "lws_sandbox.quickstart"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (started.stdout, started.stderr) == ("Starting a cluster, the controller and an example...\n", "")
    assert started.returncode == -signal.SIGINT
