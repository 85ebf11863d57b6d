"""`Turn`: what the rules alone know about one player's turn, and the move that follows from a search's result.

The search judges by a learned model; here stands what is exact under area scoring, where every stone on the board
counts as alive:

1. The game is over, or the opponent has passed and the board as it stands is won: pass. There is no choice.
2. The board as it stands is lost: a pass loses for certain, for it ends the game, or the opponent's pass does. The
   search is told so (`terminal_values`), and a pass is played only if there is no sensible other move, or if even the
   best of them is judged lost. So a won game is not passed away before the dead stones are off the board, and a lost
   one comes to its end.
3. Own eyes are never filled, so that a side with nothing left to do passes instead of killing its stones.
4. In everything else the search decides.

Knows no network, no clock and no protocol.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.go.features import Variant
from engine.go.position import Position
from engine.go.rules import EMPTY, Scoring
from engine.search.roots import RootBatch

if TYPE_CHECKING:
    from engine.search.search import SearchResult

MOST_PLIES_KEPT: Final = 2
"""A search goes on after so many plies; later its imagination has drifted too far from the board."""
LEAST_TEMPERATURE: Final = 0.05
"""Below it the best action is taken."""
LOST_WINRATE: Final = 0.02
"""A move is judged lost below this: not worth playing on for."""


def to_winrate(value: float, color: int) -> float:
    """The winning probability of `color`, in [0, 1], of a value in [-1, 1] in Black's view."""
    return min(1.0, max(0.0, (1.0 + color * value) / 2))


def own_eyes(stones: NDArray[np.int8], size: int, color: int) -> NDArray[np.bool_]:
    """[A] bool: empty points that are one-point eyes inside a single chain of `color`.

    All neighbours are its stones, and so are the diagonal points, save one where there are four. To fill such an eye
    connects nothing and takes a liberty.
    """
    own = np.pad(stones.reshape(size, size) == color, 1, constant_values=True)
    is_enclosed = own[:-2, 1:-1] & own[2:, 1:-1] & own[1:-1, :-2] & own[1:-1, 2:]
    gaps = np.zeros((size, size), dtype=np.int8)
    for diagonal in (own[:-2, :-2], own[:-2, 2:], own[2:, :-2], own[2:, 2:]):
        gaps += ~diagonal
    allowed = np.zeros((size, size), dtype=np.int8)
    allowed[1:-1, 1:-1] = 1
    eyes: NDArray[np.bool_] = (stones == EMPTY) & (is_enclosed & (gaps <= allowed)).reshape(-1)
    return eyes


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One player's turn in one position; holds a copy, so the game may go on meanwhile."""

    position: Position
    """The position with `color` to move; nobody else's."""
    color: int
    """Who moves."""
    legal_mask: NDArray[np.bool_]
    """[A + 1] the actions to choose from: the legal ones without own eyes; only the pass where that is settled."""
    standing: float | None
    """Points by which `color` leads if the game ended now; None where the rules do not count by area."""

    @classmethod
    def of(
        cls,
        position: Position,
        color: int,
        *,
        may_pass: bool = True,
        allow: Collection[int] | None = None,
        avoid: Collection[int] = (),
    ) -> Turn:
        """The turn of `color` (whoever should move) in `position`, which is taken over, not copied.

        `may_pass=False`: pass only if there is no other sensible move. `allow` (None: all) and `avoid` are actions to
        choose from and to leave out; raises `InvalidInput` where none remains. Models are trained on area scoring, so
        where territory counts, the search still thinks in area; nothing is exact then.
        """
        position.to_play = color
        standing = None
        if position.rules.scoring == Scoring.AREA:
            standing = color * position.score()
        else:
            position.rules = replace(position.rules, scoring=Scoring.AREA)
        legal_mask = position.legal_mask()
        legal_mask[:-1] &= ~own_eyes(position.stones, position.size, color)
        if not may_pass:
            legal_mask[-1] = not legal_mask[:-1].any()
        elif position.is_over or (standing is not None and standing > 0 and _last_was_pass(position)):
            legal_mask[:-1] = False
        _restrict(legal_mask, allow, avoid)
        return cls(position=position, color=color, legal_mask=legal_mask, standing=standing)

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to choose."""
        return int(np.count_nonzero(self.legal_mask)) == 1

    @property
    def is_known(self) -> bool:
        """Whether the rules know the outcome of every action to choose from, so that a search could find nothing."""
        outcomes = self.root().terminal_values
        return outcomes is not None and not bool(np.isnan(outcomes[0, self.legal_mask]).any())

    @property
    def pass_action(self) -> int:
        """The action that passes."""
        return self.position.pass_action

    def root(self, variant: Variant = "full") -> RootBatch:
        """The turn as the search takes it, a batch of one."""
        terminal_values = pass_pass_values = None
        if self.standing is not None:
            terminal_values = self.position.root_terminal_values()[None].copy()
            pass_pass_values = np.array([np.sign(self.color * self.standing)], dtype=np.float32)
            if self.standing < 0:
                terminal_values[0, self.pass_action] = -self.color
        return RootBatch(
            observations=self.position.observation(variant)[None],
            legal_mask=self.legal_mask[None],
            to_play=np.array([self.color], dtype=np.int8),
            terminal_values=terminal_values,
            pass_pass_values=pass_pass_values,
            pass_action=self.pass_action,
        )

    def path_from(self, earlier: Turn) -> tuple[int, ...] | None:
        """The moves that lead from `earlier` to this turn, if what was found there is of use here; else None.

        At most MOST_PLIES_KEPT, by the players in turn, of the same game under the same rules and komi. None as well
        where only the pass is left to choose here, or where something was left out there that may be chosen now.
        """
        now, before = self.position, earlier.position
        if self.is_settled or _conditions(self) != _conditions(earlier):
            return None
        known = len(before.moves)
        path = now.moves[known:]
        if now.moves[:known] != before.moves or len(path) > MOST_PLIES_KEPT:
            return None
        colors = [*(move.color for move in path), self.color]
        if any(color != (earlier.color if ply % 2 == 0 else -earlier.color) for ply, color in enumerate(colors)):
            return None
        if not path and (self.legal_mask & ~earlier.legal_mask).any():
            return None
        return tuple(move.action for move in path)

    def choose(self, result: SearchResult) -> int:
        """The action to play after a search with `result`: legal, and by the rules of this module."""
        action = int(result.best_action)
        is_pass_lost = self.standing is not None and self.standing < 0
        if action != self.pass_action or not is_pass_lost:
            return action
        other = self._preferred_point(result)
        return action if other is None or self.winrate(result, other) < LOST_WINRATE else other

    def sample(self, result: SearchResult, temperature: float, rng: np.random.Generator) -> int:
        """An action drawn by the search's policy to the power of 1 / temperature; the best one where that halves away.

        The temperature halves every `size` plies (KataGo). A pass is never drawn, nor is anything else than it.
        """
        temperature *= 0.5 ** (len(self.position.moves) / self.position.size)
        best = int(result.best_action)
        weights = np.where(self.legal_mask, result.policy_target, 0.0).astype(np.float64)
        weights[self.pass_action] = 0.0
        if temperature < LEAST_TEMPERATURE or best == self.pass_action or not weights.any():
            return best
        weights = (weights / weights.max()) ** (1.0 / temperature)
        return int(rng.choice(weights.shape[0], p=weights / weights.sum()))

    def winrate(self, result: SearchResult, action: int) -> float:
        """What the search thinks of `action` for `color`, in [0, 1]; of the position where it has not tried it."""
        is_tried = result.visits[action] > 0 and not np.isnan(result.q[action])
        return to_winrate(float(result.q[action] if is_tried else result.root_value), self.color)

    def _preferred_point(self, result: SearchResult) -> int | None:
        """The allowed point with the most visits, of those the one with the greatest prior."""
        points = np.flatnonzero(self.legal_mask[:-1])
        if not points.size:
            return None
        order = np.lexsort((result.prior[points], result.visits[points]))
        return int(points[order[-1]])


def _restrict(legal_mask: NDArray[np.bool_], allow: Collection[int] | None, avoid: Collection[int]) -> None:
    for action in (*avoid, *(allow or ())):
        if not 0 <= action < legal_mask.shape[0]:
            raise InvalidInput(f"action {action} to allow or avoid is not on the board")
    if allow is not None:
        legal_mask[np.setdiff1d(np.arange(legal_mask.shape[0]), np.fromiter(allow, np.int64))] = False
    legal_mask[list(avoid)] = False
    if not legal_mask.any():
        raise InvalidInput("no move is left to choose from, after those to allow and to avoid")


def _conditions(turn: Turn) -> tuple[object, ...]:
    """What must be the same for two turns to be of one game; the moves aside."""
    position, setup = turn.position, turn.position.setup
    stones = setup.black, setup.white, setup.handicap
    return position.size, position.rules, position.effective_komi, stones, turn.standing is None


def _last_was_pass(position: Position) -> bool:
    moves = position.moves
    return bool(moves) and moves[-1].action == position.pass_action
