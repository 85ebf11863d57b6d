from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.go.batch import GoBatch
from engine.model.contract import ILLEGAL_LOGIT, RecurrentOutput, RootOutput
from engine.search.batch_search import BatchSearch
from engine.search.config import SearchConfig
from engine.search.roots import RootBatch
from trainer.grounded import GroundedBatch

SIZE, GAMES, NODES = 4, 24, 13
PASS = SIZE * SIZE


class Recorder:
    """Hides nothing: a state is the observation that made it, or -1 where it was imagined."""

    num_slots = GAMES * NODES

    def __init__(self) -> None:
        self.seen = np.full((self.num_slots, 24, SIZE, SIZE), np.nan, np.float32)
        self.looked: list[NDArray[np.float32]] = []

    def initial(self, observations: NDArray[np.float32], slots: NDArray[np.int32]) -> RootOutput:
        self.seen[slots] = observations
        return RootOutput(policy_logits=_logits(observations), value=observations[:, 1].mean((1, 2)))

    def look(self, observations: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.looked.append(observations.copy())
        return _logits(observations), observations[:, 1].mean((1, 2))

    def recurrent(
        self,
        parent_slots: NDArray[np.int32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        child_slots: NDArray[np.int32],
    ) -> RecurrentOutput:
        self.seen[child_slots] = -1.0
        zeros = np.zeros(len(actions), np.float32)
        return RecurrentOutput(policy_logits=np.zeros((len(actions), PASS + 1), np.float32), value=zeros, reward=zeros)


def _logits(observations: NDArray[np.float32]) -> NDArray[np.float32]:
    """Any that depend on the position."""
    flat = observations.reshape(len(observations), -1)
    weights = np.random.default_rng(0).normal(size=(flat.shape[1], PASS + 1))
    return np.asarray(flat @ weights * 0.2, np.float32)


def played_games(seed: int, *, most: int) -> GoBatch:
    """Games after 0 to `most` random legal moves each, passes among them."""
    rng = np.random.default_rng(seed)
    games = GoBatch(num_games=GAMES, size=SIZE, komi=0.5)
    stop = rng.integers(0, most, size=GAMES, endpoint=True)
    for ply in range(most):
        action = (rng.random((GAMES, PASS + 1)) * games.legal_mask()).argmax(1)
        action[(action == PASS) & (games.passes == 1)] = -1
        games.play(np.where(ply < stop, action, -1))
    return games


def grounded(evaluator: Recorder, *, every: int) -> GroundedBatch:
    return GroundedBatch(evaluator, size=SIZE, num_trees=GAMES, nodes_per_tree=NODES, reground_every=every)


def walk(
    batch: GroundedBatch, games: GoBatch, steps: int, seed: int
) -> list[tuple[NDArray[np.int32], RecurrentOutput]]:
    """Random moves, legal by the answers, straight down from the roots: actions and answers of each step."""
    rng = np.random.default_rng(seed)
    slots = np.arange(GAMES, dtype=np.int32) * np.int32(NODES)
    batch.begin(games)
    batch.initial(games.observe(), slots)
    legal, to_play, path = games.legal_mask(), games.to_play.copy(), []
    for _ in range(steps):
        actions = (rng.random(legal.shape) * legal).argmax(1).astype(np.int32)
        output = batch.recurrent(slots, actions, to_play, slots + 1)
        slots, to_play, legal = slots + 1, -to_play, output.policy_logits > ILLEGAL_LOGIT
        path.append((actions, output))
    return path


@pytest.mark.parametrize("seed", range(3))
def test_every_node_is_what_the_game_would_be(seed: int) -> None:
    games, recorder = played_games(seed, most=20), Recorder()
    path = walk(grounded(recorder, every=1), games, 10, seed)
    for depth, (actions, output) in enumerate(path, 1):
        games.play(np.where(games.finished, -1, actions))
        over = games.finished
        np.testing.assert_array_equal(recorder.looked[depth], games.observe()[~over])
        np.testing.assert_array_equal((output.policy_logits > ILLEGAL_LOGIT)[~over], games.legal_mask()[~over])
        np.testing.assert_array_equal(output.value[over], games.pass_pass_values()[over])
    assert games.finished.any()
    assert not games.finished.all()
    assert np.isnan(recorder.seen).all()  # where nothing is imagined no states are kept


def test_a_game_that_is_over_stays_as_it_is() -> None:
    games = GoBatch(num_games=GAMES, size=SIZE, komi=-2.0)
    batch = grounded(Recorder(), every=1)
    batch.begin(games)
    slots = np.arange(GAMES, dtype=np.int32) * np.int32(NODES)
    batch.initial(games.observe(), slots)
    for depth in range(5):
        output = batch.recurrent(slots + depth, np.full(GAMES, PASS, np.int32), games.to_play, slots + depth + 1)
        legal = output.policy_logits > ILLEGAL_LOGIT
        assert (legal[:, :PASS].any(1) == (depth == 0)).all()
        assert legal[:, PASS].all()
        if depth:
            assert (output.value == 1.0).all()


def test_the_cap_of_moves_ends_a_game_in_the_search_too() -> None:
    games = GoBatch(num_games=GAMES, size=SIZE, komi=-2.0, max_plies=3)
    path = walk(grounded(Recorder(), every=1), games, 5, 0)
    for depth, (_, output) in enumerate(path, 1):
        alone_passes = (output.policy_logits > ILLEGAL_LOGIT).sum(1) == 1
        assert alone_passes.all() == (depth >= 3)
        assert np.isin(output.value, (-1.0, 0.0, 1.0)).all() == (depth >= 3)


def test_looks_come_every_so_many_plies() -> None:
    recorder = Recorder()
    walk(grounded(recorder, every=3), played_games(1, most=2), 7, 1)
    tree = recorder.seen.reshape(GAMES, NODES, -1)[:, :8]
    was_imagined = (tree == -1.0).all(-1)[~np.isnan(tree).any((1, 2))]
    assert was_imagined.shape[0] > GAMES // 2
    assert (was_imagined == [False, True, True, False, True, True, False, True]).all()


def test_a_search_of_many_games_finds_what_searches_of_each_alone_find() -> None:
    games = played_games(5, most=14)
    games = games.take(np.where(games.finished, np.flatnonzero(~games.finished)[0], np.arange(GAMES)))
    config = SearchConfig(num_simulations=NODES - 1, num_considered=4)
    noise = np.random.default_rng(1).gumbel(size=(GAMES, PASS + 1)).astype(np.float32)

    def search(batch: GoBatch, gumbel: NDArray[np.float32]) -> NDArray[np.float32]:
        evaluator = GroundedBatch(
            Recorder(), size=SIZE, num_trees=batch.num_games, nodes_per_tree=NODES, reground_every=1
        )
        evaluator.begin(batch)
        roots = RootBatch(
            observations=batch.observe(),
            legal_mask=batch.legal_mask(),
            to_play=batch.to_play,
            terminal_values=batch.terminal_values(),
            pass_pass_values=batch.pass_pass_values(),
            pass_action=PASS,
        )
        runner = BatchSearch(evaluator, batch_size=batch.num_games, num_actions=PASS + 1, config=config)
        return runner.run(roots, rng=np.random.default_rng(0), gumbel=gumbel).policy_target

    together = search(games, noise)
    for game in range(0, GAMES, 5):
        alone = search(games.take(slice(game, game + 1)), noise[game : game + 1])
        np.testing.assert_allclose(alone[0], together[game], atol=1e-5)
