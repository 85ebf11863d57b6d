"""What the services need of an engine: the `Suggester` protocol, and the plain facts they tell about a model.

Knows nothing of gRPC. `protocol.rpc.player_suggester` fits the real engine to it; tests fit a script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from engine.go.position import Position
from engine.search.limits import Limits
from engine.search.search import SearchResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a client may know of a model."""

    name: str
    """Short name without "models/"."""
    digest: str
    """Identifies the network files, hexadecimal."""
    board_sizes: tuple[int, ...]
    """Sizes that it may play, ascending."""
    trained_board_sizes: tuple[int, ...]
    """Sizes that it was trained on, ascending."""
    komi_range: tuple[float, float] | None = None
    """Smallest and largest komi of its training games, if known."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Further facts, text by name."""


class RunningSearch(Protocol):
    """A search that has started; any thread may call any method. `engine.player.Analysis` is one."""

    seed: int
    """Of the search's random choices."""
    model: str
    """`name@digest` of the network."""

    def stop(self) -> None:
        """Makes the search end within about one evaluation; may be called twice."""
        ...

    def wait(self) -> SearchResult:
        """Blocks until the search has ended. Raises `EvaluationError` if the network failed."""
        ...


class Suggester(Protocol):
    """A source of searches; any thread may call any method at any time."""

    imagines: bool
    """Whether searches imagine positions below the root, where their variations may then be illegal."""

    def load(self) -> None:
        """Blocks until searches can start. Raises `ModelError`."""
        ...

    def models(self) -> Sequence[ModelFacts]:
        """The models that can be searched with, at least one."""
        ...

    def suggest(
        self, position: Position, limits: Callable[[], Limits], *, model: str | None, seed: int | None
    ) -> RunningSearch:
        """Starts to search `position`, which is the search's own from now on.

        `limits` is called once, when all is loaded and the search begins. `model`: a name; None: the best one for the
        board size. `seed` None: draws one. Blocks for an evaluation or two, longer where something has to be loaded.
        Raises `UnsupportedBoardSize`, `ModelError`, and what `limits` raises.
        """
        ...

    def close(self) -> None:
        """Ends every search and frees the networks."""
        ...
