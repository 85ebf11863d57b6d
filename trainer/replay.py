"""The replay buffer: finished games in a power-law window, positions drawn by surprise, a held-out share.

Knows nothing of networks or rules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from trainer.config import ReplayConfig
from trainer.record import GameRecord

HOLDOUT_GAMES = 400
"""Held-out games kept at most."""
MOST_SURPRISE = 10.0
"""Times the mean of its game that a ply's surprise counts, at most."""


class ReplayBuffer:
    """Games in the order in which they were made."""

    def __init__(self, config: ReplayConfig) -> None:
        self._config = config
        self.games: list[GameRecord] = []
        self.holdout: deque[GameRecord] = deque(maxlen=HOLDOUT_GAMES)
        self.total_games = 0
        """Games ever added, held-out ones included."""
        self.total_positions = 0
        """Positions ever added to the training share."""
        self.positions = 0
        """Positions in the window now."""
        self._cumulative: NDArray[np.float64] | None = None
        self._starts: NDArray[np.int64] | None = None

    def add(self, games: Iterable[GameRecord]) -> None:
        """Appends games, then drops the oldest ones that fell out of the window."""
        for game in games:
            self.total_games += 1
            if self._config.holdout_every and self.total_games % self._config.holdout_every == 0:
                self.holdout.append(game)
                continue
            self.games.append(game)
            self.positions += len(game)
            self.total_positions += len(game)
        limit = window_size(self.total_positions, self._config)
        dropped = 0
        while dropped < len(self.games) - 1 and self.positions - len(self.games[dropped]) >= limit:
            self.positions -= len(self.games[dropped])
            dropped += 1
        del self.games[:dropped]
        self._cumulative = None

    def adopt(self, games: list[GameRecord], holdout: list[GameRecord]) -> None:
        """Takes over the games of another run as its first, whatever the window's size."""
        positions = sum(map(len, games))
        self.restore(games, holdout, total_games=len(games) + len(holdout), total_positions=positions)

    def restore(
        self, games: list[GameRecord], holdout: list[GameRecord], *, total_games: int, total_positions: int
    ) -> None:
        """Takes over the content of a saved buffer."""
        self.games, self.holdout = games, deque(holdout, maxlen=HOLDOUT_GAMES)
        self.total_games, self.total_positions = total_games, total_positions
        self.positions = sum(map(len, games))
        self._cumulative = None

    def sample(self, count: int, rng: np.random.Generator) -> list[tuple[GameRecord, int]]:
        """`count` pairs (game, ply), drawn with replacement by weight."""
        if self._cumulative is None:
            self._index()
        assert self._cumulative is not None
        assert self._starts is not None
        drawn = rng.random(count) * self._cumulative[-1]
        flat = np.searchsorted(self._cumulative, drawn, side="right").clip(max=len(self._cumulative) - 1)
        game_index = np.searchsorted(self._starts, flat, side="right") - 1
        games = self.games
        return [(games[g], int(f - self._starts[g])) for g, f in zip(game_index, flat, strict=True)]

    def sample_evenly(self, count: int, rng: np.random.Generator) -> list[tuple[GameRecord, int]]:
        """`count` pairs (game, ply) of the window, drawn with replacement, each position as likely as any other."""
        starts = np.cumsum([0, *map(len, self.games)])
        flat = rng.integers(starts[-1], size=count)
        games = np.searchsorted(starts, flat, side="right") - 1
        return [(self.games[g], int(f - starts[g])) for g, f in zip(games, flat, strict=True)]

    def reweigh(self) -> None:
        """Takes note that the surprise of stored positions has changed."""
        self._cumulative = None

    def _index(self) -> None:
        """Rebuilds the flat sampling table: weight 1 - s + s * surprise / its mean over the game, so that a game weighs
        as much as it has plies that teach anything; the others, of random openings, weigh nothing."""
        share = self._config.surprise_weight
        surprise = np.concatenate([game.surprise for game in self.games]).astype(np.float64)
        lengths = np.array([len(game) for game in self.games])
        self._starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        first_taught = self._starts + [game.opening_plies for game in self.games]
        is_taught = (np.arange(len(surprise)) >= np.repeat(first_taught, lengths)) | (surprise > 0.0)
        taught = np.add.reduceat(is_taught.astype(np.int64), self._starts)
        mean = np.repeat(np.add.reduceat(surprise, self._starts) / taught.clip(min=1), lengths)
        relative = np.divide(surprise, mean, out=np.ones_like(mean), where=mean > 0.0).clip(max=MOST_SURPRISE)
        self._cumulative = np.cumsum(is_taught * (1.0 - share + share * relative))


def window_size(total_positions: int, config: ReplayConfig) -> float:
    """KataGo's window (Wu 2019, appendix D): c (1 + b ((N/c)^a - 1) / a), at least c."""
    c, a, b = config.window_scale, config.window_exponent, config.window_slope
    return c * max(1.0, 1.0 + b * ((max(total_positions, 1) / c) ** a - 1.0) / a)
