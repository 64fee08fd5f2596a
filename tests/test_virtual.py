"""How long tests in virtual time may take."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.virtual import by_processor_time

LIMIT = 600.0


class StruckError(Exception):
    """The limit of the test has been reached."""


@pytest.fixture
def limited() -> Iterator[None]:
    """A test with a limit like that of pytest-timeout."""

    def strike(*_: object) -> None:
        raise StruckError

    before, own = signal.signal(signal.SIGALRM, strike), signal.setitimer(signal.ITIMER_REAL, LIMIT)
    yield
    signal.signal(signal.SIGALRM, before)
    signal.setitimer(signal.ITIMER_REAL, *own)


@pytest.mark.usefixtures("limited")
def test_a_limit_counts_the_processor_s_time() -> None:
    """The wall clock's stands still meanwhile, so that a busy machine ends no test, and goes on after it."""
    with by_processor_time():
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
        assert signal.getitimer(signal.ITIMER_PROF)[0] > 0
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= LIMIT
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0


@pytest.mark.usefixtures("limited")
def test_what_computes_without_end_is_struck() -> None:
    """When so much of the processor's time is spent, the test ends as it would by the wall clock."""
    with pytest.raises(StruckError), by_processor_time():
        os.kill(os.getpid(), signal.SIGPROF)
