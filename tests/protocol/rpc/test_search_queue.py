"""The queue before the worker threads: order, limits, refusals, cancelling, end. Jobs end on events, not in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from protocol.rpc.search_queue import Job, QueueClosed, QueueFull, SearchQueue

Value = TypeVar("Value")
PATIENCE_S = 10.0


class Clock:
    """A monotonic clock that stands still unless told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Work:
    """A job that runs until `finish` or `stop` is called and then returns its name."""

    def __init__(self, name: str = "work", *, expected_s: float = 1.0, latest_start: float = float("inf")) -> None:
        self.name = name
        self.has_begun = threading.Event()
        self.may_end = threading.Event()
        self.stops = 0
        self.job: Job[str] = Job(run=self._run, stop=self.stop, expected_s=expected_s, latest_start=latest_start)

    def _run(self) -> str:
        self.has_begun.set()
        assert self.may_end.wait(PATIENCE_S)
        return self.name

    def stop(self) -> None:
        self.stops += 1
        self.may_end.set()

    async def begun(self) -> None:
        assert await asyncio.to_thread(self.has_begun.wait, PATIENCE_S)


def in_queue(*, workers: int = 1, max_waiting: int = 2) -> Callable[..., Callable[[], None]]:
    """Runs the test coroutine in a loop of its own with a fresh queue and clock, and shuts the queue down after."""

    def decorate(test: Callable[[SearchQueue, Clock], Awaitable[None]]) -> Callable[[], None]:
        async def body() -> None:
            clock = Clock()
            queue = SearchQueue(workers=workers, max_waiting=max_waiting, clock=clock)
            try:
                await asyncio.wait_for(test(queue, clock), PATIENCE_S)
            finally:
                queue.shut_down()
                await asyncio.wait_for(queue.wait_idle(), PATIENCE_S)

        def run() -> None:
            asyncio.run(body())

        run.__name__ = run.__qualname__ = test.__name__
        return run

    return decorate


async def waiting(queue: SearchQueue, count: int) -> None:
    """Lets other coroutines run until `count` jobs wait."""
    while queue.waiting != count:
        await asyncio.sleep(0)


@in_queue()
async def test_result_and_exception_of_a_job_arrive(queue: SearchQueue, clock: Clock) -> None:
    work = Work("done")
    work.may_end.set()
    assert await queue.submit(work.job) == "done"

    def fail() -> str:
        raise ZeroDivisionError("by the job")

    with pytest.raises(ZeroDivisionError, match="by the job"):
        await queue.submit(Job(run=fail, stop=lambda: None, expected_s=1.0))
    assert queue.running == 0


@in_queue()
async def test_first_come_first_served_one_at_a_time(queue: SearchQueue, clock: Clock) -> None:
    first, second, third = Work("1"), Work("2"), Work("3")
    tasks = [asyncio.ensure_future(queue.submit(first.job))]
    await first.begun()
    for count, work in ((1, second), (2, third)):
        tasks.append(asyncio.ensure_future(queue.submit(work.job)))
        await waiting(queue, count)
    assert queue.running == 1
    assert not second.has_begun.is_set()
    first.may_end.set()
    await second.begun()
    assert not third.has_begun.is_set()
    second.may_end.set()
    third.may_end.set()
    assert await asyncio.gather(*tasks) == ["1", "2", "3"]


@in_queue(workers=2)
async def test_two_workers_run_two_jobs(queue: SearchQueue, clock: Clock) -> None:
    works = [Work("1"), Work("2")]
    tasks = [asyncio.ensure_future(queue.submit(work.job)) for work in works]
    for work in works:
        await work.begun()
    for work in works:
        work.may_end.set()
    assert await asyncio.gather(*tasks) == ["1", "2"]


@in_queue(max_waiting=1)
async def test_a_full_queue_refuses_at_once_and_says_when_to_retry(queue: SearchQueue, clock: Clock) -> None:
    first, second = Work(expected_s=3.0), Work(expected_s=4.0)
    tasks = [asyncio.ensure_future(queue.submit(first.job))]
    await first.begun()
    tasks.append(asyncio.ensure_future(queue.submit(second.job)))
    await waiting(queue, 1)
    clock.now += 1.0
    with pytest.raises(QueueFull, match="1 searches are waiting already") as refusal:
        await queue.submit(Work().job)
    assert refusal.value.retry_after_s == pytest.approx(2.0)  # when the first of those that wait gets its turn
    first.may_end.set()
    second.may_end.set()
    await asyncio.gather(*tasks)


@in_queue()
async def test_a_job_that_cannot_start_in_time_is_refused_at_once(queue: SearchQueue, clock: Clock) -> None:
    busy = Work(expected_s=5.0)
    task = asyncio.ensure_future(queue.submit(busy.job))
    await busy.begun()
    with pytest.raises(QueueFull, match=r"5\.00 s at the earliest"):
        await queue.submit(Work(latest_start=clock.now + 4.9).job)
    late_enough = asyncio.ensure_future(queue.submit(Work(latest_start=clock.now + 5.1).job))
    await waiting(queue, 1)
    late_enough.cancel()
    busy.may_end.set()
    await task


@in_queue()
async def test_a_free_worker_takes_even_a_late_job(queue: SearchQueue, clock: Clock) -> None:
    work = Work("late", latest_start=clock.now - 1.0)
    work.may_end.set()
    assert await queue.submit(work.job) == "late"


@in_queue()
async def test_waiting_ends_at_the_latest_start_if_the_worker_stays_busy(queue: SearchQueue, clock: Clock) -> None:
    busy = Work(expected_s=0.01)
    task = asyncio.ensure_future(queue.submit(busy.job))
    await busy.begun()
    with pytest.raises(QueueFull, match="every worker stayed busy"):
        await queue.submit(Work(latest_start=clock.now + 0.02).job)
    assert queue.waiting == 0
    busy.may_end.set()
    await task


@in_queue()
async def test_the_worker_of_a_cancelled_job_is_free_once_it_has_ended(queue: SearchQueue, clock: Clock) -> None:
    work = Work()
    stubborn: Job[str] = Job(run=work.job.run, stop=lambda: None, expected_s=1.0)
    task = asyncio.ensure_future(queue.submit(stubborn))
    await work.begun()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert queue.running == 1
    work.may_end.set()
    await queue.wait_idle()
    assert queue.running == 0


@in_queue()
async def test_cancelling_calls_stop(queue: SearchQueue, clock: Clock) -> None:
    work = Work()
    task = asyncio.ensure_future(queue.submit(work.job))
    await work.begun()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.stops == 1


@in_queue()
async def test_cancelling_a_waiting_job_lets_the_next_one_pass(queue: SearchQueue, clock: Clock) -> None:
    first, given_up, third = Work("1"), Work("2"), Work("3")
    running = asyncio.ensure_future(queue.submit(first.job))
    await first.begun()
    cancelled = asyncio.ensure_future(queue.submit(given_up.job))
    await waiting(queue, 1)
    patient = asyncio.ensure_future(queue.submit(third.job))
    await waiting(queue, 2)
    cancelled.cancel()
    first.may_end.set()
    third.may_end.set()
    assert await running == "1"
    assert await patient == "3"
    assert not given_up.has_begun.is_set()


@in_queue()
async def test_a_job_cancelled_just_as_its_turn_comes_passes_the_turn_on(queue: SearchQueue, clock: Clock) -> None:
    first, given_up, third = Work("1"), Work("2"), Work("3")
    running = asyncio.ensure_future(queue.submit(first.job))
    await first.begun()
    cancelled = asyncio.ensure_future(queue.submit(given_up.job))
    await waiting(queue, 1)
    patient = asyncio.ensure_future(queue.submit(third.job))
    await waiting(queue, 2)
    # Both run in the loop's next turn, before `cancelled` wakes up: it has the worker and is cancelled.
    running.add_done_callback(lambda _: cancelled.cancel())
    first.may_end.set()
    third.may_end.set()
    assert await patient == "3"
    assert cancelled.cancelled()
    await queue.wait_idle()
    assert queue.running == 0


@in_queue()
async def test_closing_stops_the_running_and_refuses_the_rest(queue: SearchQueue, clock: Clock) -> None:
    running, queued = Work("best so far"), Work()
    first = asyncio.ensure_future(queue.submit(running.job))
    await running.begun()
    second = asyncio.ensure_future(queue.submit(queued.job))
    await waiting(queue, 1)
    queue.close()
    assert await first == "best so far"
    with pytest.raises(QueueClosed):
        await second
    with pytest.raises(QueueClosed):
        await queue.submit(Work().job)
    assert not queued.has_begun.is_set()


@in_queue()
async def test_refusing_lets_the_running_and_the_waiting_go_on(queue: SearchQueue, clock: Clock) -> None:
    running, queued = Work("1"), Work("2")
    first = asyncio.ensure_future(queue.submit(running.job))
    await running.begun()
    second = asyncio.ensure_future(queue.submit(queued.job))
    await waiting(queue, 1)
    queue.refuse()
    with pytest.raises(QueueClosed):
        await queue.submit(Work().job)
    running.may_end.set()
    queued.may_end.set()
    assert await asyncio.gather(first, second) == ["1", "2"]


@in_queue(workers=2)
async def test_expected_wait_spreads_over_the_workers(queue: SearchQueue, clock: Clock) -> None:
    assert queue.expected_wait_s() == 0.0
    works = [Work(expected_s=seconds) for seconds in (2.0, 5.0, 1.0)]
    tasks = []
    for count, work in enumerate(works):
        tasks.append(asyncio.ensure_future(queue.submit(work.job)))
        await (work.begun() if count < 2 else waiting(queue, 1))
    assert queue.expected_wait_s() == pytest.approx(3.0)
    for work in works:
        work.may_end.set()
    await asyncio.gather(*tasks)
