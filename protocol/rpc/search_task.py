"""One requested search: waits in the queue, loads, gets its budget once it can begin, runs there, can be stopped.

The bridge between the event loop (`suggest`) and the worker threads (`_SearchTask.run`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engine.search.limits import Limits
from engine.search.search import SearchResult
from protocol.rpc import failures
from protocol.rpc.budget import Budget, ServerLimits, expected_s, latest_start_s, plan_budget
from protocol.rpc.query import Query
from protocol.rpc.search_queue import Job, QueueClosed, QueueFull, SearchQueue
from protocol.rpc.suggester import RunningSearch, Suggester

FIRST_EVALUATION_S: Final = 0.001
"""What an evaluation of a 9x9 network takes about, seconds: a guess, until searches say more. A slow guess would refuse
calls whose turn would have come in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished search and how it came about."""

    result: SearchResult
    """What the search found, Black's view."""
    imagines: bool
    """Whether its variations may be illegal; see `Suggester.imagines`."""
    seed: int
    """Of the search's random choices."""
    model: str
    """`name@digest` of the network."""
    budget: Budget
    """What it was given."""
    queue_s: float
    """From the request's arrival to the start of the search, loading included, seconds."""
    search_s: float
    """The search itself, seconds."""


class SearchRunner:
    """Runs the searches of all requests."""

    def __init__(
        self,
        suggester: Suggester,
        queue: SearchQueue,
        limits: ServerLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: monotonic seconds, the queue's."""
        self._suggester = suggester
        self._queue = queue
        self._limits = limits
        self._clock = clock
        self._evaluation_s = FIRST_EVALUATION_S

    async def suggest(self, query: Query, *, arrival: float, remaining_s: float | None) -> Outcome:
        """Searches for `query`, which arrived at `arrival` with `remaining_s` seconds until its deadline (or None).

        Raises RESOURCE_EXHAUSTED, UNAVAILABLE and DEADLINE_EXCEEDED failures, and what the engine raises. Cancelling
        frees the worker within one evaluation.
        """
        expires = None if remaining_s is None else arrival + remaining_s
        task = _SearchTask(
            self._suggester, query, plan=lambda: self._plan(query, expires), arrival=arrival, clock=self._clock
        )
        try:
            outcome = await self._queue.submit(self._job(task, query, arrival=arrival, remaining_s=remaining_s))
        except QueueFull as error:
            raise failures.queue_full(str(error), retry_after_s=error.retry_after_s) from None
        except QueueClosed as error:
            raise failures.unavailable("DRAINING", str(error)) from None
        self._learn_speed(outcome)
        return outcome

    def _job(self, task: _SearchTask, query: Query, *, arrival: float, remaining_s: float | None) -> Job[Outcome]:
        evaluation_s, limits = self._evaluation_s, self._limits
        latest_start = arrival + latest_start_s(remaining_s, evaluation_s=evaluation_s, limits=limits)
        return Job(
            run=task.run,
            stop=task.stop,
            expected_s=expected_s(query.limits, remaining_s=remaining_s, evaluation_s=evaluation_s, limits=limits),
            latest_start=latest_start,
        )

    def _plan(self, query: Query, expires: float | None) -> Budget:
        remaining_s = None if expires is None else expires - self._clock()
        return plan_budget(query.limits, remaining_s=remaining_s, evaluation_s=self._evaluation_s, limits=self._limits)

    def _learn_speed(self, outcome: Outcome) -> None:
        """Follows what an evaluation takes: the mean of this search, weighed a quarter."""
        if outcome.result.evaluations > 0:
            self._evaluation_s += (outcome.search_s / outcome.result.evaluations - self._evaluation_s) / 4


class _SearchTask:
    """One search in a worker thread, and the way to stop it from another thread."""

    def __init__(
        self,
        suggester: Suggester,
        query: Query,
        *,
        plan: Callable[[], Budget],
        arrival: float,
        clock: Callable[[], float],
    ) -> None:
        self._suggester = suggester
        self._query = query
        self._plan = plan
        self._arrival = arrival
        self._clock = clock
        self._begun = arrival
        self._budget: Budget | None = None
        self._lock = threading.Lock()
        self._is_stopped = False
        self._running: RunningSearch | None = None

    def run(self) -> Outcome:
        """Blocks until the search has ended."""
        query = self._query
        running = self._suggester.suggest(query.position, self._begin, model=query.model, seed=query.seed)
        with self._lock:
            self._running = running
            is_stopped = self._is_stopped
        if is_stopped:
            running.stop()
        result = running.wait()
        search_s = self._clock() - self._begun
        assert self._budget is not None, "a search begins with its limits"
        return Outcome(
            result=result,
            imagines=self._suggester.imagines,
            seed=running.seed,
            model=running.model,
            budget=self._budget,
            queue_s=self._begun - self._arrival,
            search_s=search_s,
        )

    def _begin(self) -> Limits:
        """The limits of the search, which is all that is left to do: whatever had to be loaded is there."""
        self._begun = self._clock()
        budget = self._budget = self._plan()
        return Limits(time_s=budget.time_s, visits=budget.visits, early_stop=self._query.limits.early_stop)

    def stop(self) -> None:
        """Makes `run` end within about one evaluation; before `run` has begun, it will be that short."""
        with self._lock:
            self._is_stopped = True
            running = self._running
        if running is not None:
            running.stop()
