"""When to resign: the winrate was below a threshold for several own turns in a row, and the game is no longer young.

KataGo's rule (cpp/command/gtp.cpp, `shouldResign`) without its handicap schedule; Leela Zero's least number of moves.
"""

from __future__ import annotations

from engine.go.rules import BLACK, WHITE
from engine.settings import PlayerSettings


class Resignation:
    """Counts each colour's hopeless turns in a row."""

    def __init__(self) -> None:
        self._hopeless = {BLACK: 0, WHITE: 0}

    def reset(self) -> None:
        """Forgets everything: a new game, or a move taken back."""
        self._hopeless = {BLACK: 0, WHITE: 0}

    def is_due(self, color: int, winrate: float, *, ply: int, area: int, settings: PlayerSettings) -> bool:
        """Takes note of an own turn with this `winrate` (in [0, 1]) after `ply` moves; returns whether to resign now.

        Never in the first area / 4 plies, nor where `settings.resign` is off.
        """
        self._hopeless[color] = self._hopeless[color] + 1 if winrate < settings.resign_winrate else 0
        return settings.resign and ply >= area / 4 and self._hopeless[color] >= settings.resign_turns
