"""The batched search: golden trees, exact endings, mirrored colours, counts, batches that do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit, typeof

from engine.errors import InvalidConfig, InvalidInput
from engine.model.contract import RecurrentOutput, RootOutput
from engine.search.batch_search import BatchResult, BatchSearch
from engine.search.config import SearchConfig
from engine.search.kernels import begin_lane, select
from engine.search.lane import LaneBuffers
from engine.search.roots import RootBatch
from engine.search.tree import EXPANDED, NO_PASS, ROOT, TERMINAL, allocate_tree
from tests.support.path_evaluator import PathEvaluator

GUMBEL = SearchConfig(num_simulations=24, num_considered=4)
PUCT = SearchConfig(algorithm="puct", c_puct_init=1.25, num_simulations=24)
BOTH = pytest.mark.parametrize("config", [GUMBEL, PUCT], ids=["gumbel", "puct"])


def make_roots(batch: int, num_actions: int, *, seed: int = 0, **fields: object) -> RootBatch:
    """Random seeds, players and masks; `fields` replace them."""
    rng = np.random.default_rng(seed)
    legal_mask = rng.random((batch, num_actions)) < 0.7
    legal_mask[np.arange(batch), rng.integers(num_actions, size=batch)] = True
    defaults: dict[str, object] = {
        "observations": rng.integers(2**20, size=(batch, 1)).astype(np.float32),
        "legal_mask": legal_mask,
        "to_play": rng.choice(np.array([1, -1], np.int8), batch),
    }
    return RootBatch(**(defaults | fields))  # type: ignore[arg-type]


def make_search(config: SearchConfig, batch: int, num_actions: int, *, sign: float = 1.0) -> BatchSearch:
    evaluator = PathEvaluator(batch * (config.num_simulations + 1), num_actions, sign=sign)
    return BatchSearch(evaluator, batch_size=batch, num_actions=num_actions, config=config)


def run(search: BatchSearch, roots: RootBatch, **arguments: object) -> BatchResult:
    return search.run(roots, rng=np.random.default_rng(7), **arguments)  # type: ignore[arg-type]


def assert_same(first: BatchResult, second: BatchResult) -> None:
    for name in BatchResult.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def assert_trees_add_up(search: BatchSearch, num_trees: int) -> None:
    """Every node's visits are its own evaluation and its children's; nothing is left under way."""
    tree = search.tree
    assert not tree.virtual_visits[:num_trees].any()
    for b in range(num_trees):
        for node in range(tree.num_nodes[b]):
            if tree.status[b, node] != EXPANDED:
                continue
            children = tree.children_index[b, node]
            children = children[children >= 0]
            assert tree.node_visits[b, node] == 1 + tree.node_visits[b, children].sum()
            assert (tree.parent[b, children] == node).all()


class LineEvaluator:
    """Two actions, uniform priors; the value is read from a table by the sequence of actions ("" = root)."""

    num_slots = 64

    def __init__(self, values: dict[str, float]) -> None:
        self.values = values
        self.paths = [""] * self.num_slots

    def initial(self, observations: np.ndarray, slots: np.ndarray) -> RootOutput:
        self.paths[int(slots[0])] = ""
        return RootOutput(policy_logits=np.zeros((1, 2), np.float32), value=np.array([self.values[""]], np.float32))

    def recurrent(
        self, parent_slots: np.ndarray, actions: np.ndarray, to_play: np.ndarray, child_slots: np.ndarray
    ) -> RecurrentOutput:
        path = self.paths[int(parent_slots[0])] + str(int(actions[0]))
        self.paths[int(child_slots[0])] = path
        return RecurrentOutput(
            policy_logits=np.zeros((1, 2), np.float32),
            value=np.array([self.values[path]], np.float32),
            reward=np.zeros(1, np.float32),
        )


def run_line(config: SearchConfig, values: dict[str, float]) -> BatchResult:
    search = BatchSearch(LineEvaluator(values), batch_size=1, num_actions=2, config=config)
    roots = RootBatch(
        observations=np.zeros((1, 1), np.float32), legal_mask=np.ones((1, 2), bool), to_play=np.ones(1, np.int8)
    )
    return run(search, roots, gumbel_scale=0.0)


def test_golden_puct() -> None:
    """Black to move. 0 looks better until White's answer 01 is seen."""
    values = {"": 0.0, "0": 0.5, "1": 0.2, "00": 0.8, "01": -1.0, "010": -1.0, "10": 0.2}
    config = SearchConfig(algorithm="puct", num_simulations=2, fpu_reduction=0.0)
    assert run_line(config, values).visits.tolist() == [[1, 1]]
    # Third: Q01 0.75 against 0.6, so 0 again, where White tries 0; fourth: (0.5 + 0.8) / 2 -> 0 again, and 01.
    result = run_line(SearchConfig(algorithm="puct", num_simulations=4, fpu_reduction=0.0), values)
    assert result.visits.tolist() == [[3, 1]]
    np.testing.assert_allclose(result.q, [[(0.5 + 0.8 - 1.0) / 3, 0.2]], atol=1e-6)
    np.testing.assert_allclose(result.root_value, (0.0 + 0.3 + 0.2) / 5, atol=1e-6)
    np.testing.assert_allclose(result.policy_target, [[0.75, 0.25]])


def test_golden_gumbel() -> None:
    """Two candidates, two visits each; sigma = (50 + 2) * q01."""
    values = {"": 0.0, "0": 0.5, "1": 0.2, "00": 0.3, "10": 0.4}
    result = run_line(SearchConfig(num_simulations=4, num_considered=2), values)
    assert result.visits.tolist() == [[2, 2]]
    np.testing.assert_allclose(result.q, [[0.4, 0.3]], atol=1e-6)
    assert result.action.tolist() == [0]
    gap = 52 * (0.4 - 0.3) / 2
    np.testing.assert_allclose(result.policy_target[0, 0], 1 / (1 + np.exp(-gap)), rtol=1e-4)


@BOTH
def test_visits_add_up(config: SearchConfig) -> None:
    roots = make_roots(16, 9, pass_action=8)
    search = make_search(config, 16, 9)
    result = run(search, roots)
    assert (result.visits.sum(axis=1) == config.num_simulations).all()
    assert not result.visits[~roots.legal_mask].any()
    assert (result.policy_target[~roots.legal_mask] == 0.0).all()
    np.testing.assert_allclose(result.policy_target.sum(axis=1), 1.0, rtol=1e-5)
    assert np.array_equal(np.isnan(result.q), result.visits == 0)
    assert roots.legal_mask[np.arange(16), result.action].all()
    assert_trees_add_up(search, 16)


@BOTH
def test_mirrored_colours(config: SearchConfig) -> None:
    """Negate every value and swap the players: the same visits, the negated value."""
    roots = make_roots(16, 9)
    mirrored = make_roots(16, 9, to_play=-roots.to_play)
    result = run(make_search(config, 16, 9), roots)
    mirror = run(make_search(config, 16, 9, sign=-1.0), mirrored)
    np.testing.assert_array_equal(result.visits, mirror.visits)
    np.testing.assert_array_equal(result.root_value, -mirror.root_value)
    np.testing.assert_array_equal(result.q, -mirror.q)
    np.testing.assert_allclose(result.policy_target, mirror.policy_target, rtol=1e-6)


@BOTH
def test_who_is_beside_in_the_batch_does_not_matter(config: SearchConfig) -> None:
    roots = make_roots(12, 9)
    gumbel = np.random.default_rng(3).gumbel(size=(12, 9)).astype(np.float32)
    together = run(make_search(config, 12, 9), roots, gumbel=gumbel)
    search = make_search(config, 12, 9)
    for b in range(12):
        alone = RootBatch(
            observations=roots.observations[b : b + 1],
            legal_mask=roots.legal_mask[b : b + 1],
            to_play=roots.to_play[b : b + 1],
        )
        result = run(search, alone, gumbel=gumbel[b : b + 1])
        np.testing.assert_array_equal(result.visits[0], together.visits[b])
        assert result.root_value[0] == together.root_value[b]


@BOTH
def test_same_seed_same_result(config: SearchConfig) -> None:
    roots = make_roots(8, 9)
    search = make_search(config, 8, 9)
    first = run(search, roots)
    run(search, make_roots(8, 9, seed=5))  # a search leaves nothing behind
    assert_same(first, run(search, roots))


def test_gumbel_noise_comes_from_the_generator() -> None:
    roots = make_roots(8, 9)
    search = make_search(SearchConfig(num_simulations=4, num_considered=2), 8, 9)
    first = search.run(roots, rng=np.random.default_rng(1))
    second = search.run(roots, rng=np.random.default_rng(2))
    assert (first.visits != second.visits).any()
    calm = [search.run(roots, rng=np.random.default_rng(s), gumbel_scale=0.0) for s in (1, 2)]
    assert_same(calm[0], calm[1])


def test_dirichlet_noise_comes_from_the_generator() -> None:
    roots = make_roots(8, 9)
    noisy = SearchConfig(algorithm="puct", num_simulations=8, dirichlet_fraction=0.5)
    search = make_search(noisy, 8, 9)
    first, second = (search.run(roots, rng=np.random.default_rng(s)) for s in (1, 2))
    assert (first.visits != second.visits).any()
    assert not first.visits[~roots.legal_mask].any()


@BOTH
def test_simulations_may_differ_by_tree(config: SearchConfig) -> None:
    simulations = np.array([0, 1, 5, 24, 24, 2])
    roots = make_roots(6, 9)
    search = make_search(config, 6, 9)
    result = run(search, roots, num_simulations=simulations)
    assert result.visits.sum(axis=1).tolist() == simulations.tolist()
    assert search.evaluator.rows == simulations.sum()  # type: ignore[attr-defined]
    assert result.root_value[0] == result.raw_value[0]
    assert roots.legal_mask[0, result.action[0]]


def test_a_search_cut_short_still_looks_deeper_than_one_ply() -> None:
    config = SearchConfig(num_simulations=24, num_considered=12)
    simulations = np.array([24, 12, 8, 1])
    result = run(make_search(config, 4, 16), make_roots(4, 16), num_simulations=simulations)
    assert (result.visits > 0).sum(axis=1).tolist()[1:] == [6, 4, 1]
    assert result.visits.max(axis=1).tolist()[1:3] == [4, 3]
    assert config.with_simulations(8).num_considered == 4
    assert config.with_simulations(100).num_considered == 12


@BOTH
def test_one_network_call_per_simulation(config: SearchConfig) -> None:
    search = make_search(config, 6, 9)
    run(search, make_roots(6, 9))
    assert search.evaluator.calls == config.num_simulations  # type: ignore[attr-defined]


@BOTH
def test_a_single_legal_action(config: SearchConfig) -> None:
    legal_mask = np.zeros((1, 9), bool)
    legal_mask[0, 4] = True
    result = run(make_search(config, 1, 9), make_roots(1, 9, legal_mask=legal_mask))
    assert result.visits[0].tolist() == [0, 0, 0, 0, config.num_simulations, 0, 0, 0, 0]
    assert result.action[0] == 4
    assert result.policy_target[0, 4] == 1.0


@BOTH
def test_terminal_root_actions_are_exact_and_free(config: SearchConfig) -> None:
    terminal = np.full((2, 4), np.nan, np.float32)
    terminal[0] = [1.0, -1.0, 0.0, 1.0]
    terminal[1, 3] = -1.0
    roots = make_roots(2, 4, legal_mask=np.ones((2, 4), bool), terminal_values=terminal, to_play=np.ones(2, np.int8))
    search = make_search(config, 2, 4)
    result = run(search, roots, gumbel_scale=0.0)
    known = ~np.isnan(terminal)
    visited = known & (result.visits > 0)
    assert visited[0].any()
    np.testing.assert_array_equal(result.q[visited], terminal[visited])
    # Tree 0 has nothing but endings: it never asks the network.
    assert search.evaluator.rows == (result.visits[1] * ~known[1]).sum()  # type: ignore[attr-defined]
    assert result.action[0] in (0, 3)
    assert_trees_add_up(search, 2)


def test_a_known_loss_gets_no_policy_even_unvisited() -> None:
    terminal = np.full((1, 4), np.nan, np.float32)
    terminal[0, 3] = -1.0
    roots = make_roots(1, 4, legal_mask=np.ones((1, 4), bool), terminal_values=terminal, to_play=np.ones(1, np.int8))
    result = run(make_search(GUMBEL, 1, 4), roots, num_simulations=1, gumbel_scale=0.0)
    assert result.visits[0, 3] == 0
    assert result.policy_target[0, 3] < 1e-6


@BOTH
@pytest.mark.parametrize("outcome", [1.0, -1.0])
def test_two_passes_from_the_root_are_exact(config: SearchConfig, outcome: float) -> None:
    roots = make_roots(
        8, 3, legal_mask=np.ones((8, 3), bool), pass_pass_values=np.full(8, outcome, np.float32), pass_action=2
    )
    search = make_search(config, 8, 3)
    run(search, roots, gumbel_scale=0.0)
    tree = search.tree
    found = 0
    for b in range(8):
        first = tree.children_index[b, ROOT, 2]
        second = tree.children_index[b, first, 2] if first >= 0 else -1
        if second < 0:
            continue
        found += 1
        assert tree.status[b, second] == TERMINAL
        assert tree.reward[b, second] == outcome
        assert tree.value_sum[b, second] == 0.0
        mover = tree.to_play[b, first]
        if outcome == mover and config is PUCT:
            assert tree.node_visits[b, second] > 1
    assert found > 0


@BOTH
def test_deeper_second_passes_end_with_the_networks_value(config: SearchConfig) -> None:
    roots = make_roots(32, 3, legal_mask=np.ones((32, 3), bool), pass_action=2)
    search = make_search(config, 32, 3)
    run(search, roots)
    tree, found = search.tree, 0
    for b in range(32):
        for node in range(1, tree.num_nodes[b]):
            is_second = tree.action_from_parent[b, node] == 2 == tree.action_from_parent[b, tree.parent[b, node]]
            assert (tree.status[b, node] == TERMINAL) == is_second
            if is_second:
                found += 1
                mean = tree.value_sum[b, node] / tree.node_visits[b, node]
                assert mean == pytest.approx(tree.raw_value[b, node])
    assert found > 0


@pytest.mark.parametrize("seed", range(12))
def test_fuzz(seed: int) -> None:
    """Random shapes and settings: nothing illegal, all counts right, all numbers finite."""
    rng = np.random.default_rng(seed)
    batch, num_actions = int(rng.integers(1, 7)), int(rng.integers(1, 12))
    config = SearchConfig(
        algorithm=("gumbel", "puct")[seed % 2],  # type: ignore[arg-type]
        num_simulations=int(rng.integers(1, 70)),
        num_considered=int(rng.integers(1, 20)),
        value_transform=("fixed", "minmax")[seed // 2 % 2],  # type: ignore[arg-type]
        discount=float(rng.uniform(0.5, 1.0)),
        two_player=bool(rng.random() < 0.5),
        c_scale=float(rng.uniform(0.0, 3.0)),
        dirichlet_fraction=float(rng.random()),
    )
    terminal = np.where(rng.random((batch, num_actions)) < 0.2, rng.choice([-1.0, 0.0, 1.0]), np.nan)
    pass_pass = np.where(rng.random(batch) < 0.5, 1.0, np.nan).astype(np.float32)
    roots = make_roots(
        batch,
        num_actions,
        seed=seed,
        terminal_values=terminal.astype(np.float32),
        pass_pass_values=pass_pass,
        pass_action=num_actions - 1,
    )
    search = make_search(config, batch, num_actions)
    search.evaluator.with_reward = True  # type: ignore[attr-defined]
    result = run(search, roots)
    assert (result.visits.sum(axis=1) == config.num_simulations).all()
    assert not result.visits[~roots.legal_mask].any()
    assert np.isfinite(result.policy_target).all()
    assert np.isfinite(result.root_value).all()
    np.testing.assert_allclose(result.policy_target.sum(axis=1), 1.0, rtol=1e-4)
    assert_trees_add_up(search, batch)


def test_extreme_logits_and_values_stay_finite() -> None:
    class Extreme(PathEvaluator):
        def recurrent(self, *arguments: np.ndarray) -> RecurrentOutput:  # type: ignore[override]
            output = super().recurrent(*arguments)
            logits = np.where(output.policy_logits > 0, np.float32(3e38), np.float32(-3e38))
            return RecurrentOutput(policy_logits=logits, value=np.sign(output.value), reward=output.reward)

    for config in (GUMBEL, PUCT):
        search = BatchSearch(Extreme(100, 5), batch_size=4, num_actions=5, config=config)
        result = run(search, make_roots(4, 5))
        assert np.isfinite(result.policy_target).all()
        assert (result.visits.sum(axis=1) == config.num_simulations).all()


def test_kernels_compile_once() -> None:
    """A second specialisation would cost seconds in the middle of a game: read-only answers, Fortran order, float64.

    Nor may the search of one tree bring its own, which a warm cache would hide: `begin_lane` is compiled anew.
    """
    run(make_search(GUMBEL, 2, 5), make_roots(2, 5))
    lane = LaneBuffers(allocate_tree(1, 2, 5), GUMBEL.formula(pass_action=NO_PASS)).lanes[0]
    njit(error_model="numpy")(begin_lane.py_func).compile((typeof(lane),))

    class Odd(PathEvaluator):
        def recurrent(self, *arguments: np.ndarray) -> RecurrentOutput:  # type: ignore[override]
            output = super().recurrent(*arguments)
            logits = np.asfortranarray(output.policy_logits.astype(np.float64))
            logits.flags.writeable = False
            return RecurrentOutput(policy_logits=logits, value=output.value[::1], reward=output.reward)

    search = BatchSearch(Odd(75, 5), batch_size=3, num_actions=5, config=PUCT)
    run(search, make_roots(3, 5, to_play=np.ones(3, np.int8)))
    assert len(select.signatures) == 1


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"10 slots"):
        BatchSearch(PathEvaluator(10, 5), batch_size=4, num_actions=5, config=GUMBEL)
    search = make_search(GUMBEL, 4, 5)
    with pytest.raises(InvalidInput, match=r"at most 4 of 5"):
        run(search, make_roots(5, 5))
    with pytest.raises(InvalidInput, match=r"num_simulations 25"):
        run(search, make_roots(4, 5), num_simulations=25)
    with pytest.raises(InvalidInput, match=r"root 1 has no legal action"):
        make_roots(2, 5, legal_mask=np.array([[True] * 5, [False] * 5]))
    with pytest.raises(InvalidInput, match=r"to_play has shape"):
        make_roots(2, 5, to_play=np.ones(3, np.int8))
