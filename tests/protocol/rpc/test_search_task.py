"""Stopping a search that has not started yet, loading before one starts, and what the runner learns from searches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import grpc
import pytest

from protocol.rpc.budget import ServerLimits
from protocol.rpc.failures import RpcFailure
from protocol.rpc.query import Query, read_query
from protocol.rpc.search_queue import SearchQueue
from protocol.rpc.search_task import SearchRunner
from protocol.v1 import engine_pb2
from tests.support.scripted_suggester import MODEL, PATIENCE_S, ScriptedSuggester

LIMITS = ServerLimits(max_concurrent_searches=1, max_queue_length=1)


def query() -> Query:
    position = engine_pb2.Position(moves=engine_pb2.MoveList(board_size=9))
    return read_query(engine_pb2.SuggestMoveRequest(position=position), models=[MODEL], limits=LIMITS)


class Clock:
    """Monotonic seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def with_runner(
    suggester: ScriptedSuggester,
    test: Callable[[SearchRunner, SearchQueue], Awaitable[None]],
    *,
    clock: Callable[[], float] = lambda: 0.0,
) -> None:
    """Runs `test` in a loop of its own."""

    async def body() -> None:
        queue = SearchQueue(workers=1, max_waiting=1, clock=clock)
        try:
            await asyncio.wait_for(test(SearchRunner(suggester, queue, LIMITS, clock=clock), queue), PATIENCE_S)
        finally:
            queue.shut_down()
            await asyncio.wait_for(queue.wait_idle(), PATIENCE_S)

    asyncio.run(body())


def test_a_search_that_is_cancelled_while_it_starts_is_stopped_at_once() -> None:
    has_begun, may_start = threading.Event(), threading.Event()

    def start_slowly() -> None:
        has_begun.set()
        assert may_start.wait(PATIENCE_S)

    suggester = ScriptedSuggester(is_held=True, on_suggest=start_slowly)

    async def test(runner: SearchRunner, queue: SearchQueue) -> None:
        call = asyncio.ensure_future(runner.suggest(query(), arrival=0.0, remaining_s=None))
        assert await asyncio.to_thread(has_begun.wait, PATIENCE_S)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert queue.running == 1
        may_start.set()
        await queue.wait_idle()

    with_runner(suggester, test)
    assert suggester.next_search().stops == 1


def test_a_drain_ends_a_search_that_is_just_starting() -> None:
    has_begun, may_start = threading.Event(), threading.Event()
    suggester = ScriptedSuggester(is_held=True, on_suggest=lambda: (has_begun.set(), may_start.wait(PATIENCE_S)))

    async def test(runner: SearchRunner, queue: SearchQueue) -> None:
        call = asyncio.ensure_future(runner.suggest(query(), arrival=0.0, remaining_s=None))
        assert await asyncio.to_thread(has_begun.wait, PATIENCE_S)
        queue.close()
        may_start.set()
        assert (await call).result.stop_reason is not None

    with_runner(suggester, test)


@pytest.mark.parametrize(("load_s", "time_s", "visits"), [(2.0, 2.96, None), (4.98, 0.001, 1)])
def test_what_loading_leaves_of_the_deadline_is_the_search(load_s: float, time_s: float, visits: int | None) -> None:
    clock = Clock()
    suggester = ScriptedSuggester(on_suggest=lambda: clock.advance(load_s))

    async def test(runner: SearchRunner, queue: SearchQueue) -> None:
        await runner.suggest(query(), arrival=0.0, remaining_s=5.0)

    with_runner(suggester, test, clock=clock)
    limits = suggester.next_search().limits
    assert (limits.time_s, limits.visits) == (pytest.approx(time_s), visits)


def test_loading_may_take_all_of_the_deadline() -> None:
    clock = Clock()
    suggester = ScriptedSuggester(on_suggest=lambda: clock.advance(5.0))

    async def test(runner: SearchRunner, queue: SearchQueue) -> None:
        with pytest.raises(RpcFailure) as failure:
            await runner.suggest(query(), arrival=0.0, remaining_s=5.0)
        assert failure.value.code == grpc.StatusCode.DEADLINE_EXCEEDED

    with_runner(suggester, test, clock=clock)
    assert suggester.started.empty()


@pytest.mark.parametrize(("load_s", "search_s", "visits"), [(0.0, 1.1, 1), (100.0, 0.11, None)])
def test_the_runner_learns_what_an_evaluation_takes_and_not_what_loading_does(
    load_s: float, search_s: float, visits: int | None
) -> None:
    """11 evaluations of 100 ms are a quarter of the estimate from then on: 26 ms, too slow for the 20 ms left."""
    clock = Clock()
    suggester = ScriptedSuggester(is_held=True, on_suggest=lambda: clock.advance(load_s))

    async def test(runner: SearchRunner, queue: SearchQueue) -> None:
        call = asyncio.ensure_future(runner.suggest(query(), arrival=0.0, remaining_s=None))
        search = await asyncio.to_thread(suggester.next_search)
        clock.advance(search_s)
        search.release()
        outcome = await call
        assert (outcome.queue_s, outcome.search_s) == (pytest.approx(load_s), pytest.approx(search_s))
        suggester.is_held = False
        await runner.suggest(query(), arrival=0.0, remaining_s=clock.now + load_s + LIMITS.deadline_slack_s + 0.02)

    with_runner(suggester, test, clock=clock)
    assert suggester.next_search().limits.visits == visits
