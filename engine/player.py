"""`Player`: position + network + search + clock -> a move or an analysis. The one object that both protocols drive.

Knows nothing of GTP or gRPC, and writes nothing to stdout. What it has to tell a human goes through the `notify`
callable. Colours are BLACK (+1) and WHITE (-1); actions are points in row-major order from the top left, then the pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engine.settings import PlayerSettings

if TYPE_CHECKING:
    from engine.go.position import Position
    from engine.go.rules import RuleSet
    from engine.search.clock import GameClock
    from engine.search.limits import Limits
    from engine.search.search import SearchResult

RESIGN: Final = -1
"""The action of a `Decision` that gives the game up."""

DEFAULT_SIZE: Final = 9
DEFAULT_KOMI: Final = 7.0


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
    elapsed_s: float
    """Seconds from the call to the decision, loading of the model included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalScore:
    """A score of the current position."""

    points: float
    """Black - White - komi - handicap compensation; > 0: Black wins."""
    is_exact: bool
    """Whether this is the score by the rules (the game is over) or the network's estimate."""
    ownership: tuple[int, ...]
    """[size * size] who is taken to own each point: BLACK, WHITE or EMPTY (0)."""
    dead: frozenset[int]
    """Points of stones that are counted as dead; empty when `is_exact`: by the area rules what stands is alive."""


class Analysis:
    """A running search of one position. Any thread may call any method; a context manager that stops on leaving."""

    color: int
    """For whom the move is sought."""
    seed: int
    """Of the search's random choices."""
    model: str
    """`name@sha256` of the model."""

    def snapshot(self) -> SearchResult:
        """What is known now, without blocking."""
        raise NotImplementedError

    def stop(self) -> None:
        """Makes the search end within about one evaluation; does not wait for it. May be called twice."""
        raise NotImplementedError

    def wait(self, timeout_s: float | None = None) -> SearchResult:
        """Blocks until the search has ended, or for `timeout_s`, and returns what is known then.

        `best_action` is what the player would play: the search's choice after the rules for passing (see `generate`).
        Raises `EvaluationError` if the network failed.
        """
        raise NotImplementedError

    @property
    def is_finished(self) -> bool:
        """Whether the search has ended."""
        raise NotImplementedError

    def __enter__(self) -> Analysis:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Player:
    """One game under way, and the engine that plays it.

    One thread at a time may call it, except for `abort`, `suggest`, `ensure_ready` and `is_ready`, which any thread may
    call at any time. Making a player starts loading the model in the background; nothing waits for it before the first
    `generate`, `analyze`, `suggest` or estimate, so everything else answers at once.
    """

    def __init__(
        self,
        *,
        models: object = None,
        settings: PlayerSettings | None = None,
        board_size: int = DEFAULT_SIZE,
        komi: float = DEFAULT_KOMI,
        rules: RuleSet | None = None,
        notify: Callable[[str], None] | None = None,
        preload: bool = True,
    ) -> None:
        """Starts with an empty board of `board_size`.

        `models`: where networks come from, a `ModelSource`; None: the installed catalog. `notify`: gets lines for the
        user ("loading model ..."). `preload=False`: load only when needed. Raises `UnsupportedBoardSize`, `ModelError`.
        """
        raise NotImplementedError

    # --- the game

    @property
    def position(self) -> Position:
        """The current position; also settable, for loadsgf and set_position. Komi, rules and size become the position's."""
        raise NotImplementedError

    @property
    def settings(self) -> PlayerSettings:
        """Also settable, from the next search on; `model`, `concurrent_searches` and memory only at construction."""
        raise NotImplementedError

    @property
    def clock(self) -> GameClock:
        """Time settings, time left and budgets."""
        raise NotImplementedError

    def new_game(self, size: int | None = None, *, komi: float | None = None, rules: RuleSet | None = None) -> None:
        """An empty board; what is None stays as it was. Time left starts anew, time settings stay.

        Starts loading a model for a new size in the background. Raises `UnsupportedBoardSize` (the state is untouched)
        if the rules or the model do not admit `size`, `InvalidRules`.
        """
        raise NotImplementedError

    def supported_sizes(self) -> tuple[int, ...]:
        """Board sizes that the models may play, ascending."""
        raise NotImplementedError

    def play(self, color: int, action: int) -> None:
        """Plays for either colour, also twice in a row and after the end. Raises `IllegalMove`, position unchanged."""
        raise NotImplementedError

    def undo(self) -> None:
        """Takes one move back. Raises `CannotUndo`."""
        raise NotImplementedError

    def final_score(self) -> FinalScore:
        """Exact after two passes, else the network's estimate (blocks for a few evaluations, and for the model).

        Raises `ModelError`, or `CannotScore` where the model has no ownership head.
        """
        raise NotImplementedError

    def dead_stones(self) -> frozenset[int]:
        """Points of the stones that the network takes for dead, whole chains, whether the game is over or not."""
        raise NotImplementedError

    # --- the engine

    def generate(
        self,
        color: int,
        *,
        play: bool = True,
        limits: Limits | None = None,
        cleanup: bool = False,
        on_search: Callable[[Analysis], None] | None = None,
    ) -> Decision:
        """Thinks for `color` (either colour may move) and, if `play`, plays the move. Blocks.

        `limits`: instead of the clock's and the settings'. `cleanup`: does not pass while the network sees dead enemy
        stones (kgs-genmove_cleanup). `on_search` gets the running search, for reports from another thread.
        Raises `ModelError`, `EvaluationError`.
        """
        raise NotImplementedError

    def abort(self) -> None:
        """Makes a `generate` that runs in another thread answer soon with its best move so far; else does nothing."""
        raise NotImplementedError

    def analyze(self, color: int | None = None, limits: Limits | None = None) -> Analysis:
        """Starts a search of the current position for `color` (None: the side to move); no limits: until stopped.

        The next `generate` or `analyze` ends it. Raises `ModelError`. Blocks while the model loads.
        """
        raise NotImplementedError

    def suggest(
        self,
        position: Position,
        limits: Limits,
        *,
        color: int | None = None,
        model: str | None = None,
        seed: int | None = None,
    ) -> Analysis:
        """Starts a search of any position, beside the player's own game; `position` is the search's own from now on.

        Several threads may do so at a time. Raises `UnsupportedBoardSize`, `ModelError`. Blocks while the model loads.
        """
        raise NotImplementedError

    @property
    def is_ready(self) -> bool:
        """Whether a search could start now."""
        raise NotImplementedError

    @property
    def ready_error(self) -> Exception | None:
        """Why loading failed, if it did; the next search tries again."""
        raise NotImplementedError

    def ensure_ready(self, timeout_s: float | None = None) -> bool:
        """Waits for the background loading; returns whether it has ended well. Raises nothing: see `ready_error`."""
        raise NotImplementedError

    def close(self) -> None:
        """Stops every search and frees the networks. May be called twice, and from any thread."""
        raise NotImplementedError
