"""How large a tree may be, how many leaves are evaluated together, and what is imagined."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from engine.go.features import FULL_PLANES
from engine.go.position import Position
from engine.go.rules import BLACK
from engine.search.limits import Limits
from engine.searcher import Searcher, make_cache, node_limit, paying_leaves
from engine.searcher_pool import SearcherPool
from engine.settings import PlayerSettings
from engine.turn import Turn
from tests.support.scripted_models import Opinion, ScriptedEvaluator, ScriptedModels, scripted_manifest


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
def test_nodes_fit_into_the_memory(
    size: int, hidden_size: int, mib: int, searches: int, nodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.settings.machine_memory_mib", lambda: math.inf)
    manifest = scripted_manifest((size,), hidden_size=hidden_size)
    for dials in ({"reground_every": 2}, {"rules_depth": 5}):  # some positions are imagined
        settings = PlayerSettings(max_memory_mib=mib, concurrent_searches=searches, **dials)
        assert node_limit(manifest, size, settings) == nodes


@pytest.mark.parametrize(
    ("size", "mib", "searches", "share", "nodes"),
    [
        (9, 1024, 1, 0.0, 2**30 // (64 + 8 * 82 + 32 + 6 * 81)),
        (9, 1024, 4, 0.0, 2**28 // (64 + 8 * 82 + 32 + 6 * 81)),
        (19, 1024, 1, 0.25, 3 * 2**28 // (64 + 8 * 362 + 32 + 6 * 361)),
    ],
)
def test_nodes_without_states_need_less(size: int, mib: int, searches: int, share: float, nodes: int) -> None:
    settings = PlayerSettings(max_memory_mib=mib, concurrent_searches=searches, cache_share=share)
    assert node_limit(scripted_manifest((size,)), size, settings) == nodes


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
    for every in (0, 2):
        models = ScriptedModels(9)
        settings = PlayerSettings(threads=1, max_memory_mib=16, reground_every=every)
        searcher = Searcher.open(models, None, 9, settings)
        assert models.opened[0].num_slots == node_limit(scripted_manifest((9,)), 9, settings)
        assert searcher._search.evaluator.num_slots == models.opened[0].num_slots


def test_where_nothing_is_imagined_the_network_has_room_for_roots_only() -> None:
    models = ScriptedModels(9)
    settings = PlayerSettings(threads=1, max_memory_mib=16)
    searcher = Searcher.open(models, None, 9, settings)
    assert models.opened[0].num_slots == 1
    assert searcher._search.evaluator.num_slots == node_limit(scripted_manifest((9,)), 9, settings)
    result = searcher.start(Turn.of(Position(9), BLACK), Limits(visits=100), seed=0, settings=settings).wait()
    assert result.total_visits == 100


@pytest.mark.parametrize(
    ("trained", "asked", "signs"), [(True, True, {-1, 1}), (True, False, {-1}), (False, True, {-1})]
)
def test_images_are_for_models_that_were_trained_on_them(trained: bool, asked: bool, signs: set[int]) -> None:
    """Where colours change, so does the sign of the komi."""

    class Watch(ScriptedEvaluator):
        def look(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            seen.update(np.sign(observations[:, FULL_PLANES.index("komi"), 0, 0]).astype(int).tolist())
            return super().look(observations)

    seen: set[int] = set()
    manifest = dataclasses.replace(scripted_manifest((5,)), symmetries=trained)
    settings = PlayerSettings(threads=1, max_memory_mib=16, symmetries=asked)
    searcher = Searcher(Watch(5, 1, Opinion()), manifest, 5, settings)
    searcher.start(Turn.of(Position(5, komi=7.0), BLACK), Limits(visits=60), seed=0, settings=settings).wait()
    assert seen == signs


def test_what_is_imagined_has_no_cache() -> None:
    assert make_cache(9, PlayerSettings(reground_every=2)) is None
    assert make_cache(9, PlayerSettings(rules_depth=3)) is None
    assert make_cache(9, PlayerSettings(cache_share=0)) is None
