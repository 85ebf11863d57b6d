"""`OwnSearch`: the one search that a player has of its own game at a time: for a move, an analysis, or pondering.

Knows when a search ends; knows nothing of networks, clocks or moves.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final, Protocol

from engine.analysis import Analysis
from engine.errors import EvaluationError, ModelError
from engine.search.limits import Limits
from engine.turn import Turn

PONDERING: Final = Limits(time_s=60.0)
"""The longest that the engine thinks while nobody asks it anything."""


class Starter(Protocol):
    """Starts a search; `goes_on`: from what the one before found."""

    def __call__(self, turn: Turn, limits: Limits, *, goes_on: bool) -> Analysis: ...


class OwnSearch:
    """At most one search runs; `stop` may be called by any thread, the rest by one at a time."""

    def __init__(self, start: Starter) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._analysis: Analysis | None = None
        self._is_pondering = False
        self._next: Turn | None = None

    def start(self, turn: Turn, limits: Limits, *, goes_on: bool = False) -> Analysis:
        """A new search; the one before it has ended then. Raises what the starter raises."""
        self.end()
        analysis = self._start(turn, limits, goes_on=goes_on)
        with self._lock:
            self._analysis = analysis
        return analysis

    def expect(self, turn: Turn) -> None:
        """What `ponder` is to think about, unless another call comes first: the opponent's turn."""
        self._next = turn

    def ponder(self) -> None:
        """Thinks about what it expects, if anything, until the next call; not where there is nothing to choose."""
        turn, self._next = self._next, None
        if turn is None or turn.is_settled:
            return
        with suppress(EvaluationError, ModelError):  # the next move's search will tell
            self.start(turn, PONDERING, goes_on=True)
            self._is_pondering = True

    def end_pondering(self) -> None:
        """Ends the search if it is pondering, and expects nothing."""
        self._next = None
        if self._is_pondering:
            self.end()

    def end(self) -> None:
        """Ends the search, if one runs; what became of it is of no interest any more."""
        with self._lock:
            analysis, self._analysis = self._analysis, None
        self._is_pondering, self._next = False, None
        if analysis is not None:
            analysis.stop()
            with suppress(EvaluationError):
                analysis.wait()

    def stop(self) -> None:
        """Makes the search end soon, with what it has found."""
        with self._lock:
            analysis = self._analysis
        if analysis is not None:
            analysis.stop()
