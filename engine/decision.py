"""`Decision`: what the engine does on its turn, and why. Knows nothing of how it came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.search.result import SearchResult

RESIGN: Final = -1
"""The action of a `Decision` that gives the game up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the engine does on its turn."""

    action: int
    """A legal action, PASS (= size * size) or `RESIGN`."""
    color: int
    """Who does it."""
    result: SearchResult
    """The search behind it. Its `best_action` is `action`, or, before a resignation, what would have been played."""
    winrate: float
    """The search's judgement for `color`, in [0, 1]."""
    budget_s: float
    """Seconds that the search was allowed; infinite where only visits limited it."""
    extra_s: float = 0.0
    """Seconds that it was allowed beside, for as long as its choice was unstable."""
    elapsed_s: float
    """Seconds from the call to the decision, loading of the model included."""
