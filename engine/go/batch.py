"""`GoBatch`: many games of one board size in step, as arrays. Self-play, the vector environment and replay drive it.

Knows the rules only through `kernels.py`. A `Position` is a batch of one game with undo, setup and error messages on
top.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import IllegalMove, InvalidRules
from engine.go import areas, features, kernels, tables
from engine.go.rules import BLACK, DEFAULT_RULES, RuleSet, check_size

RECENT_BOARDS: Final = 4
"""How many boards `recent_stones` keeps: now and three plies back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedGame:
    """One game of a batch at one moment, without its superko history, which only grows while moves are played."""

    ply: int
    """Moves played."""
    to_play: int
    """+1 Black, -1 White."""
    passes: int
    """Passes in a row up to now, 0 to 2."""
    finished: bool
    """Whether the game had ended."""
    recent_stones: NDArray[np.int8]
    """[4, A] boards, newest first."""
    recent_moves: NDArray[np.int32]
    """[2] actions, newest first."""
    removed_colors: NDArray[np.uint8]
    """[A] bit 0: a Black stone was once removed here; bit 1: a White one."""
    prisoners: NDArray[np.int32]
    """[2] Black and White stones removed so far."""


class GoBatch:
    """G games of one size with A = size * size points. Arrays are public to read; only the methods may write them.

    Values, scores and ownership are Black's view; every stone on the board counts as alive (Tromp-Taylor counting),
    also under territory rules, which need a judgement of dead stones that no batch can make.
    """

    def __init__(
        self,
        *,
        num_games: int,
        size: int,
        rules: RuleSet = DEFAULT_RULES,
        komi: float | ArrayLike = 7.0,
        max_plies: int | None = None,
    ) -> None:
        """Starts `num_games` empty boards, Black to move. `komi` is a number or [G]; a game ends after two passes in
        a row or `max_plies` moves (default 2 * area). Raises `UnsupportedBoardSize` and `InvalidRules`."""
        self.num_games = num_games
        self.size = check_size(size)
        self.area = size * size
        self.num_actions = self.area + 1
        self.max_plies = 2 * self.area if max_plies is None else max_plies
        self._neighbors = tables.point_neighbors(size)
        self._keys = tables.zobrist_keys(size)
        self._allocate()
        self.reset(komi=komi, rules=rules)

    def _allocate(self) -> None:
        games, area = self.num_games, self.area
        self.stones = np.zeros((games, area), dtype=np.int8)
        self.to_play = np.ones(games, dtype=np.int8)
        self.ply = np.zeros(games, dtype=np.int32)
        self.passes = np.zeros(games, dtype=np.int8)
        self.finished = np.zeros(games, dtype=np.bool_)
        self.komi = np.zeros(games, dtype=np.float32)
        self.ko_rule = np.zeros(games, dtype=np.int8)
        self.suicide = np.zeros(games, dtype=np.bool_)
        self.scoring = np.zeros(games, dtype=np.int8)
        self.recent_stones = np.zeros((games, RECENT_BOARDS, area), dtype=np.int8)
        self.recent_moves = np.full((games, 2), kernels.NO_MOVE, dtype=np.int32)
        self.history = np.zeros((games, self.max_plies + 1), dtype=np.uint64)
        self.history_to_play = np.ones((games, self.max_plies + 1), dtype=np.int8)
        self.removed_colors = np.zeros((games, area), dtype=np.uint8)
        self.prisoners = np.zeros((games, 2), dtype=np.int32)
        self._legal = np.zeros((games, area + 1), dtype=np.bool_)
        self._banned = np.zeros((games, area), dtype=np.bool_)
        self._liberties = np.zeros((games, area), dtype=np.int16)
        self._is_analyzed = False

    def reset(
        self,
        games: ArrayLike | None = None,
        *,
        komi: float | ArrayLike | None = None,
        rules: RuleSet | None = None,
    ) -> None:
        """Starts `games` (indices or a bool mask; None = all) again from the empty board, Black to move.

        `komi` (a number or one per game of `games`) and `rules` replace theirs; None keeps what each game had.
        Raises `InvalidRules` for a komi that is not finite.
        """
        index = slice(None) if games is None else np.asarray(games)
        if komi is not None:
            values = np.asarray(komi, dtype=np.float32)
            if not np.isfinite(values).all():
                raise InvalidRules(f"komi {komi!r} is not finite")
            self.komi[index] = values
        if rules is not None:
            self.set_rules(rules, index)
        self.stones[index] = 0
        self.to_play[index] = BLACK
        self.ply[index] = 0
        self.passes[index] = 0
        self.finished[index] = False
        self.recent_stones[index] = 0
        self.recent_moves[index] = kernels.NO_MOVE
        self.history[index, 0] = 0
        self.history_to_play[index, 0] = BLACK
        self.removed_colors[index] = 0
        self.prisoners[index] = 0
        self._is_analyzed = False

    def set_rules(self, rules: RuleSet, games: slice | NDArray[np.int64] | None = None) -> None:
        """Puts `games` (None = all) under `rules` from now on; boards and histories stay."""
        index = slice(None) if games is None else games
        self.ko_rule[index] = rules.ko
        self.suicide[index] = rules.suicide
        self.scoring[index] = rules.scoring
        self._is_analyzed = False

    def set_stones(self, game: int, stones: NDArray[np.int8], to_play: int) -> None:
        """Starts `game` again from `stones` [A], with no history before them. Does not check that chains have
        liberties."""
        self.reset([game])
        self.stones[game] = stones
        self.recent_stones[game] = stones
        self.history[game, 0] = tables.position_hash(self.stones[game], self.size)
        self.set_to_play(game, to_play)

    def set_to_play(self, game: int, color: int) -> None:
        """Gives the move to `color`. After the first move the superko history keeps the side that was to play."""
        self.to_play[game] = color
        if self.ply[game] == 0:
            self.history_to_play[game, 0] = color
        self._is_analyzed = False

    def set_komi(self, game: int, komi: float) -> None:
        """Changes the komi of one game; the board stays. Does not check that it is finite."""
        self.komi[game] = komi

    def reopen(self, game: int) -> None:
        """Lets a finished game go on: a GTP client may play after two passes."""
        self.finished[game] = False
        self._is_analyzed = False

    def extend(self, max_plies: int) -> None:
        """Raises `max_plies` of every game."""
        extra = max_plies - self.max_plies
        self.history = np.pad(self.history, ((0, 0), (0, extra)))
        self.history_to_play = np.pad(self.history_to_play, ((0, 0), (0, extra)))
        self.max_plies = max_plies

    def save(self, game: int) -> SavedGame:
        """What `restore` needs to bring `game` back to where it is now."""
        return SavedGame(
            ply=int(self.ply[game]),
            to_play=int(self.to_play[game]),
            passes=int(self.passes[game]),
            finished=bool(self.finished[game]),
            recent_stones=self.recent_stones[game].copy(),
            recent_moves=self.recent_moves[game].copy(),
            removed_colors=self.removed_colors[game].copy(),
            prisoners=self.prisoners[game].copy(),
        )

    def restore(self, game: int, saved: SavedGame) -> None:
        """Undoes the moves that `game` made since `saved`. Not after a reset or new stones: the history is shared."""
        self.ply[game] = saved.ply
        self.passes[game] = saved.passes
        self.finished[game] = saved.finished
        self.stones[game] = saved.recent_stones[0]
        self.recent_stones[game] = saved.recent_stones
        self.recent_moves[game] = saved.recent_moves
        self.removed_colors[game] = saved.removed_colors
        self.prisoners[game] = saved.prisoners
        self.set_to_play(game, saved.to_play)

    def copy(self) -> GoBatch:
        """An independent batch in the same state."""
        return self.take(slice(None))

    def take(self, games: slice | NDArray[np.int64]) -> GoBatch:
        """An independent batch of these games, in their state; a game may be taken more than once."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and name not in ("_neighbors", "_keys"):
                setattr(other, name, value[games].copy())
        other.num_games = len(other.ply)
        return other

    def legal_mask(self) -> NDArray[np.bool_]:
        """[G, A + 1] bool, a fresh array: the legal actions of the player to move, superko exact. A pass is always
        legal, and in a finished game nothing else is."""
        self._analyze()
        return self._legal.copy()

    def banned_mask(self) -> NDArray[np.bool_]:
        """[G, A] bool, a fresh array: the points that only the ko rule forbids to the player to move."""
        self._analyze()
        return self._banned.copy()

    def liberties(self) -> NDArray[np.int16]:
        """[G, A] int16, a fresh array: liberties of the chain on each point, 0 where empty."""
        self._analyze()
        return self._liberties.copy()

    def _analyze(self) -> None:
        if self._is_analyzed:
            return
        kernels.analyze(
            self.stones,
            self.to_play,
            self.ply,
            self.finished,
            self.history,
            self.history_to_play,
            self.removed_colors,
            self.ko_rule,
            self.suicide,
            self._neighbors,
            self._keys,
            self._legal,
            self._banned,
            self._liberties,
        )
        self._is_analyzed = True

    def play(self, actions: ArrayLike, active: ArrayLike | None = None) -> None:
        """Plays one action [G] int32 in each game that is `active` [G] (None = all) and not finished.

        `kernels.NO_MOVE` leaves a game as it is. Legality is trusted: ko and suicide are not checked. Raises
        `IllegalMove` for an action off the board or on a stone; the other games have then moved.
        """
        self.play_sequences(np.asarray(actions, dtype=np.int32).reshape(self.num_games, 1), active)

    def play_sequences(self, moves: NDArray[np.int32], active: ArrayLike | None = None) -> None:
        """Plays the rows of `moves` [G, T] int32 in one call, each up to its first `kernels.NO_MOVE` or the end of its
        game; otherwise as `play`."""
        mask = np.ones(self.num_games, np.bool_) if active is None else np.ascontiguousarray(active, dtype=np.bool_)
        refused = kernels.play_moves(
            self.stones,
            self.to_play,
            self.ply,
            self.passes,
            self.finished,
            self.recent_stones,
            self.recent_moves,
            self.history,
            self.history_to_play,
            self.removed_colors,
            self.prisoners,
            np.ascontiguousarray(moves, dtype=np.int32),
            mask,
            self.max_plies,
            self._neighbors,
            self._keys,
        )
        self._is_analyzed = False
        if refused != kernels.ALL_PLAYED:
            raise IllegalMove(f"game {refused}: an action is off the board or on a stone (ply {self.ply[refused]})")

    def area_ownership(self) -> NDArray[np.int8]:
        """[G, A] int8: +1 Black's, -1 White's, 0 neutral point."""
        owner = np.empty((self.num_games, self.area), dtype=np.int8)
        areas.own_areas(self.stones, self._neighbors, owner)
        return owner

    def area_scores(self) -> NDArray[np.float32]:
        """[G] float32: Black's area - White's area - komi."""
        scores: NDArray[np.float32] = self.area_ownership().sum(axis=1, dtype=np.float32) - self.komi
        return scores

    def terminal_values(self) -> NDArray[np.float32]:
        """[G, A + 1] float32: the outcome -1, 0 or 1 (sign of the area score) of each legal action that ends its game,
        NaN for every other action: a pass that answers a pass, and every legal action at the last ply before
        `max_plies`. In a finished game the pass has the game's outcome."""
        values = np.full((self.num_games, self.num_actions), np.nan, dtype=np.float32)
        is_last = self.ply + 1 >= self.max_plies
        ends = (self.passes >= 1) | is_last | self.finished
        values[ends, self.area] = self.pass_pass_values()[ends]
        for game in np.flatnonzero(is_last & ~self.finished):
            points = np.flatnonzero(self.legal_mask()[game, : self.area])
            after = self.take(np.full(len(points), game))
            after.play(points)
            values[game, points] = after.pass_pass_values()
        return values

    def pass_pass_values(self) -> NDArray[np.float32]:
        """[G] float32: sign of the area score now, the exact outcome if both players pass."""
        return np.sign(self.area_scores())

    def observe(
        self, out: NDArray[np.float32] | None = None, *, variant: features.Variant = "full"
    ) -> NDArray[np.float32]:
        """[G, P, S, S] float32 observations of the variant (see `features.PLANES`), written to `out` if given."""
        self._analyze()
        return features.fill_observations(
            recent_stones=self.recent_stones,
            recent_moves=self.recent_moves,
            to_play=self.to_play,
            ply=self.ply,
            komi=self.komi,
            ko_rule=self.ko_rule,
            suicide=self.suicide,
            scoring=self.scoring,
            legal=self._legal,
            banned=self._banned,
            liberties=self._liberties,
            size=self.size,
            variant=variant,
            out=out,
        )
