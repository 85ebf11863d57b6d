"""`Position`: one game of Go with undo, setup, handicap and errors that say what is wrong. Both protocols drive it.

A batch of one game on the same kernels as self-play; knows no protocol, network or search. Not safe for use from
several threads: give each its own `copy`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from math import isfinite
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import BoardNotEmpty, CannotUndo, IllegalMove, InvalidHandicap, InvalidRules, InvalidVertex
from engine.go import areas, tables
from engine.go.batch import GoBatch, SavedGame
from engine.go.features import Variant
from engine.go.handicap import fixed_handicap_points as fixed_handicap_points
from engine.go.handicap import free_handicap_points as free_handicap_points
from engine.go.rules import BLACK, DEFAULT_RULES, EMPTY, WHITE, RuleSet
from engine.go.vertex import to_gtp

_GAME = 0
"""The only game of the batch."""
_Scalar = TypeVar("_Scalar", bound=np.generic)


class Move(NamedTuple):
    """One move: the colour (+1 Black, -1 White) and the action (point, or the pass)."""

    color: int
    action: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What was on the board before the first move."""

    black: tuple[int, ...] = ()
    """Points with Black stones, handicap stones included, ascending."""
    white: tuple[int, ...] = ()
    """Points with White stones, ascending."""
    to_play: int = BLACK
    """Who moves first."""
    handicap: int = 0
    """How many of the Black stones are handicap stones: all or none."""


class Position:
    """A game from its setup to now: board, moves, ko history, komi and rules. Points and actions as in `vertex.py`."""

    def __init__(self, size: int = 9, rules: RuleSet = DEFAULT_RULES, komi: float = 7.0) -> None:
        """An empty board, Black to move. Raises `UnsupportedBoardSize`, and `InvalidRules` for a komi not finite."""
        self._batch = GoBatch(num_games=1, size=size, rules=rules)
        self.size = self._batch.size
        self.area = self._batch.area
        self.pass_action = self.area
        self._rules = rules
        self._setup = Setup()
        self._moves: list[Move] = []
        self._before: list[SavedGame] = []
        self._komi = 0.0
        self.komi = komi

    @property
    def rules(self) -> RuleSet:
        """The rules from now on; setting them keeps board, history and komi."""
        return self._rules

    @rules.setter
    def rules(self, rules: RuleSet) -> None:
        self._rules = rules
        self._batch.set_rules(rules)
        self._refresh_komi()

    @property
    def komi(self) -> float:
        """Points that White receives, without the compensation for handicap stones. Any finite number may be set;
        anything else raises `InvalidRules`."""
        return self._komi

    @komi.setter
    def komi(self, komi: float) -> None:
        if not isfinite(komi):
            raise InvalidRules(f"komi {komi!r} is not a finite number")
        self._komi = float(komi)
        self._refresh_komi()

    @property
    def effective_komi(self) -> float:
        """Komi plus what White receives for handicap stones; the score and the network's input use this."""
        return self._komi + self._rules.handicap_compensation(self._setup.handicap)

    def _refresh_komi(self) -> None:
        self._batch.set_komi(_GAME, self.effective_komi)

    @property
    def to_play(self) -> int:
        """+1 Black, -1 White: the other colour than the last move's, unless it was set. Either colour may be set, and
        before the first move that is part of the setup."""
        return int(self._batch.to_play[_GAME])

    @to_play.setter
    def to_play(self, color: int) -> None:
        self._batch.set_to_play(_GAME, _checked_color(color))
        if not self._moves:
            self._setup = replace(self._setup, to_play=int(color))

    @property
    def stones(self) -> NDArray[np.int8]:
        """[A] int8, a fresh array: 0 empty, +1 Black, -1 White."""
        return _row(self._batch.stones).copy()

    @property
    def moves(self) -> list[Move]:
        """The moves since the setup, a fresh list."""
        return list(self._moves)

    @property
    def setup(self) -> Setup:
        """The stones before the first move."""
        return self._setup

    @property
    def is_over(self) -> bool:
        """Whether the last two moves were passes. Play may go on all the same."""
        return bool(self._batch.passes[_GAME] >= 2)

    def captures(self, color: int) -> int:
        """How many stones `color` has taken prisoner; a suicide gives prisoners to the opponent."""
        return int(self._batch.prisoners[_GAME, 1 if _checked_color(color) == BLACK else 0])

    def legal_mask(self, color: int | None = None) -> NDArray[np.bool_]:
        """[A + 1] bool: what `color` (default: the player to move) may play now. A pass is always legal."""
        before = self.to_play
        if color is None or color == before:
            return _row(self._batch.legal_mask())
        self._batch.set_to_play(_GAME, _checked_color(color))
        mask = _row(self._batch.legal_mask())
        self._batch.set_to_play(_GAME, before)
        return mask

    def is_legal(self, color: int, action: int) -> bool:
        """Whether `color` may play `action` now; False for what is no action of this board."""
        return 0 <= action <= self.area and bool(self.legal_mask(color)[action])

    def play(self, color: int, action: int) -> None:
        """Plays `action` as `color`, whoever's turn it is, also after the end of the game.

        Raises `IllegalMove`, with the reason, and changes nothing then.
        """
        if not self.is_legal(color, action):
            raise IllegalMove(self._why_illegal(color, action))
        if self._batch.ply[_GAME] + 2 >= self._batch.max_plies:
            self._batch.extend(2 * self._batch.max_plies)
        self._before.append(self._batch.save(_GAME))
        self._batch.set_to_play(_GAME, color)
        self._batch.play(np.array([action]))
        self._batch.reopen(_GAME)
        self._moves.append(Move(int(color), int(action)))

    def _why_illegal(self, color: int, action: int) -> str:
        if not 0 <= action <= self.area:
            return f"action {action} is not on the {self.size}x{self.size} board"
        place = to_gtp(action, self.size)
        if self._batch.stones[_GAME, action] != EMPTY:
            return f"{place} is occupied"
        before = self.to_play
        self._batch.set_to_play(_GAME, color)
        is_banned = self._batch.banned_mask()[_GAME, action]
        self._batch.set_to_play(_GAME, before)
        return f"{place} is forbidden by the ko rule" if is_banned else f"{place} is suicide"

    def undo(self) -> None:
        """Takes the last move back, with its captures and ko history. Raises `CannotUndo` when there is none; setup and
        handicap stones are no moves."""
        if not self._moves:
            raise CannotUndo("there is no move to take back")
        self._moves.pop()
        self._batch.restore(_GAME, self._before.pop())

    def place_handicap(self, points: Iterable[int]) -> None:
        """Puts Black handicap stones on `points` of an empty board without moves; White moves next.

        One stone is accepted and earns no compensation. Raises `BoardNotEmpty`, or `InvalidHandicap` unless the points
        are distinct, on the board, and between 1 and A - 1; changes nothing then.
        """
        stones = list(points)
        if self._moves or self._batch.stones[_GAME].any():
            raise BoardNotEmpty("handicap stones need an empty board and no moves")
        if not 1 <= len(stones) < self.area or len(set(stones)) < len(stones):
            raise InvalidHandicap(
                f"{len(stones)} handicap stones on {self.size}x{self.size}: expected 1 to "
                f"{self.area - 1} different points"
            )
        if not all(0 <= point < self.area for point in stones):
            raise InvalidHandicap(f"handicap stones {stones} are not all points of the {self.size}x{self.size} board")
        self._start(Setup(black=tuple(sorted(stones)), to_play=WHITE, handicap=len(stones)))

    def set_stones(self, black: Iterable[int], white: Iterable[int], to_play: int = BLACK) -> None:
        """Starts again from these stones, without moves or history; nothing to undo.

        Raises `InvalidVertex` for points off the board or named twice, `IllegalMove` for stones without liberties;
        changes nothing then.
        """
        setup = Setup(black=tuple(sorted(black)), white=tuple(sorted(white)), to_play=_checked_color(to_play))
        points = setup.black + setup.white
        if not all(0 <= point < self.area for point in points) or len(set(points)) < len(points):
            raise InvalidVertex(f"setup stones {points} are not different points of the {self.size}x{self.size} board")
        trial = GoBatch(num_games=1, size=self.size)
        trial.set_stones(_GAME, self._stones_of(setup), to_play)
        is_dead = (trial.stones[_GAME] != EMPTY) & (trial.liberties()[_GAME] == 0)
        if is_dead.any():
            raise IllegalMove(f"the stone at {to_gtp(int(is_dead.argmax()), self.size)} has no liberty")
        self._start(setup)

    def _stones_of(self, setup: Setup) -> NDArray[np.int8]:
        stones = np.zeros(self.area, dtype=np.int8)
        stones[list(setup.black)] = BLACK
        stones[list(setup.white)] = WHITE
        return stones

    def _start(self, setup: Setup) -> None:
        self._setup = setup
        self._moves.clear()
        self._before.clear()
        self._batch.set_stones(_GAME, self._stones_of(setup), setup.to_play)
        self._refresh_komi()

    def area_ownership(self, dead: Collection[int] = ()) -> NDArray[np.int8]:
        """[A] int8: +1 Black's, -1 White's, 0 neutral, after the stones on the points `dead` are taken off.

        Raises `InvalidVertex` for a dead point without a stone.
        """
        stones = self._without(dead)
        owner = np.empty_like(stones)
        areas.own_areas(stones, tables.point_neighbors(self.size), owner)
        return _row(owner)

    def _without(self, dead: Collection[int]) -> NDArray[np.int8]:
        """[1, A] the board without the stones on `dead`."""
        stones = self._batch.stones.copy()
        for point in dead:
            if not 0 <= point < self.area or stones[_GAME, point] == EMPTY:
                raise InvalidVertex(f"there is no stone on point {point} to be dead")
        stones[_GAME, list(dead)] = EMPTY
        return stones

    def score(self) -> float:
        """Area score Black - White - komi - handicap compensation, points; every stone is alive."""
        return float(self.area_ownership().sum(dtype=np.int32)) - self.effective_komi

    def territory_score(self, dead: Collection[int] = ()) -> float:
        """Territory score Black - White - komi, points: surrounded empty points, prisoners and the stones on `dead`.

        Points in seki are not told apart: every empty region that one colour alone borders counts.
        """
        stones = self._without(dead)[_GAME]
        territory = self.area_ownership(dead)[stones == EMPTY].sum(dtype=np.int32)
        dead_stones = self._batch.stones[_GAME, list(dead)].sum(dtype=np.int32)
        prisoners = self.captures(BLACK) - self.captures(WHITE)
        return float(territory - dead_stones + prisoners) - self._komi

    def observation(self, variant: Variant = "full") -> NDArray[np.float32]:
        """[P, S, S] float32 planes for the network, the player to move being `to_play`."""
        return _row(self._batch.observe(variant=variant))

    def root_terminal_values(self) -> NDArray[np.float32]:
        """[A + 1] float32: NaN, but for a pass that answers a pass, which is worth the sign of the area score."""
        return _row(self._batch.terminal_values())

    def to_batch(self) -> GoBatch:
        """An independent batch of this one game, in the same state."""
        return self._batch.copy()

    def copy(self) -> Position:
        """An independent position in the same state, undo included."""
        other = Position.__new__(Position)
        other.__dict__.update(self.__dict__)
        other._batch = self._batch.copy()
        other._moves = list(self._moves)
        other._before = list(self._before)
        return other


def _row(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """The only game's part of a [1, ...] array, as a view."""
    return array.reshape(array.shape[1:])


def _checked_color(color: int) -> int:
    if color not in (BLACK, WHITE):
        raise IllegalMove(f"colour {color!r} is neither {BLACK} (Black) nor {WHITE} (White)")
    return color
