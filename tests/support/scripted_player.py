"""A `GtpPlayer` that plays what it was told to, on a real board with a real clock."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, cast

from engine.errors import ModelError, UnsupportedBoardSize
from engine.go.position import Position
from engine.go.vertex import from_gtp
from engine.player import RESIGN, Decision, FinalScore
from engine.search.clock import GameClock

LONGEST_THOUGHT_S = 60.0


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

    def generate(self, color: int, *, play: bool = True, cleanup: bool = False) -> Decision:
        self._check_model()
        if self._thinks:
            self._aborted.clear()
            self.is_thinking.set()
            assert self._aborted.wait(LONGEST_THOUGHT_S)
            self.is_thinking.clear()
        self.asked_for_cleanup = cleanup
        action = self._next_action(color)
        if play and action != RESIGN:
            self.position.play(color, action)
        return Decision(action=action, color=color, result=cast(Any, None), winrate=0.5, budget_s=1.0, elapsed_s=0.0)

    def ponder(self) -> None:
        self.calls.append("ponder")

    def end_pondering(self) -> None:
        self.calls.append("end_pondering")

    def forget(self) -> None:
        self.calls.append("forget")

    def abort(self) -> None:
        self.num_aborts += 1
        self._aborted.set()

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
