"""The order in which services start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lws.runtime.lifetimes import Service, ServiceEndedError, Supervisor, background, together
from tests.virtual import virtual_time


class Log:
    """What happened, in order, and when."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def service(
        self,
        name: str,
        *,
        takes: float = 0.0,
        stopping: float = 0.0,
        fails_after: float | None = None,
        stop_seconds: float = 5.0,
    ) -> Service:
        """A service that needs some time to be ready and to stop, and may fail."""

        async def run(ready: Callable[[], None]) -> None:
            self.lines.append(f"{name} starts")
            try:
                await asyncio.sleep(takes)
                ready()
                self.lines.append(f"{name} ready")
                if fails_after is None:
                    await asyncio.Event().wait()
                await asyncio.sleep(fails_after or 0)
                raise ValueError(f"{name} broke")
            finally:
                self.lines.append(f"{name} stops")
                await asyncio.sleep(stopping)
                self.lines.append(f"{name} stopped")

        return Service(name, run, stop_seconds)


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel and wait."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@virtual_time
async def test_up_in_order_and_down_in_reverse() -> None:
    """Each service starts when the one before it is ready, and stops when all after it have stopped."""
    log = Log()
    manager = Supervisor(
        [log.service("a", takes=2, stopping=1), log.service("b", takes=1, stopping=1), log.service("c")]
    )
    task = asyncio.create_task(manager.run())
    await manager.ready.wait()
    assert log.lines == ["a starts", "a ready", "b starts", "b ready", "c starts", "c ready"]
    log.lines.clear()
    await stop(task)
    assert log.lines == ["c stops", "c stopped", "b stops", "b stopped", "a stops", "a stopped"]
    assert not manager.ready.is_set()


@virtual_time
async def test_a_failing_service_brings_all_down_with_its_error() -> None:
    """When a service fails, the others stop in order and the manager raises its error."""
    log = Log()
    manager = Supervisor([log.service("a"), log.service("b", fails_after=5), log.service("c")])
    with pytest.raises(ValueError, match="b broke"):
        await manager.run()
    assert log.lines[-4:] == ["c stops", "c stopped", "a stops", "a stopped"]


@virtual_time
async def test_a_service_that_fails_before_it_is_ready_starts_nothing_further() -> None:
    """A service that cannot start is the manager's error, and later services never begin."""

    async def broken(_ready: Callable[[], None]) -> None:
        raise OSError("port in use")

    log = Log()
    with pytest.raises(OSError, match="port in use"):
        await Supervisor([log.service("a"), Service("broken", broken), log.service("c")]).run()
    assert log.lines == ["a starts", "a ready", "a stops", "a stopped"]


@virtual_time
async def test_an_earlier_service_that_fails_while_a_later_one_starts_is_noticed() -> None:
    """While one service waits to become ready, the failure of another ends the start."""
    log = Log()
    manager = Supervisor([log.service("a", fails_after=3), log.service("slow", takes=1000)])
    with pytest.raises(ValueError, match="a broke"):
        await manager.run()
    assert asyncio.get_running_loop().time() == pytest.approx(3)
    assert "slow stopped" in log.lines


@virtual_time
async def test_a_service_that_returns_is_an_error() -> None:
    """A service that ends without being stopped is an error that names it."""

    async def brief(ready: Callable[[], None]) -> None:
        ready()

    with pytest.raises(ServiceEndedError, match="brief"):
        await Supervisor([Service("brief", brief)]).run()


@virtual_time
async def test_stopping_goes_on_past_a_service_that_does_not_stop() -> None:
    """A service that takes too long to stop is cancelled once more, and the rest still stop in order."""
    log = Log()
    services = [log.service("a"), log.service("stubborn", stopping=1000, stop_seconds=2)]
    task = asyncio.create_task(Supervisor(services).run())
    await asyncio.sleep(1)
    await stop(task)
    assert log.lines[-2:] == ["a stops", "a stopped"]
    assert asyncio.get_running_loop().time() == pytest.approx(3)


@virtual_time
async def test_a_second_cancellation_does_not_break_the_order() -> None:
    """A manager that is cancelled again while it stops still stops everything in order."""
    log = Log()
    task = asyncio.create_task(Supervisor([log.service("a", stopping=2), log.service("b", stopping=2)]).run())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.sleep(1)
    await stop(task)
    assert log.lines[-4:] == ["b stops", "b stopped", "a stops", "a stopped"]


@virtual_time
async def test_services_together_start_and_stop_at_the_same_time() -> None:
    """Services that are put together are ready when all are, and drain side by side."""
    log = Log()
    both = together("both", [log.service("a", takes=3, stopping=3), log.service("b", takes=1, stopping=3)])
    manager = Supervisor([both])
    task = asyncio.create_task(manager.run())
    await manager.ready.wait()
    assert asyncio.get_running_loop().time() == pytest.approx(3)
    await stop(task)
    assert asyncio.get_running_loop().time() == pytest.approx(6)
    assert sorted(log.lines[-2:]) == ["a stopped", "b stopped"]


@virtual_time
async def test_one_of_several_that_fails_brings_its_siblings_down() -> None:
    """When one of the services put together fails, the others stop and the error is that one's own."""
    log = Log()
    with pytest.raises(ValueError, match="a broke"):
        await Supervisor([together("both", [log.service("a", fails_after=2), log.service("b")])]).run()
    assert log.lines[-1] == "b stopped"


@virtual_time
async def test_the_error_of_a_task_group_is_told_as_itself() -> None:
    """An error that a service's task group wrapped is raised unwrapped."""

    async def grouped() -> None:
        async def fail() -> None:
            raise ValueError("inner")

        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    with pytest.raises(ValueError, match="inner"):
        await Supervisor([background("grouped", grouped)]).run()
