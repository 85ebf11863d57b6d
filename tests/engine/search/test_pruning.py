"""What a tree keeps for the next move, and what it forgets when it is full: statistics, hidden states, memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.errors import EvaluationError
from engine.model.contract import RootOutput
from engine.search.config import SearchConfig
from engine.search.limits import Limits
from engine.search.pruning import FORGOTTEN_SHARE, forget_least_visited
from engine.search.roots import RootBatch
from engine.search.search import Search, SearchResult
from engine.search.tree import ROOT, TERMINAL, UNVISITED
from tests.support.path_evaluator import PathEvaluator

NUM_ACTIONS = 6
PASS = NUM_ACTIONS - 1
PUCT = SearchConfig(algorithm="puct")
PATIENCE_S = 20.0

Facts = dict[tuple[int, ...], tuple[Any, ...]]
"""What a tree knows of a node, by the actions that lead there."""


def make_root(*, to_play: int = 1, seed: float = 5.0, **fields: object) -> RootBatch:
    defaults: dict[str, object] = {
        "observations": np.full((1, 1), seed, np.float32),
        "legal_mask": np.ones((1, NUM_ACTIONS), bool),
        "to_play": np.full(1, to_play, np.int8),
        "pass_action": PASS,
    }
    return RootBatch(**(defaults | fields))  # type: ignore[arg-type]


def make_search(*, max_nodes: int = 1000, threads: int = 1, **fields: object) -> Search:
    evaluator = fields.get("evaluator") or PathEvaluator(max_nodes, NUM_ACTIONS)
    return Search(
        evaluator,  # type: ignore[arg-type]
        num_actions=NUM_ACTIONS,
        config=PUCT,
        max_nodes=max_nodes,
        threads=threads,
        leaves=fields.get("leaves", 1),  # type: ignore[arg-type]
        on_full=fields.get("on_full"),  # type: ignore[arg-type]
    )


def run(search: Search, root: RootBatch, limits: Limits, **arguments: object) -> SearchResult:
    handle = search.start(root, limits, **arguments)  # type: ignore[arg-type]
    result = handle.wait(PATIENCE_S)
    assert handle.is_finished
    return result


def facts_below(search: Search, start: int = ROOT) -> Facts:
    """Of every node below `start`: statistics, evaluation and hidden state."""
    tree, states = search._tree, search.evaluator.states  # type: ignore[attr-defined]
    facts: Facts = {}
    open_nodes: list[tuple[int, tuple[int, ...]]] = [(start, ())]
    while open_nodes:
        node, path = open_nodes.pop()
        if path:
            prior = tuple(tree.prior[0, node]) if tree.status[0, node] != TERMINAL else ()
            numbers = tree.node_visits, tree.value_sum, tree.value_squares, tree.raw_value, tree.to_play, tree.status
            facts[path] = (*(array[0, node] for array in numbers), prior, states[node])
        if tree.status[0, node] == TERMINAL:
            continue
        for action, child in enumerate(tree.children_index[0, node]):
            if child != UNVISITED:
                assert tree.parent[0, child] == node
                assert tree.action_from_parent[0, child] == action
                open_nodes.append((int(child), (*path, action)))
    return facts


def used_nodes(search: Search) -> np.ndarray:
    """[N] bool: the nodes that are not free."""
    tree = search._tree
    used = np.ones(tree.status.shape[1], bool)
    used[tree.free_nodes[0, tree.num_nodes[0] :]] = False
    return used


def assert_sound(search: Search, result: SearchResult) -> None:
    """Visits add up, nothing is under way, no node is lost or used twice."""
    tree = search._tree
    num_nodes, used = int(tree.num_nodes[0]), used_nodes(search)
    assert result.visits.sum() == result.total_visits - 1
    assert not tree.virtual_visits[0, used].any()
    assert used.sum() == num_nodes  # no number is free twice
    assert used[ROOT]
    assert len(facts_below(search)) == num_nodes - 1


@pytest.mark.parametrize("depth", [1, 2])
def test_statistics_are_those_of_the_subtree(depth: int) -> None:
    search = make_search()
    first = run(search, make_root(), Limits(playouts=400))
    path = first.principal_variation()[:depth]
    node = ROOT
    for action in path:
        node = int(search._tree.children_index[0, node, action])
    expected = {
        key: fact
        for key, fact in facts_below(search, node).items()
        if fact[5] != TERMINAL or len(key) > 1  # a second pass is judged anew
    }
    root = make_root(to_play=1 if depth == 2 else -1, seed=9.0)
    result = run(search, root, Limits(playouts=0), path=path)
    assert facts_below(search) == expected
    assert result.carried_visits == sum(fact[0] for key, fact in expected.items() if len(key) == 1) > 20
    assert result.total_visits == result.carried_visits + 1
    assert result.evaluations == 1
    sums = [fact[1] for key, fact in expected.items() if len(key) == 1]
    assert result.root_value == pytest.approx((sum(sums) + result.raw_value) / result.total_visits, abs=1e-6)
    fresh = run(make_search(), root, Limits(playouts=0))
    assert result.raw_value == fresh.raw_value
    np.testing.assert_array_equal(result.prior, fresh.prior)
    assert_sound(search, result)


def test_going_on_with_the_same_root_is_one_long_search() -> None:
    whole = run(make_search(), make_root(pass_action=-1), Limits(playouts=300))
    search = make_search()
    run(search, make_root(pass_action=-1), Limits(playouts=100))
    rest = run(search, make_root(pass_action=-1), Limits(playouts=200), path=())
    np.testing.assert_array_equal(rest.visits, whole.visits)
    np.testing.assert_array_equal(rest.q, whole.q)
    np.testing.assert_array_equal(rest.variations, whole.variations)


def test_the_new_root_has_only_its_legal_actions() -> None:
    search = make_search()
    first = run(search, make_root(), Limits(playouts=300))
    reply = first.principal_variation()[1]
    legal_mask = np.ones((1, NUM_ACTIONS), bool)
    legal_mask[0, reply] = False
    root = make_root(to_play=-1, legal_mask=legal_mask)
    result = run(search, root, Limits(playouts=200), path=[first.best_action])
    assert result.carried_visits > 0
    assert result.visits[reply] == 0
    assert np.isnan(result.q[reply])
    assert result.prior[reply] == result.policy_target[reply] == 0.0
    assert result.best_action != reply
    assert_sound(search, result)


def test_exact_outcomes_of_the_new_root_hold() -> None:
    """Actions with a known outcome, and the pass where the answer to it has one, are searched anew."""
    search = make_search()
    first = run(search, make_root(), Limits(playouts=400))
    reply = first.principal_variation()[1]
    terminal_values = np.full((1, NUM_ACTIONS), np.nan, np.float32)
    terminal_values[0, reply] = 1.0
    root = make_root(to_play=-1, terminal_values=terminal_values, pass_pass_values=np.ones(1, np.float32))
    kept = run(search, root, Limits(playouts=0), path=[first.best_action])
    assert kept.visits[reply] == kept.visits[PASS] == 0
    result = run(search, root, Limits(playouts=300), path=[])
    for action in (reply,):
        assert result.visits[action] == 0 or result.q[action] == 1.0
    passed = int(search._tree.children_index[0, ROOT, PASS])
    if passed != UNVISITED and search._tree.children_index[0, passed, PASS] != UNVISITED:
        answer = int(search._tree.children_index[0, passed, PASS])
        assert search._tree.reward[0, answer] == 1.0
    assert_sound(search, result)


@pytest.mark.parametrize("threads", [1, 3])
def test_memory_is_bounded_over_a_game(threads: int) -> None:
    search = make_search(max_nodes=300, threads=threads)
    path: list[int] | None = None
    carried = 0
    for ply in range(40):
        root = make_root(to_play=1 if ply % 2 == 0 else -1, seed=float(ply))
        result = run(search, root, Limits(playouts=150), path=path)
        carried += result.carried_visits > 0
        assert search._tree.num_nodes[0] <= 300
        assert result.total_visits == 151 + result.carried_visits
        assert_sound(search, result)
        path = [result.best_action]
    assert carried > 20


def test_visit_limit_counts_what_was_kept_and_playouts_do_not() -> None:
    search = make_search()
    best = run(search, make_root(), Limits(visits=200)).best_action
    result = run(search, make_root(to_play=-1), Limits(visits=200), path=[best])
    assert 1 < result.carried_visits < 199
    assert result.total_visits == 200
    best = result.best_action
    result = run(search, make_root(), Limits(visits=2), path=[best])
    assert result.total_visits == result.carried_visits + 1 > 2
    assert result.evaluations == 1


def nothing_kept(search: Search, *, to_play: int = -1, **arguments: object) -> bool:
    result = run(search, make_root(to_play=to_play), Limits(playouts=10), **arguments)
    assert_sound(search, result)
    return result.carried_visits == 0 and result.total_visits == 11


def test_what_cannot_be_kept_is_searched_anew() -> None:
    searched = run(make_search(), make_root(), Limits(playouts=100))
    best = searched.best_action

    def after_a_search(playouts: int = 100, **fields: Any) -> Search:
        search = make_search(**fields)
        run(search, make_root(), Limits(playouts=playouts))
        return search

    assert nothing_kept(after_a_search(), path=None)
    assert nothing_kept(make_search(), path=[best])
    assert nothing_kept(after_a_search(), path=[best], to_play=1)
    assert nothing_kept(after_a_search(), path=[best, 0, 1, 2, 3, 4, 0, 1, 2])
    assert nothing_kept(after_a_search(), path=[best], config=SearchConfig(num_considered=2))
    assert not nothing_kept(after_a_search(), path=[best])


def test_nothing_is_kept_after_an_error() -> None:
    class Failing(PathEvaluator):
        fails_at_root = False
        fails_at = 10**9

        def initial(self, *arguments: np.ndarray) -> RootOutput:  # type: ignore[override]
            if self.fails_at_root:
                raise EvaluationError("root")
            return super().initial(*arguments)

        def recurrent(self, *arguments: np.ndarray) -> Any:  # type: ignore[override]
            if self.calls == self.fails_at:
                self.fails_at = 10**9
                raise EvaluationError("leaf")
            return super().recurrent(*arguments)

    evaluator = Failing(1000, NUM_ACTIONS)
    search = make_search(evaluator=evaluator)
    evaluator.fails_at = 50
    with pytest.raises(EvaluationError, match="leaf"):
        search.start(make_root(), Limits(playouts=100)).wait(PATIENCE_S)
    assert nothing_kept(search, path=(), to_play=1)
    evaluator.fails_at_root = True
    with pytest.raises(EvaluationError, match="root"):
        search.start(make_root(), Limits(playouts=100), path=())
    evaluator.fails_at_root = False
    assert nothing_kept(search, path=(), to_play=1)


def test_what_stands_in_terminal_nodes_is_not_read() -> None:
    """They never get children, so their rows are those of an earlier tree."""
    search = make_search()
    best = run(search, make_root(), Limits(playouts=400)).best_action
    tree = search._tree
    terminal = (tree.status[0] == TERMINAL) & used_nodes(search)
    assert terminal.any()
    tree.children_index[0, terminal] = 2**30
    result = run(search, make_root(to_play=-1), Limits(playouts=100), path=[best])
    assert result.carried_visits > 0
    assert_sound(search, result)


@pytest.mark.parametrize("seed", range(4))
def test_random_interrupts_lose_no_slot(seed: int) -> None:
    """Searches of one game, and of others, stopped at any moment by another thread's leave."""
    rng = np.random.default_rng(seed)
    search = make_search(
        max_nodes=int(rng.integers(20, 400)), threads=int(rng.integers(1, 4)), leaves=int(rng.integers(1, 6))
    )
    path: list[int] | None = None
    to_play = 1
    for ply in range(30):
        legal_mask = rng.random((1, NUM_ACTIONS)) < 0.8
        legal_mask[0, int(rng.integers(NUM_ACTIONS))] = True
        root = make_root(to_play=to_play, seed=float(ply), legal_mask=legal_mask)
        algorithm = "gumbel" if rng.random() < 0.2 else "puct"
        config = SearchConfig(algorithm=algorithm)  # type: ignore[arg-type]
        limits = Limits() if rng.random() < 0.5 else Limits(playouts=int(rng.integers(200)))
        handle = search.start(root, limits, config=config, path=path)
        wanted = int(rng.integers(1, 100))
        while not handle.is_finished and handle.snapshot().total_visits < wanted:
            pass
        handle.stop()
        result = handle.wait(PATIENCE_S)
        assert handle.is_finished
        assert_sound(search, result)
        assert legal_mask[0, result.best_action]
        assert not result.visits[~legal_mask[0]].any()
        path = [result.best_action] if rng.random() < 0.8 else None
        to_play = -to_play


def test_two_searches_in_one_process_do_not_disturb_each_other() -> None:
    alone = run(make_search(), make_root(), Limits(playouts=600))
    first, second = make_search(), make_search()
    handles = [search.start(make_root(), Limits(playouts=600)) for search in (first, second)]
    for handle in handles:
        np.testing.assert_array_equal(handle.wait(PATIENCE_S).visits, alone.visits)


# --- a full tree


def busy(search: Search, path: list[int]) -> None:
    """As if a simulation were under way along `path`."""
    tree, node = search._tree, ROOT
    for action in [*path, None]:
        tree.virtual_visits[0, node] += 1
        if action is not None:
            node = int(tree.children_index[0, node, action])


@pytest.mark.parametrize("algorithm", ["puct", "gumbel"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("max_nodes", [20, 100])
def test_a_full_tree_goes_on_to_learn(max_nodes: int, threads: int, algorithm: str) -> None:
    told: list[bool] = []
    search = make_search(max_nodes=max_nodes, threads=threads, on_full=lambda: told.append(True))
    config = SearchConfig(algorithm=algorithm)  # type: ignore[arg-type]
    result = run(search, make_root(), Limits(visits=3000), config=config)
    assert result.is_full
    assert told == [True]
    assert result.total_visits == 3000
    assert result.evaluations > 5 * max_nodes  # of a tree that does not forget: as many as it has nodes
    assert_sound(search, result)


def test_a_tree_with_room_forgets_nothing() -> None:
    told: list[bool] = []
    search = make_search(max_nodes=301, on_full=lambda: told.append(True))
    result = run(search, make_root(), Limits(visits=300))
    assert not result.is_full
    assert not told
    assert search._tree.num_nodes[0] == result.evaluations


def test_the_least_visited_nodes_lose_what_lies_behind_them() -> None:
    search = make_search(max_nodes=400)
    run(search, make_root(), Limits(visits=399))
    before, total = facts_below(search), int(search._tree.num_nodes[0])
    room = forget_least_visited(search._tree)
    after = facts_below(search)
    assert room >= 400 - total + FORGOTTEN_SHARE * 400
    assert len(after) == 400 - room - 1
    assert after.items() <= before.items()  # what stays is as it was
    visits = {path: fact[0] for path, fact in before.items()}
    parents_left = [visits[path[:-1]] for path in after if len(path) > 1]
    parents_gone = [visits[path[:-1]] for path in before.keys() - after.keys()]
    assert max(parents_gone) < min(parents_left)
    assert {path for path in before if len(path) == 1} <= after.keys()


def test_simulations_under_way_keep_their_nodes() -> None:
    search = make_search(max_nodes=400)
    run(search, make_root(), Limits(visits=399))
    visits = {path: fact[0] for path, fact in facts_below(search).items()}
    rare = min((path for path in visits if len(path) == 3), key=lambda path: visits[path[:-1]])
    busy(search, list(rare))
    for _ in range(20):
        forget_least_visited(search._tree)
    assert rare in facts_below(search)
    # All else is gone but the first moves, and the siblings of what is under way.
    assert all(len(path) == 1 or path[:-1] in (rare[:1], rare[:2]) for path in facts_below(search))


def test_forgetting_everything_and_going_on() -> None:
    search = make_search(max_nodes=400)
    run(search, make_root(), Limits(visits=200))
    for _ in range(20):
        forget_least_visited(search._tree)
    assert all(len(path) == 1 for path in facts_below(search))
    result = run(search, make_root(), Limits(playouts=150), path=())
    assert result.carried_visits == 199  # all but the root's own evaluation
    assert result.total_visits == 350
    assert not result.is_full
    assert_sound(search, result)


def test_a_subtree_that_fills_the_memory_is_kept_and_makes_room() -> None:
    search = make_search(max_nodes=110)
    run(search, make_root(), Limits(playouts=500))
    result = run(search, make_root(), Limits(playouts=300), path=())
    assert result.carried_visits == 500
    assert result.is_full
    assert result.total_visits == 801
    assert_sound(search, result)


def test_memory_does_not_grow_in_a_long_analysis() -> None:
    search = make_search(max_nodes=2000, threads=2)
    tree_bytes = sum(array.nbytes for array in search._tree)
    with search.start(make_root(), Limits()) as handle:
        while handle.snapshot().total_visits < 20_000:
            assert search._tree.num_nodes[0] <= 2000
    assert sum(array.nbytes for array in search._tree) == tree_bytes
    result = handle.wait(PATIENCE_S)
    assert result.evaluations > 5 * 2000  # it goes on to learn; how much, depends on how the threads take turns
    assert_sound(search, result)
