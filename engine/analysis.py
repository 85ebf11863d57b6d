"""`Analysis`: a running search of one turn, whose choice follows the rules for passing as well.

Knows the search's handle and the turn; nothing of who asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, Self

from engine.search.result import SearchResult
from engine.turn import Turn


class RunningSearch(Protocol):
    """What is needed of `engine.search.search.SearchHandle`."""

    @property
    def is_finished(self) -> bool: ...
    def snapshot(self) -> SearchResult: ...
    def stop(self) -> None: ...
    def wait(self, timeout: float | None = None) -> SearchResult: ...


class Analysis:
    """A running search of one position. Any thread may call any method; a context manager that stops on leaving.

    In every result `best_action` is what the player would play: the search's choice after the rules of `engine.turn`.
    """

    def __init__(self, handle: RunningSearch, turn: Turn, *, model: str, seed: int, imagines: bool) -> None:
        """`model`: name@digest of the network. `seed`: of the search's random choices. `imagines`: whether variations
        may be illegal on the board, because the search only imagines what lies ahead."""
        self._handle = handle
        self.turn = turn
        self.model = model
        self.seed = seed
        self.imagines = imagines

    @property
    def color(self) -> int:
        """For whom the move is sought."""
        return self.turn.color

    @property
    def is_finished(self) -> bool:
        """Whether the search has ended."""
        return self._handle.is_finished

    def snapshot(self) -> SearchResult:
        """What is known now; does not wait for an evaluation."""
        return self._settled(self._handle.snapshot())

    def stop(self) -> None:
        """Makes the search end within about one evaluation; does not wait for it. May be called twice."""
        self._handle.stop()

    def wait(self, timeout_s: float | None = None) -> SearchResult:
        """Blocks until the search has ended, or for `timeout_s`, and returns what is known then.

        Raises `EvaluationError` if the network failed.
        """
        return self._settled(self._handle.wait(timeout_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _settled(self, result: SearchResult) -> SearchResult:
        action = self.turn.choose(result)
        return result if action == result.best_action else replace(result, best_action=action)
