"""What a network has said of positions: found exactly as it was said, bounded, and by nothing but what it saw."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from engine.model.cache import CachedEvaluator, EvaluationCache
from engine.model.onnx_evaluator import OnnxEvaluator
from tests.support.tiny_models import tiny_go_model

SIZE = 3
ACTIONS = SIZE * SIZE + 1
PLANES = 24


def positions(count: int, *, seed: int = 0) -> np.ndarray:
    """Observations as sparse as real ones, no two alike."""
    rng = np.random.default_rng(seed)
    observations = (rng.random((count, PLANES, SIZE, SIZE)) < 0.3).astype(np.float32)
    assert len(np.unique(observations.reshape(count, -1), axis=0)) == count
    return observations


def answers(count: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((count, ACTIONS), dtype=np.float32), rng.random(count, dtype=np.float32)


def fill(cache: EvaluationCache, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    said = answers(len(observations))
    cache.add(cache.find(observations).keys, *said)
    return said


def test_what_was_said_is_found_as_it_was_said() -> None:
    cache, seen = EvaluationCache(2**20, num_actions=ACTIONS), positions(500)
    assert cache.find(seen).found == 0
    policy_logits, value = fill(cache, seen)
    order = np.random.default_rng(1).permutation(500)
    known = cache.find(seen[order])
    assert known.found > 485  # two positions may want the same place
    at = order[known.hits]
    np.testing.assert_array_equal(known.policy_logits[known.hits], policy_logits[at])
    np.testing.assert_array_equal(known.value[known.hits], value[at])
    assert (cache.lookups, cache.hits) == (1500, known.found)


def test_every_number_that_the_network_sees_is_part_of_the_name() -> None:
    cache, one = EvaluationCache(2**20, num_actions=ACTIONS), positions(1)
    fill(cache, one)
    others = np.repeat(one, one.size, axis=0)
    others.reshape(one.size, -1)[np.diag_indices(one.size)] += np.float32(0.5)
    known = cache.find(others)
    assert known.found == 0
    assert len(np.unique(known.keys, axis=0)) == one.size
    assert len(np.unique(known.keys[:, 0])) == len(np.unique(known.keys[:, 1])) == one.size


@pytest.mark.parametrize("planes", [1, 3, 5, 24])
def test_observations_of_any_length(planes: int) -> None:
    cache, one = EvaluationCache(2**16, num_actions=ACTIONS), positions(1)[:, :planes]
    fill(cache, one)
    assert cache.find(one.copy()).found == 1
    other = one.copy()
    other[0, -1, -1, -1] += 1
    assert cache.find(other).found == 0


def test_memory_is_bounded_and_the_oldest_are_forgotten() -> None:
    cache, seen = EvaluationCache(10_000, num_actions=ACTIONS), positions(1000)
    for i in range(1000):
        fill(cache, seen[i : i + 1])
    assert 9_000 < cache.nbytes <= 10_000
    hits = cache.find(seen).hits
    entries = 10_000 // (36 + 4 * ACTIONS)
    assert not hits[:-entries].any()
    assert hits[-1]
    assert hits[-entries:].sum() > entries / 2


def test_a_cache_too_small_for_anything_holds_one_position() -> None:
    cache, seen = EvaluationCache(1, num_actions=ACTIONS), positions(2)
    fill(cache, seen)
    assert cache.find(seen).hits.tolist() == [False, True]


@pytest.mark.parametrize("known", [0, 1, 3, 4])
def test_a_look_is_the_same_with_and_without(known: int) -> None:
    network = OnnxEvaluator.from_bytes(*tiny_go_model(seed=5).files, board_size=SIZE, num_slots=4)
    cache, seen = EvaluationCache(2**20, num_actions=ACTIONS), positions(4)
    cached = CachedEvaluator(network, cache)
    if known:
        cached.look(seen[4 - known :])
    for _ in range(2):
        for found, expected in zip(cached.look(seen), network.look(seen), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert cache.hits == known + 4
    found, _ = cached.look(seen)
    found[:] = 7  # the caller's own
    np.testing.assert_array_equal(cached.look(seen)[0], network.look(seen)[0])


def test_threads_never_find_a_mixture() -> None:
    """Each position's answer is its own number everywhere; the cache is too small for all of them."""
    cache, seen, wrong = EvaluationCache(5_000, num_actions=ACTIONS), positions(200), []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(300):
            rows = rng.integers(0, 200, 4)
            known = cache.find(seen[rows])
            said = np.float32(rows)[known.hits]
            values, logits = known.value[known.hits], known.policy_logits[known.hits]
            if (values != said).any() or (logits != said[:, None]).any():
                wrong.append(rows)
            cache.add(known.keys, np.repeat(np.float32(rows)[:, None], ACTIONS, axis=1), np.float32(rows))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.hits > 0
