"""How many networks are kept, how large their trees may be, and what the user hears of slow loading."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import psutil
import pytest

from engine.go.position import Position
from engine.go.rules import BLACK
from engine.grounded import GroundedEvaluator
from engine.model.catalog import Catalog
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.model_source import CatalogModels
from engine.search.limits import Limits
from engine.searchers import BackgroundLoad, Searcher, SearcherPool, node_limit, paying_leaves
from engine.settings import PlayerSettings
from engine.turn import Turn
from tests.support.scripted_models import Opinion, ScriptedModels, scripted_manifest
from tests.support.tiny_models import write_tiny_model

LONG_S = 60.0


def pool_of(models: ScriptedModels, *, concurrent: int = 1) -> SearcherPool:
    settings = PlayerSettings(threads=1, concurrent_searches=concurrent, max_memory_mib=16)
    return SearcherPool(models, settings, notify=lambda _: None)


def search(pool: SearcherPool, size: int, limits: Limits):  # type: ignore[no-untyped-def]
    settings = PlayerSettings(threads=1)
    return pool.start(Turn.of(Position(size), BLACK), limits, model=None, seed=0, settings=settings)


@pytest.mark.parametrize(
    ("size", "hidden_size", "mib", "searches", "nodes"),
    [
        (9, 32, 1024, 1, 2**30 // (64 + 8 * 82 + 2 * 32 * 81 + 32 + 6 * 81)),
        (9, 32, 1024, 4, 2**28 // (64 + 8 * 82 + 2 * 32 * 81 + 32 + 6 * 81)),
        (19, 64, 1024, 1, 2**30 // (64 + 8 * 362 + 2 * 64 * 361 + 32 + 6 * 361)),
        (19, 1024, 16, 8, 64),
        (5, 1, 2**20, 1, 2**20),
    ],
)
def test_nodes_fit_into_the_memory(size: int, hidden_size: int, mib: int, searches: int, nodes: int) -> None:
    manifest = scripted_manifest((size,), hidden_size=hidden_size)
    settings = PlayerSettings(max_memory_mib=mib, concurrent_searches=searches)
    assert node_limit(manifest, size, settings) == nodes


def test_pure_imagination_needs_no_memory_for_boards() -> None:
    settings = PlayerSettings(max_memory_mib=1024, rules_depth=0, reground_every=0)
    expected = 2**30 // (64 + 8 * 82 + 2 * 32 * 81)
    assert node_limit(scripted_manifest((9,), hidden_size=32), 9, settings) == expected


@pytest.mark.parametrize(("rules_depth", "tried"), [(0, True), (1, False), (math.inf, False)])
def test_the_rules_reach_as_deep_as_asked(rules_depth: float, tried: bool) -> None:
    """The network likes a stone on a stone best, everywhere."""
    models = ScriptedModels(3, opinion=Opinion(logits={4: 30.0}))
    settings = PlayerSettings(threads=1, max_memory_mib=16, rules_depth=rules_depth, reground_every=0)
    pool = SearcherPool(models, settings, notify=lambda _: None)
    turn = Turn.of(Position(3), BLACK)
    result = pool.start(turn, Limits(visits=40), model=None, seed=0, settings=settings).wait()
    assert result.principal_variation(4)[0] == 4
    assert (result.principal_variation(4)[1] == 4) == tried


@pytest.mark.parametrize(
    ("channels", "size", "leaves"), [(32, 5, 4), (32, 9, 4), (32, 13, 4), (32, 19, 1), (64, 5, 4), (64, 9, 1)]
)
def test_leaves_are_evaluated_together_where_one_is_little_work(channels: int, size: int, leaves: int) -> None:
    assert paying_leaves(scripted_manifest((size,), hidden_size=channels), size) == leaves


@pytest.mark.parametrize(("leaves", "expected"), [(0, 4), (1, 1), (7, 7)])
def test_leaves_as_asked_for(leaves: int, expected: int) -> None:
    settings = PlayerSettings(threads=1, max_memory_mib=16, leaves=leaves)
    assert Searcher.open(ScriptedModels(9), None, 9, settings)._search.leaves == expected


def test_the_network_gets_as_many_slots_as_the_tree_has_nodes() -> None:
    models = ScriptedModels(9)
    pool_of(models).load(None, 9)
    settings = PlayerSettings(threads=1, max_memory_mib=16)
    assert models.opened[0].num_slots == node_limit(scripted_manifest((9,)), 9, settings)


def test_a_search_longer_than_its_memory_goes_on() -> None:
    models = ScriptedModels(9)
    result = search(pool_of(models), 9, Limits(visits=8000)).wait(LONG_S)
    assert models.opened[0].num_slots < 8000
    assert result.total_visits == 8000


def test_a_long_analysis_keeps_within_its_memory_and_goes_on(tmp_path: Path) -> None:
    """Tree and hidden states together stay within the bound, and nothing else grows with the visits."""
    write_tiny_model(tmp_path, "tiny", trained=(19,), playable=(19, 19))
    settings = PlayerSettings(threads=2, max_memory_mib=16)
    searcher = Searcher.open(CatalogModels(Catalog([tmp_path])), None, 19, settings)
    grounded, tree = searcher._search.evaluator, searcher._search._tree
    assert isinstance(grounded, GroundedEvaluator)
    assert isinstance(grounded._evaluator, OnnxEvaluator)
    states = grounded._evaluator.hidden_bytes * grounded.num_slots
    kept = states + sum(array.nbytes for array in (*tree, *grounded._boards.slots))
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
