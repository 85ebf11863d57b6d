"""A suggester without network or search: answers at once, or when the test says so, and notes what it was asked."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from engine.go.position import Position
from engine.search.limits import Limits
from engine.search.search import SearchResult, StopReason
from protocol.rpc.suggester import ModelFacts
from tests.support.scripted_result import scripted_result

PATIENCE_S = 10.0
"""A test that waits longer than this has failed."""

MODEL = ModelFacts(
    name="scripted-9",
    digest="ab" * 6,
    board_sizes=(5, 9),
    trained_board_sizes=(9,),
    komi_range=(5.5, 7.5),
    properties={"blocks": "0"},
)
OTHER_MODEL = ModelFacts(name="other", digest="cd" * 6, board_sizes=(19,), trained_board_sizes=(19,))


class ScriptedSearch:
    """One search that the suggester was asked for. Ends by itself, for `reason`, unless it is held."""

    def __init__(
        self,
        position: Position,
        limits: Limits,
        *,
        model: str | None,
        seed: int | None,
        reason: StopReason,
        is_held: bool,
    ) -> None:
        self.position = position
        self.limits = limits
        self.asked_model = model
        self.model = f"{model or MODEL.name}@{MODEL.digest}"
        self.seed = 4711 if seed is None else seed
        self.stops = 0
        self.has_ended = threading.Event()
        self._may_end = threading.Event()
        self._reason = reason
        if not is_held:
            self._may_end.set()

    def release(self) -> None:
        """Lets a held search end by itself."""
        self._may_end.set()

    def stop(self) -> None:
        self.stops += 1
        if not self._may_end.is_set():
            self._reason = StopReason.STOPPED
        self._may_end.set()

    def wait(self) -> SearchResult:
        assert self._may_end.wait(PATIENCE_S)
        self.has_ended.set()
        return scripted_result(self.position, self._reason)


class ScriptedSuggester:
    """Searches by script. `started` holds them in order, for the test to wait for."""

    def __init__(
        self,
        *,
        models: Sequence[ModelFacts] = (MODEL, OTHER_MODEL),
        is_held: bool = False,
        reason: StopReason = StopReason.VISITS,
        error: Exception | None = None,
        on_load: Callable[[], object] = lambda: None,
        on_suggest: Callable[[], object] = lambda: None,
    ) -> None:
        """`is_held`: searches run until released or stopped. `reason`: why they end by themselves. `error`: every
        search raises it. `on_load`, `on_suggest`: called first; the latter is the loading of a network."""
        self.imagines = True
        self.started: queue.Queue[ScriptedSearch] = queue.Queue()
        self.is_held = is_held
        self.reason = reason
        self.error = error
        self._models = models
        self._on_load = on_load
        self._on_suggest = on_suggest

    def load(self) -> None:
        self._on_load()

    def models(self) -> Sequence[ModelFacts]:
        return self._models

    def suggest(
        self, position: Position, limits: Callable[[], Limits], *, model: str | None, seed: int | None
    ) -> ScriptedSearch:
        self._on_suggest()
        if self.error is not None:
            raise self.error
        search = ScriptedSearch(position, limits(), model=model, seed=seed, reason=self.reason, is_held=self.is_held)
        self.started.put(search)
        return search

    def next_search(self) -> ScriptedSearch:
        """Waits for the next search to start."""
        return self.started.get(timeout=PATIENCE_S)

    def close(self) -> None:
        pass
