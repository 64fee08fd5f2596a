"""A pytest plugin for runs that prove nothing by skipping: ``-p tests.passed --at-least-passed 50``."""

from __future__ import annotations

import pytest


class Passed:
    """Counts the tests that pass, in this process and its workers, and fails a run with too few of them.

    Args:
        least: how many have to pass.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._passed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count."""
        self._passed += report.when == "call" and report.passed

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge a run that would be good otherwise."""
        good = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if good and self._passed < self._least:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why."""
        if self._passed < self._least:
            terminalreporter.write_line(f"{self._passed} tests passed, at least {self._least} must", red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--at-least-passed", type=int, default=1, help="fail if fewer tests pass")


def pytest_configure(config: pytest.Config) -> None:
    """Count where reports of all workers arrive."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Passed(config.getoption("--at-least-passed")))
