"""Networks ready to search: loaded when first needed, kept for the next search, bounded in memory.

A `Searcher` is a network for one board size with one tree. It serves one search at a time, so a second search at the
same time gets a second one. Knows no protocol, no clock and no game beyond a `Turn`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from engine.analysis import Analysis
from engine.errors import TengenError
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
FULL_NOTICE: Final = "the search tree is full: it forgets what it visits least, and goes on; --memory sets its bound"
_WARM_UP: Final = Limits(visits=3)

Key = tuple[str, int]
"""A model's name@digest, and the board size."""


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


class SearcherPool:
    """Searchers by model and board size; any thread may call any method."""

    def __init__(self, models: ModelSource, settings: PlayerSettings, notify: Callable[[str], None]) -> None:
        """Memory and number of searchers follow `settings`; `notify` gets lines for the user."""
        self.models = models
        self._settings = settings
        self._notify = notify
        self._lock = threading.Lock()
        self._building: defaultdict[Key, threading.Lock] = defaultdict(threading.Lock)
        self._searchers: list[tuple[Key, Searcher]] = []
        self._uses = itertools.count(1)
        self._caches: WeakValueDictionary[Key, EvaluationCache] = WeakValueDictionary()
        self._is_closed = False
        self._has_told_full = False

    def start(
        self,
        turn: Turn,
        limits: Limits | Callable[[], Limits],
        *,
        model: str | None,
        seed: int,
        settings: PlayerSettings,
        goes_on: bool = False,
    ) -> Analysis:
        """Starts to search `turn` with `model` (None: the best one for the board size); loads it if need be.

        `limits`: a function is asked for them when the network is there. `goes_on`: from what an earlier search of the
        same game found, if that searcher is free. Raises `ModelError`, `UnsupportedBoardSize`, `EvaluationError`.
        """
        goes_on = goes_on and settings.reuse_tree
        searcher = self._take(model, turn, goes_on=goes_on)
        try:
            asked = limits() if callable(limits) else limits
            handle = searcher.start(turn, asked, seed=seed, settings=settings, goes_on=goes_on)
        finally:
            searcher.is_taken = False
        return Analysis(handle, turn, model=searcher.manifest.identity, seed=seed, imagines=imagines(settings))

    def load(self, model: str | None, size: int) -> None:
        """Makes one searcher ready, unless there is one. Blocks. Raises `ModelError`, `UnsupportedBoardSize`."""
        key = (self.models.find(model, size).identity, size)
        with self._building_lock(key):
            if not self._has(key):
                self._build(key, model, is_taken=False)

    def is_loaded(self, model: str | None, size: int) -> bool:
        """Whether a search could start at once, if no other is running."""
        try:
            wanted = (self.models.find(model, size).identity, size)
        except TengenError:
            return False
        return self._has(wanted)

    def forget(self) -> None:
        """Makes the searchers that are free forget what they have found."""
        with self._lock:
            free = [searcher for _, searcher in self._searchers if searcher.is_free]
            for searcher in free:
                searcher.forget()

    def close(self) -> None:
        """Ends all searches soon and forgets the networks; a search that starts nevertheless loads its own."""
        with self._lock:
            self._is_closed = True
            searchers = [searcher for _, searcher in self._searchers]
            self._searchers.clear()
        for searcher in searchers:
            searcher.stop()

    def _take(self, model: str | None, turn: Turn, *, goes_on: bool) -> Searcher:
        """A free searcher, marked as taken. Waits while another thread loads the same."""
        size = turn.position.size
        last = turn if goes_on else None
        key = (self.models.find(model, size).identity, size)
        free = self._take_free(key, last)
        if free is not None:
            return free
        with self._building_lock(key):
            free = self._take_free(key, last)
            return free if free is not None else self._build(key, model, is_taken=True)

    def _building_lock(self, key: Key) -> threading.Lock:
        with self._lock:
            return self._building[key]

    def _has(self, key: Key) -> bool:
        with self._lock:
            return any(known == key for known, _ in self._searchers)

    def _take_free(self, key: Key, turn: Turn | None) -> Searcher | None:
        """A free searcher; rather one whose last search is of use for `turn`."""
        with self._lock:
            free = [entry for entry in self._searchers if entry[0] == key and entry[1].is_free]
            if not free:
                return None
            useful = [entry for entry in free if turn is not None and entry[1].path_to(turn) is not None]
            searcher = (useful or free)[0][1]
            searcher.is_taken = True
            searcher.last_use = next(self._uses)
            return searcher

    def _build(self, key: Key, model: str | None, *, is_taken: bool) -> Searcher:
        identity, size = key
        self._notify(f"loading model {identity} for {size}x{size}")
        last_use = next(self._uses)
        self._drop_beyond(self._settings.concurrent_searches - 1)
        cache = self._cache_of(key)
        searcher = Searcher.open(self.models, model, size, self._settings, cache=cache, on_full=self._tell_full)
        searcher.warm_up(self._settings)
        searcher.is_taken, searcher.last_use = is_taken, last_use
        with self._lock:
            if not self._is_closed:
                self._searchers.append((key, searcher))
        self._drop_beyond(self._settings.concurrent_searches)  # others may have been built meanwhile
        return searcher

    def _cache_of(self, key: Key) -> EvaluationCache | None:
        """That of the searchers of `key`, as long as there is one of them; for whoever builds another."""
        with self._lock:
            cache = self._caches.get(key)
            if cache is None:
                cache = make_cache(key[1], self._settings)
                if cache is not None:
                    self._caches[key] = cache
            return cache

    def _tell_full(self) -> None:
        """Tells the user of the first search whose tree has filled its memory."""
        if not self._has_told_full:
            self._has_told_full = True
            self._notify(FULL_NOTICE)

    def _drop_beyond(self, most: int) -> None:
        """Drops the free searchers that have not been asked for for longest, so that `most` are left."""
        with self._lock:
            free = [entry for entry in self._searchers if entry[1].is_free]
            free.sort(key=lambda entry: entry[1].last_use)
            for entry in free[: max(0, len(self._searchers) - most)]:
                self._searchers.remove(entry)


class BackgroundLoad:
    """Loads one model in a thread of its own and says so if that takes long, as it does at the very first start."""

    SLOW_S: Final = 3.0
    SLOW_NOTICE: Final = "compiling kernels, about 20 s at the first start; later starts take 2 s"

    def __init__(self, pool: SearcherPool, model: str | None, size: int, notify: Callable[[str], None]) -> None:
        self._pool = pool
        self._notify = notify
        self.key = (model, size)
        self.error: Exception | None = None
        """Why loading failed; valid once `is_done`."""
        self._done = threading.Event()
        threading.Thread(target=self._load, name=f"load {size}x{size}", daemon=True).start()

    @property
    def is_done(self) -> bool:
        """Whether loading has ended, well or not."""
        return self._done.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the end; returns whether it has come."""
        return self._done.wait(timeout_s)

    def _load(self) -> None:
        timer = threading.Timer(self.SLOW_S, self._notify, [self.SLOW_NOTICE])
        timer.daemon = True
        timer.start()
        try:
            self._pool.load(*self.key)
        except Exception as error:  # told by the next search, which tries again
            self.error = error
        finally:
            timer.cancel()
            self._done.set()
