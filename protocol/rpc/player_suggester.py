"""The real engine as a `Suggester`: a `Player` searches, and the catalog's manifests say what its models are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from engine.errors import ModelNotFound
from engine.go.position import Position
from engine.model.catalog import Catalog
from engine.model.manifest import ModelManifest
from engine.model_source import CatalogModels
from engine.player import DEFAULT_SIZE, Analysis, Player
from engine.search.limits import Limits
from engine.searcher import imagines
from engine.settings import PlayerSettings
from protocol.rpc.suggester import ModelFacts

TOLD: Final = (str, int, float)
"""Types of the facts about a training that clients are told."""

_PATIENCE_S: Final = 0.2
"""How soon `load` notices `close`, seconds."""


class PlayerSuggester:
    """The installed models behind one player, whose own game is of no interest here."""

    def __init__(
        self,
        settings: PlayerSettings,
        *,
        catalog: Catalog | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        """Starts loading in the background. `settings.model`: a name or path; None: every model that plays Go.

        `catalog`: None: the installed models. `notify` gets lines for the user. Raises `ModelNotFound`, `ModelInvalid`.
        """
        catalog = Catalog() if catalog is None else catalog
        chosen = settings.model
        folders = catalog.models.values() if chosen is None else [catalog.resolve(chosen)]
        self._models = tuple(facts_of(folder.manifest) for folder in folders if folder.manifest.shape.kind == "go")
        if not self._models:
            raise ModelNotFound("there is no model that plays Go" if chosen is None else f"{chosen!r} plays no Go")
        self.imagines = imagines(settings)
        self._is_closed = threading.Event()
        self._chosen = chosen
        self._source = CatalogModels(catalog, trusted=chosen, device=settings.device, threads=settings.num_threads)
        self._concurrent_searches = settings.concurrent_searches
        self._first_size = _first_size(self._models)
        self._player = Player(models=self._source, settings=settings, board_size=self._first_size, notify=notify)

    def load(self) -> None:
        """Waits until as many searches as may run at a time can start on the first board size, or until `close`.

        Blocks. Raises `ModelError`, `EvaluationError`.
        """
        while not self._player.ensure_ready(_PATIENCE_S):
            if self._is_closed.is_set():
                return
            if self._player.ready_error is not None:
                raise self._player.ready_error
        # A search that finds the others busy loads a network of its own: now, not within some client's deadline.
        with ExitStack() as searches:
            for _ in range(self._concurrent_searches):
                analysis = self._player.suggest(Position(self._first_size), Limits())
                searches.callback(analysis.wait)
                searches.callback(analysis.stop)

    def models(self) -> Sequence[ModelFacts]:
        """The chosen model, or all of them."""
        return self._models

    def suggest(
        self, position: Position, limits: Limits | Callable[[], Limits], *, model: str | None, seed: int | None
    ) -> Analysis:
        """Starts a search; may have to load. Raises `UnsupportedBoardSize`, `ModelError`, `EvaluationError`."""
        if model is not None and model == self._source.find(self._chosen, position.size).name:
            model = None  # the player's own choice under the name that it has loaded it by
        return self._player.suggest(position, limits, model=model, seed=seed)

    def close(self) -> None:
        """Closes the player."""
        self._is_closed.set()
        self._player.close()


def facts_of(manifest: ModelManifest) -> ModelFacts:
    """What clients may know. Of the training only plain values are told."""
    smallest, largest = manifest.playable_sizes
    training = {name: str(value) for name, value in manifest.training.items() if isinstance(value, TOLD)}
    known = {"created": manifest.created, "tengen_version": manifest.tengen_version}
    return ModelFacts(
        name=manifest.name,
        digest=manifest.digest,
        board_sizes=tuple(range(smallest, largest + 1)),
        trained_board_sizes=manifest.trained_sizes,
        komi_range=manifest.komi_range,
        properties=training | {name: value for name, value in known.items() if value},
    )


def _first_size(models: Sequence[ModelFacts]) -> int:
    """The board size to load a model for before the first request."""
    sizes = {size for model in models for size in model.board_sizes}
    return DEFAULT_SIZE if DEFAULT_SIZE in sizes else min(sizes)
