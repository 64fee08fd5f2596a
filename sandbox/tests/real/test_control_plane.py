"""A real control plane's processes: order, readiness, failures, the end. Played by small executables."""

from __future__ import annotations

import signal
import stat
from pathlib import Path
from random import Random

import pytest
from sandbox.tests.real.fakes import FAILS, SERVES, STUBBORN, WAITS, Folder

from lws.clock import SystemClock
from lws.errors import ConfigurationError
from lws_sandbox.control_loops import ControlLoops
from lws_sandbox.nodes import preset
from lws_sandbox.real import cluster, control_plane, process
from lws_sandbox.real.binaries import OPTIONAL, REQUIRED, VARIABLE, Binaries, find


def _executable(path: Path) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(stat.S_IRWXU)


def test_binaries_are_those_of_the_named_folder(tmp_path: Path) -> None:
    """Only a folder with etcd and kube-apiserver counts; the managers may be missing, and the message is the remedy."""
    with pytest.raises(ConfigurationError, match=f"{VARIABLE} is not set: `make control-plane`"):
        find({})
    _executable(tmp_path / "etcd")
    with pytest.raises(ConfigurationError, match=r"has no executable kube-apiserver: `make control-plane"):
        find({VARIABLE: str(tmp_path)})
    _executable(tmp_path / "kube-apiserver")
    assert find({VARIABLE: str(tmp_path)}).names == set(REQUIRED)
    _executable(tmp_path / "kube-scheduler")
    assert find({VARIABLE: str(tmp_path)}).names == {*REQUIRED, "kube-scheduler"}


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the processes in the order in which they were stopped."""
    stop, names = process.Process.stop, []

    async def noted(each: process.Process) -> None:
        await stop(each)
        names.append(each.name)

    monkeypatch.setattr(process.Process, "stop", noted)
    return names


async def test_each_starts_when_what_it_needs_is_ready_and_ends_before_it(tmp_path: Path, stopped: list[str]) -> None:
    """The managers start when kube-apiserver says that it is ready, and everything ends in the reverse order."""
    programs = {"etcd": WAITS, "kube_apiserver": SERVES, "kube_controller_manager": WAITS, "kube_scheduler": WAITS}
    folder = Folder(tmp_path, **programs)
    async with control_plane.control_plane(folder.binaries, controllers=("*",)) as plane:
        assert [each.name for each in plane.processes] == [*REQUIRED, *OPTIONAL]
        assert all(each.running for each in plane.processes)
        keys = plane.keys.folder
        assert {each.stat().st_mode & 0o77 for each in keys.glob("*.key")} == {0}
    assert not keys.exists()
    assert stopped == ["kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"]
    assert not any(each.running for each in plane.processes)
    first = {line: folder.diary.index(line) for line in folder.diary}
    late = [first[line] for line in first if line.startswith(OPTIONAL)]
    assert all(first["kube-apiserver ready"] < each for each in late)


async def test_managers_are_started_only_where_they_are_there(tmp_path: Path) -> None:
    """With etcd and kube-apiserver alone nothing else is started."""
    folder = Folder(tmp_path, etcd=WAITS, kube_apiserver=SERVES)
    async with control_plane.control_plane(folder.binaries, controllers=("*",)) as plane:
        assert [each.name for each in plane.processes] == list(REQUIRED)


async def test_a_server_that_ends_at_once_is_told_with_its_log(tmp_path: Path, stopped: list[str]) -> None:
    """The error carries the code and the end of the log, and etcd is stopped."""
    folder = Folder(tmp_path, etcd=WAITS, kube_apiserver=FAILS)
    with pytest.raises(
        ConfigurationError, match=r"(?s)kube-apiserver ended with code 1; .*unknown flag: --etcd-servers"
    ):
        async with control_plane.control_plane(folder.binaries):
            pytest.fail("it is not ready")
    assert stopped == ["kube-apiserver", "etcd"]


async def test_an_etcd_that_ends_is_told_rather_than_waited_for(tmp_path: Path) -> None:
    """What kube-apiserver would wait for in vain ends the start at once."""
    folder = Folder(tmp_path, etcd=FAILS, kube_apiserver=WAITS)
    with pytest.raises(ConfigurationError, match="etcd ended with code 1"):
        async with control_plane.control_plane(folder.binaries):
            pytest.fail("it is not ready")


async def test_a_server_that_is_never_ready_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time for it the start ends, with the log."""
    monkeypatch.setattr(control_plane, "READY", 0.3)
    folder = Folder(tmp_path, etcd=WAITS, kube_apiserver=WAITS)
    with pytest.raises(ConfigurationError, match="kube-apiserver is not ready after"):
        async with control_plane.control_plane(folder.binaries):
            pytest.fail("it is not ready")


async def test_a_binary_of_another_machine_is_told(tmp_path: Path) -> None:
    """What cannot be started is named, with what to look at."""
    folder = Folder(tmp_path, kube_apiserver=WAITS)
    folder.put("etcd", "\x7fELF of another machine")
    with pytest.raises(ConfigurationError, match=r"etcd cannot be started: .*is it made for this machine\?"):
        async with control_plane.control_plane(folder.binaries):
            pytest.fail("it is not ready")


async def test_a_process_that_ends_later_is_noticed(tmp_path: Path) -> None:
    """Whoever waits for the plane to end is told which process did, and with which code."""
    crash = "signal.signal(signal.SIGUSR1, lambda *_: sys.exit('out of disk'))\nsignal.pause()\n"
    folder = Folder(tmp_path, etcd=crash + "signal.pause()\n", kube_apiserver=SERVES + crash)
    async with control_plane.control_plane(folder.binaries) as plane:
        plane.processes[0].signal(signal.SIGUSR1)
        told = str(await plane.ended())
    assert told.startswith("etcd ended with code 1")
    assert told.endswith("out of disk\n")


async def test_a_process_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM comes first; what ignores it does not outlive the context."""
    monkeypatch.setattr(process, "GRACE", 0.2)
    folder = Folder(tmp_path, etcd=STUBBORN, kube_apiserver=SERVES)
    async with control_plane.control_plane(folder.binaries) as plane:
        pass
    assert "etcd asked to stop" in folder.diary
    assert not any(each.running for each in plane.processes)


class _NoTransport:
    async def send(self, _request: object) -> object:
        raise AssertionError("nothing is asked")

    stream = close = send


@pytest.mark.parametrize(
    ("names", "ours"),
    [
        ({*REQUIRED, *OPTIONAL}, cluster.OURS),
        ({*REQUIRED, "kube-controller-manager"}, cluster.OURS | {"kube-scheduler"}),
        ({*REQUIRED, "kube-scheduler"}, None),
        ({*REQUIRED}, None),
    ],
)
def test_our_loops_do_what_no_real_process_does(names: set[str], ours: set[str] | None) -> None:
    """Beside real managers run only kubelets, volumes and autoscalers; a missing one is replaced, and none doubled."""
    binaries = Binaries(Path(), frozenset(names))
    loops = ControlLoops(
        _NoTransport(),  # type: ignore[arg-type]
        ca=b"",
        shape=preset("small"),
        clock=SystemClock(),
        random=Random(0),
        wanted=lambda name: cluster.is_ours(name, binaries),
    )
    running = {loop.name for loop in loops.running}
    assert running >= cluster.OURS
    assert ("kube-scheduler" in running) == ("kube-scheduler" not in names)
    assert ("statefulset-controller" in running) == ("kube-controller-manager" not in names)
    assert ours is None or running == ours


async def test_a_process_that_was_killed_can_be_started_again(tmp_path: Path) -> None:
    """It runs again with the same flags and those that were added, and is stopped at the end like any other."""
    folder = Folder(tmp_path, etcd=WAITS, kube_apiserver=SERVES)
    async with control_plane.control_plane(folder.binaries, more={"etcd": ["--added"]}) as plane:
        etcd = plane.processes[0]
        assert etcd.command[-1] == "--added"
        states = [etcd.running]
        await etcd.kill()
        states.append(etcd.running)
        await etcd.start()
        states.append(etcd.running)
    assert [*states, etcd.running] == [True, False, True, False]
