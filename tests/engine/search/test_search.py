"""The threaded search of one position: limits, stopping, errors, memory, threads. Time is injected."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest

from engine.errors import EvaluationError, InvalidConfig, InvalidInput
from engine.model.contract import RecurrentOutput, RootOutput
from engine.search.batch_search import BatchSearch
from engine.search.config import SearchConfig
from engine.search.handle import LEAF_VISITS
from engine.search.limits import Limits
from engine.search.qvalues import read_root_statistics
from engine.search.roots import RootBatch
from engine.search.search import Search, SearchResult, StopReason
from engine.search.tree import ROOT
from tests.support.path_evaluator import PathEvaluator

NUM_ACTIONS = 9
GUMBEL = SearchConfig(num_considered=4)
PUCT = SearchConfig(algorithm="puct", c_puct_init=1.25)
BOTH = pytest.mark.parametrize("config", [GUMBEL, PUCT], ids=["gumbel", "puct"])
PATIENCE_S = 20.0
"""A test that waits so long has failed."""


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class HookedEvaluator(PathEvaluator):
    """Calls `hook(number of the evaluation)` at the beginning of each recurrent call."""

    def __init__(self, num_slots: int, num_actions: int, hook: Callable[[int], None]) -> None:
        super().__init__(num_slots, num_actions)
        self.hook = hook
        self.count_lock = threading.Lock()
        self.begun = 0

    def recurrent(self, *arguments: np.ndarray) -> RecurrentOutput:  # type: ignore[override]
        with self.count_lock:
            self.begun += 1
            number = self.begun
        self.hook(number)
        return super().recurrent(*arguments)


def make_root(num_actions: int = NUM_ACTIONS, **fields: object) -> RootBatch:
    defaults: dict[str, object] = {
        "observations": np.full((1, 1), 5.0, np.float32),
        "legal_mask": np.ones((1, num_actions), bool),
        "to_play": np.ones(1, np.int8),
    }
    return RootBatch(**(defaults | fields))  # type: ignore[arg-type]


def make_search(config: SearchConfig = PUCT, *, max_nodes: int = 2000, threads: int = 1, **fields: object) -> Search:
    evaluator = fields.pop("evaluator", None) or PathEvaluator(max_nodes, NUM_ACTIONS)
    num_actions = evaluator.num_actions  # type: ignore[attr-defined]
    return Search(
        evaluator,  # type: ignore[arg-type]
        num_actions=num_actions,
        config=config,
        max_nodes=max_nodes,
        threads=threads,
        **fields,  # type: ignore[arg-type]
    )


def finished(search: Search, limits: Limits, root: RootBatch | None = None, **arguments: object) -> SearchResult:
    handle = search.start(root or make_root(), limits, **arguments)  # type: ignore[arg-type]
    result = handle.wait(PATIENCE_S)
    assert handle.is_finished
    return result


def assert_consistent(search: Search, result: SearchResult) -> None:
    assert result.visits.sum() == result.total_visits - 1
    tree = search._tree
    assert not tree.virtual_visits[0, : tree.num_nodes[0]].any()
    for node in range(tree.num_nodes[0]):
        children = tree.children_index[0, node]
        children = children[children >= 0]
        if tree.status[0, node] == 1 and len(children):
            assert tree.node_visits[0, node] == 1 + tree.node_visits[0, children].sum()


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("leaves", [1, 4])
@pytest.mark.parametrize("visits", [1, 2, 17, 300])
def test_visit_limit_is_exact(config: SearchConfig, threads: int, leaves: int, visits: int) -> None:
    search = make_search(config, threads=threads, leaves=leaves)
    result = finished(search, Limits(visits=visits))
    assert result.total_visits == result.evaluations == visits
    assert result.stop_reason is StopReason.VISITS
    assert_consistent(search, result)


@BOTH
def test_playout_limit_leaves_out_the_root(config: SearchConfig) -> None:
    result = finished(make_search(config), Limits(playouts=20))
    assert result.visits.sum() == 20


def test_one_thread_repeats_exactly() -> None:
    for config in (GUMBEL, PUCT, SearchConfig(algorithm="puct", dirichlet_fraction=0.25)):
        search = make_search(config)
        first = finished(search, Limits(visits=200), seed=3)
        second = finished(search, Limits(visits=200), seed=3)
        np.testing.assert_array_equal(first.visits, second.visits)
        np.testing.assert_array_equal(first.variations, second.variations)
        assert first.root_value == second.root_value


def test_seed_matters_with_noise_only() -> None:
    noisy = make_search(SearchConfig(algorithm="puct", dirichlet_fraction=0.5))
    first, second = (finished(noisy, Limits(visits=100), seed=seed) for seed in (1, 2))
    assert (first.visits != second.visits).any()
    np.testing.assert_array_equal(first.prior, second.prior)  # the network's, without noise


@BOTH
def test_short_search_is_the_batched_search_without_noise(config: SearchConfig) -> None:
    result = finished(make_search(config), Limits(playouts=32))
    config = dataclasses.replace(config, num_simulations=32)
    batch = BatchSearch(PathEvaluator(33, NUM_ACTIONS), batch_size=1, num_actions=NUM_ACTIONS, config=config)
    expected = batch.run(make_root(), rng=np.random.default_rng(0), gumbel_scale=0.0)
    np.testing.assert_array_equal(result.visits, expected.visits[0])
    np.testing.assert_array_equal(result.policy_target, expected.policy_target[0])
    assert result.best_action == expected.action[0]
    assert result.root_value == expected.root_value[0]


@BOTH
def test_no_time_means_one_visit(config: SearchConfig) -> None:
    result = finished(make_search(config, clock=FakeClock()), Limits(time_s=0.0))
    assert result.total_visits == result.evaluations == 1
    assert result.stop_reason is StopReason.TIME
    assert result.best_action == result.prior.argmax()
    assert result.principal_variation() == [result.best_action]
    assert np.isnan(result.q).all()


@BOTH
def test_time_limit(config: SearchConfig) -> None:
    """Each evaluation takes a second; the one under way at the deadline is the last."""
    clock = FakeClock()

    def take_a_second(number: int) -> None:
        clock.now += 1.0

    search = make_search(config, evaluator=HookedEvaluator(2000, NUM_ACTIONS, take_a_second), clock=clock)
    result = finished(search, Limits(time_s=9.5))
    assert result.total_visits == 11
    assert result.stop_reason is StopReason.TIME
    assert result.elapsed_s == 10.0
    assert finished(search, Limits(time_s=9.5, visits=5)).stop_reason is StopReason.VISITS


def test_root_evaluation_counts_against_the_time() -> None:
    clock = FakeClock()

    class SlowRoot(PathEvaluator):
        def initial(self, *arguments: np.ndarray) -> RootOutput:  # type: ignore[override]
            clock.now += 3.0
            return super().initial(*arguments)

    result = finished(make_search(evaluator=SlowRoot(2000, NUM_ACTIONS), clock=clock), Limits(time_s=2.0))
    assert result.total_visits == 1
    assert result.elapsed_s == 3.0


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_stop_takes_effect_within_one_evaluation(threads: int) -> None:
    everyone_is_evaluating, release = threading.Semaphore(0), threading.Event()

    def block_from_the_tenth_on(number: int) -> None:
        if number >= 10:
            everyone_is_evaluating.release()
            assert release.wait(PATIENCE_S)

    evaluator = HookedEvaluator(2000, NUM_ACTIONS, block_from_the_tenth_on)
    search = make_search(evaluator=evaluator, threads=threads)
    handle = search.start(make_root(), Limits())
    for _ in range(threads):
        assert everyone_is_evaluating.acquire(timeout=PATIENCE_S)
    # Everybody is in an evaluation: a snapshot does not wait for them.
    running = handle.snapshot()
    assert running.stop_reason is None
    assert running.total_visits == 10
    assert not handle.is_finished
    assert handle.wait(0.0).stop_reason is None
    handle.stop()
    handle.stop()
    release.set()
    result = handle.wait(PATIENCE_S)
    assert evaluator.begun == 9 + threads
    assert result.total_visits == 10 + threads
    assert result.stop_reason is StopReason.STOPPED
    assert_consistent(search, result)


def test_leaving_the_context_stops_and_waits() -> None:
    with make_search(threads=2).start(make_root(), Limits()) as handle:
        assert handle.snapshot().total_visits >= 1
    assert handle.is_finished


def test_one_search_at_a_time() -> None:
    search = make_search()
    with search.start(make_root(), Limits()), pytest.raises(RuntimeError, match=r"has not ended"):
        search.start(make_root(), Limits())


def test_a_finished_result_survives_the_next_search() -> None:
    search = make_search()
    handle = search.start(make_root(), Limits(visits=50))
    result = handle.wait(PATIENCE_S)
    visits = result.visits.copy()
    finished(search, Limits(visits=100), make_root(observations=np.full((1, 1), 99.0, np.float32)))
    np.testing.assert_array_equal(handle.wait().visits, visits)
    np.testing.assert_array_equal(result.visits, visits)


@pytest.mark.parametrize("threads", [1, 2])
def test_evaluator_error_surfaces_in_wait(threads: int) -> None:
    def fail(number: int) -> None:
        if number == 20:
            raise EvaluationError("the network returned NaN")

    search = make_search(evaluator=HookedEvaluator(2000, NUM_ACTIONS, fail), threads=threads)
    handle = search.start(make_root(), Limits())
    with pytest.raises(EvaluationError, match=r"NaN"):
        handle.wait(PATIENCE_S)
    assert handle.is_finished
    assert handle.snapshot().total_visits >= 20
    with pytest.raises(EvaluationError, match=r"NaN"):
        handle.wait()
    # The same memory serves the next search as if nothing had happened.
    result = finished(search, Limits(visits=100))
    assert result.total_visits == 100
    assert_consistent(search, result)


def test_error_of_the_root_is_raised_by_start() -> None:
    class Broken(PathEvaluator):
        def initial(self, *arguments: np.ndarray) -> RootOutput:  # type: ignore[override]
            raise EvaluationError("the network returned NaN")

    with pytest.raises(EvaluationError):
        make_search(evaluator=Broken(2000, NUM_ACTIONS)).start(make_root(), Limits(visits=5))


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("max_nodes", [2, 3])
def test_memory_for_less_than_the_moves_of_the_root(config: SearchConfig, threads: int, max_nodes: int) -> None:
    """There is nothing to forget: the search goes on to its limit, with as many evaluations as there are nodes."""
    search = make_search(config, max_nodes=max_nodes, threads=threads)
    result = finished(search, Limits(visits=500))
    assert result.total_visits == 500
    assert result.evaluations == max_nodes
    assert result.is_full
    tree = search._tree
    assert tree.num_nodes[0] == max_nodes
    assert_consistent(search, result)
    leaves = [n for n in range(1, max_nodes) if (tree.children_index[0, n] == -1).all()]
    for leaf in leaves:  # a leaf without room for children repeats its own value
        mean = tree.value_sum[0, leaf] / tree.node_visits[0, leaf]
        assert mean == pytest.approx(float(tree.raw_value[0, leaf]))


def test_full_memory_keeps_the_deadline() -> None:
    clock = FakeClock()
    ticking = make_search(max_nodes=20, clock=lambda: setattr(clock, "now", clock.now + 0.01) or clock.now)
    result = finished(ticking, Limits(time_s=5.0))
    assert result.stop_reason is StopReason.TIME
    assert result.is_full
    assert result.total_visits > 100


@BOTH
def test_threads_without_a_free_leaf_wait(config: SearchConfig) -> None:
    """One legal action per node: every second thread collides."""
    search = make_search(config, evaluator=PathEvaluator(2000, 1), threads=3)
    result = finished(search, Limits(visits=200), make_root(1))
    assert result.total_visits == result.evaluations == 200
    assert search._tree.num_nodes[0] == 200
    assert_consistent(search, result)


@BOTH
def test_one_line_of_play_leaves_nothing_to_evaluate_together(config: SearchConfig) -> None:
    search = make_search(config, evaluator=PathEvaluator(2000, 1), leaves=4)
    result = finished(search, Limits(visits=200), make_root(1))
    assert result.total_visits == result.evaluations == 200
    assert_consistent(search, result)


class BatchEvaluator(PathEvaluator):
    """Notes which slots are written together."""

    def __init__(self) -> None:
        super().__init__(2000, NUM_ACTIONS)
        self.batches: list[list[int]] = []

    def recurrent(self, *arguments: np.ndarray) -> RecurrentOutput:  # type: ignore[override]
        self.batches.append(arguments[3].tolist())
        return super().recurrent(*arguments)


@BOTH
def test_leaves_are_evaluated_together_once_the_tree_has_grown(config: SearchConfig) -> None:
    evaluator = BatchEvaluator()
    search = make_search(config, evaluator=evaluator, leaves=3)
    result = finished(search, Limits(playouts=300))
    sizes = [len(batch) for batch in evaluator.batches]
    assert sizes[:LEAF_VISITS] == [1] * LEAF_VISITS
    assert set(sizes[LEAF_VISITS : LEAF_VISITS + LEAF_VISITS // 2]) == {2}
    assert max(sizes) == 3
    assert sum(sizes) == result.evaluations - 1 == 300
    assert sorted(slot for batch in evaluator.batches for slot in batch) == list(range(1, 301))
    assert_consistent(search, result)


@BOTH
def test_leaves_by_several_repeat_exactly(config: SearchConfig) -> None:
    first, second = (finished(make_search(config, leaves=4), Limits(visits=300)) for _ in range(2))
    np.testing.assert_array_equal(first.visits, second.visits)
    np.testing.assert_array_equal(first.q, second.q)
    assert (first.q != finished(make_search(config), Limits(visits=300)).q).any()


def test_ends_of_the_game_among_the_leaves() -> None:
    """Simulations that need no network end at once, beside those that wait for it."""
    terminal_values = np.full((1, NUM_ACTIONS), np.nan, np.float32)
    terminal_values[0, ::2] = -1.0
    evaluator = BatchEvaluator()
    search = make_search(evaluator=evaluator, leaves=4)
    result = finished(search, Limits(visits=300), make_root(terminal_values=terminal_values))
    assert result.total_visits == 300
    assert result.evaluations == 1 + sum(map(len, evaluator.batches)) < 300
    assert_consistent(search, result)


@BOTH
def test_threads_evaluate_different_leaves_at_once(config: SearchConfig) -> None:
    """Two evaluations meet at a barrier again and again, and never share a slot."""
    barrier = threading.Barrier(2)

    class Meeting(PathEvaluator):
        def __init__(self) -> None:
            super().__init__(2000, NUM_ACTIONS)
            self.slots: list[int] = []

        def recurrent(self, *arguments: np.ndarray) -> RecurrentOutput:  # type: ignore[override]
            barrier.wait(PATIENCE_S)
            self.slots.append(int(arguments[3][0]))
            return super().recurrent(*arguments)

    evaluator = Meeting()
    search = make_search(config, evaluator=evaluator, threads=2)
    result = finished(search, Limits(playouts=200))
    assert sorted(evaluator.slots) == list(range(1, 201))
    assert_consistent(search, result)


def test_only_move() -> None:
    legal_mask = np.zeros((1, NUM_ACTIONS), bool)
    legal_mask[0, 3] = True
    root = make_root(legal_mask=legal_mask)
    result = finished(make_search(), Limits(early_stop=True), root)
    assert result.stop_reason is StopReason.ONLY_MOVE
    assert (result.best_action, result.total_visits) == (3, 1)
    assert finished(make_search(), Limits(visits=50), root).total_visits == 50


@BOTH
def test_a_win_on_the_spot_is_played(config: SearchConfig) -> None:
    terminal = np.full((1, NUM_ACTIONS), np.nan, np.float32)
    terminal[0, 2], terminal[0, 6] = 1.0, -1.0
    for to_play, winning in ((1, 2), (-1, 6)):
        root = make_root(terminal_values=terminal, to_play=np.array([to_play], np.int8))
        result = finished(make_search(config), Limits(early_stop=True), root)
        assert result.stop_reason is StopReason.DECIDED
        assert result.best_action == winning
        assert finished(make_search(config), Limits(visits=40), root).best_action == winning


@BOTH
def test_a_loss_on_the_spot_is_not_played_without_search(config: SearchConfig) -> None:
    bare = finished(make_search(config), Limits(visits=1))
    terminal = np.full((1, NUM_ACTIONS), np.nan, np.float32)
    terminal[0, bare.best_action] = -1.0
    result = finished(make_search(config), Limits(visits=1), make_root(terminal_values=terminal))
    assert result.best_action != bare.best_action


def test_stops_when_the_choice_is_made() -> None:
    class Clear(PathEvaluator):
        """Action 4 is likely and good."""

        def recurrent(self, *arguments: np.ndarray) -> RecurrentOutput:  # type: ignore[override]
            output = super().recurrent(*arguments)
            return RecurrentOutput(
                policy_logits=output.policy_logits,
                value=np.where(arguments[1] == 4, 0.9, -0.9).astype(np.float32),
                reward=output.reward,
            )

    limits = Limits(visits=1000, early_stop=True)
    early = finished(make_search(evaluator=Clear(2000, NUM_ACTIONS)), limits)
    full = finished(make_search(evaluator=Clear(2000, NUM_ACTIONS)), Limits(visits=1000))
    assert early.stop_reason is StopReason.DECIDED
    assert early.total_visits < 900
    assert early.best_action == full.best_action


@pytest.mark.parametrize("leaves", [1, 4, 8])
def test_what_is_under_way_when_the_choice_is_made_cannot_change_it(leaves: int) -> None:
    visits, decided = 200, 0
    for seed in (3.0, 22.0, 23.0, 25.0):
        root = make_root(observations=np.full((1, 1), seed, np.float32))
        result = finished(make_search(leaves=leaves), Limits(visits=visits, early_stop=True), root)
        if result.stop_reason is StopReason.DECIDED:
            decided += 1
            second, first = np.partition(result.visits, -2)[-2:]
            assert second + visits - result.total_visits < first
    assert decided


def test_variance_is_that_of_the_values_backed_up() -> None:
    search = make_search()
    result = finished(search, Limits(visits=300))
    tree = search._tree
    statistics = read_root_statistics(tree, PUCT.formula(pass_action=-1), 1)
    below: dict[int, list[float]] = {}
    for node in range(1, tree.num_nodes[0]):
        first = node
        while tree.parent[0, first] != ROOT:
            first = tree.parent[0, first]
        below.setdefault(int(tree.action_from_parent[0, first]), []).append(float(tree.raw_value[0, node]))
    for action, values in below.items():
        assert statistics.q[0, action] == pytest.approx(np.mean(values), abs=1e-5)
        assert statistics.variance[0, action] == pytest.approx(np.var(values), abs=1e-5)
    assert np.isnan(statistics.variance[0, result.visits == 0]).all()


def test_variations_follow_the_visits() -> None:
    search = make_search()
    result = finished(search, Limits(visits=400))
    tree = search._tree
    for action in np.flatnonzero(result.visits):
        line = result.principal_variation(int(action))
        assert line[0] == action
        node = ROOT
        for step in line:
            children = tree.children_index[0, node]
            visits = np.where(children >= 0, tree.node_visits[0, children], 0)
            if node != ROOT:
                assert visits[step] == visits.max()
            node = children[step]
    assert len(result.principal_variation()) > 2
    assert result.principal_variation(max_length=2) == result.principal_variation()[:2]
    assert result.principal_variation(max_length=0) == []


def test_heads_of_the_root_are_passed_on() -> None:
    class Heads(PathEvaluator):
        def initial(self, *arguments: np.ndarray) -> RootOutput:  # type: ignore[override]
            output = super().initial(*arguments)
            return RootOutput(
                policy_logits=output.policy_logits,
                value=output.value,
                ownership=np.full((1, 3, 3), 0.5, np.float32),
                score_mean=np.array([4.5], np.float32),
                score_stdev=np.array([2.0], np.float32),
            )

    result = finished(make_search(evaluator=Heads(2000, NUM_ACTIONS)), Limits(visits=3))
    assert result.ownership is not None
    assert result.ownership.shape == (3, 3)
    assert (result.score_mean, result.score_stdev) == (4.5, 2.0)
    plain = finished(make_search(), Limits(visits=3))
    assert plain.ownership is None
    assert plain.score_mean is None


def test_algorithm_may_change_from_search_to_search() -> None:
    search = make_search(PUCT)
    gumbel = finished(search, Limits(playouts=16), config=GUMBEL)
    np.testing.assert_array_equal(gumbel.visits, finished(make_search(GUMBEL), Limits(playouts=16)).visits)


def test_long_gumbel_search_finds_the_best_arm() -> None:
    """Sequential halving in rounds: an unlikely action that is much better wins in time."""

    class Surprise(PathEvaluator):
        good_slots: ClassVar[set[int]] = set()

        def initial(self, *arguments: np.ndarray) -> RootOutput:  # type: ignore[override]
            logits = np.linspace(0.0, -4.0, NUM_ACTIONS, dtype=np.float32)[None]
            return RootOutput(policy_logits=logits, value=np.zeros(1, np.float32))

        def recurrent(self, *arguments: np.ndarray) -> RecurrentOutput:  # type: ignore[override]
            output = super().recurrent(*arguments)
            parent, action, child = (int(arguments[index][0]) for index in (0, 1, 3))
            is_good = parent in self.good_slots or (parent == ROOT and action == NUM_ACTIONS - 1)
            (self.good_slots.add if is_good else self.good_slots.discard)(child)
            value = np.full(1, 0.9, np.float32) if is_good else 0.2 * output.value
            return RecurrentOutput(policy_logits=output.policy_logits, value=value, reward=output.reward)

    search = make_search(GUMBEL, evaluator=Surprise(2000, NUM_ACTIONS))
    assert finished(search, Limits(playouts=4)).best_action != NUM_ACTIONS - 1
    result = finished(search, Limits(playouts=1000))
    assert result.best_action == NUM_ACTIONS - 1
    assert_consistent(search, result)


def test_wrong_arguments_are_refused() -> None:
    for wrong in ({"max_nodes": 1}, {"threads": 0}, {"leaves": 0}):
        with pytest.raises(InvalidConfig, match=r"at least 2, 1 and 1"):
            make_search(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidConfig, match=r"100 slots"):
        make_search(evaluator=PathEvaluator(100, NUM_ACTIONS), max_nodes=101)
    with pytest.raises(InvalidInput, match=r"one position of 9"):
        make_search().start(make_root(5), Limits(visits=1))


@BOTH
@pytest.mark.parametrize("to_play", [1, -1])
def test_bounds_are_on_the_bad_side_for_the_player_to_move_and_come_closer(config: SearchConfig, to_play: int) -> None:
    root = make_root(to_play=np.full(1, to_play, np.int8))
    gaps = []
    for visits in (30, 1000):
        result = finished(make_search(config), Limits(visits=visits), root)
        tried = result.visits > 0
        assert np.isnan(result.q_bound[~tried]).all()
        gaps.append(to_play * (result.q - result.q_bound)[result.visits.argmax()])
        assert (to_play * (result.q - result.q_bound)[tried] > 0.0).all()
    assert gaps[1] < gaps[0]
