"""A `GtpPlayer` that plays what it was told to, on a real board with a real clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext
from typing import Any, cast

from engine.analysis import Analysis
from engine.errors import EvaluationError, ModelError, UnsupportedBoardSize
from engine.go.position import Position
from engine.go.vertex import from_gtp
from engine.player import RESIGN, Decision, FinalScore
from engine.search.clock import GameClock
from engine.search.result import SearchResult, StopReason
from engine.turn import Turn
from tests.support.scripted_result import scripted_result

LONGEST_THOUGHT_S = 60.0


class ScriptedSearch:
    """A search that has found all that it will ever find, and runs until it is stopped or breaks."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._ended = threading.Event()
        self._error: Exception | None = None

    @property
    def is_finished(self) -> bool:
        return self._ended.is_set()

    def snapshot(self) -> SearchResult:
        reason = StopReason.STOPPED if self.is_finished else None
        return scripted_result(self._turn.position, reason, self._turn.legal_mask)

    def stop(self) -> None:
        self._ended.set()

    def break_down(self) -> None:
        """Ends as a search does whose network fails."""
        self._error = EvaluationError("the network returned NaN")
        self._ended.set()

    def wait(self, timeout: float | None = None) -> SearchResult:
        self._ended.wait(timeout)
        if self._error is not None:
            raise self._error
        return self.snapshot()


class ScriptedPlayer:
    """Answers each `generate` with the next vertex, and with the first legal point when there is none left.

    `thinks` makes it think until `abort`. `is_loading` makes it wait for `load`; `model_error` is why loading fails.
    """

    def __init__(
        self,
        vertices: Iterable[str] = (),
        *,
        size: int = 9,
        max_size: int = 19,
        thinks: bool = False,
        is_loading: bool = False,
        model_error: str | None = None,
        estimate: float = 0.0,
        dead: Iterable[str] = (),
    ) -> None:
        self.position = Position(size)
        self.rules = self.position.rules
        self.clock = GameClock()
        self.ready_error: Exception | None = None
        self.is_thinking = threading.Event()
        self.num_aborts = 0
        self.asked_for_cleanup = False
        self.is_closed = False
        self.calls: list[str] = []
        """`ponder`, `end_pondering` and `forget`, as they came."""
        self.search: ScriptedSearch | None = None
        """The latest search that reports were made of."""
        self.restrictions: tuple[Collection[int] | None, Collection[int]] | None = None
        """What that search was to allow and to avoid."""
        self._vertices = list(vertices)
        self._max_size = max_size
        self._thinks = thinks
        self._aborted = threading.Event()
        self._loaded = threading.Event()
        self._model_error = model_error
        self._estimate = estimate
        self._dead = tuple(dead)
        if not is_loading:
            self.load()

    def load(self) -> None:
        """Ends the loading, well or not."""
        if self._model_error is not None:
            self.ready_error = ModelError(self._model_error)
        self._loaded.set()

    def ensure_ready(self, timeout_s: float | None = None) -> bool:
        return self._loaded.wait(timeout_s) and self.ready_error is None

    def new_game(self, size: int | None = None) -> None:
        size = self.position.size if size is None else size
        if size > self._max_size:
            raise UnsupportedBoardSize(f"no model for {size}x{size}")
        self.position = Position(size, self.rules, self.position.komi)
        self.clock.reset()

    def play(self, color: int, action: int) -> None:
        self.position.play(color, action)

    def undo(self) -> None:
        self.position.undo()

    def final_score(self) -> FinalScore:
        is_over = self.position.is_over
        if not is_over:
            self._check_model()
        points = self.position.score() if is_over else self._estimate
        ownership = tuple(self.position.area_ownership().tolist())
        source = "rules" if is_over else "network"
        return FinalScore(points=points, source=source, ownership=ownership, dead=frozenset())

    def dead_stones(self) -> frozenset[int]:
        self._check_model()
        return frozenset(from_gtp(vertex, self.position.size) for vertex in self._dead)

    def generate(
        self,
        color: int,
        *,
        play: bool = True,
        cleanup: bool = False,
        allow: Collection[int] | None = None,
        avoid: Collection[int] = (),
        on_search: Callable[[Analysis], None] | None = None,
        wait: Callable[[], None] | None = None,
    ) -> Decision:
        with self.clock.thinking(color) if play else nullcontext():
            if wait is not None:
                wait()
            action = self._decide(color, cleanup=cleanup, allow=allow, avoid=avoid, on_search=on_search)
            if play and action != RESIGN:
                self.position.play(color, action)
        return Decision(action=action, color=color, result=cast(Any, None), winrate=0.5, budget_s=1.0, elapsed_s=0.0)

    def _decide(
        self,
        color: int,
        *,
        cleanup: bool,
        allow: Collection[int] | None,
        avoid: Collection[int],
        on_search: Callable[[Analysis], None] | None,
    ) -> int:
        self._check_model()
        self._aborted.clear()
        if on_search is not None:
            analysis = self.analyze(color, allow=allow, avoid=avoid)
            if self._thinks:
                self.is_thinking.set()
            else:
                analysis.stop()
            on_search(analysis)
            self.is_thinking.clear()
        elif self._thinks:
            self.is_thinking.set()
            assert self._aborted.wait(LONGEST_THOUGHT_S)
            self.is_thinking.clear()
        self.asked_for_cleanup = cleanup
        return self._next_action(color)

    def analyze(
        self, color: int | None = None, *, allow: Collection[int] | None = None, avoid: Collection[int] = ()
    ) -> Analysis:
        self._check_model()
        turn = Turn.of(self.position.copy(), color or self.position.to_play, allow=allow, avoid=avoid)
        self.search, self.restrictions = ScriptedSearch(turn), (allow, avoid)
        return Analysis(self.search, turn, model="scripted@0", seed=0, imagines=True)

    def ponder(self) -> None:
        self.calls.append("ponder")

    def end_pondering(self) -> None:
        self.calls.append("end_pondering")

    def forget(self) -> None:
        self.calls.append("forget")

    def abort(self) -> None:
        self.num_aborts += 1
        self._aborted.set()
        if self.is_thinking.is_set() and self.search is not None:
            self.search.stop()

    def close(self) -> None:
        self.is_closed = True
        self._aborted.set()

    def _check_model(self) -> None:
        assert self._loaded.is_set()
        if self.ready_error is not None:
            raise self.ready_error

    def _next_action(self, color: int) -> int:
        if not self._vertices:
            return int(self.position.legal_mask(color).argmax())
        vertex = self._vertices.pop(0)
        return RESIGN if vertex == "resign" else from_gtp(vertex, self.position.size)


def state_of(position: Position) -> tuple[object, ...]:
    """All of a position that a command could change, to compare."""
    setup = position.setup
    stones = position.stones.tobytes()
    legal = position.legal_mask().tobytes()
    return position.size, position.komi, position.rules, position.to_play, setup, tuple(position.moves), stones, legal
