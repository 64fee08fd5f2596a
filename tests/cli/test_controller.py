"""lws-controller as a process: exit codes, sentences, signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import yaml
from structlog.testing import capture_logs

from lws.cli import controller
from lws.cli.flags import parse_flags
from lws.cli.process import until_signal
from lws.errors import ConfigurationError
from lws.manager.settings import Settings
from lws.runtime.fence import LeadershipLostError
from tests.cli.api import SmallApi, kubeconfig, serving
from tests.manager.test_servers import free_port

NO_PORTS = ["--metrics-bind-address=0", "--health-probe-bind-address=0"]
LEASE = "/apis/coordination.k8s.io/v1/namespaces/lws-system/leases/b8b2488c.x-k8s.io"


def environment(home: Path) -> dict[str, str]:
    """An environment without cluster, and without admission."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {"HOME": str(home), "ENABLE_WEBHOOKS": "false", **kept}


def start(*argv: str, home: Path) -> subprocess.Popen[str]:
    """Start the command as a process."""
    command = [sys.executable, "-m", "lws", *argv]
    return subprocess.Popen(command, env=environment(home), cwd=home, stderr=subprocess.PIPE, text=True)


def start_script(script: str, *argv: str, home: Path) -> subprocess.Popen[str]:
    """Start a script as a process."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", script, *argv]
    return subprocess.Popen(command, env=environment(home), cwd=home, stdout=pipe, stderr=pipe, text=True)


async def fault(*argv: str, home: Path, environ: dict[str, str] | None = None) -> str:
    """The sentence with which the command ends, run within this loop."""
    environ = environ or environment(home)
    flags = parse_flags([*argv, *NO_PORTS], terminal=False)
    with pytest.raises((ConfigurationError, LeadershipLostError)) as caught:
        await asyncio.wait_for(controller.run(flags, controller.make_settings(flags, environ), environ), 30)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def api_with_namespace() -> SmallApi:
    """A server that has the lease's namespace."""
    api = SmallApi()
    api.objects["/api/v1/namespaces/lws-system"] = {"metadata": {"name": "lws-system"}}
    return api


def test_version_prints_three_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints version, build date and commit on standard output, and ends with 0."""
    assert controller.main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Version", "Build Date", "Git Commit"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_version_that_cannot_be_printed_is_one_sentence() -> None:
    """On a full disk --version ends with 1 and one line."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "lws.cli.controller", "--version"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "No space left" in ended.stderr


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "no cluster is configured"),
        (["--kubeconfig", "nowhere"], "kubeconfig nowhere does not exist"),
        (["--kubeconfig", "config", "--context", "other"], "'other'"),
        (["--config", "nowhere.yaml"], "configuration file nowhere.yaml cannot be read: No such file"),
        (["--kubeconfig", "config"], "cannot be reached"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_what_cannot_start_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    said: str,
) -> None:
    """A wrong kubeconfig, context, file or address ends with 1 and one line that names it; an unknown flag with 2."""
    monkeypatch.setattr(controller, "configure_logging", lambda _: None)
    monkeypatch.chdir(tmp_path)
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        (tmp_path / "config").write_text(kubeconfig(f"http://127.0.0.1:{closed.getsockname()[1]}"))
        assert controller.main([*argv, *NO_PORTS]) == (2 if argv == ["--nonsense"] else 1)
    error = capsys.readouterr().err.strip()
    assert error.startswith("lws-controller: ")
    assert said in error
    assert "\n" not in error


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        ({"leaderworkersets": 403}, "listing leaderworkersets is not allowed"),
        ({"leaderworkersets": 401}, "does not accept the credentials"),
        ({"leaderworkersets": 429}, "answers with 429"),
        ({"leaderworkersets": 503}, "answers with 503"),
        ({"statefulsets": 403}, "statefulsets"),
        ({}, "namespace lws-system for the lease does not exist"),
    ],
)
async def test_what_the_server_refuses_is_one_sentence(tmp_path: Path, refuse: dict[str, int], said: str) -> None:
    """Missing permission, bad credentials and a missing namespace are told with their remedy."""
    api = api_with_namespace() if refuse else SmallApi()
    api.refuse = refuse
    async with serving(api, tmp_path) as config:
        assert said in await fault("--kubeconfig", str(config), home=tmp_path)


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--health-probe-bind-address", "health.healthProbeBindAddress: cannot listen on"),
        ("--metrics-bind-address", "metrics.bindAddress: cannot listen on"),
    ],
)
async def test_a_port_in_use_is_one_sentence(tmp_path: Path, flag: str, said: str) -> None:
    """A port that is taken is told with its setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with serving(api_with_namespace(), tmp_path) as config:
            flags = parse_flags(["--kubeconfig", str(config), *NO_PORTS, flag, address], terminal=False)
            environ = environment(tmp_path)
            with pytest.raises(ConfigurationError, match=said):
                await controller.run(flags, controller.make_settings(flags, environ), environ)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_with_0_and_releases_the_lease(tmp_path: Path, number: signal.Signals) -> None:
    """After SIGTERM or SIGINT the process gives the lease up and ends with 0."""
    api = api_with_namespace()
    async with serving(api, tmp_path) as config:
        process = start("--kubeconfig", str(config), *NO_PORTS, home=tmp_path)
        await asyncio.wait_for(api.written.wait(), 30)
        assert api.objects[LEASE]["spec"]["holderIdentity"].startswith(socket.gethostname() + "_")
        process.send_signal(number)
        _, err = await asyncio.to_thread(process.communicate, timeout=20)
    assert process.returncode == 0, err
    assert api.objects[LEASE]["spec"]["holderIdentity"] == ""
    assert "Traceback" not in err


PLANTED: Final = """
import sys
from lws.cli.controller import main
from lws.reconcilers.leaderworkerset.sets import LeaderWorkerSetReconciler

async def reconcile(self, key):
    print("stuck", flush=True)
    while True:
        pass

LeaderWorkerSetReconciler.reconcile = reconcile
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.long
async def test_a_signal_is_obeyed_while_a_reconcile_is_stuck(tmp_path: Path) -> None:
    """One SIGTERM ends a process whose event loop is blocked, within its grace period, and the log has the stack."""
    api = api_with_namespace()
    stuck = {
        "metadata": {"name": "a", "namespace": "default", "uid": "u", "resourceVersion": "1"},
        "spec": {"leaderWorkerTemplate": {"workerTemplate": {"spec": {"containers": []}}}},
    }
    api.objects["/apis/leaderworkerset.x-k8s.io/v1/leaderworkersets"] = {
        "items": [stuck],
        "metadata": {"resourceVersion": "1"},
    }
    async with serving(api, tmp_path) as config:
        process = start_script(PLANTED, "--kubeconfig", str(config), *NO_PORTS, home=tmp_path)
        assert process.stdout is not None
        assert await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), 60) == "stuck\n"
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.to_thread(process.communicate, timeout=10)
    assert process.returncode == 1
    assert err.count("event loop blocked") == 2
    assert "in reconcile" in err


async def test_a_second_signal_ends_a_stuck_process_at_once(tmp_path: Path) -> None:
    """Who asks twice need not wait for the first answer, whatever the event loop does."""
    planted = "import sys; from lws.cli import controller\nasync def run(*_):\n    print('stuck', flush=True)\n"
    planted += "    while True: pass\ncontroller.run = run\nsys.exit(controller.main(sys.argv[1:]))"
    process = start_script(planted, home=tmp_path)
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "stuck\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.communicate, timeout=4)
    assert process.returncode == 1


async def test_a_signal_tells_what_every_task_waits_for(tmp_path: Path) -> None:
    """After SIGUSR1 the log says in which calls the tasks wait; the process goes on, and ends as ever."""
    api = api_with_namespace()
    async with serving(api, tmp_path) as config:
        process = start("--kubeconfig", str(config), *NO_PORTS, "--log-format=json", home=tmp_path)
        await asyncio.wait_for(api.written.wait(), 30)
        process.send_signal(signal.SIGUSR1)
        places = await asyncio.wait_for(asyncio.to_thread(read_dump, process), 30)
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.communicate, timeout=20)
    assert process.returncode == 0
    assert places["main"][0].startswith("lws.cli.controller.run:")
    assert any(call.startswith("lws.runtime.leader.LeaderElector.") for call in places["leadership"])


def read_dump(process: subprocess.Popen[str]) -> dict[str, list[str]]:
    """The calls in which each task of a process waits, as far as the task named last."""
    assert process.stderr is not None
    places: dict[str, list[str]] = {}
    for line in process.stderr:
        told = json.loads(line) if line.startswith("{") else {}
        if told.get("msg") == "tasks waiting":
            places |= dict.fromkeys(told["tasks"], told["waiting_in"])
            if "watchdog" in places:
                return places
    raise AssertionError("no dump")


async def test_a_signal_ends_the_wait_for_credentials(tmp_path: Path) -> None:
    """One SIGTERM is enough while a plugin of the kubeconfig has not answered; both end, the process with 0."""
    asked, hold = tmp_path / "asked", tmp_path / "hold"
    os.mkfifo(asked)
    os.mkfifo(hold)
    wait = f"echo >{asked}; cat {hold}"  # nobody ever writes there
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", wait]}
    document = yaml.safe_load(kubeconfig("http://127.0.0.1:1"))
    document["users"] = [{"name": "plugin", "user": {"exec": {**plugin, "interactiveMode": "Never"}}}]
    document["contexts"][0]["context"]["user"] = "plugin"
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    process = start("--kubeconfig", "config", *NO_PORTS, home=tmp_path)
    await asyncio.wait_for(asyncio.to_thread(asked.read_text), 30)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, timeout=20) == 0
    assert process.stderr is not None
    process.stderr.close()
    with pytest.raises(OSError, match="No such device"):  # nobody reads it any more
        os.open(hold, os.O_WRONLY | os.O_NONBLOCK)


def test_the_host_of_local_webhooks() -> None:
    """By default it is the address that leads to the API server; inside a cluster the flag is refused."""
    outside, inside = Settings(development=True), Settings()

    def host(argv: list[str], settings: Settings = outside, server: str = "https://127.0.0.1:6443") -> str:
        return controller.webhook_host(parse_flags(argv, terminal=False), settings, server)

    assert host([]) == host([], inside) == ""
    assert host(["--serve-webhooks-locally"]) == "127.0.0.1"
    assert host(["--serve-webhooks-locally=dev.example"]) == "dev.example"
    with pytest.raises(ConfigurationError, match="outside a cluster"):
        host(["--serve-webhooks-locally"], inside)
    with pytest.raises(ConfigurationError, match="--serve-webhooks-locally=HOST"):
        host(["--serve-webhooks-locally"], server="https://nowhere.invalid:6443")


async def test_lost_leadership_ends_the_process(tmp_path: Path) -> None:
    """A process that cannot renew its lease in time ends by saying so."""
    api = api_with_namespace()
    spans = ["--leader-elect-renew-deadline=1s", "--leader-elect-retry-period=200ms"]
    async with serving(api, tmp_path) as config:
        ending = asyncio.create_task(fault("--kubeconfig", str(config), *spans, home=tmp_path))
        await asyncio.wait_for(api.written.wait(), 20)
        api.refuse = {"leases": 500}
        assert "is lost" in await ending


def test_lost_leadership_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost leadership and unforeseen errors end the command with 1."""
    monkeypatch.setattr(controller, "configure_logging", lambda _: None)
    for error in (LeadershipLostError("lost"), ValueError("a bug")):

        async def run(*_: object, error: Exception = error) -> int:
            raise error

        monkeypatch.setattr(controller, "run", run)
        with capture_logs() as logs:
            assert controller.main([]) == 1
        assert logs[-1]["log_level"] == "error"


async def test_development_says_what_does_not_happen(tmp_path: Path) -> None:
    """Outside a cluster the webhook needs no certificate, and one line says that pods stay without labels."""
    api = api_with_namespace()
    (tmp_path / "settings.yaml").write_text(
        "apiVersion: config.lws.x-k8s.io/v1alpha1\nkind: Configuration\n"
        f"webhook:\n  host: 127.0.0.1\n  port: {free_port()}\n  certDir: {tmp_path}/none\n"
    )
    async with serving(api, tmp_path) as config:
        argv = ["--kubeconfig", str(config), "--config", str(tmp_path / "settings.yaml"), *NO_PORTS]
        flags = parse_flags(argv, terminal=False)
        environ = {**environment(tmp_path), "ENABLE_WEBHOOKS": "true"}
        with capture_logs() as logs:
            settings = controller.make_settings(flags, environ)
            running = asyncio.create_task(until_signal(lambda: controller.run(flags, settings, environ)))
            await asyncio.wait_for(api.written.wait(), 20)
            os.kill(os.getpid(), signal.SIGTERM)
            assert await running == 0
    (said,) = (line["event"] for line in logs if "outside a cluster" in line["event"])
    assert "pods stay without identity labels" in said
