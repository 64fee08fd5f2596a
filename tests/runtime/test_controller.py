"""Controllers: what they do with verdicts, errors, deadlines and stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from random import Random

import pytest
import structlog
from structlog.testing import capture_logs

from lws.errors import (
    ConflictError,
    ForbiddenError,
    ServerError,
    StaleError,
    TerminalError,
    TooManyRequestsError,
    TransportError,
)
from lws.manager.metrics import Metrics
from lws.runtime.controller import Controller, Done, RequeueAfter, Verdict
from lws.runtime.failing import Failing, FailureReason
from lws.runtime.freshness import Ledger
from lws.workqueue import RateLimitingQueue
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time

Key = tuple[str, str]
A: Key = ("default", "a")
B: Key = ("default", "b")


class Bench:
    """A running controller, and a record of what it did."""

    def __init__(
        self, reconcile: Callable[[Key], Awaitable[Verdict]], *, workers: int = 1, deadline: float = 60.0
    ) -> None:
        clock = VirtualClock()
        self.seen: list[tuple[Key, float]] = []
        self.metrics = Metrics()
        self.queue: RateLimitingQueue[Key] = RateLimitingQueue(Random(1), clock=clock)
        self.ledger: Ledger[Key] = Ledger(self.queue.add)
        self._reconcile = reconcile
        self.controller = Controller(
            "test",
            self._noted,
            queue=self.queue,
            clock=clock,
            workers=workers,
            deadline=deadline,
            ledger=self.ledger,
            metrics=self.metrics.controllers,
        )
        self.task = asyncio.create_task(self.controller.run())

    async def _noted(self, key: Key) -> Verdict:
        self.seen.append((key, asyncio.get_running_loop().time()))
        return await self._reconcile(key)

    def count(self, metric: str, **labels: str) -> float:
        """The value of a metric of this controller."""
        return self.metrics.registry.get_sample_value(metric, {"controller": "test", **labels}) or 0.0

    async def stop(self) -> None:
        """Stop it and wait for its end."""
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


def scripted(*steps: Verdict | BaseException) -> Callable[[Key], Awaitable[Verdict]]:
    """A reconcile that does one step after the other, and then is done."""
    left = list(steps)

    async def reconcile(_key: Key) -> Verdict:
        step = left.pop(0) if left else Done()
        if isinstance(step, BaseException):
            raise step
        return step

    return reconcile


@virtual_time
async def test_keys_that_wait_for_nothing_hold_up_nobody() -> None:
    """Between any two keys others have a turn, though no reconcile ever waits: a worker takes one key a turn."""
    bench = Bench(scripted())
    for number in range(100):
        bench.queue.add(("default", str(number)))
    seen = []
    while len(bench.seen) < 100:
        await asyncio.sleep(0)
        seen.append(len(bench.seen))
    assert max(after - before for before, after in pairwise([0, *seen])) == 1
    await bench.stop()


@virtual_time
async def test_done_rests_the_key() -> None:
    """A key that is done is not looked at again until it is added."""
    bench = Bench(scripted())
    bench.queue.add(A)
    await asyncio.sleep(10_000)
    assert [key for key, _ in bench.seen] == [A]
    assert bench.count("controller_runtime_reconcile_total", result="success") == 1
    await bench.stop()


@virtual_time
async def test_requeue_after_looks_again_in_time() -> None:
    """A key is looked at again after exactly the seconds that its verdict asks for."""
    bench = Bench(scripted(RequeueAfter(5)))
    bench.queue.add(A)
    await asyncio.sleep(100)
    assert [when for _, when in bench.seen] == pytest.approx([0, 5])
    assert bench.count("controller_runtime_reconcile_total", result="requeue_after") == 1
    await bench.stop()


@virtual_time
async def test_errors_back_off_and_success_forgets() -> None:
    """Errors in a row are tried again after growing rests; a success ends the row."""
    errors = [ServerError(500, "", "broken"), TransportError("cut"), ValueError("a bug")]
    bench = Bench(scripted(*errors))
    bench.queue.add(A)
    await asyncio.sleep(100)
    whens = [when for _, when in bench.seen]
    rests = [later - earlier for earlier, later in pairwise(whens)]
    assert len(rests) == 3
    assert all(0.005 * 2**n * 0.8 <= rest <= 0.005 * 2**n + 1e-9 for n, rest in enumerate(rests))
    assert bench.queue.retries(A) == 0
    assert bench.count("controller_runtime_reconcile_errors_total") == 3
    assert bench.count("controller_runtime_reconcile_panics_total") == 1
    await bench.stop()


@virtual_time
async def test_an_unforeseen_error_is_logged_with_key_and_traceback() -> None:
    """A bug in a reconcile is logged once, with the key, an id and the error, and the worker goes on."""
    bench = Bench(scripted(ValueError("a bug")))
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        bench.queue.add(A)
        await asyncio.sleep(1)
    errors = [line for line in logs if line["log_level"] == "error"]
    assert len(errors) == 1
    assert errors[0]["controller"] == "test"
    assert (errors[0]["namespace"], errors[0]["name"]) == A
    assert errors[0]["reconcile_id"] == 1
    assert str(errors[0]["exc_info"]) == "a bug"
    await bench.stop()


@virtual_time
async def test_a_terminal_error_is_not_retried() -> None:
    """A key whose error retrying cannot help rests, and the error is counted."""
    bench = Bench(scripted(TerminalError("foreign object")))
    bench.queue.add(A)
    await asyncio.sleep(10_000)
    assert len(bench.seen) == 1
    assert bench.count("controller_runtime_terminal_reconcile_errors_total") == 1
    await bench.stop()


@virtual_time
async def test_the_same_terminal_error_of_a_key_is_logged_once() -> None:
    """Changes that leave a resting key as it is do not fill the log; another cause, or one after a success, is told."""
    first, second = TerminalError("foreign object"), TerminalError("another")
    bench = Bench(scripted(first, first, first, second, Done(), second))
    with capture_logs() as logs:
        for _ in range(6):
            bench.queue.add(A)
            await asyncio.sleep(1)
    assert len(bench.seen) == 6
    assert [line["cause"] for line in logs if line["log_level"] == "error"] == ["foreign object", "another", "another"]
    assert bench.count("controller_runtime_terminal_reconcile_errors_total") == 5
    await bench.stop()


@virtual_time
async def test_a_server_that_asks_for_patience_gets_it() -> None:
    """After an answer with Retry-After the next try waits for so long, but for no more than five minutes."""
    errors = [TooManyRequestsError(429, "", "slow down", retry_after=7), ServerError(503, "", "", retry_after=9e9)]
    bench = Bench(scripted(*errors))
    bench.queue.add(A)
    await asyncio.sleep(1000)
    assert [when for _, when in bench.seen] == pytest.approx([0, 7, 307])
    await bench.stop()


@virtual_time
async def test_a_conflict_is_tried_again_at_once_and_is_no_error() -> None:
    """A conflict is tried again within milliseconds and counts as a requeue (spec 5.8)."""
    bench = Bench(scripted(ConflictError(409, "Conflict", "newer")))
    bench.queue.add(A)
    await asyncio.sleep(1)
    assert bench.seen[1][1] <= 0.005
    assert bench.count("controller_runtime_reconcile_errors_total") == 0
    assert bench.count("controller_runtime_reconcile_total", result="requeue") == 1
    await bench.stop()


@virtual_time
async def test_conflicts_in_a_row_back_off() -> None:
    """Ten conflicts in a row are each retried after about twice the time of the one before."""
    bench = Bench(scripted(*(ConflictError(409, "Conflict", "newer") for _ in range(10))))
    bench.queue.add(A)
    await asyncio.sleep(60)
    waits = [later - earlier for (_, earlier), (_, later) in pairwise(bench.seen)]
    assert len(waits) == 10
    for n, wait in enumerate(waits):
        assert 0.8 * 0.005 * 2**n <= wait <= 0.005 * 2**n + 1e-6
    await bench.stop()


@virtual_time
async def test_conflicts_use_up_nobody_elses_retries() -> None:
    """After conflicts of 3,000 keys, the first failure of another is retried within milliseconds."""
    tried: list[float] = []
    retried = asyncio.Event()

    async def reconcile(key: Key) -> Verdict:
        if key[0] == "conflicts":
            raise ConflictError(409, "Conflict", "newer")
        tried.append(asyncio.get_running_loop().time())
        if len(tried) == 2:
            retried.set()
        raise ServerError(500, "InternalError", "no")

    bench = Bench(reconcile)
    for number in range(3000):
        bench.queue.add(("conflicts", str(number)))
    bench.queue.add(A)
    await retried.wait()
    assert tried[1] - tried[0] <= 0.005
    await bench.stop()


@virtual_time
async def test_a_stale_cache_is_no_error() -> None:
    """A reconcile that finds its cache behind is tried again soon and is not counted as an error."""
    bench = Bench(scripted(StaleError("behind")))
    bench.queue.add(A)
    await asyncio.sleep(2)
    assert len(bench.seen) == 2
    assert bench.count("controller_runtime_reconcile_errors_total") == 0
    await bench.stop()


@virtual_time
async def test_a_reconcile_is_cut_off_at_its_deadline() -> None:
    """A reconcile that hangs is cancelled at its deadline, counted, and its key tried again; others go on."""

    async def reconcile(key: Key) -> Verdict:
        if key == A and bench.controller.reconciles == 1:
            await asyncio.Event().wait()
        return Done()

    bench = Bench(reconcile, deadline=30)
    bench.queue.add(A)
    bench.queue.add(B)
    await asyncio.sleep(100)
    assert [key for key, _ in bench.seen] == [A, B, A] or [key for key, _ in bench.seen] == [A, A, B]
    assert bench.seen[1][1] == pytest.approx(30, abs=0.01)
    assert bench.count("controller_runtime_reconcile_timeouts_total") == 1
    await bench.stop()


@virtual_time
async def test_a_cancellation_from_within_is_an_error_like_any_other() -> None:
    """A reconcile that raises CancelledError by itself does not end its worker."""
    bench = Bench(scripted(asyncio.CancelledError()))
    bench.queue.add(A)
    await asyncio.sleep(1)
    assert len(bench.seen) == 2
    assert bench.count("controller_runtime_reconcile_errors_total") == 1
    await bench.stop()


class Catastrophe(BaseException):
    """What is no Exception."""


@virtual_time
async def test_what_is_no_exception_ends_the_controller_with_itself() -> None:
    """A worker that is ended by what is no Exception ends its controller, and the cause is not lost."""
    bench = Bench(scripted(Catastrophe("out of memory")), workers=3)
    bench.queue.add(A)
    with pytest.raises(Catastrophe):
        await bench.task


@virtual_time
async def test_a_verdict_of_the_wrong_type_is_an_error() -> None:
    """A reconcile must return a verdict; anything else is counted as a fault of ours."""
    bench = Bench(scripted(None))  # type: ignore[arg-type]
    bench.queue.add(A)
    await asyncio.sleep(1)
    assert bench.count("controller_runtime_reconcile_panics_total") == 1
    await bench.stop()


@virtual_time
async def test_one_key_one_worker_many_keys_many_workers() -> None:
    """With four workers, four keys are reconciled at once, and never one key by two workers."""
    active: dict[Key, int] = {}
    most = [0]

    async def reconcile(key: Key) -> Verdict:
        active[key] = active.get(key, 0) + 1
        assert active[key] == 1
        most[0] = max(most[0], sum(active.values()))
        await asyncio.sleep(1)
        active[key] -= 1
        return Done()

    bench = Bench(reconcile, workers=4)
    for _ in range(3):
        for n in range(8):
            bench.queue.add(("ns", str(n)))
        await asyncio.sleep(0.5)
    await asyncio.sleep(100)
    assert most == [4]
    assert bench.count("controller_runtime_reconcile_errors_total") == 0
    await bench.stop()


@virtual_time
async def test_a_poisoned_key_does_not_slow_its_neighbours() -> None:
    """While one key fails for ever, a hundred others are each reconciled within a second of being added."""

    async def reconcile(key: Key) -> Verdict:
        await asyncio.sleep(0.001)
        if key == A:
            raise RuntimeError("poison")
        return Done()

    bench = Bench(reconcile)
    bench.queue.add(A)
    await asyncio.sleep(50)
    begin = asyncio.get_running_loop().time()
    for n in range(100):
        bench.queue.add(("ns", str(n)))
    await asyncio.sleep(1)
    assert {key for key, when in bench.seen if when >= begin and key != A} == {("ns", str(n)) for n in range(100)}
    await bench.stop()


@virtual_time
async def test_stopping_finishes_what_is_under_way() -> None:
    """A stop lets the reconcile under way finish, and hands out no further key."""
    finished: list[Key] = []

    async def reconcile(key: Key) -> Verdict:
        await asyncio.sleep(3)
        finished.append(key)
        return Done()

    bench = Bench(reconcile)
    bench.queue.add(A)
    bench.queue.add(B)
    await asyncio.sleep(1)
    await bench.stop()
    assert finished == [A]
    assert asyncio.get_running_loop().time() == pytest.approx(3)


@virtual_time
async def test_stopping_does_not_wait_for_ever() -> None:
    """A reconcile that outlasts the stop is cut off after the stop's seconds."""

    async def reconcile(_key: Key) -> Verdict:
        await asyncio.sleep(1000)
        return Done()

    bench = Bench(reconcile, deadline=5000)
    bench.queue.add(A)
    await asyncio.sleep(1)
    await bench.stop()
    assert asyncio.get_running_loop().time() == pytest.approx(6)
    assert bench.count("controller_runtime_active_workers") == 0


class Cache:
    """An informer as far as the ledger looks at it."""

    def __init__(self) -> None:
        self.position = 0
        self._callbacks: list[Callable[[], None]] = []

    def has_seen(self, _namespace: str, _name: str, resource_version: int | str, /) -> bool:
        """Whether the position has reached this version."""
        return self.position >= int(resource_version)

    def on_progress(self, callback: Callable[[], None], /) -> None:
        """Have it told of moves."""
        self._callbacks.append(callback)

    def move(self, position: int) -> None:
        """Reach a position."""
        self.position = position
        for callback in self._callbacks:
            callback()


@virtual_time
async def test_a_key_waits_for_its_own_writes() -> None:
    """A key whose write the cache has not seen is not reconciled until it has, and then at once."""
    cache = Cache()
    bench = Bench(scripted())
    bench.ledger.record(A, cache, "default", "x", "7")
    bench.queue.add(A)
    await asyncio.sleep(10.25)
    assert bench.seen == []
    cache.move(6)
    assert bench.ledger.stale(A)
    cache.move(7)
    await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert [key for key, _ in bench.seen] == [A]
    assert bench.seen[0][1] == pytest.approx(10.25)
    await bench.stop()


@virtual_time
async def test_a_key_waits_for_all_its_writes_in_all_caches() -> None:
    """A key is woken when the last of its writes has been seen, and not before."""
    pods, sets = Cache(), Cache()
    woken: list[Key] = []
    ledger: Ledger[Key] = Ledger(woken.append)
    ledger.record(A, pods, "default", "x", "3")
    ledger.record(A, pods, "default", "x", "5")
    ledger.record(A, sets, "default", "y", "4")
    ledger.record(B, sets, "default", "z", "4")
    pods.move(4)
    assert woken == []
    sets.move(4)
    assert woken == [B]
    pods.move(5)
    assert woken == [B, A]
    assert len(ledger) == 0


@virtual_time
async def test_a_write_that_was_seen_already_is_not_waited_for() -> None:
    """A write whose event overtook its answer, or that has no version, leaves no trace."""
    cache = Cache()
    cache.move(9)
    ledger: Ledger[Key] = Ledger(lambda _: None)
    ledger.record(A, cache, "default", "x", "9")
    ledger.record(A, cache, "default", "x", "")
    assert not ledger.stale(A)
    assert len(ledger) == 0


@virtual_time
async def test_failing_keys_are_known_with_their_begin_and_reason() -> None:
    """From its first failure until it ends well a key is failing, for the last reason; conflicts are none."""
    forbidden = ForbiddenError(403, "Forbidden", "exceeded quota: q")
    bench = Bench(scripted(ConflictError(409, "Conflict", "x"), forbidden, ServerError(500, "", "x"), Done()))
    bench.queue.add(A)
    await asyncio.sleep(0.006)
    first = dict(bench.controller.failing)
    assert first[A].reason == "Quota"
    await asyncio.sleep(0.012)
    assert bench.controller.failing[A] == Failing(first[A].since, FailureReason.SERVER)
    await asyncio.sleep(10)
    assert bench.controller.failing == {}
    assert bench.count("lws_reconcile_failures_total", reason="Quota") == 1
    assert bench.count("lws_reconcile_failures_total", reason="ServerError") == 1
    await bench.stop()
