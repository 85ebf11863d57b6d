"""Bounded concurrency: a fixed number of searches at a time in worker threads, a queue before them.

Knows nothing of gRPC, positions or networks: a job is a function to run in a thread and a function that makes it end
soon. Who cannot start before its latest start is refused at once if that can be foreseen, else as soon as it is too
late. A worker counts as free only when its function has returned, cancelled or not. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class QueueFull(Exception):
    """No worker can take the job in time."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        """`retry_after_s`: seconds until a worker, or a place among those that wait, is expected to be free."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueClosed(Exception):
    """The queue takes no more jobs: the server is shutting down."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job(Generic[Result]):
    """One search as the queue sees it."""

    run: Callable[[], Result]
    """Called once in a worker thread; blocks until the search has ended."""
    stop: Callable[[], None]
    """Makes `run` return soon; called from the event loop, before, while or after `run` runs, more than once too."""
    expected_s: float
    """How long `run` will take at most, as far as known."""
    latest_start: float = math.inf
    """Moment of the queue's clock after which starting is of no use."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiter:
    expected_s: float
    turn: asyncio.Future[None]


class SearchQueue:
    """Runs at most `workers` jobs at a time; at most `max_waiting` more wait, first come first served."""

    def __init__(self, *, workers: int, max_waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic seconds, which `latest_start` refers to."""
        self.workers = workers
        self.max_waiting = max_waiting
        self._clock = clock
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="search")
        self._waiting: deque[_Waiter] = deque()
        self._running: dict[Job[Any], float] = {}  # the moment by which each is expected to have ended
        self._reserved = 0
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        """How many workers are busy."""
        return len(self._running) + self._reserved

    @property
    def waiting(self) -> int:
        """How many jobs wait for a worker."""
        return len(self._waiting)

    def expected_wait_s(self) -> float:
        """Seconds until a job that came now would start, if every job takes as long as it is expected to."""
        now = self._clock()
        ends = [max(end, now) for end in self._running.values()] + [now] * (self.workers - len(self._running))
        heapq.heapify(ends)
        for waiter in self._waiting:
            heapq.heapreplace(ends, ends[0] + waiter.expected_s)
        return ends[0] - now

    async def submit(self, job: Job[Result]) -> Result:
        """Waits for a worker, runs the job there and returns its result or raises its exception.

        Raises QueueFull if the job cannot start by its latest start or too many wait, QueueClosed after `close`.
        Cancelling stops the job; its worker is busy until `run` has returned.
        """
        await self._take_worker(job)
        self._running[job] = self._clock() + job.expected_s
        self._reserved -= 1
        self._idle.clear()
        thread = self._threads.submit(job.run)
        thread_end = asyncio.wrap_future(thread)
        thread_end.add_done_callback(lambda end: self._worker_freed(job, end))
        try:
            return await asyncio.shield(thread_end)
        except asyncio.CancelledError:
            job.stop()
            raise

    def refuse(self) -> None:
        """Takes no more jobs; those that run or wait go on."""
        self._closed = True

    def close(self) -> None:
        """Takes no more jobs, refuses the waiting ones and stops the running ones, whose results still arrive."""
        self._closed = True
        while self._waiting:
            _set_exception(self._waiting.popleft().turn, QueueClosed("the server is shutting down"))
        for job in list(self._running):
            job.stop()

    async def wait_idle(self) -> None:
        """Waits until no worker is busy."""
        await self._idle.wait()

    def shut_down(self) -> None:
        """Ends the worker threads once their jobs return; does not wait for them."""
        self.close()
        self._threads.shutdown(wait=False)

    async def _take_worker(self, job: Job[Result]) -> None:
        """Returns when one of the workers is reserved for `job`."""
        if self._closed:
            raise QueueClosed("the server is shutting down")
        if self.running < self.workers and not self._waiting:
            self._reserved += 1
            return
        wait_s = self.expected_wait_s()
        left_s = job.latest_start - self._clock()
        if len(self._waiting) >= self.max_waiting:
            place_s = min(self._running.values(), default=self._clock()) - self._clock()
            raise QueueFull(f"{len(self._waiting)} searches are waiting already", retry_after_s=max(0.0, place_s))
        if wait_s > left_s:
            raise QueueFull(f"the next search can start in {wait_s:.2f} s at the earliest", retry_after_s=wait_s)
        await self._wait_for_turn(job, left_s)

    async def _wait_for_turn(self, job: Job[Result], left_s: float) -> None:
        """Waits in the queue for at most `left_s` seconds; on return one worker is reserved."""
        waiter = _Waiter(expected_s=job.expected_s, turn=asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(None if math.isinf(left_s) else left_s):
                await waiter.turn
        except BaseException as error:
            self._leave(waiter)
            if isinstance(error, TimeoutError):
                message = "every worker stayed busy for as long as this search could wait"
                raise QueueFull(message, retry_after_s=self.expected_wait_s()) from None
            raise

    def _leave(self, waiter: _Waiter) -> None:
        """Takes a waiter that gave up out of the queue, or passes on the worker that it has just been given."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
            self._reserved -= 1
            self._give_turn()

    def _worker_freed(self, job: Job[Result], end: asyncio.Future[Result]) -> None:
        end.exception()  # whoever cancelled the call does not fetch it, and asyncio would complain
        del self._running[job]
        self._give_turn()
        if not self._running and not self._reserved:
            self._idle.set()

    def _give_turn(self) -> None:
        """Reserves a free worker for the first who waits."""
        while self._waiting and self.running < self.workers:
            turn = self._waiting.popleft().turn
            if not turn.done():
                self._reserved += 1
                turn.set_result(None)


def _set_exception(turn: asyncio.Future[None], error: Exception) -> None:
    if not turn.done():
        turn.set_exception(error)
