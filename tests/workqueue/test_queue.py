"""The queue, one promise at a time."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from lws.workqueue import (
    Bucket,
    DelayingQueue,
    ExponentialBackoff,
    Queue,
    QueueShutDown,
    RateLimitingQueue,
)
from lws.workqueue.queue import LIVE_RUN, QueueStatistics
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time


class Heard:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] = []

    def added(self) -> None:
        """A key began to wait."""
        self.heard.append(("added", 0.0))

    def handed_out(self, waited: float) -> None:
        """A key was given to a worker."""
        self.heard.append(("handed out", waited))

    def finished(self, worked: float) -> None:
        """A worker was done with a key."""
        self.heard.append(("finished", worked))

    def retried(self) -> None:
        """A key was added with a delay."""
        self.heard.append(("retried", 0.0))


def new_queue() -> RateLimitingQueue[str]:
    """A queue in virtual time."""
    return RateLimitingQueue(Random(7), clock=VirtualClock())


@virtual_time
async def test_a_key_in_work_waits_for_its_worker() -> None:
    """A key added while a worker has it is handed out again only after that worker is done."""
    queue = new_queue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    other = asyncio.create_task(queue.get())
    await asyncio.sleep(10)
    assert not other.done()
    queue.done("a")
    assert await other == "a"


@virtual_time
async def test_repeated_additions_are_one() -> None:
    """A key that waits is not added again."""
    queue = new_queue()
    for _ in range(5):
        queue.add("a")
    assert len(queue) == 1


@virtual_time
async def test_live_keys_pass_background_keys_but_never_starve_them() -> None:
    """Under an endless stream of live keys every background key leaves within its bound."""
    queue: Queue[str] = Queue(clock=VirtualClock())
    for i in range(10):
        queue.add(f"old{i}", background=True)
    order: list[str] = []
    for i in range(100):
        queue.add(f"live{i}")
        key = await queue.get()
        order.append(key)
        queue.done(key)
    places = [order.index(f"old{i}") + 1 for i in range(10)]
    assert order[:LIVE_RUN] == [f"live{i}" for i in range(LIVE_RUN)]
    assert all(place <= (i + 1) * (LIVE_RUN + 1) for i, place in enumerate(places))


@virtual_time
async def test_a_live_change_lifts_a_background_key() -> None:
    """A key that waits in the background and changes is handed out with the live keys."""
    queue = new_queue()
    for key in "abc":
        queue.add(key, background=True)
    queue.add("c")
    assert await queue.get() == "c"


@virtual_time
async def test_an_idle_queue_sets_no_timer() -> None:
    """Nothing is scheduled while no key is delayed, so a loop with only an idle queue has nothing to do."""
    loop = asyncio.get_running_loop()
    queue = new_queue()
    queue.add_after("a", 60)
    queue.add_after("b", 30)
    assert len(loop._scheduled) == 1 or sum(not t.cancelled() for t in loop._scheduled) == 1  # type: ignore[attr-defined]
    assert [await queue.get(), await queue.get()] == ["b", "a"]
    assert loop.time() == pytest.approx(60)
    assert not [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]


@virtual_time
async def test_the_earliest_delay_holds() -> None:
    """Of several delays of one key the earliest counts, and it comes once."""
    queue = new_queue()
    for seconds in (30, 10, 20):
        queue.add_after("a", seconds)
    assert queue.delay_of("a") == pytest.approx(10)
    await queue.get()
    assert asyncio.get_running_loop().time() == pytest.approx(10)
    queue.done("a")
    await asyncio.sleep(100)
    assert len(queue) == 0


@virtual_time
async def test_superseded_delays_cost_no_memory() -> None:
    """A key that is given ever earlier times leaves no trail in the heap."""
    queue: DelayingQueue[str] = DelayingQueue(Queue(clock=VirtualClock()))
    for seconds in range(1_000, 1, -1):
        queue.add_after("a", seconds)
    assert len(queue._heap) < 40


@virtual_time
async def test_delays_are_sorted_anew_only_when_most_are_superseded() -> None:
    """As long as the superseded are no more than those that hold, and sixteen, nothing is built anew."""
    queue: DelayingQueue[int] = DelayingQueue(Queue(clock=VirtualClock()))
    heap = queue._heap
    for key in range(50):
        queue.add_after(key, 1_000 - key)
    for seconds in range(66):
        queue.add_after(0, 900 - seconds)
    assert queue._heap is heap
    queue.add_after(0, 1)
    assert len(queue._heap) == 50
    assert queue.delay_of(49) == pytest.approx(951)


@virtual_time
async def test_an_earlier_delay_leaves_nothing_of_a_later_one() -> None:
    """A key that came at the earlier of two times, and is delayed anew, does not come at the later of the two."""
    queue = new_queue()
    queue.add_after("a", 30)
    queue.add_after("a", 10)
    assert await queue.get() == "a"
    queue.done("a")
    queue.add_after("a", 50)
    assert await queue.get() == "a"
    assert asyncio.get_running_loop().time() == pytest.approx(60)


@virtual_time
async def test_equal_times_keep_their_order() -> None:
    """Keys that are delayed to the same moment come in the order in which they were first given, whatever they are."""
    queue = new_queue()
    for key in ("c", "b", "a", "c"):
        queue.add_after(key, 5)
    assert [await queue.get() for _ in range(3)] == ["c", "b", "a"]


@virtual_time
async def test_a_delay_of_nothing_is_no_delay() -> None:
    """A delay that is not positive adds the key at once."""
    queue = new_queue()
    queue.add_after("a", 0)
    queue.add_after("b", -1)
    assert (queue.delay_of("a"), len(queue)) == (None, 2)
    assert [await queue.get(), await queue.get()] == ["a", "b"]


@virtual_time
async def test_failures_double_the_rest_up_to_the_cap() -> None:
    """The n-th failure rests 5 ms times 2^n, at most 1000 s, less at most a fifth; success starts anew."""
    limiter: ExponentialBackoff[str] = ExponentialBackoff(Random(3))
    for n in range(40):
        longest = min(1000.0, 0.005 * 2**n)
        assert longest * 0.8 <= limiter.next_delay("a") <= longest
    assert limiter.failures("a") == 40
    limiter.forget("a")
    assert limiter.next_delay("a") <= 0.005


@virtual_time
async def test_jitter_parts_keys_that_failed_together() -> None:
    """Keys with equally many failures come back at different times."""
    limiter: ExponentialBackoff[int] = ExponentialBackoff(Random(3))
    assert len({limiter.next_delay(key) for key in range(100)}) == 100


@virtual_time
async def test_a_bucket_bounds_all_keys_together() -> None:
    """Three at once, then two a second; unused time fills it again."""
    bucket = Bucket(VirtualClock(), rate=2.0, burst=3)
    assert [bucket.take() for _ in range(5)] == pytest.approx([0, 0, 0, 0.5, 1.0])
    for _ in range(2):
        await asyncio.sleep(0.5)
        assert bucket.take() == pytest.approx(1.0)
    await asyncio.sleep(100)
    assert [bucket.take() for _ in range(4)] == pytest.approx([0, 0, 0, 0.5])


def small_bucket() -> RateLimitingQueue[str]:
    """A queue whose keys have one retry a second together."""
    clock = VirtualClock()
    backoff: ExponentialBackoff[str] = ExponentialBackoff(Random(0), jitter=0.0)
    return RateLimitingQueue(Random(0), clock=clock, backoff=backoff, bucket=Bucket(clock, rate=1.0, burst=1))


@virtual_time
async def test_the_longer_of_back_off_and_bucket_is_obeyed() -> None:
    """Keys share the bucket; a key's own back-off, and what a server asks for, can only be longer."""
    queue = small_bucket()
    assert [queue.add_rate_limited(key) for key in "abc"] == pytest.approx([0.005, 1.0, 2.0])
    assert queue.add_rate_limited("d", at_least=7.0) == pytest.approx(7.0)
    assert queue.retries("a") == 1
    queue.forget("a")
    assert queue.retries("a") == 0


@virtual_time
async def test_a_retry_that_waits_is_charged_once() -> None:
    """A key that fails again and again while its retry waits costs the others nothing, and is retried in time."""
    queue = small_bucket()
    queue.add_rate_limited("c", at_least=0.5)
    for _ in range(1000):
        queue.add("c")
        assert await queue.get() == "c"
        assert queue.add_rate_limited("c") == pytest.approx(0.5)
        queue.done("c")
    assert queue.add_rate_limited("healthy") == pytest.approx(1.0)
    assert await queue.get() == "c"
    assert asyncio.get_running_loop().time() == pytest.approx(0.5)
    assert queue.retries("c") == 1


@virtual_time
async def test_a_retry_that_another_delay_overtook_is_not_lost() -> None:
    """A key that was handed out before its retry was due, and fails again, is retried."""
    queue = small_bucket()
    queue.add_rate_limited("a", at_least=5.0)
    queue.add_after("a", 1.0)
    assert await queue.get() == "a"
    assert queue.add_rate_limited("a") > 0
    queue.done("a")
    async with asyncio.timeout(10):
        assert await queue.get() == "a"


@virtual_time
async def test_an_uncharged_retry_backs_off_and_leaves_the_bucket_alone() -> None:
    """Conflicts wait for their own back-off only."""
    queue = small_bucket()
    for expected in (0.005, 0.01, 0.02):
        assert queue.add_rate_limited("a", charged=False) == pytest.approx(expected)
        assert await queue.get() == "a"
        queue.done("a")
    assert queue.add_rate_limited("b") == pytest.approx(0.005)


@virtual_time
async def test_a_getter_that_is_cancelled_as_it_is_woken_wakes_the_next() -> None:
    """A key that came for a worker which is cancelled in the same turn goes to the next worker."""
    queue = new_queue()
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    async with asyncio.timeout(1):
        assert await second == "a"
    assert first.cancelled()


@virtual_time
async def test_hundreds_of_poisoned_keys_leave_room_for_a_neighbour() -> None:
    """A healthy key that fails once beside 500 that always fail is tried again within a tenth of a second."""
    queue: RateLimitingQueue[int] = RateLimitingQueue(Random(5), clock=VirtualClock())
    for key in range(500):
        queue.add(key)

    async def work() -> None:
        while True:
            key = await queue.get()
            queue.add_rate_limited(key)
            queue.done(key)

    worker = asyncio.create_task(work())
    await asyncio.sleep(300)
    assert queue.add_rate_limited(1_000) < 0.1
    worker.cancel()


@virtual_time
async def test_a_drained_stop_hands_out_what_waits() -> None:
    """After a draining stop the waiting keys are still handed out, new and delayed ones are not."""
    queue = new_queue()
    queue.add("a")
    queue.add_after("later", 5)
    queue.shut_down(drain=True)
    queue.add("new")
    assert await queue.get() == "a"
    with pytest.raises(QueueShutDown):
        await queue.get()
    queue.done("a")
    await asyncio.sleep(10)
    assert len(queue) == 0


@virtual_time
async def test_a_drained_stop_waits_for_a_key_that_changed_in_work() -> None:
    """A key that changed while in work is handed out once more after a draining stop."""
    queue = new_queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.shut_down(drain=True)
    other = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    assert not other.done()
    queue.done("a")
    assert await other == "a"


@virtual_time
async def test_a_stop_wakes_every_worker() -> None:
    """Workers that wait when the queue stops are told so, and waiting keys are dropped."""
    queue = new_queue()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(1)
    queue.shut_down(drain=False)
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, QueueShutDown) for result in results)


@virtual_time
async def test_waiting_for_idle_ends_when_the_last_key_is_done() -> None:
    """Waiting for idle ends with the last key in work, not before."""
    queue = new_queue()
    for key in "ab":
        queue.add(key)
        await queue.get()
    idle = asyncio.create_task(queue.wait_idle())
    await asyncio.sleep(1)
    queue.done("a")
    await asyncio.sleep(1)
    assert not idle.done()
    queue.done("b")
    await idle


@virtual_time
async def test_done_without_get_is_an_error() -> None:
    """Only a key in work can be done."""
    with pytest.raises(KeyError):
        new_queue().done("a")


@virtual_time
async def test_keys_wait_for_a_worker_from_the_first_taker_on() -> None:
    """What is added while nobody takes keys, as on a standby, counts as added when somebody does."""
    heard = Heard()
    queue: RateLimitingQueue[str] = RateLimitingQueue(Random(1), clock=VirtualClock(), observer=heard)
    queue.add("a")
    queue.add("b", background=True)
    await asyncio.sleep(86_400)
    assert heard.heard == []
    assert (queue.statistics().live, queue.statistics().background) == (0, 0)
    await queue.get()
    assert heard.heard == [("added", 0.0), ("added", 0.0), ("handed out", 0.0)]
    assert (queue.statistics().live, queue.statistics().background) == (0, 1)


@virtual_time
async def test_the_observer_hears_spans() -> None:
    """An observer hears each step with the seconds that it took."""
    heard = Heard()
    queue: RateLimitingQueue[str] = RateLimitingQueue(Random(1), clock=VirtualClock(), observer=heard)
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    getting.cancel()
    queue.add("a")
    await asyncio.sleep(2)
    assert queue.statistics().waiting_seconds == pytest.approx(2)
    await queue.get()
    await asyncio.sleep(3)
    assert queue.statistics().longest_seconds == pytest.approx(3)
    assert queue.statistics().unfinished_seconds == pytest.approx(3)
    queue.done("a")
    queue.add_after("a", 1)
    assert heard.heard == [("added", 0.0), ("handed out", 2.0), ("finished", 3.0), ("retried", 0.0)]


@virtual_time
async def test_a_hundred_thousand_keys_pass_in_linear_time() -> None:
    """Taking keys from a long queue costs the same for each."""
    queue: Queue[int] = Queue(clock=VirtualClock())
    for key in range(100_000):
        queue.add(key)
    taken = [await queue.get() for _ in range(100_000)]
    assert taken == list(range(100_000))


@virtual_time
async def test_a_queue_knows_which_keys_wait() -> None:
    """A key is in the queue while it waits, in either class, or will wait once its worker is done; else it is not."""
    queue = new_queue()
    queue.add("live")
    queue.add("old", background=True)
    assert ("live" in queue, "old" in queue, "other" in queue) == (True, True, False)
    assert len(queue) == 2
    assert await queue.get() == "live"
    assert ("live" in queue, "old" in queue) == (False, True)
    queue.add("live")
    assert "live" in queue
    assert len(queue) == 1


@virtual_time
async def test_statistics_count_each_class_and_measure_the_longest() -> None:
    """All is zero at rest; else each number is of its own keys, sums are over all, and the longest is the longest."""
    queue = new_queue()
    for key in "ab":
        queue.add(key)
        await queue.get()
        await asyncio.sleep(3)
    queue.add("c")
    await asyncio.sleep(2)
    queue.add("d")
    queue.add("e", background=True)
    queue.add_after("f", 60)
    assert queue.statistics() == QueueStatistics(
        live=2,
        background=1,
        delayed=1,
        in_work=2,
        unfinished_seconds=13.0,
        longest_seconds=8.0,
        waiting_seconds=2.0,
    )
    for key in "ab":
        queue.done(key)
    for key in [await queue.get() for _ in range(3)]:
        queue.done(key)
    await queue.get()
    queue.done("f")
    assert queue.statistics() == QueueStatistics()


@virtual_time
async def test_a_delayed_key_waits_in_the_class_that_was_asked_for() -> None:
    """A key whose time has come is a live one unless it was delayed as a background key, delayed or not."""
    for seconds in (0.0, 5.0):
        queue = new_queue()
        queue.add_after("old", seconds, background=True)
        queue.add_after("live", seconds)
        await asyncio.sleep(10)
        assert [await queue.get(), await queue.get()] == ["live", "old"]


@virtual_time
async def test_a_delayed_key_comes_when_its_time_does() -> None:
    """Of two delayed keys the later one still waits for its time when the earlier is released."""
    queue = new_queue()
    queue.add_after("a", 1.0)
    queue.add_after("b", 1.5)
    await asyncio.sleep(1.2)
    assert ("a" in queue, "b" in queue) == (True, False)
    assert queue.delay_of("a") is None
    assert queue.delay_of("b") == pytest.approx(0.3)


@virtual_time
async def test_a_failure_is_counted_although_the_key_is_delayed_for_another_reason() -> None:
    """Only a retry that waits keeps a failure from being counted; any other delay gives way to the retry."""
    queue = small_bucket()
    queue.add_after("a", 50.0)
    assert queue.add_rate_limited("a") == pytest.approx(0.005)
    assert queue.retries("a") == 1
    assert queue.delay_of("a") == pytest.approx(0.005)


@virtual_time
async def test_a_retry_that_came_makes_room_for_the_next() -> None:
    """Once a retry was handed out, the next failure is counted and backs off further."""
    queue = small_bucket()
    assert [queue.add_rate_limited("a", charged=False), queue.add_rate_limited("a", charged=False)] == [0.005, 0.005]
    assert await queue.get() == "a"
    assert not queue._retry_at, "nothing is kept of a retry that came"
    queue.forget("never failed")
    queue.add_after("a", 30.0)
    assert queue.add_rate_limited("a", charged=False) == pytest.approx(0.01)


def test_back_off_is_that_of_client_go_by_default() -> None:
    """From 5 ms, doubled up to 1000 s; doubling ends where a float would overflow."""
    default: ExponentialBackoff[str] = ExponentialBackoff(Random(0), jitter=0.0)
    assert [default.next_delay("a") for _ in range(3)] == [0.005, 0.01, 0.02]
    assert [default.next_delay("a") for _ in range(40)][-1] == 1000.0
    endless: ExponentialBackoff[str] = ExponentialBackoff(Random(0), base=1.0, cap=float("inf"), jitter=0.0)
    assert [endless.next_delay("a") for _ in range(70)][-1] == 2.0**64
    assert endless.failures("b") == 0


@virtual_time
async def test_all_keys_together_have_a_hundred_retries_a_second_after_a_thousand() -> None:
    """The bucket of a queue lets a thousand retries through at once, and the next ones 10 ms apart."""
    queue: RateLimitingQueue[int] = RateLimitingQueue(Random(0), clock=VirtualClock())
    delays = [queue.add_rate_limited(key) for key in range(1_003)]
    assert max(delays[:1_000]) <= 0.005
    assert delays[1_000:] == pytest.approx([0.01, 0.02, 0.03])


@virtual_time
async def test_a_cancelled_getter_leaves_nothing_behind() -> None:
    """Workers that are cancelled while they wait for a key are forgotten."""
    queue: Queue[str] = Queue(clock=VirtualClock())
    getters = [asyncio.create_task(queue.get()) for _ in range(5)]
    await asyncio.sleep(0)
    assert len(queue._getters) == 5
    for getter in getters[1:]:
        getter.cancel()
    await asyncio.sleep(0)
    assert len(queue._getters) == 1
    queue.add("a")
    assert await getters[0] == "a"


@virtual_time
async def test_one_background_key_follows_a_run_of_live_keys() -> None:
    """After LIVE_RUN live keys that a background key waited for it leaves; those before it came do not count."""
    queue: Queue[str] = Queue(clock=VirtualClock())
    for i in range(3):
        queue.add(f"early{i}")
        await queue.get()
    for key in ("old0", "old1"):
        queue.add(key, background=True)
    for i in range(2 * LIVE_RUN):
        queue.add(f"live{i}")
    order = [await queue.get() for _ in range(2 * LIVE_RUN + 2)]
    live = [f"live{i}" for i in range(2 * LIVE_RUN)]
    assert order == [*live[:LIVE_RUN], "old0", *live[LIVE_RUN:], "old1"]


@virtual_time
async def test_a_key_that_is_lifted_has_waited_since_it_came() -> None:
    """What a key waited in the background counts, and the observer hears of one addition."""
    heard = Heard()
    queue: Queue[str] = Queue(clock=VirtualClock(), observer=heard)
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    getting.cancel()
    queue.add("a", background=True)
    await asyncio.sleep(5)
    queue.add("a", background=True)
    queue.add("a")
    queue.add("a", background=True)
    assert (queue.statistics().live, queue.statistics().background) == (1, 0)
    assert await queue.get() == "a"
    assert heard.heard == [("added", 0.0), ("handed out", 5.0)]


@pytest.mark.parametrize(
    ("additions", "live"), [([True], False), ([False], True), ([True, False], True), ([False, True], True)]
)
@virtual_time
async def test_a_key_that_changed_in_work_waits_in_the_class_of_its_change(additions: list[bool], live: bool) -> None:
    """A live change while a worker has the key makes it live, whatever other changes there were."""
    queue: Queue[str] = Queue(clock=VirtualClock())
    queue.add("a")
    await queue.get()
    for background in additions:
        queue.add("a", background)
    queue.done("a")
    statistics = queue.statistics()
    assert (statistics.live, statistics.background) == (int(live), int(not live))


@virtual_time
async def test_a_stop_without_draining_drops_what_waits() -> None:
    """Keys that wait, in either class or for their worker, are dropped, and workers are told at once."""
    queue = new_queue()
    queue.add("worked")
    await queue.get()
    queue.add("worked")
    queue.add("live")
    queue.add("old", background=True)
    queue.shut_down(drain=False)
    assert len(queue) == 0
    with pytest.raises(QueueShutDown):
        await queue.get()
    queue.done("worked")
    queue.add("late")
    assert ("worked" in queue, "late" in queue) == (False, False)


@virtual_time
async def test_nothing_is_delayed_after_a_stop() -> None:
    """A stopped queue delays nothing, retries nothing and sets no timer, nor does a second stop."""
    queue = new_queue()
    queue.add_after("a", 5)
    told = [queue._queue.shutting_down]
    for _ in range(2):
        queue.shut_down(drain=True)
        told.append(queue._queue.shutting_down)
    assert told == [False, True, True]
    queue.add_after("b", 5)
    queue.add_after("c", 0)
    queue.add_rate_limited("d")
    assert [queue.delay_of(key) for key in "abd"] == [None] * 3
    assert len(queue) == 0
    assert not [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]


@virtual_time
async def test_a_retry_is_as_good_as_a_live_change() -> None:
    """A key whose retry has come passes those that wait in the background."""
    queue = new_queue()
    queue.add("old", background=True)
    queue.add_rate_limited("a")
    await asyncio.sleep(1)
    assert await queue.get() == "a"


@virtual_time
async def test_a_getter_that_was_passed_over_is_cancelled_in_peace() -> None:
    """A worker that is cancelled, and passed over by a key before it could notice, ends as a cancelled task does."""
    queue: Queue[str] = Queue(clock=VirtualClock())
    getters = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    getters[0].cancel()
    queue.add("a")
    ended = await asyncio.gather(*getters, return_exceptions=True)
    assert isinstance(ended[0], asyncio.CancelledError)
    assert ended[1] == "a"
