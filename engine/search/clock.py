"""How long to think: both players' clocks, and the share of the time left that one move gets.

The shares are KataGo's (cpp/search/timecontrols.cpp, `getTime` and `roundUpTimeLimitIfNeeded`), without its estimate of
how far past the recommendation a search may go. Time is injected; the wall clock is never asked.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from engine.go.rules import BLACK, WHITE
from engine.search.time_settings import TimeLeft, TimeSettings

FLOOR_S: Final = 0.005
"""Least time for a move, even where none is left: a move must still come."""

EXTRA_SHARE: Final = 0.5
"""A move whose choice is unstable gets at most so much more than its budget."""
_RESERVED_PERIODS: Final = 5
"""All byo-yomi periods but so many are spent like main time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """Seconds for one move, with the lag already taken off; 0 <= recommended_s <= most_s."""

    recommended_s: float
    """To think."""
    most_s: float
    """Thinking longer harms the rest of the game."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Seconds to think from now on."""

    time_s: float
    """For a move whose choice is clear then."""
    extra_s: float
    """More, for one that is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsLeft:
    """Own turns over which the time is spread: half of the moves that the board still has room for."""

    absolute: float
    """Until the very end, for time that must last."""
    increment: float
    """Until the increments suffice."""
    overtime: float
    """Until overtime may begin."""

    @classmethod
    def estimate(cls, *, size: int, num_stones: int) -> TurnsLeft:
        """`num_stones`: stones on the board, which tell how far the game is."""
        area = size * size
        return cls(
            absolute=max(0.95 * area + 20 - num_stones, 0.15 * area + 30) / 2,
            increment=max(0.75 * area + 15 - num_stones, 0.10 * area + 20) / 2,
            overtime=max(0.50 * area + 10 - num_stones, 0.02 * area + 4) / 2,
        )


def without_lag(seconds: float, lag_s: float) -> float:
    """`seconds` less the lag, but never less than half of them."""
    return max(seconds - lag_s, seconds / 2)


def allot(settings: TimeSettings, left: TimeLeft, *, turns: TurnsLeft, lag_s: float) -> Allotment:
    """The share of one move. `settings` must have a limit."""
    shares = _allot_overtime if settings.periods else _allot_main
    recommended_s, most_s, lags = shares(settings, left, turns, lag_s)
    most_s = max(0.0, without_lag(min(most_s, settings.max_move_s), lags * lag_s))
    recommended_s = min(max(0.0, without_lag(recommended_s, lags * lag_s)), most_s)
    return Allotment(recommended_s=recommended_s, most_s=most_s)


def _allot_main(settings: TimeSettings, left: TimeLeft, turns: TurnsLeft, lag_s: float) -> tuple[float, float, int]:
    """Recommended and most time, and the lags to take off, of absolute and Fischer time."""
    increment_s = settings.increment_s
    if left.main_s <= increment_s:
        return without_lag(left.main_s, lag_s), left.main_s, 1
    excess_s = without_lag(left.main_s - increment_s, lag_s)
    share_s = min(excess_s / turns.increment, excess_s / turns.absolute + 2 * increment_s)
    return increment_s + share_s, min(left.main_s, increment_s + excess_s / 5), 1


def _allot_overtime(settings: TimeSettings, left: TimeLeft, turns: TurnsLeft, lag_s: float) -> tuple[float, float, int]:
    """The same for byo-yomi and Canadian time."""
    if left.in_overtime and left.periods <= _RESERVED_PERIODS:
        lags = 2 if left.periods <= 1 and left.stones <= 1 else 1
        return left.period_s / left.stones, left.period_s / (0.75 * left.stones + 0.25), lags
    main_s = left.period_s if left.in_overtime else left.main_s
    spare_periods = max(left.periods - _RESERVED_PERIODS, 0) - (1 if left.in_overtime else 0)
    main_s += spare_periods * settings.period_s
    longest_s = settings.period_s / (0.75 * settings.stones + 0.25)
    most_s = longest_s + max(min(1.75 * longest_s, main_s), main_s / 5)
    if main_s < most_s < main_s + longest_s:
        most_s = main_s + longest_s
    lags = 2 if most_s > main_s and left.periods <= 1 and settings.stones <= 1 else 1
    recommended_s = _share_before_overtime(main_s, settings.period_s / settings.stones, turns)
    return _to_period_end(recommended_s, settings, left), most_s, lags


def _share_before_overtime(main_s: float, per_move_s: float, turns: TurnsLeft) -> float:
    """The share of main time before overtime with `per_move_s` a move.

    If strength grows with the logarithm of time, main time is best spent at e times the overtime's pace. It is spread
    over at most 1.75 times as many turns, because the middle game should still see some of it.
    """
    best_turns = main_s / per_move_s / math.e
    spread = min(turns.overtime, 1.75 * best_turns) if turns.overtime > best_turns else best_turns
    spread = max(min(spread, turns.absolute), 1.0)
    share_s = min(main_s / spread, main_s / turns.absolute + 3 * per_move_s)
    share_s = max(share_s, per_move_s)
    if share_s < 1.5 * per_move_s and main_s < 1.5 * per_move_s:
        return main_s + per_move_s
    return share_s


def _to_period_end(seconds: float, settings: TimeSettings, left: TimeLeft) -> float:
    """`seconds`, or the end of the byo-yomi period that it would break into: the rest of it would be lost anyway."""
    if settings.stones != 1:
        return seconds
    first_end_s = left.period_s if left.in_overtime else left.main_s + settings.period_s
    if not left.in_overtime and seconds < left.main_s - settings.period_s / 2:
        return seconds
    more_periods = max(0, math.ceil((seconds - first_end_s) / settings.period_s))
    return min(first_end_s + more_periods * settings.period_s, left.total_s(settings))


class GameClock:
    """Both players' clocks. Keeps its own books from the injected clock, so it needs no `set_time_left`.

    For one thread, except that `time_left` and `budget` only read.
    """

    def __init__(
        self,
        settings: TimeSettings | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.default_s = 1.0
        """For a move without time limit."""
        self.max_s = 60.0
        """For any move."""
        self.lag_s = 0.2
        """Kept back from the time left."""
        self._now = now
        self._settings = settings or TimeSettings.none()
        self._started: dict[int, float] = {}
        self.reset()

    @property
    def settings(self) -> TimeSettings:
        """The time settings of the game."""
        return self._settings

    def set_settings(self, settings: TimeSettings) -> None:
        """New time settings; both players have all their time."""
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Gives both players all their time; the settings stay. A running clock runs on from now."""
        self._own_settings = dict.fromkeys((BLACK, WHITE), self._settings)
        self._left = {color: self._settings.full() for color in (BLACK, WHITE)}
        self._started = dict.fromkeys(self._started, self._now())

    def set_time_left(self, color: int, seconds: float, stones: int) -> None:
        """What the controller says is left, with GTP's and KGS's meaning (see `TimeLeft.reported`).

        Without time settings, a positive time is believed: absolute time, or `stones` to play in it. Raises
        `InvalidInput` for NaN, infinity or a negative number of stones; the books are then unchanged.
        """
        settings = self._settings
        if settings.is_unlimited and seconds > 0 and math.isfinite(seconds):
            settings = TimeSettings.canadian(0.0, seconds, stones) if stones > 0 else TimeSettings.absolute(seconds)
        left = TimeLeft.reported(seconds, stones, settings)
        if settings.is_unlimited:
            return
        self._own_settings[color], self._left[color] = settings, left
        if color in self._started:
            self._started[color] = self._now()

    def start(self, color: int) -> None:
        """The player's turn begins: time runs, if it does not run already."""
        self._started.setdefault(color, self._now())

    def stop(self, color: int, *, has_moved: bool = True) -> float:
        """The player has moved, or given up to; returns the seconds that it took. 0 if the clock did not run."""
        if color not in self._started:
            return 0.0
        elapsed_s = self._now() - self._started.pop(color)
        settings = self._own_settings[color]
        left = self._left[color].after(elapsed_s, settings)
        self._left[color] = left.after_move(settings) if has_moved else left
        return elapsed_s

    @contextmanager
    def thinking(self, color: int) -> Iterator[None]:
        """Lets the player's time run until it has moved. After an error the time is gone, and no move was made."""
        self.start(color)
        has_moved = False
        try:
            yield
            has_moved = True
        finally:
            self.stop(color, has_moved=has_moved)

    def elapsed_s(self, color: int) -> float:
        """Seconds since the player's turn began; 0 if the clock does not run."""
        return self._now() - self._started[color] if color in self._started else 0.0

    def time_left(self, color: int) -> TimeLeft | None:
        """What the player has left now; None without a time limit."""
        settings = self._own_settings[color]
        return None if settings.is_unlimited else self._left[color].after(self.elapsed_s(color), settings)

    def budget(self, color: int, *, size: int, num_stones: int) -> Budget:
        """Seconds to think from now on. `num_stones`: stones on the board (or the ply), which tell how far the game is.

        The time is at least `FLOOR_S`; else at most `max_s`, and never more than what is left less the lag. Together
        with the extra time it stays below that, and below what harms the rest of the game (`Allotment.most_s`). Without
        time settings there is no extra: every move may have the same.
        """
        left = self.time_left(color)
        if left is None:
            return Budget(time_s=max(FLOOR_S, min(self.default_s, self.max_s)), extra_s=0.0)
        settings = self._own_settings[color]
        turns = TurnsLeft.estimate(size=size, num_stones=num_stones)
        share = allot(settings, left, turns=turns, lag_s=self.lag_s)
        most_s = min(max(0.0, without_lag(left.total_s(settings), self.lag_s)), self.max_s)
        time_s = max(FLOOR_S, min(share.recommended_s, most_s))
        extra_s = min(EXTRA_SHARE * time_s, min(share.most_s, most_s) - time_s)
        return Budget(time_s=time_s, extra_s=max(0.0, extra_s))
