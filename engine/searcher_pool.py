"""`SearcherPool`: networks ready to search, loaded when first needed, kept for the next search, bounded in number.

Knows no protocol, no clock and no game beyond a `Turn`.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from engine.analysis import Analysis
from engine.errors import TengenError
from engine.model.cache import EvaluationCache
from engine.model_source import ModelSource
from engine.search.limits import Limits
from engine.searcher import Searcher, imagines, make_cache
from engine.settings import PlayerSettings
from engine.turn import Turn

FULL_NOTICE: Final = "the search tree is full: it forgets what it visits least, and goes on; --memory sets its bound"

Key = tuple[str, int]
"""A model's name@digest, and the board size."""


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
        self._misgivings: set[Key] = set()
        """Of which the user has been told one."""

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
            self._tell_misgiving(searcher, turn)
            asked = limits() if callable(limits) else limits
            handle = searcher.start(turn, asked, seed=seed, settings=settings, goes_on=goes_on)
        finally:
            searcher.is_taken = False
        return Analysis(handle, turn, model=searcher.manifest.identity, seed=seed, imagines=imagines(settings))

    def load(self, model: str | None, size: int, *, asked: int | None = None) -> None:
        """Makes one searcher ready, unless there is one. Blocks. Raises `ModelError`, `UnsupportedBoardSize`.

        `asked`: the `ticket` of when it was asked for (None: now); what was asked for later keeps its place before it.
        """
        asked = self.ticket() if asked is None else asked
        key = (self.models.find(model, size).identity, size)
        with self._building_lock(key):
            if not self._has(key):
                self._build(key, model, asked=asked, is_taken=False)

    def ticket(self) -> int:
        """A number above all before."""
        return next(self._uses)

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
            return free if free is not None else self._build(key, model, asked=self.ticket(), is_taken=True)

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
            searcher.last_use = self.ticket()
            return searcher

    def _build(self, key: Key, model: str | None, *, asked: int, is_taken: bool) -> Searcher:
        identity, size = key
        self._notify(f"loading model {identity} for {size}x{size}")
        self._drop_beyond(self._settings.concurrent_searches - 1, before=asked)
        cache = self._cache_of(key)
        searcher = Searcher.open(self.models, model, size, self._settings, cache=cache, on_full=self._tell_full)
        searcher.warm_up(self._settings)
        searcher.is_taken, searcher.last_use = is_taken, asked
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

    def _tell_misgiving(self, searcher: Searcher, turn: Turn) -> None:
        """Tells the user of the first search of a model that it was not trained for."""
        key = searcher.manifest.identity, searcher.size
        text = searcher.manifest.misgiving(searcher.size, turn.position.komi)
        if not text:
            return
        with self._lock:
            is_told = key in self._misgivings
            self._misgivings.add(key)
        if not is_told:
            self._notify(text)

    def _drop_beyond(self, most: int, *, before: float = math.inf) -> None:
        """Drops the free searchers that have not been asked for for longest, and not since `before`, so that `most` are
        left."""
        with self._lock:
            free = [entry for entry in self._searchers if entry[1].is_free and entry[1].last_use < before]
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
        self._asked = pool.ticket()
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
            self._pool.load(*self.key, asked=self._asked)
        except Exception as error:  # told by the next search, which tries again
            self.error = error
        finally:
            timer.cancel()
            self._done.set()
