"""Any Gymnasium id behind the trainer's interface: CartPole and others, and our own games stepped one at a time."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from engine.errors import InvalidConfig, InvalidInput
from trainer.envs import make_vector
from trainer.envs.adapter import AdapterVectorEnv


class CountDown(gymnasium.Env):
    """Actions 3..5, of which only 3 + (step mod 3) is legal; the observation is the step; over after four steps."""

    action_space = gymnasium.spaces.Discrete(3, start=3)
    observation_space = gymnasium.spaces.Discrete(8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict]:
        super().reset(seed=seed)
        self.steps = 0
        return 0, self._info()

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        assert action == 3 + self.steps % 3
        self.steps += 1
        return self.steps, float(action), self.steps == 4, False, self._info()

    def _info(self) -> dict:
        return {"action_mask": np.arange(3) == self.steps % 3, "to_play": 1 if self.steps % 2 == 0 else -1}


def random_legal(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(mask.shape) * mask).argmax(axis=1)


def test_cartpole_agrees_with_gymnasium_step_by_step() -> None:
    """Each game follows a plain CartPole that was reset with the same seed, through falls and partial resets."""
    rng = np.random.default_rng(0)
    env = make_vector("CartPole-v1", 4)
    assert (env.num_actions, env.observation_shape, env.two_player) == (2, (4,), False)
    observations, infos = env.reset(seed=9)
    assert observations.dtype == np.float32
    assert infos["action_mask"].all()
    assert (infos["to_play"] == 1).all()
    plain = [gymnasium.make("CartPole-v1") for _ in range(4)]
    for game, single in enumerate(plain):
        assert (single.reset(seed=int(env.state()["seeds"][game]))[0] == observations[game]).all()
    falls = 0
    for _ in range(120):
        actions = rng.integers(2, size=4)
        observations, rewards, terminated, truncated, _ = env.step(actions)
        for game, single in enumerate(plain):
            expected = single.step(int(actions[game]))
            assert (observations[game] == expected[0]).all()
            assert (rewards[game], terminated[game], truncated[game]) == expected[1:4]
        fallen = terminated | truncated
        falls += int(fallen.sum())
        before = observations.copy()
        observations, _ = env.reset(options={"reset_mask": fallen})
        assert (observations[~fallen] == before[~fallen]).all()
        for game in fallen.nonzero()[0]:
            assert (plain[game].reset(seed=int(env.state()["seeds"][game]))[0] == observations[game]).all()
    assert falls >= 4


def test_time_limit_truncates_and_the_game_then_waits() -> None:
    env = make_vector("CartPole-v1", 2, copy=True, max_episode_steps=3)
    env.reset(seed=1)
    for step in range(3):
        observations, rewards, terminated, truncated, _ = env.step(np.array([step % 2, (step + 1) % 2]))
    assert truncated.all()
    assert not terminated.any()
    assert (rewards == 1).all()
    waiting, rewards, _, truncated, _ = env.step(np.array([0, 0]))
    assert truncated.all()
    assert (rewards == 0).all()
    assert (waiting == observations).all()


def test_equal_seeds_give_equal_games() -> None:
    first, second, other = (make_vector("CartPole-v1", 3, copy=True) for _ in range(3))
    left, right = first.reset(seed=5)[0], second.reset(seed=5)[0]
    assert (left == right).all()
    assert (left != other.reset(seed=6)[0]).any()
    assert (left[0] != left[1]).any(), "games of one vector differ"
    mask = np.array([False, True, False])
    assert (first.reset(options={"reset_mask": mask})[0] == second.reset(options={"reset_mask": mask})[0]).all()


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0", "Acrobot-v1", "FrozenLake-v1", "Blackjack-v1"])
def test_state_continues_bit_for_bit(env_id: str) -> None:
    """The copy never saw the first part of the games, and also draws the same new games afterwards."""
    rng = np.random.default_rng(2)
    first, second = make_vector(env_id, 5, copy=True), make_vector(env_id, 5, copy=True)
    _, infos = first.reset(seed=4)

    def advance(env: Any, actions: np.ndarray) -> tuple:
        result = env.step(actions)
        over = result[2] | result[3]
        return (*result[:4], *env.reset(options={"reset_mask": over}))

    for _ in range(25):
        infos = advance(first, random_legal(infos["action_mask"], rng))[-1]
    state = first.state()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in state.values())
    second.set_state(state)
    np.testing.assert_equal(second.observe(), first.observe())
    for _ in range(60):
        actions = random_legal(infos["action_mask"], rng)
        left, right = advance(first, actions), advance(second, actions)
        np.testing.assert_equal(left, right)
        infos = left[-1]


def test_state_that_does_not_replay_is_refused() -> None:
    env = make_vector("CartPole-v1", 2)
    env.reset(seed=1)
    env.step(np.array([0, 1]))
    state = env.state()
    with pytest.raises(InvalidInput, match="does not replay"):
        env.set_state({**state, "actions": 1 - state["actions"]})
    with pytest.raises(InvalidInput, match="seeds"):
        env.set_state({**state, "seeds": state["seeds"][:1]})


def test_games_that_cannot_be_replayed_have_no_state() -> None:
    env = make_vector("CartPole-v1", 2)
    observations, _ = env.reset(seed=1, options={"low": -0.01, "high": -0.005})
    assert ((observations >= -0.01) & (observations <= -0.005)).all(), "options reach the environments"
    assert env.state() is None


def test_masks_players_first_action_and_one_hot_observations() -> None:
    env = AdapterVectorEnv(CountDown, num_envs=2, copy=True)
    observations, infos = env.reset(seed=0)
    for step in range(4):
        assert observations.tolist() == [np.eye(8)[step].tolist()] * 2
        assert infos["action_mask"].tolist() == [[a == step % 3 for a in range(3)]] * 2
        assert infos["to_play"].tolist() == [1 if step % 2 == 0 else -1] * 2
        observations, rewards, terminated, _, infos = env.step(infos["action_mask"].argmax(axis=1))
        assert rewards.tolist() == [3.0 + step % 3] * 2
    assert terminated.all()


def test_taxi_brings_its_own_mask() -> None:
    env = make_vector("Taxi-v3" if "Taxi-v3" in gymnasium.registry else "Taxi-v4", 4)
    _, infos = env.reset(seed=0)
    assert env.observation_shape == (500,)
    assert not infos["action_mask"].all()
    assert infos["action_mask"].any(axis=1).all()


@pytest.mark.parametrize("env_id", ["tengen/TicTacToe-v0", "tengen/ConnectFour-v0", "tengen/Go-v0"])
def test_our_games_one_at_a_time_equal_their_native_vector(env_id: str) -> None:
    rng = np.random.default_rng(8)
    kwargs = {"size": 3, "komi": 0.5} if env_id == "tengen/Go-v0" else {}
    native = make_vector(env_id, 6, copy=True, **kwargs)
    adapter = AdapterVectorEnv(lambda: gymnasium.make(env_id, **kwargs), num_envs=6, copy=True)
    assert adapter.two_player
    assert native.two_player
    assert adapter.num_actions == native.num_actions
    left, right = native.reset(seed=0), adapter.reset(seed=0)
    for step in range(60):
        np.testing.assert_array_equal(left[0].reshape(6, -1), right[0])
        for name in ("action_mask", "to_play"):
            np.testing.assert_array_equal(left[-1][name], right[-1][name])
        actions = random_legal(left[-1]["action_mask"], rng)
        if step == 20:
            actions[:2] = (~left[-1]["action_mask"][:2]).argmax(axis=1)
        left, right = native.step(actions), adapter.step(actions)
        for ours, theirs in zip(left[1:4], right[1:4], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        if step % 7 == 6:
            left, right = (e.reset(options={"reset_mask": left[2].copy()}) for e in (native, adapter))
            left, right = (None, None, None, *left), (None, None, None, *right)
            left, right = (left[3], *left[:3], left[4]), (right[3], *right[:3], right[4])


def test_what_cannot_be_adapted_is_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"Pendulum-v1.*must be Discrete"):
        make_vector("Pendulum-v1", 2)
    env = make_vector("CartPole-v1", 2)
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[0, 1\]"):
        env.step(np.array([0, 0]))
