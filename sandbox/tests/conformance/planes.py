"""The control planes that recorded scenarios are replayed against."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from sandbox.tests.conformance.exceptions import OPENSHIFT
from sandbox.tests.conformance.real_target import RealPlane
from sandbox.tests.conformance.replay import Replay
from sandbox.tests.conformance.sandbox_target import sandbox_target
from sandbox.tests.conformance.scenarios import calls_webhooks, controllers

from lws.apimachinery.manifests import JSON
from lws_sandbox import virtual_time
from lws_sandbox.real.binaries import CONTROLLER_MANAGER, Binaries

RACES: Final = 2  # how often a scenario of racing controllers is replayed again


class Plane(Protocol):
    """A control plane.

    Attributes:
        name: ``sandbox`` or ``real``.
    """

    name: str

    def lacks(self, scenario: JSON) -> str:
        """What a scenario needs and this plane has not, in words; empty if nothing."""
        ...

    def differences(self, scenario: JSON) -> list[str]:
        """What it answers differently from the recording."""
        ...


class SandboxPlane:
    """A sandbox of its own for each scenario; webhooks need sockets and so real time, all else runs in virtual time."""

    name = "sandbox"

    def lacks(self, scenario: JSON) -> str:
        """Nothing."""
        return ""

    def differences(self, scenario: JSON) -> list[str]:
        """Replay one scenario."""
        if calls_webhooks(scenario):
            return asyncio.run(self._replay(scenario, real_time=True))
        return virtual_time.run(self._replay(scenario, real_time=False))

    async def _replay(self, scenario: JSON, *, real_time: bool) -> list[str]:
        async with sandbox_target(scenario, real_time=real_time) as target:
            return await Replay(scenario, target, hurry=real_time).run()


class RealRunner:
    """Real processes, kept from scenario to scenario."""

    name = "real"

    def __init__(self, runner: asyncio.Runner, plane: RealPlane, binaries: Binaries) -> None:
        self._runner = runner
        self._plane = plane
        self._binaries = binaries

    def lacks(self, scenario: JSON) -> str:
        """A controller manager, perhaps."""
        lacking = controllers(scenario) and CONTROLLER_MANAGER not in self._binaries
        return f"{CONTROLLER_MANAGER} is not among the binaries in {self._binaries.folder}" if lacking else ""

    def differences(self, scenario: JSON) -> list[str]:
        """Replay one scenario; where controllers race, on a fresh server again when the race went another way."""
        found = self._replay(scenario)
        for _ in range(RACES if controllers(scenario) else 0):
            if not found:
                break
            self._runner.run(self._plane.close())
            found = self._replay(scenario)
        return found

    def _replay(self, scenario: JSON) -> list[str]:
        expected = OPENSHIFT.get(f"{scenario['area']}/{scenario['name']}", ())
        return [each for each in self._runner.run(self._plane.replay(scenario)) if each not in expected]


@contextmanager
def real_plane(binaries: Binaries) -> Iterator[Plane]:
    """Real processes out of the folder; stopped at the end."""
    with asyncio.Runner() as runner:
        plane = RealPlane(binaries)
        try:
            yield RealRunner(runner, plane, binaries)
        finally:
            runner.run(plane.close())
