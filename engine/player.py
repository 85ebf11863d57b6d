"""`Player`: position + network + search + clock -> a move or an analysis. The one object that both protocols drive.

Knows nothing of GTP or gRPC, and writes nothing to stdout. What it has to tell a human goes through the `notify`
callable. Colours are BLACK (+1) and WHITE (-1); actions are points in row-major order from the top left, then the pass.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.analysis import Analysis
from engine.decision import RESIGN, Decision
from engine.errors import ModelError
from engine.final_score import FinalScore, dead_stones, estimated_score, exact_score, has_exact_score
from engine.go.position import Position
from engine.go.rules import DEFAULT_RULES, RuleSet
from engine.model_source import CatalogModels, ModelSource
from engine.own_search import OwnSearch
from engine.resignation import Resignation
from engine.search.clock import GameClock
from engine.search.limits import Limits
from engine.searcher_pool import BackgroundLoad, SearcherPool
from engine.settings import PlayerSettings
from engine.turn import Turn

__all__ = ["DEFAULT_KOMI", "DEFAULT_SIZE", "RESIGN", "Analysis", "Decision", "FinalScore", "Player"]

DEFAULT_SIZE: Final = 9
DEFAULT_KOMI: Final = 7.0

_ONE_LOOK: Final = Limits(visits=1)
"""The network's bare judgement."""
_FORCED: Final = Limits(visits=2)
"""Where only one action is left: its value, which is exact for a pass that ends the game."""


class Player:
    """One game under way, and the engine that plays it.

    One thread at a time may call it, except for `abort`, `suggest`, `ensure_ready`, `is_ready`, `ready_error` and
    `close`, which any thread may call at any time. Making a player starts loading the model in the background; nothing
    waits for it before the first `generate`, `analyze`, `suggest` or estimate, so everything else answers at once.
    """

    def __init__(
        self,
        *,
        models: ModelSource | None = None,
        settings: PlayerSettings | None = None,
        board_size: int = DEFAULT_SIZE,
        komi: float = DEFAULT_KOMI,
        rules: RuleSet = DEFAULT_RULES,
        notify: Callable[[str], None] | None = None,
        preload: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts with an empty board of `board_size`.

        `models`: where networks come from; None: the installed catalog. `notify`: gets lines for the user, such as
        "loading model ...". `preload=False`: load only when needed. `now`: monotonic seconds, of the game clock. Raises
        `UnsupportedBoardSize` and `InvalidRules` for what the rules do not admit; a model that is missing, or does not
        play this size, is told by `ready_error`.
        """
        self._settings = settings or PlayerSettings()
        self._notify = notify or (lambda _: None)
        self._position = Position(board_size, rules, komi)
        self._rules = rules
        self._now = now
        self.clock = GameClock(now=now)
        """Time settings, time left and budgets."""
        self.settings = self._settings
        self._resignation = Resignation()
        self._seeds = np.random.default_rng(self._settings.seed)
        self._pool = SearcherPool(
            models
            or CatalogModels(
                trusted=self._settings.model, device=self._settings.device, threads=self._settings.num_threads
            ),
            self._settings,
            notify=self._notify,
        )
        self._lock = threading.Lock()
        self._own = OwnSearch(self._search)
        self._is_generating = False
        self._is_aborted = False
        self._is_preloading = preload
        self._loading: BackgroundLoad | None = None
        self._error_before: Exception | None = None
        self._load_in_background()

    # --- the game

    @property
    def position(self) -> Position:
        """The current position; also settable, for loadsgf and set_position, and then komi, rules and size are its own.

        Setting raises `UnsupportedBoardSize` if the model does not play its size; nothing changes then.
        """
        return self._position

    @position.setter
    def position(self, position: Position) -> None:
        self._begin(position)

    @property
    def settings(self) -> PlayerSettings:
        """Also settable, from the next search on; model, threads, memory and number of searches stay as made."""
        return self._settings

    @settings.setter
    def settings(self, settings: PlayerSettings) -> None:
        self._settings = settings
        self.clock.default_s = settings.default_time_s
        self.clock.max_s = settings.max_time_s
        self.clock.lag_s = settings.lag_buffer_s

    @property
    def rules(self) -> RuleSet:
        """Those of a new game; a position that was set may have its own."""
        return self._rules

    def new_game(self, size: int | None = None, *, komi: float | None = None, rules: RuleSet | None = None) -> None:
        """An empty board; what is None stays as it was, the rules as in `rules`. Time left starts anew, settings stay.

        Starts loading a model for a new size in the background. Raises `UnsupportedBoardSize` if the rules or the
        models do not admit `size`, and `InvalidRules`; nothing changes then.
        """
        old = self._position
        position = Position(
            old.size if size is None else size,
            self._rules if rules is None else rules,
            old.komi if komi is None else komi,
        )
        self._begin(position)
        self._rules = position.rules
        self.clock.reset()

    def play(self, color: int, action: int) -> None:
        """Plays for either colour, also twice in a row and after the end. Raises `IllegalMove`, position unchanged."""
        self._own.end_pondering()
        self._position.play(color, action)

    def undo(self) -> None:
        """Takes one move back. Raises `CannotUndo`."""
        self._own.end_pondering()
        self._position.undo()
        self._resignation.reset()

    def final_score(self) -> FinalScore:
        """Exact after two passes under area rules; else an estimate, which asks the network once.

        Raises `ModelError`, `EvaluationError`.
        """
        if has_exact_score(self._position):
            return exact_score(self._position)
        return estimated_score(self._position, self._judge_ownership())

    def dead_stones(self) -> frozenset[int]:
        """Points of the stones that the network takes for dead, whole chains, whether the game is over or not.

        None are where the network does not judge ownership. Raises `ModelError`, `EvaluationError`.
        """
        judged = self._judge_ownership()
        return frozenset() if judged is None else dead_stones(self._position, judged)

    # --- the engine

    def generate(
        self,
        color: int,
        *,
        play: bool = True,
        limits: Limits | None = None,
        cleanup: bool = False,
        allow: Collection[int] | None = None,
        avoid: Collection[int] = (),
        on_search: Callable[[Analysis], None] | None = None,
        wait: Callable[[], None] | None = None,
    ) -> Decision:
        """Thinks for `color` (either colour may move) and, if `play`, plays the move. Blocks.

        `limits`: instead of the clock's and the settings'. `cleanup`: does not pass while the network sees dead enemy
        stones (kgs-genmove_cleanup). `allow` (None: all), `avoid`: actions to choose from, and not to choose.
        `on_search` gets the running search, and may report on it until it has ended. If `play`, the clock runs. `wait`
        is called first, in that time; may wait for the model, and give up by an error. Raises that, `ModelError`,
        `EvaluationError`, and `InvalidInput` where no action is left; then nothing is played, and only time is gone.
        """
        with self._lock:
            self._is_generating, self._is_aborted = True, False
        try:
            with self.clock.thinking(color) if play else nullcontext():
                started = self._now()
                if wait is not None:
                    wait()
                turn = self._turn(color, cleanup=cleanup, allow=allow, avoid=avoid)
                decision = self._decide(turn, limits, started=started, is_turn=play, on_search=on_search)
                if play and decision.action != RESIGN:
                    self._position.play(color, decision.action)
        finally:
            with self._lock:
                self._is_generating = False
        if play and decision.action != RESIGN and self._settings.ponders and not self._is_aborted:
            self._own.expect(Turn.of(self._position.copy(), -color))
        return decision

    def ponder(self) -> None:
        """Thinks in the opponent's time until the next call that concerns the game, if the settings say so. Call it
        right after `generate`, once its move is out."""
        self._own.ponder()

    def end_pondering(self) -> None:
        """Ends what `ponder` began."""
        self._own.end_pondering()

    def forget(self) -> None:
        """Forgets what searches have found: trees, and what networks have said of positions."""
        self._own.end()
        self._pool.forget()

    @property
    def is_generating(self) -> bool:
        """Whether a `generate` is under way."""
        return self._is_generating

    def abort(self) -> None:
        """Makes a `generate` that runs in another thread answer soon with its best move so far; else does nothing."""
        with self._lock:
            self._is_aborted = True
        if self._is_generating:
            self._own.stop()

    def analyze(
        self,
        color: int | None = None,
        limits: Limits | None = None,
        *,
        allow: Collection[int] | None = None,
        avoid: Collection[int] = (),
    ) -> Analysis:
        """Starts a search of the current position for `color` (None: the side to move); no limits: until stopped, or
        until there is nothing to find. It goes on from the search before, and the next `generate` or `analyze`, which
        ends it, from this one. `allow`, `avoid`: see `generate`. Raises `ModelError`, `EvaluationError`,
        `InvalidInput`. Blocks while the model loads.
        """
        turn = Turn.of(self._position.copy(), color or self._position.to_play, allow=allow, avoid=avoid)
        return self._own.start(turn, limits or (_FORCED if turn.is_known else Limits()), goes_on=True)

    def suggest(
        self,
        position: Position,
        limits: Limits | Callable[[], Limits],
        *,
        model: str | None = None,
        seed: int | None = None,
    ) -> Analysis:
        """Starts a search of any position, beside the player's own game; `position` is the search's own from now on.

        `limits`: a function is asked for them when the model is loaded, for which this blocks. `model`: a name; None:
        the settings'. For several threads at a time. Raises `UnsupportedBoardSize`, `ModelError`, `EvaluationError`.
        """
        return self._search(Turn.of(position, position.to_play), limits, model=model, seed=seed)

    @property
    def is_ready(self) -> bool:
        """Whether a search of the current board size could start now."""
        return self._pool.is_loaded(self._settings.model, self._position.size)

    @property
    def ready_error(self) -> Exception | None:
        """Why loading failed, if it did; the next search tries again. Until that has ended, what was wrong before."""
        loading = self._loading
        return loading.error if loading is not None and loading.is_done else self._error_before

    def ensure_ready(self, timeout_s: float | None = None) -> bool:
        """Waits for the background loading; returns whether it has ended well. Raises nothing: see `ready_error`."""
        loading = self._loading or self._load_in_background(force=True)
        return loading is not None and loading.wait(timeout_s) and loading.error is None

    def close(self) -> None:
        """Stops every search and forgets the networks. May be called twice."""
        self.abort()
        self._pool.close()

    # --- inside

    def _begin(self, position: Position) -> None:
        """Makes `position` the current one, if the models can play it."""
        if position.size != self._position.size:
            # With no model at all the board is still of use, and a search will tell.
            with suppress(ModelError):
                self._pool.models.find(self._settings.model, position.size)
        self._own.end()
        self._position = position
        self._resignation.reset()
        self._load_in_background()

    def _load_in_background(self, *, force: bool = False) -> BackgroundLoad | None:
        """Loads the model for the current size, unless that has been started. A failed load is tried again."""
        key = (self._settings.model, self._position.size)
        loading = self._loading
        is_due = loading is None or loading.key != key or (loading.is_done and loading.error is not None)
        if (self._is_preloading or force) and is_due:
            self._error_before = loading.error if loading is not None and loading.key == key else None
            loading = self._loading = BackgroundLoad(self._pool, *key, notify=self._notify)
        return loading

    def _turn(self, color: int, *, cleanup: bool, allow: Collection[int] | None, avoid: Collection[int]) -> Turn:
        """The turn to decide, once the network is there."""
        self._own.end()
        self._pool.load(self._settings.model, self._position.size)  # the budget starts when the network is there
        may_pass = not (cleanup and self._sees_dead_enemies(color))
        return Turn.of(self._position.copy(), color, may_pass=may_pass, allow=allow, avoid=avoid)

    def _decide(
        self,
        turn: Turn,
        limits: Limits | None,
        *,
        started: float,
        is_turn: bool,
        on_search: Callable[[Analysis], None] | None,
    ) -> Decision:
        """The decision, while the clock runs. `is_turn`: it counts for resignation."""
        limits = _FORCED if turn.is_settled else limits or self._limits(turn)
        with self._own.start(turn, _ONE_LOOK if self._is_aborted else limits, goes_on=True) as analysis:
            if self._is_aborted:
                analysis.stop()
            if on_search is not None:
                on_search(analysis)
            result = analysis.wait()
        if self._settings.temperature > 0.0:
            result = replace(result, best_action=turn.sample(result, self._settings.temperature, self._seeds))
        winrate = turn.winrate(result, result.best_action)
        action = RESIGN if is_turn and self._resigns(turn, winrate) else result.best_action
        return Decision(
            action=action,
            color=turn.color,
            result=result,
            winrate=winrate,
            budget_s=math.inf if limits.time_s is None else limits.time_s,
            extra_s=limits.extra_s,
            elapsed_s=self._now() - started,
        )

    def _limits(self, turn: Turn) -> Limits:
        """What the clock and the settings allow a move."""
        position = turn.position
        num_stones = int(np.count_nonzero(position.stones))
        budget = self.clock.budget(turn.color, size=position.size, num_stones=num_stones)
        settings = self._settings
        return Limits(
            time_s=budget.time_s,
            extra_s=budget.extra_s,
            visits=settings.visits,
            playouts=settings.playouts,
            early_stop=True,
        )

    def _resigns(self, turn: Turn, winrate: float) -> bool:
        """Takes note of the turn. When the game is over, its score speaks."""
        if turn.position.is_over:
            return False
        ply, area = len(turn.position.moves), turn.position.area
        return self._resignation.is_due(turn.color, winrate, ply=ply, area=area, settings=self._settings)

    def _sees_dead_enemies(self, color: int) -> bool:
        stones = self._position.stones
        return any(stones[point] == -color for point in self.dead_stones())

    def _judge_ownership(self) -> NDArray[np.float32] | None:
        """[A] the network's ownership of the current position, Black's view; None where it has no such head."""
        position = self._position.copy()
        ownership = self._own.start(Turn.of(position, position.to_play), _ONE_LOOK).wait().ownership
        return None if ownership is None else ownership.reshape(-1)

    def _search(
        self,
        turn: Turn,
        limits: Limits | Callable[[], Limits],
        *,
        model: str | None = None,
        seed: int | None = None,
        goes_on: bool = False,
    ) -> Analysis:
        if seed is None:
            with self._lock:
                seed = int(self._seeds.integers(2**63))
        model = self._settings.model if model is None else model
        return self._pool.start(turn, limits, model=model, seed=seed, settings=self._settings, goes_on=goes_on)
