"""Health checks and the watchdog."""

from __future__ import annotations

import asyncio

import pytest

from lws.runtime.health import Health
from lws.runtime.watchdog import Watchdog
from lws_sandbox.virtual_time import VirtualClock, VirtualTimeLoop
from tests.virtual import virtual_time


def _boom() -> str | None:
    raise KeyError("cache")


def test_all_well_is_ok() -> None:
    """With no failing check the answer is 200 and the bare word."""
    health = Health("readyz")
    health.add("caches", lambda: None)
    assert (health.report().status, health.report().text) == (200, "ok")


def test_verbose_lists_every_check() -> None:
    """Asked for details, the answer lists the checks in the form that Kubernetes components use."""
    health = Health("readyz")
    health.add("caches", lambda: None)
    assert health.report(verbose=True).text == "[+]ping ok\n[+]caches ok\nreadyz check passed\n"


def test_a_failure_names_the_check_and_the_reason() -> None:
    """A failing check makes the answer 500, and its reason is told on one line."""
    health = Health("healthz")
    health.add("watches", lambda: "pods: refused\n  by the server")
    health.add("loop", lambda: None)
    report = health.report()
    assert report.status == 500
    assert (
        report.text == "[+]ping ok\n[-]watches failed: pods: refused by the server\n[+]loop ok\nhealthz check failed\n"
    )


def test_a_check_that_raises_has_failed() -> None:
    """A check that raises counts as failed, with its error as the reason."""
    health = Health("healthz")
    health.add("broken", _boom)
    assert health.failures() == {"broken": "KeyError: 'cache'"}


def test_a_check_can_be_excluded() -> None:
    """An excluded check does not count, and is listed as such."""
    health = Health("healthz")
    health.add("broken", _boom)
    report = health.report(verbose=True, exclude=["broken"])
    assert report.status == 200
    assert "[+]broken excluded: ok" in report.text


def test_one_check_can_be_asked_for() -> None:
    """A single check answers for itself; one that does not exist is not found."""
    health = Health("healthz")
    health.add("broken", _boom)
    assert health.report_one("broken").status == 500
    assert health.report_one("ping").status == 200
    assert health.report_one("nonsense").status == 404


@virtual_time
async def test_the_watchdog_sees_a_stall_and_forgets_it() -> None:
    """A stall of the loop is a problem from the next tick on, and none any more half a minute later."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    lags: list[float] = []
    watchdog = Watchdog(VirtualClock(), period=1.0, tolerance=5.0, memory=30.0, lagged=lags.append)
    task = asyncio.create_task(watchdog.run())
    await asyncio.sleep(10.5)
    assert max(lags) == pytest.approx(0.0)
    loop.advance(8.0)
    await asyncio.sleep(1.0)
    assert "7.5 s" in (watchdog.problem or "")
    await asyncio.sleep(31)
    assert watchdog.problem is None
    assert max(lags) == pytest.approx(7.5)
    task.cancel()


@virtual_time
async def test_a_short_lag_is_no_problem() -> None:
    """Lateness within the tolerance is measured but is no problem."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    watchdog = Watchdog(VirtualClock(), period=1.0, tolerance=5.0)
    task = asyncio.create_task(watchdog.run())
    await asyncio.sleep(0.5)
    loop.advance(3.0)
    await asyncio.sleep(0.1)
    assert watchdog.lag == pytest.approx(2.5)
    assert watchdog.problem is None
    task.cancel()
