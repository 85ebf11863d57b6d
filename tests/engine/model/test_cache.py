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


def positions(count: int) -> np.ndarray:
    """Observations as sparse as real ones, no two alike."""
    observations = (np.random.default_rng(0).random((count, PLANES, SIZE, SIZE)) < 0.3).astype(np.float32)
    assert len(np.unique(observations.reshape(count, -1), axis=0)) == count
    return observations


class Network:
    """Says of each observation a number of its own, in its value and in every logit, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def look(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.asked.extend(observations)
        value = opinions(observations)
        return np.repeat(value[:, None], ACTIONS, axis=1), value


def opinions(observations: np.ndarray) -> np.ndarray:
    weights = np.random.default_rng(1).random(observations[0].size)
    return (observations.reshape(len(observations), -1) @ weights).astype(np.float32)


def test_what_was_said_is_found_as_it_was_said() -> None:
    cache, network, seen = EvaluationCache(2**20, num_actions=ACTIONS), Network(), positions(500)
    cache.recall(seen, network.look)
    assert len(network.asked) == 500
    order = np.random.default_rng(1).permutation(500)
    policy_logits, value = cache.recall(seen[order], network.look)
    np.testing.assert_array_equal(value, opinions(seen[order]))
    np.testing.assert_array_equal(policy_logits, np.repeat(value[:, None], ACTIONS, axis=1))
    assert (cache.lookups, cache.hits) == (1000, 1000 - len(network.asked))
    assert cache.hits > 485  # two positions may want the same place


def test_every_number_that_the_network_sees_is_part_of_the_name() -> None:
    cache, network, one = EvaluationCache(2**22, num_actions=ACTIONS), Network(), positions(1)
    others = np.repeat(one, one.size + 1, axis=0)
    others.reshape(one.size + 1, -1)[np.diag_indices(one.size)] += np.float32(0.5)  # the last one is as it was
    cache.recall(others, network.look)
    assert len(network.asked) == one.size + 1
    keys = cache._keys[: one.size + 1]
    assert len(np.unique(keys[:, 0])) == len(np.unique(keys[:, 1])) == one.size + 1


@pytest.mark.parametrize("planes", [1, 3, 5, 6, 24])
def test_observations_of_any_length(planes: int) -> None:
    cache, network = EvaluationCache(2**16, num_actions=ACTIONS), Network()
    one = np.ascontiguousarray(positions(1)[:, :planes])
    other = one.copy()
    other[0, -1, -1, -1] += 1
    for observation, asked in ((one, 1), (one.copy(), 1), (other, 2)):
        cache.recall(observation, network.look)
        assert len(network.asked) == asked
    np.testing.assert_array_equal(network.asked[0], one[0])


def test_memory_is_bounded_and_the_oldest_are_forgotten() -> None:
    cache, network, seen = EvaluationCache(10_000, num_actions=ACTIONS), Network(), positions(1000)
    for i in range(1000):
        cache.recall(seen[i : i + 1], network.look)
    assert 9_000 < cache.nbytes <= 10_000
    assert len(network.asked) == 1000
    entries = 10_000 // (36 + 4 * ACTIONS)
    assert len(np.unique(cache._keys, axis=0)) == entries
    cache.recall(seen[-1:], network.look)
    assert cache.hits == 1
    cache.recall(seen[: 1000 - entries], network.look)
    assert cache.hits == 1


def test_a_cache_too_small_for_anything_holds_one_position() -> None:
    cache, network, seen = EvaluationCache(1, num_actions=ACTIONS), Network(), positions(2)
    for rows, hits in (((0, 1), 0), ((1,), 1), ((0,), 1), ((1,), 1)):
        cache.recall(seen[list(rows)], network.look)
        assert cache.hits == hits


@pytest.mark.parametrize("known", [0, 1, 3, 4])
def test_a_look_is_the_same_with_and_without(known: int) -> None:
    network = OnnxEvaluator(*tiny_go_model(seed=5).files, board_size=SIZE, num_slots=4)
    cache, seen = EvaluationCache(2**20, num_actions=ACTIONS), positions(4)
    cached = CachedEvaluator(network, cache)
    if known:
        cached.look(seen[4 - known :])
    for _ in range(2):
        for found, expected in zip(cached.look(seen), network.look(seen), strict=True):
            np.testing.assert_array_equal(found, expected)
            found[:] = 7  # the caller's own
    assert cache.hits == known + 4


def test_threads_never_find_a_mixture() -> None:
    """Both ask for the same positions, and the cache is too small for all of them."""
    cache, seen, wrong = EvaluationCache(5_000, num_actions=ACTIONS), positions(200), []

    def work(seed: int) -> None:
        rng, network = np.random.default_rng(seed), Network()
        for _ in range(300):
            some = seen[rng.integers(0, 200, 4)]
            policy_logits, value = cache.recall(some, network.look)
            said = opinions(some)
            if (value != said).any() or (policy_logits != said[:, None]).any():
                wrong.append(some)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert 0 < cache.hits < cache.lookups
