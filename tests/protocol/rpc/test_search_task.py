"""Stopping a search that has not started yet, and what the runner learns from searches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from protocol.rpc.budget import ServerLimits
from protocol.rpc.query import Query, read_query
from protocol.rpc.search_queue import SearchQueue
from protocol.rpc.search_task import SearchRunner
from protocol.v1 import engine_pb2
from tests.support.scripted_suggester import MODEL, PATIENCE_S, ScriptedSuggester

LIMITS = ServerLimits(max_concurrent_searches=1, max_queue_length=1)


def query() -> Query:
    position = engine_pb2.Position(moves=engine_pb2.MoveList(board_size=9))
    return read_query(engine_pb2.SuggestMoveRequest(position=position), models=[MODEL], limits=LIMITS)


def with_runner(suggester: ScriptedSuggester, test: Callable[[SearchRunner, SearchQueue], Awaitable[None]]) -> None:
    """Runs `test` in a loop of its own."""

    async def body() -> None:
        queue = SearchQueue(workers=1, max_waiting=1, clock=lambda: 0.0)
        try:
            await asyncio.wait_for(test(SearchRunner(suggester, queue, LIMITS, clock=lambda: 0.0), queue), PATIENCE_S)
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
