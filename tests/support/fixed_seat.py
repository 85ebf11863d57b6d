"""A seat whose moves are written down, and a small game between two of them."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.referee import Game, play_game
from engine.go.rules import DEFAULT_RULES


class Fixed:
    """Plays these vertices; an exception is raised instead."""

    def __init__(
        self, *moves: str | Exception, name: str = "fixed", score: str | None = None, cleanup: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.score_after_cleanup = score
        self._score = score
        self._cleanup = list(cleanup)
        self.heard: list[str] = []
        self._moves = list(moves)

    def begin(self, size: int, komi: float) -> None:
        self.heard.append(f"begin {size} {komi:g}")

    def move(self, color: int) -> tuple[str, float]:
        move = self._moves.pop(0)
        if isinstance(move, Exception):
            raise move
        return move, 0.5

    def tell(self, color: int, vertex: str) -> None:
        self.heard.append(f"{color:+d} {vertex}")

    def final_score(self) -> str | None:
        self.heard.append("final_score")
        return self._score

    def clean_up(self, color: int) -> str:
        self._score = self.score_after_cleanup
        return self._cleanup.pop(0) if self._cleanup else "pass"

    def close(self) -> None:
        pass


def game(black: Fixed, white: Fixed, *, max_moves: int = 99, opening: Sequence[int] = ()) -> Game:
    """On 3x3 with a komi of 0.5."""
    return play_game(black, white, size=3, komi=0.5, rules=DEFAULT_RULES, max_moves=max_moves, opening=opening)
