"""The Go vector environment: what it adds to the rules kernel, which has tests of its own."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from engine.errors import InvalidConfig, InvalidInput, InvalidRules, UnsupportedBoardSize
from engine.go import batch as go_batch
from engine.go.batch import GoBatch
from engine.go.features import FULL_PLANES
from engine.go.rules import KoRule, RuleSet
from trainer.envs.go import GoVectorEnv


def random_legal(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(mask.shape) * mask).argmax(axis=1)


def assert_is_fresh(env: GoVectorEnv, observations: np.ndarray, infos: dict) -> None:
    """What the environment returned is what the batch says when everything is computed anew."""
    again = GoBatch(num_games=env.num_envs, size=env.batch.size, rules=env.rules, max_plies=env.batch.max_plies)
    again.reset(komi=env.batch.komi)
    again.play_sequences(env.moves.astype(np.int32))
    np.testing.assert_array_equal(observations, again.observe(variant=env.variant))
    np.testing.assert_array_equal(infos["action_mask"], again.legal_mask())
    np.testing.assert_array_equal(infos["to_play"], again.to_play)
    np.testing.assert_array_equal(infos["terminal_values"], again.terminal_values())
    np.testing.assert_array_equal(infos["pass_pass_values"], again.pass_pass_values())
    np.testing.assert_array_equal(infos["scores"], again.area_scores())


@pytest.mark.parametrize("rules", ["cgos", "tromp-taylor", "aga"])
@pytest.mark.parametrize("variant", ["full", "basic"])
def test_random_games_with_resets_stay_true_to_the_rules(rules: str, variant: str) -> None:
    """Arrays after each step and each partial reset, and rewards that the terminal values announced."""
    rng = np.random.default_rng(4)
    env = GoVectorEnv(7, size=3, rules=rules, komi=1.0, variant=variant, max_plies=20, copy=False)
    observations, infos = env.reset(seed=0)
    outcomes = []
    for _ in range(150):
        actions = random_legal(infos["action_mask"], rng)
        announced = infos["terminal_values"][np.arange(7), actions].copy()
        observations, rewards, terminated, truncated, infos = env.step(actions)
        np.testing.assert_array_equal(terminated, ~np.isnan(announced))
        np.testing.assert_array_equal(rewards[terminated], announced[terminated])
        assert not rewards[~terminated].any()
        assert not truncated.any()
        assert_is_fresh(env, observations, infos)
        outcomes.extend(rewards[terminated])
        observations, infos = env.reset(
            options={"reset_mask": terminated, "komi": rng.integers(-9, 10, size=7).astype(np.float32)}
        )
        assert_is_fresh(env, observations, infos)
    assert set(outcomes) == {-1.0, 0.0, 1.0}


def test_two_passes_end_the_game_with_the_score_at_hand() -> None:
    env = GoVectorEnv(3, size=5, komi=[0.5, 24.5, 25.0])
    _, infos = env.reset()
    assert np.isnan(infos["terminal_values"]).all()
    assert infos["scores"].tolist() == [-0.5, -24.5, -25.0]
    env.step(np.full(3, 12))
    _, rewards, terminated, _, infos = env.step(np.full(3, 25))
    assert not terminated.any()
    assert infos["scores"].tolist() == [24.5, 0.5, 0.0], "one black stone owns the board"
    assert infos["terminal_values"][:, 25].tolist() == infos["pass_pass_values"].tolist() == [1.0, 1.0, 0.0]
    assert np.isnan(infos["terminal_values"][:, :25]).all()
    _, rewards, terminated, _, _ = env.step(np.full(3, 25))
    assert terminated.all()
    assert rewards.tolist() == [1.0, 1.0, 0.0]


def test_komi_of_a_reset_goes_to_the_games_that_are_reset_and_no_further() -> None:
    env = GoVectorEnv(3, size=5, komi=7.0, copy=True)
    plane = FULL_PLANES.index("komi")
    observations, _ = env.reset(options={"komi": np.array([1.0, 2.0, 3.0], dtype=np.float32)})
    np.testing.assert_allclose(observations[:, plane, 0, 0], [-0.05, -0.1, -0.15])
    mask = np.array([True, False, False])
    observations, _ = env.reset(options={"reset_mask": mask, "komi": np.full(3, 9.0)})
    np.testing.assert_allclose(observations[:, plane, 0, 0], [-0.45, -0.1, -0.15], rtol=1e-6)
    observations, _ = env.reset(options={"reset_mask": ~mask})
    np.testing.assert_allclose(observations[:, plane, 0, 0], [-0.45, -0.35, -0.35], rtol=1e-6)


def superko_env() -> tuple[GoVectorEnv, int]:
    """A 1-game environment in which White may not retake a ko at the returned point."""
    env = GoVectorEnv(1, size=5, komi=0.5)
    # . X O . .      Black 1, 5, 11, then takes on 7; White 2, 8, 12 and the stone on 6.
    # X O . O .
    # . X O . .
    for action in (1, 2, 5, 8, 11, 12, 24, 6, 7):
        env.step(np.array([action]))
    assert env.batch.stones[0, 6] == 0, "Black has taken"
    return env, 6


@pytest.mark.parametrize("reason", ["occupied", "suicide", "superko"])
def test_illegal_action_loses_for_its_player(reason: str) -> None:
    if reason == "superko":
        env, action = superko_env()
    else:
        env = GoVectorEnv(1, size=5, komi=0.5)
        for move in (1, 24, 5):
            env.step(np.array([move]))
        action = 1 if reason == "occupied" else 0
    assert env.observe()[1]["to_play"][0] == -1
    _, rewards, terminated, _, infos = env.step(np.array([action]))
    assert rewards[0] == 1.0
    assert terminated[0]
    assert infos["illegal"][0]
    assert infos["action_mask"][0].nonzero()[0].tolist() == [25]
    _, rewards, terminated, _, infos = env.step(np.array([3]))
    assert (rewards[0], terminated[0], infos["illegal"][0]) == (0.0, True, False)


def test_rules_by_name_or_as_an_object_decide_what_is_legal() -> None:
    for rules, legal in (("tromp-taylor", True), ("chinese", False), (RuleSet(ko=KoRule.SIMPLE, suicide=True), True)):
        env = GoVectorEnv(1, size=5, rules=rules)
        # White on 1 joins the stone on 0 without a liberty: a suicide of two, which repeats no position.
        for action in (2, 0, 6, 24, 5):
            _, _, _, _, infos = env.step(np.array([action]))
        assert infos["action_mask"][0, 1] == legal, rules


@pytest.mark.parametrize("copy", [False, True])
def test_observations_live_in_one_array_unless_copies_are_asked_for(copy: bool) -> None:
    env = GoVectorEnv(2, size=5, copy=copy)
    first, _ = env.reset()
    kept = first.copy()
    second = env.step(np.array([0, 1]))[0]
    assert np.shares_memory(first, second) == (not copy)
    assert (first == kept).all() == copy


def test_a_step_and_a_partial_reset_analyse_each_position_once(monkeypatch: pytest.MonkeyPatch) -> None:
    env = GoVectorEnv(6, size=5, copy=False)
    env.reset()
    analysed = []
    analyze = go_batch.kernels.analyze
    monkeypatch.setattr(go_batch.kernels, "analyze", lambda *args: (analysed.append(len(args[0])), analyze(*args)))
    env.step(np.full(6, 25))
    env.step(np.array([25, 25, 0, 1, 2, 3]))
    env.reset(options={"reset_mask": env.batch.finished.copy()})
    assert analysed == [6, 6, 2]


def test_state_continues_bit_for_bit() -> None:
    rng = np.random.default_rng(6)
    first = GoVectorEnv(12, size=5, komi=[float(komi) for komi in range(12)], max_plies=40, copy=True)
    second = GoVectorEnv(12, size=5, max_plies=40, copy=True)
    _, infos = first.reset()
    for step in range(30):
        actions = random_legal(infos["action_mask"], rng)
        if step == 20:
            actions[:2] = (~infos["action_mask"][:2]).argmax(axis=1)
        _, _, terminated, _, infos = first.step(actions)
        if step in (10, 15):
            _, infos = first.reset(options={"reset_mask": terminated | (np.arange(12) == step)})
    state = first.state()
    assert all(array.dtype != object for array in state.values())
    second.set_state(state)
    left, right = first.observe(), second.observe()
    left[1].pop("illegal"), right[1].pop("illegal")
    np.testing.assert_equal(left, right)
    assert first.batch.finished.any()
    for _ in range(30):
        actions = random_legal(infos["action_mask"], rng)
        left, right = first.step(actions), second.step(actions)
        np.testing.assert_equal(left, right)
        infos = left[-1]
        over = {"reset_mask": left[2], "komi": rng.random(12).astype(np.float32)}
        left, right = first.reset(options=over), second.reset(options=over)
        np.testing.assert_equal(left, right)
        infos = left[-1]


def test_bad_input_is_quoted() -> None:
    with pytest.raises(UnsupportedBoardSize, match="26"):
        GoVectorEnv(1, size=26)
    with pytest.raises(InvalidRules, match="house"):
        GoVectorEnv(1, rules="house")
    with pytest.raises(InvalidRules, match="nan"):
        GoVectorEnv(1, komi=float("nan"))
    with pytest.raises(InvalidConfig, match="tiny"):
        GoVectorEnv(1, variant="tiny")
    with pytest.raises(InvalidConfig, match="max_plies 0"):
        GoVectorEnv(1, max_plies=0)
    env = GoVectorEnv(2, size=5)
    with pytest.raises(InvalidRules, match="51"):
        env.reset(options={"komi": 51.0})
    with pytest.raises(InvalidRules, match="2 numbers"):
        env.reset(options={"komi": [1.0, 2.0, 3.0]})
    with pytest.raises(InvalidInput, match="26"):
        env.step(np.array([0, 26]))
    with pytest.raises(InvalidInput, match="moves"):
        env.set_state({**env.state(), "moves": np.zeros((2, 3), dtype=np.int16)})


def test_single_environment_takes_komi_and_tells_the_score() -> None:
    env = gymnasium.make("tengen/Go-v0", size=5, komi=0.5)
    _, info = env.reset(options={"komi": 3.5})
    assert info["score"] == -3.5
    _, _, _, _, info = env.step(12)
    assert info["score"] == 21.5
    assert info["to_play"] == -1


def test_diagram_shows_the_position() -> None:
    env = GoVectorEnv(2, size=5, render_mode="ansi")
    env.step(np.array([0, 12]))
    first, second = env.render()
    assert " 5(X). . . . 5" in first
    assert " 3 . .(X). . 3" in second
