"""Windows against single games replayed move by move."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from engine.go.batch import GoBatch
from engine.go.features import FULL_PLANES, encode_actions
from engine.go.symmetry import symmetry_table
from tests.support.go_games import random_games
from trainer.config import EnvConfig, LearnerConfig, TrainConfig
from trainer.losses import compute_losses
from trainer.network import NetworkConfig, make_network
from trainer.windows import MixedWindowBuilder, WindowBuilder

SIZE = 4
STEPS = 3


def config(**learner: object) -> TrainConfig:
    settings = {"unroll_steps": STEPS, "symmetries": False, "branch_share": 0.0, "consistency_steps": 2} | learner
    return TrainConfig(env=EnvConfig(size=SIZE), learner=LearnerConfig(**settings))  # type: ignore[arg-type]


def test_a_batch_stays_as_it_is_while_the_next_is_built() -> None:
    builder, rng = WindowBuilder(config(), num_actions=SIZE * SIZE + 1), np.random.default_rng(0)
    first, second = ([(game, 3) for game in random_games(8, size=SIZE, seed=seed)] for seed in (0, 1))
    windows = builder.build(first, rng)
    kept = windows._changed(torch.clone)
    assert not torch.equal(builder.build(second, rng).observation, kept.observation)
    for before, now in ((kept, windows), (kept.go, windows.go)):
        assert now is not None
        for field in dataclasses.fields(now):
            value = getattr(now, field.name)
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, getattr(before, field.name)), field.name


def test_a_window_is_what_the_rules_say() -> None:
    games = random_games(6, size=SIZE, seed=1)
    pairs = [(game, min(i * 3, len(game) - 1)) for i, game in enumerate(games)]
    pairs += [(game, len(game) - 1 - i % 3) for i, game in enumerate(games)]
    windows = WindowBuilder(config(), num_actions=17).build(pairs, np.random.default_rng(0))
    assert windows.go is not None
    for i, (game, start) in enumerate(pairs):
        single = GoBatch(num_games=1, size=SIZE, komi=game.komi)
        for action in game.actions[:start]:
            single.play(np.array([action], np.int32))
        assert np.array_equal(windows.observation[i].numpy(), single.observe()[0])
        for k in range(STEPS + 1):
            stones = np.where(single.stones[0] < 0, 2, single.stones[0])
            assert windows.go.board[i, k].tolist() == stones.tolist()
            assert windows.go.legal[i, k].tolist() == single.legal_mask()[0, :-1].tolist()
            assert bool(windows.go.terminal[i, k]) == bool(single.finished[0])
            if k < STEPS and start + k < len(game):
                action = game.actions[start + k : start + k + 1].astype(np.int32)
                planes = encode_actions(action, single.to_play, size=SIZE)
                assert np.array_equal(windows.action_planes[k, i].numpy(), planes[0])
                single.play(action)
        assert windows.go.score[i] == game.score
        assert windows.go.ownership[i].tolist() == game.ownership.tolist()  # type: ignore[union-attr]
        for j, k in enumerate(windows.future_steps):
            assert bool(windows.future_weight[j, i]) == (start + k < len(game))


@pytest.mark.parametrize("seed", range(4))
def test_augmented_windows_are_the_augmented_game(seed: int) -> None:
    """Board, policy, ownership, score and value of a window turn and change colour together."""
    game = random_games(1, size=SIZE, seed=5)[0]
    start = len(game) // 2
    plain = WindowBuilder(config(), num_actions=17).build([(game, start)] * 8, np.random.default_rng(seed))
    turned = WindowBuilder(config(symmetries=True), num_actions=17).build(
        [(game, start)] * 8, np.random.default_rng(seed)
    )
    assert plain.go is not None
    assert turned.go is not None
    seen = set()
    for i in range(8):
        colour = -1 if (turned.value[i, 0] != plain.value[i, 0]) else 1
        points = plain.go.board[i, 0]
        swapped = torch.where(points > 0, 3 - points, points) if colour < 0 else points
        found = [
            s
            for s in range(8)
            if torch.equal(turned.go.board[i, 0][torch.from_numpy(symmetry_table(SIZE)[s, :-1].astype(int))], swapped)
        ]
        assert len(found) == 1
        seen.add((found[0], colour))
        table = torch.from_numpy(symmetry_table(SIZE)[found[0]].astype(int))
        assert torch.allclose(turned.policy[i][:, table], plain.policy[i])
        assert torch.equal(turned.go.ownership[i][table[:-1]], colour * plain.go.ownership[i])
        assert turned.go.score[i] == colour * plain.go.score[i]
        assert torch.equal(turned.go.legal[i, 0][table[:-1]], plain.go.legal[i, 0])
    assert len(seen) > 2


def test_branches_follow_the_rules_and_teach_no_outcome() -> None:
    games = random_games(8, size=SIZE, seed=2)
    pairs = [(game, 0) for game in games]
    windows = WindowBuilder(config(branch_share=1.0), num_actions=17).build(pairs, np.random.default_rng(3))
    assert windows.go is not None
    weight = windows.value_weight
    assert (weight[:, 0] == 1).all()
    assert (weight[:, -1] == 0).all()
    assert ((windows.policy_weight > 0) <= (weight > 0)).all()
    moved = windows.action_planes[:, :, :2].flatten(2).argmax(-1) % 16  # the point of each move, by either colour
    passed = windows.action_planes[:, :, 2, 0, 0] > 0
    for k in range(STEPS):
        legal = windows.go.legal[:, k].gather(1, moved[k][:, None]).squeeze(1) > 0
        assert (legal | passed[k] | (windows.go.terminal[:, k] > 0)).all()


def test_past_the_end_random_moves_take_turns_and_change_nothing() -> None:
    games = random_games(8, size=SIZE, seed=4)
    windows = WindowBuilder(config(), num_actions=17).build([(g, len(g) - 1) for g in games], np.random.default_rng(0))
    assert windows.go is not None
    movers = windows.action_planes[:, :, 3, 0, 0]  # [K, B]; every game ends with the first move of its window
    last = torch.tensor([float(game.to_play[-1]) for game in games])
    assert torch.equal(movers, torch.stack([last, -last, last]))
    assert (windows.go.terminal[:, 1:] == 1).all()
    assert (windows.go.board[:, 1:] == windows.go.board[:, 1:2]).all()
    assert len(set(windows.action_planes[1:].flatten(2).argmax(-1).flatten().tolist())) > 3
    assert (windows.value_weight == 1).all()
    assert windows.value.tolist() == [[game.outcome] * (STEPS + 1) for game in games]


def test_swapped_colours_swap_the_first_player_and_komi() -> None:
    game = random_games(1, size=SIZE, seed=5, komi=1.5)[0]
    builder = WindowBuilder(config(symmetries=True), num_actions=17)
    windows = builder.build([(game, 0)] * 16, np.random.default_rng(0))
    assert windows.go is not None
    assert builder._batch is not None
    sign = windows.go.score / game.score
    assert set(sign.tolist()) == {1.0, -1.0}
    assert torch.equal(windows.value[:, 0], sign * game.outcome)
    first = windows.observation[:, FULL_PLANES.index("to_play"), 0, 0]
    assert torch.equal(first, sign)
    assert torch.equal(windows.action_planes[0, :, 3, 0, 0], sign)
    assert builder._batch.komi.tolist() == (1.5 * sign).tolist()
    assert builder._batch.history_to_play[:, 0].tolist() == sign.tolist()  # what situational superko looks at


def test_branches_begin_at_every_step_in_their_share_of_windows() -> None:
    game = random_games(1, size=SIZE, seed=2)[0]
    builder = WindowBuilder(config(branch_share=0.25), num_actions=17)
    windows = builder.build([(game, 0)] * 400, np.random.default_rng(3))
    left = (windows.value_weight == 0).sum(1)  # states after the branch
    assert 0.17 < (left > 0).float().mean() < 0.33
    assert set(left.tolist()) == set(range(STEPS + 1))
    passes = windows.action_planes[:, :, 2, 0, 0].numpy() > 0
    points = windows.action_planes[:, :, :2].sum(2).flatten(2).argmax(-1).numpy()
    same = np.where(passes, 16, points) == game.actions[:STEPS, None]
    for step in range(STEPS):
        branch = (STEPS - left == step).numpy()  # windows that leave the game by this step's move
        assert same[:step, branch].all()
        assert same[step, branch].mean() < 0.3
    assert same[:, (left == 0).numpy()].all()


def test_the_same_generator_gives_the_same_windows() -> None:
    pairs = [(game, 0) for game in random_games(4, size=SIZE, seed=3)]
    builder = WindowBuilder(config(symmetries=True, branch_share=0.5), num_actions=17)
    first, second = (builder.build(pairs, np.random.default_rng(9)) for _ in range(2))
    for field in dataclasses.fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else field.name in ("future_steps", "go")


def test_a_share_of_the_windows_is_unrolled_and_the_others_are_looks() -> None:
    games = random_games(12, size=SIZE, seed=5)
    pairs = [(game, len(game) // 2) for game in games]
    mixed = MixedWindowBuilder(config(unrolled_share=0.25))
    unrolled, looks = mixed.build(pairs, np.random.default_rng(0))
    assert unrolled.action_planes.shape == (STEPS, 3, 4, SIZE, SIZE)
    assert looks.action_planes.shape == (0, 9, 4, SIZE, SIZE)
    assert looks.observation.shape == (9, len(FULL_PLANES), SIZE, SIZE)
    assert looks.policy.shape == (9, 1, SIZE * SIZE + 1)
    assert looks.future_steps == ()


def test_a_look_weighs_what_the_beginning_of_an_unrolled_window_weighs() -> None:
    games = random_games(6, size=SIZE, seed=5)
    torch.manual_seed(0)
    network = make_network(NetworkConfig(channels=8, head_channels=8))
    look, unrolled = (
        WindowBuilder(config(unroll_steps=steps), num_actions=SIZE * SIZE + 1).build(
            [(game, 1) for game in games], np.random.default_rng(0)
        )
        for steps in (0, 1)
    )
    settings = LearnerConfig(consistency_weight=0.0)
    alone, both = compute_losses(network, look, settings), compute_losses(network, unrolled, settings)
    for name, loss in alone.items():
        assert 0.0 < loss.item() < both[name].item() < 4 * loss.item()
