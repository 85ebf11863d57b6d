"""`Searcher`: a network for one board size with one tree, and how much memory that may take.

It serves one search at a time, so a second search at the same time needs a second one. Knows no protocol, no clock and
no game beyond a `Turn`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from engine.go.board_tree import POINT_BYTES, SLOT_BYTES
from engine.go.features import Variant
from engine.go.position import Position
from engine.go.rules import BLACK, WHITE
from engine.grounded import GroundedEvaluator, looks_suffice
from engine.model.cache import CachedEvaluator, EvaluationCache
from engine.model.contract import Evaluator, PositionEvaluator
from engine.model.manifest import ModelManifest
from engine.model_source import ModelSource
from engine.search.config import SearchConfig
from engine.search.handle import SearchHandle
from engine.search.limits import Limits
from engine.search.search import Search
from engine.settings import PlayerSettings
from engine.turn import Turn

STATE_NUMBER_BYTES: Final = 2
"""A number of a hidden state, which networks keep as half floats."""
NODE_BYTES: Final = 64
"""A node of the tree without its actions."""
ACTION_BYTES: Final = 8
"""An action of a node."""
FEW_LEAVES: Final = 4
LITTLE_WORK: Final = 200_000
"""Channels squared times points: up to this a batch of four evaluates 1.2 times as fast or more."""
MAX_NODES: Final = 2**20
"""More nodes than this are never of use to a search of minutes."""
MIN_NODES: Final = 64
_WARM_UP: Final = Limits(visits=3)


class Searcher:
    """A network for one board size with its tree. For one search at a time; the pool sees to that."""

    def __init__(
        self,
        network: PositionEvaluator,
        manifest: ModelManifest,
        size: int,
        settings: PlayerSettings,
        *,
        cache: EvaluationCache | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_full: Callable[[], None] | None = None,
    ) -> None:
        """`cache`: what this network has said in other searches, where nothing is imagined. `clock` gives the seconds
        that limits of time are measured in; `on_full`: see `Search`."""
        self.manifest = manifest
        self.size = size
        self.is_taken = False
        """Whether someone is about to start a search."""
        self.last_use = 0
        """When it was last asked for, as a number of the pool's own."""
        self._variant: Variant = "basic" if manifest.feature_variant == "basic" else "full"
        self._grounded: GroundedEvaluator | None = None
        self.cache = cache
        """What the network has said of positions, shared with other searchers of the same key."""
        if cache is not None:
            network = CachedEvaluator(network, cache)
        evaluator: Evaluator = network
        if settings.keeps_boards:
            evaluator = self._grounded = GroundedEvaluator(
                network,
                size=size,
                variant=self._variant,
                rules_depth=settings.rules_depth,
                reground_every=settings.reground_every,
                symmetries=settings.symmetries and manifest.symmetries,
                num_slots=node_limit(manifest, size, settings),
            )
        self._handle: SearchHandle | None = None
        self._turn: Turn | None = None
        self._search = Search(
            evaluator,
            num_actions=size * size + 1,
            config=SearchConfig(),
            max_nodes=evaluator.num_slots,
            threads=settings.num_threads,
            leaves=settings.leaves or paying_leaves(manifest, size),
            clock=clock,
            on_full=on_full,
        )

    @classmethod
    def open(
        cls,
        models: ModelSource,
        name: str | None,
        size: int,
        settings: PlayerSettings,
        *,
        cache: EvaluationCache | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_full: Callable[[], None] | None = None,
    ) -> Searcher:
        """Loads the model `name` (None: the best one for the board size). Raises `ModelError`."""
        manifest = models.find(name, size)
        num_slots = node_limit(manifest, size, settings) if imagines(settings) else 1  # the root's
        network = models.open(name, size, num_slots=num_slots)
        return cls(network, manifest, size, settings, cache=cache, clock=clock, on_full=on_full)

    @property
    def is_free(self) -> bool:
        """Whether another search may start."""
        return not self.is_taken and (self._handle is None or self._handle.is_finished)

    def path_to(self, turn: Turn) -> tuple[int, ...] | None:
        """The moves from the turn searched last to this one, if that search is of use for it."""
        return None if self._turn is None else turn.path_from(self._turn)

    def start(
        self, turn: Turn, limits: Limits, *, seed: int, settings: PlayerSettings, goes_on: bool = False
    ) -> SearchHandle:
        """Starts to search; blocks for the evaluation of the root. Raises `EvaluationError`.

        `goes_on`: from what the search before found, where it is of use.
        """
        path = self.path_to(turn) if goes_on else None
        self._turn = None
        config = settings.search_config(limits.max_simulations + 1 if limits.counts_simulations else None)
        if self._grounded is not None:
            self._grounded.begin(turn.position, ends_are_exact=turn.standing is not None)
        self._handle = self._search.start(turn.root(self._variant), limits, seed=seed, config=config, path=path)
        self._turn = turn
        return self._handle

    def stop(self) -> None:
        """Makes a search that runs end soon."""
        if self._handle is not None:
            self._handle.stop()

    def forget(self) -> None:
        """Forgets what its searches have found, and what is in its cache."""
        self._turn = None
        if self.cache is not None:
            self.cache.clear()

    def warm_up(self, settings: PlayerSettings) -> None:
        """Plays a move and searches, so that every kernel is compiled and the network has run; and searches again, to
        find what is now in the cache."""
        position = Position(self.size)
        position.play(BLACK, 0)
        for _ in range(2):
            self.start(Turn.of(position, WHITE), _WARM_UP, seed=0, settings=settings).wait()
        self._turn = None  # a game's first search is its own


def paying_leaves(manifest: ModelManifest, size: int) -> int:
    """How many leaves to evaluate together: several where a single position is too little work for the network."""
    channels = manifest.shape.hidden_size
    return FEW_LEAVES if channels * channels * size * size <= LITTLE_WORK else 1


def imagines(settings: PlayerSettings) -> bool:
    """Whether a search imagines any position, and so keeps hidden states."""
    return not looks_suffice(rules_depth=settings.rules_depth, reground_every=settings.reground_every)


def node_limit(manifest: ModelManifest, size: int, settings: PlayerSettings) -> int:
    """Nodes of one tree, so that all trees, with the boards and hidden states of their nodes, stay within
    `settings.max_memory_mib`."""
    area = size * size
    node_bytes = NODE_BYTES + ACTION_BYTES * (area + 1)
    if settings.keeps_boards:
        node_bytes += SLOT_BYTES + POINT_BYTES * area
    if imagines(settings):
        node_bytes += STATE_NUMBER_BYTES * manifest.shape.hidden_size * area
    share = _search_bytes(settings) - _cache_bytes(settings)
    return max(MIN_NODES, min(MAX_NODES, share // node_bytes))


def make_cache(size: int, settings: PlayerSettings) -> EvaluationCache | None:
    """Room for what a network says of positions of a board; None where there is to be none."""
    num_bytes = _cache_bytes(settings)
    return EvaluationCache(num_bytes, num_actions=size * size + 1) if num_bytes else None


def _search_bytes(settings: PlayerSettings) -> int:
    """Of one search with all that belongs to it."""
    return settings.max_memory_mib * 2**20 // settings.concurrent_searches


def _cache_bytes(settings: PlayerSettings) -> int:
    """Of one search's, for a cache. Several searches of one network share one cache, of the same size."""
    return 0 if imagines(settings) else int(settings.cache_share * _search_bytes(settings))
