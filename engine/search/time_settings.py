"""Time settings of a game and what is left of them, as values: how time runs, is reported and is refilled.

Knows neither clocks nor how much to spend; that is `clock.py`. Every number is in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from engine.errors import InvalidInput

NO_LIMIT_S: Final = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSettings:
    """Main time, then periods in each of which some stones must be played; or main time with an increment a move.

    Every system in use is a case of it: byo-yomi has one stone a period, Canadian overtime one period that starts anew
    after its stones, absolute time no period.
    """

    main_s: float = NO_LIMIT_S
    """Main time; infinite: no time limit at all."""
    period_s: float = 0.0
    """Length of an overtime period."""
    periods: int = 0
    """Number of overtime periods; 0: when main time is over, the game is lost."""
    stones: int = 0
    """Stones to play in a period."""
    increment_s: float = 0.0
    """Added to the main time after each own move (Fischer)."""
    max_main_s: float = NO_LIMIT_S
    """The increment never lifts the main time above this."""
    max_move_s: float = NO_LIMIT_S
    """Longest time that one move may take."""

    def __post_init__(self) -> None:
        """Raises `InvalidInput` for numbers that are no time settings."""
        for name in ("main_s", "period_s", "increment_s", "max_main_s", "max_move_s"):
            value = getattr(self, name)
            if math.isnan(value) or value < 0:
                raise InvalidInput(f"{name} must be a number of seconds >= 0, not {value!r}")
        if math.isinf(self.period_s) or math.isinf(self.increment_s):
            raise InvalidInput("a period or an increment must be finite")
        if (self.periods > 0) != (self.stones > 0) or self.periods < 0 or self.stones < 0:
            raise InvalidInput(f"{self.periods} periods of {self.stones} stones are no overtime")
        if self.periods and self.increment_s:
            raise InvalidInput("overtime periods and an increment exclude each other")

    @classmethod
    def none(cls) -> TimeSettings:
        """No time limit."""
        return cls()

    @classmethod
    def absolute(cls, main_s: float) -> TimeSettings:
        """Main time and nothing after it."""
        return cls(main_s=main_s)

    @classmethod
    def canadian(cls, main_s: float, period_s: float, stones: int) -> TimeSettings:
        """After the main time, `stones` moves in each stretch of `period_s`. Absolute time where `period_s` is 0."""
        return cls(main_s=main_s, period_s=period_s, periods=1, stones=stones) if period_s > 0 else cls.absolute(main_s)

    @classmethod
    def byo_yomi(cls, main_s: float, period_s: float, periods: int) -> TimeSettings:
        """After the main time, `periods` periods; one is lost when a move takes longer. Absolute where one is 0."""
        if period_s <= 0 or periods <= 0:
            return cls.absolute(main_s)
        return cls(main_s=main_s, period_s=period_s, periods=periods, stones=1)

    @classmethod
    def fischer(
        cls, main_s: float, increment_s: float, *, max_main_s: float = NO_LIMIT_S, max_move_s: float = NO_LIMIT_S
    ) -> TimeSettings:
        """An increment after each move; optionally a limit of the time gathered and of the time for one move."""
        return cls(main_s=main_s, increment_s=increment_s, max_main_s=max_main_s, max_move_s=max_move_s)

    @classmethod
    def from_gtp(cls, main_s: float, period_s: float, stones: int) -> TimeSettings:
        """`time_settings` of GTP 2: a period without stones means no limit, no period means absolute time."""
        if period_s > 0 and stones == 0:
            return cls.none()
        return cls.canadian(main_s, period_s, stones)

    @property
    def is_unlimited(self) -> bool:
        """Whether there is no time limit."""
        return math.isinf(self.main_s)

    def full(self) -> TimeLeft:
        """What is left before the first move."""
        return TimeLeft(main_s=self.main_s, periods=self.periods)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLeft:
    """What one player has left."""

    main_s: float
    """Main time; negative when the game is lost on time."""
    periods: int = 0
    """Overtime periods left, the running one included."""
    period_s: float = 0.0
    """Rest of the running period; 0 in main time."""
    stones: int = 0
    """Stones still to play in the running period; 0 in main time."""

    @property
    def in_overtime(self) -> bool:
        """Whether a period runs."""
        return self.stones > 0

    def total_s(self, settings: TimeSettings) -> float:
        """Longest time after which the game is not yet lost, if no move is made."""
        if not self.in_overtime:
            return self.main_s + self.periods * settings.period_s
        return self.period_s + (self.periods - 1) * settings.period_s

    def after(self, seconds: float, settings: TimeSettings) -> TimeLeft:
        """What is left when `seconds` more have gone by without a move."""
        if not self.in_overtime:
            main_s = self.main_s - seconds
            if main_s > 0 or not self.periods:
                return replace(self, main_s=main_s)
            first = TimeLeft(main_s=0.0, periods=self.periods, period_s=settings.period_s, stones=settings.stones)
            return first.after(-main_s, settings)
        periods, period_s = self.periods, self.period_s - seconds
        if period_s <= 0 and periods > 1 and settings.period_s > 0:
            lost = min(periods - 1, math.floor(-period_s / settings.period_s) + 1)
            periods, period_s = periods - lost, period_s + lost * settings.period_s
        return replace(self, periods=periods, period_s=period_s)

    def after_move(self, settings: TimeSettings) -> TimeLeft:
        """What is left once the move is made: the increment is added, a finished period starts anew."""
        if not self.in_overtime:
            if not settings.increment_s:
                return self
            return replace(self, main_s=min(self.main_s + settings.increment_s, max(settings.max_main_s, self.main_s)))
        if self.stones > 1:
            return replace(self, stones=self.stones - 1)
        return replace(self, stones=settings.stones, period_s=settings.period_s)

    @classmethod
    def reported(cls, seconds: float, stones: int, settings: TimeSettings) -> TimeLeft:
        """What `time_left` of GTP says. Raises `InvalidInput` for NaN, infinity or a negative number of stones.

        `stones` 0: `seconds` of main time, and with overtime to come, no seconds means that the first period begins (as
        KGS says it). Else Canadian: stones left in the period; byo-yomi: periods left. Seconds below 0 count as 0.
        """
        if not math.isfinite(seconds) or stones < 0:
            raise InvalidInput(f"time left {seconds!r} s with {stones!r} stones is no time")
        seconds = max(seconds, 0.0)
        if not settings.periods:
            return cls(main_s=seconds)
        if stones == 0:
            return cls(main_s=seconds, periods=settings.periods).after(0.0, settings)
        if settings.stones == 1:
            return cls(main_s=0.0, periods=stones, period_s=seconds, stones=1)
        return cls(main_s=0.0, periods=settings.periods, period_s=seconds, stones=stones)
