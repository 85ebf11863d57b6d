"""Where a player's networks come from: the `ModelSource` protocol, and the installed catalog as one.

ONNX Runtime is imported when the first network is opened, not before: the protocols answer while it loads.
"""

from __future__ import annotations

import threading
from typing import Protocol

from engine.errors import UnsupportedBoardSize
from engine.model.catalog import Catalog, spell_sizes
from engine.model.contract import PositionEvaluator
from engine.model.folder import ModelFolder, load_model
from engine.model.manifest import ModelManifest


class ModelSource(Protocol):
    """Networks by name and board size; several threads may call it at a time."""

    def find(self, name: str | None, board_size: int) -> ModelManifest:
        """What the model `name` (None: the best one for the board size) promises; reads no network.

        Raises `ModelNotFound`, `ModelInvalid`, and `UnsupportedBoardSize` where there are models, but none for it.
        """
        ...

    def open(self, name: str | None, board_size: int, *, num_slots: int) -> PositionEvaluator:
        """The network of that model with room for `num_slots` hidden states. Raises as `find`."""
        ...

    def board_sizes(self, name: str | None) -> tuple[int, ...]:
        """The sizes that `find` does not refuse, ascending. Raises `ModelNotFound` and `ModelInvalid`."""
        ...


class CatalogModels:
    """The models of a `Catalog`, evaluated by ONNX Runtime."""

    def __init__(
        self,
        catalog: Catalog | None = None,
        *,
        trusted: str | None = None,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        """`catalog`: None: the installed models, looked for when first needed. `trusted`: the one name that may be a
        folder's path, because it comes from the user and not from a network. `device`: where networks run; `open`
        raises `InvalidConfig` if it is not there. `threads`: of one search."""
        self._device = device
        self._threads = threads
        self._catalog = catalog
        self._trusted = trusted
        self._lock = threading.Lock()

    @property
    def catalog(self) -> Catalog:
        """The catalog behind it."""
        with self._lock:
            if self._catalog is None:
                self._catalog = Catalog()
            return self._catalog

    def find(self, name: str | None, board_size: int) -> ModelManifest:
        """See `ModelSource.find`."""
        return self._folder(name, board_size).manifest

    def open(self, name: str | None, board_size: int, *, num_slots: int) -> PositionEvaluator:
        """See `ModelSource.open`. One evaluation uses one thread: the search has its own."""
        from engine.model.onnx_evaluator import OnnxEvaluator

        model = load_model(self._folder(name, board_size))
        return OnnxEvaluator.from_model(
            model, board_size=board_size, num_slots=num_slots, device=self._device, callers=self._threads
        )

    def board_sizes(self, name: str | None) -> tuple[int, ...]:
        """See `ModelSource.board_sizes`."""
        if name is None or name == self._trusted:
            return self.catalog.board_sizes(name)
        low, high = self.catalog.find(name).manifest.playable_sizes
        return tuple(range(low, high + 1)) if high else ()

    def _folder(self, name: str | None, board_size: int) -> ModelFolder:
        sizes = self.board_sizes(name)
        if sizes and board_size not in sizes:
            whose = f"model {name!r} plays" if name is not None else "the installed models play"
            raise UnsupportedBoardSize(f"board size {board_size}: {whose} {spell_sizes(sizes)}")
        look_up = self.catalog.resolve if name == self._trusted else self.catalog.find
        return look_up(name, board_size=board_size)
