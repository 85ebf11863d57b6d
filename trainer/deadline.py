"""When a run has to end: whether another round still fits, by what rounds, ratings and checkpoints took before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST_SAVE_S = 5.0
"""What a checkpoint is taken to cost before there was one."""
MARGIN = 1.1
"""What comes next may take so many times what it took before."""


class Deadline:
    """The end of a run's time, and what its parts take."""

    def __init__(
        self, limit_s: float | None = None, *, start: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`limit_s` seconds after `start`, a time of `clock` (default: now); None: there is no end."""
        self.now = clock
        self._end = None if limit_s is None else limit_s + (clock() if start is None else start)
        self._round_begin: float | None = None
        self._round_s = 0.0
        self._rating_s: float | None = None
        self._save_s = FIRST_SAVE_S

    def begin_round(self) -> None:
        """A round begins."""
        self._round_begin = self.now()

    def end_round(self, *, rating_s: float) -> None:
        """The round has ended; `rating_s` of it, if any, went to a rating."""
        assert self._round_begin is not None
        self._round_s = self.now() - self._round_begin - rating_s
        self._rating_s = rating_s or self._rating_s
        self._round_begin = None

    @contextmanager
    def saving(self) -> Iterator[None]:
        """A checkpoint is written inside."""
        begin = self.now()
        yield
        self._save_s = self.now() - begin

    def allows_another(self, *, ratings: int) -> bool:
        """Whether one more round can be played, after the one under way if there is one, and be saved in time.

        `ratings`: how many are due until then; the first is taken to cost what a round does.
        """
        if self._end is None:
            return True
        now, round_s, rest_s = self.now(), self._round_s, 0.0
        if self._round_begin is not None:
            spent_s = now - self._round_begin
            round_s = max(round_s, spent_s)
            rest_s = round_s - spent_s
        rating_s = round_s if self._rating_s is None else self._rating_s
        return now + MARGIN * (rest_s + round_s + ratings * rating_s + self._save_s) <= self._end
