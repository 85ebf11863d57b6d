"""How many networks are kept, what they share, and what the user hears of slow loading."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from engine.go.position import Position
from engine.go.rules import BLACK
from engine.grounded import GroundedEvaluator
from engine.model.catalog import Catalog
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.model_source import CatalogModels
from engine.search.limits import Limits
from engine.searcher import Searcher, make_cache, node_limit
from engine.searcher_pool import BackgroundLoad, SearcherPool
from engine.settings import PlayerSettings
from engine.turn import Turn
from tests.support.scripted_models import ScriptedModels, scripted_manifest
from tests.support.tiny_models import write_tiny_model

LONG_S = 60.0


def pool_of(models: ScriptedModels, *, concurrent: int = 1) -> SearcherPool:
    settings = PlayerSettings(threads=1, concurrent_searches=concurrent, max_memory_mib=16)
    return SearcherPool(models, settings, notify=lambda _: None)


def search(pool: SearcherPool, size: int, limits: Limits):  # type: ignore[no-untyped-def]
    settings = PlayerSettings(threads=1)
    return pool.start(Turn.of(Position(size), BLACK), limits, model=None, seed=0, settings=settings)


def test_a_search_longer_than_its_memory_goes_on() -> None:
    models = ScriptedModels(9)
    settings = PlayerSettings(threads=1, max_memory_mib=16)
    result = search(pool_of(models), 9, Limits(visits=16_000)).wait(LONG_S)
    assert node_limit(scripted_manifest((9,)), 9, settings) < 16_000
    assert result.total_visits == 16_000
    assert result.is_full


@pytest.mark.parametrize("every", [0, 1])
def test_a_long_analysis_keeps_within_its_memory_and_goes_on(tmp_path: Path, every: int) -> None:
    """Tree, boards, and states or cache together stay within the bound, and nothing else grows with the visits."""
    write_tiny_model(tmp_path, "tiny", trained=(19,), playable=(19, 19))
    settings = PlayerSettings(threads=2, max_memory_mib=16, reground_every=every)
    cache = make_cache(19, settings)
    assert (cache is None) == (every == 0)
    searcher = Searcher.open(CatalogModels(Catalog([tmp_path])), None, 19, settings, cache=cache)
    grounded, tree = searcher._search.evaluator, searcher._search._tree
    assert isinstance(grounded, GroundedEvaluator)
    kept = sum(array.nbytes for array in (*tree, *grounded._boards.slots))
    if cache is None:
        assert isinstance(grounded._evaluator, OnnxEvaluator)
        kept += grounded._evaluator._pool.nbytes
    else:
        kept += cache.nbytes
    assert 15 * 2**20 < kept <= 16 * 2**20
    process, nodes = psutil.Process(), tree.status.shape[1]
    with searcher.start(Turn.of(Position(19), BLACK), Limits(), seed=0, settings=settings) as handle:
        resident = []
        for visits in (nodes + 100, 3 * nodes):
            while handle.snapshot().total_visits < visits:
                assert not handle.wait(0.01).stop_reason
            resident.append(process.memory_info().rss)
    result = handle.wait()
    assert result.is_full
    assert result.evaluations > 2 * nodes
    assert resident[1] - resident[0] < 4 * 2**20


def test_a_load_that_was_overtaken_does_not_drop_what_overtook_it() -> None:
    """A thread that loads may begin, or end, after one that was asked for later."""
    pool = pool_of(ScriptedModels(5, 9))
    early = pool.ticket()
    pool.load(None, 9)
    pool.load(None, 5, asked=early)
    assert pool.is_loaded(None, 9)
    assert not pool.is_loaded(None, 5)
    pool.load(None, 5)
    assert pool.is_loaded(None, 5)
    assert not pool.is_loaded(None, 9)


def test_one_network_is_kept_for_one_search_at_a_time() -> None:
    models = ScriptedModels(5, 9)
    pool = pool_of(models)
    for size in (5, 5, 9, 9, 5):
        search(pool, size, Limits(visits=3)).wait()
    assert [evaluator.size for evaluator in models.opened] == [5, 9, 5]


def test_as_many_networks_are_kept_as_searches_may_run() -> None:
    models = ScriptedModels(5, 9)
    pool = pool_of(models, concurrent=2)
    for size in (5, 9, 5, 9):
        search(pool, size, Limits(visits=3)).wait()
    assert [evaluator.size for evaluator in models.opened] == [5, 9]


def cached_pool(folder: Path, *, share: float = 0.125) -> SearcherPool:
    write_tiny_model(folder, "tiny", trained=(5,), playable=(5, 7))
    settings = PlayerSettings(threads=1, leaves=4, max_memory_mib=16, concurrent_searches=2, cache_share=share)
    return SearcherPool(CatalogModels(Catalog([folder])), settings, notify=lambda _: None)


def test_a_search_does_the_same_with_and_without_a_cache(tmp_path: Path) -> None:
    """Leaves by four, of which some may be known and others not; at last the same search again, all known."""
    settings, found, hits, asked = PlayerSettings(threads=1), [], [], []
    for share in (0.0, 0.125, 0.001):  # none, enough, too small for one search
        pool = cached_pool(tmp_path / str(share), share=share)
        for plies in ((), (3, 4, 5), (3,), ()):
            position = Position(5)
            for action in plies:
                position.play(position.to_play, action)
            turn = Turn.of(position, position.to_play)
            found.append(pool.start(turn, Limits(visits=300), model=None, seed=0, settings=settings).wait())
            cache = pool._searchers[0][1].cache
            hits.append(0 if cache is None else cache.hits)
            asked.append(0 if cache is None else cache.lookups)
    assert 0 == hits[3] < hits[6]
    asked_again, known = asked[7] - asked[6], hits[7] - hits[6]
    assert 200 < 0.95 * asked_again < known  # a few positions want the same place
    assert hits[11] < hits[7]
    for one, two, three in zip(found[:4], found[4:8], found[8:], strict=True):
        for other in (two, three):
            np.testing.assert_array_equal(one.visits, other.visits)
            np.testing.assert_array_equal(one.q, other.q)
            assert one.root_value == other.root_value


def test_searchers_of_one_network_share_a_cache_while_there_are_any(tmp_path: Path) -> None:
    pool = cached_pool(tmp_path)
    with search(pool, 5, Limits()) as first:
        search(pool, 5, Limits(visits=3)).wait()
        assert not first.is_finished
    (_, one), (_, two) = pool._searchers
    assert one.cache is two.cache is not None
    first.wait()
    search(pool, 7, Limits(visits=3)).wait()
    assert {searcher.cache is one.cache for _, searcher in pool._searchers} == {True, False}
    kept = one.cache.nbytes
    assert kept <= 2**20  # an eighth of a search's half
    del first, one, two
    for size in (7, 6):  # two searchers of other sizes: the last one of 5 goes, and its cache
        search(pool, size, Limits(visits=3)).wait()
    gc.collect()
    assert {key[1] for key in pool._caches} == {7, 6}


def test_a_second_search_at_the_same_time_gets_its_own_network() -> None:
    models = ScriptedModels(5)
    pool = pool_of(models, concurrent=2)
    with search(pool, 5, Limits()) as first:
        assert search(pool, 5, Limits(visits=3)).wait().total_visits == 3
        assert not first.is_finished
    assert len(models.opened) == 2


def test_a_load_and_a_search_at_once_load_once() -> None:
    models = ScriptedModels(5)
    models.may_open.clear()
    pool = pool_of(models)
    loads = [threading.Thread(target=pool.load, args=(None, 5), daemon=True) for _ in range(3)]
    for load in loads:
        load.start()
    assert models.is_opening.wait(LONG_S)
    assert not pool.is_loaded(None, 5)
    models.may_open.set()
    search(pool, 5, Limits(visits=3)).wait()
    for load in loads:
        load.join(LONG_S)
    assert len(models.opened) == 1
    assert pool.is_loaded("scripted", 5)
    assert not pool.is_loaded(None, 9)


def test_of_two_loads_at_once_the_one_asked_for_last_is_kept() -> None:
    models = ScriptedModels(5, 9)
    models.may_open.clear()
    pool = pool_of(models)
    first = threading.Thread(target=pool.load, args=(None, 9), daemon=True)
    first.start()
    assert models.is_opening.wait(LONG_S)
    real, models.open = models.open, lambda *args, **options: ScriptedModels(5, 9).open(*args, **options)  # type: ignore[method-assign]
    pool.load(None, 5)
    models.open = real  # type: ignore[method-assign]
    models.may_open.set()
    first.join(LONG_S)
    assert pool.is_loaded(None, 5)
    assert not pool.is_loaded(None, 9)


def test_slow_loading_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BackgroundLoad, "SLOW_S", 0.0)
    models, is_told, lines = ScriptedModels(5), threading.Event(), []

    def notify(line: str) -> None:
        lines.append(line)
        is_told.set()

    models.may_open.clear()
    load = BackgroundLoad(pool_of(models), None, 5, notify=notify)
    assert is_told.wait(LONG_S)
    assert "compiling" in lines[0]
    assert not load.is_done
    models.may_open.set()
    assert load.wait(LONG_S)
    assert load.error is None
