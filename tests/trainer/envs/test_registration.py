"""Every id passes Gymnasium's own checker, is found by `make` and `make_vec`, and costs nothing until it is made."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from engine.errors import InvalidConfig
from trainer.envs import ENV_IDS, make_vector, register

ARGUMENTS = {"tengen/Go-v0": {"size": 5}}


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_gymnasium_accepts_the_environment(env_id: str) -> None:
    """Warnings are errors here, so any complaint of the checker fails."""
    check_env(gymnasium.make(env_id, **ARGUMENTS.get(env_id, {})).unwrapped)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_single_environment_plays_a_masked_random_game(env_id: str) -> None:
    env = gymnasium.make(env_id, render_mode="ansi", **ARGUMENTS.get(env_id, {}))
    env.action_space.seed(3)
    observation, info = env.reset(seed=3)
    to_play, reward, over = 1, 0.0, False
    while not over:
        assert info["to_play"] == to_play
        assert reward == 0
        assert observation in env.observation_space
        observation, reward, over, truncated, info = env.step(env.action_space.sample(info["action_mask"]))
        assert not truncated
        assert not info["illegal"]
        to_play = -to_play
    assert reward in (-1.0, 0.0, 1.0)
    assert isinstance(env.render(), str)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_make_vec_gives_the_native_vector_environment(env_id: str) -> None:
    env = gymnasium.make_vec(env_id, num_envs=3, **ARGUMENTS.get(env_id, {}))
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    observations, infos = env.reset(seed=0)
    assert observations in env.observation_space
    assert infos["action_mask"].shape == (3, env.num_actions)
    assert type(env) is type(make_vector(env_id, 3, **ARGUMENTS.get(env_id, {})))
    kept = observations.copy()
    env.step(np.zeros(3, dtype=np.int64))
    assert (observations == kept).all(), "make_vec keeps Gymnasium's habit of returning copies"


def test_registering_again_is_harmless() -> None:
    register()
    assert all(env_id in gymnasium.registry for env_id in ENV_IDS)


def test_module_prefix_needs_no_import_and_importing_loads_no_heavy_package() -> None:
    program = (
        "import sys, trainer.envs\n"
        "heavy = {'numba', 'torch', 'engine.go.kernels'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import gymnasium\n"
        "gymnasium.registry.clear(); [sys.modules.pop(m) for m in list(sys.modules) if m.startswith('trainer')]\n"
        "print(gymnasium.make('trainer.envs:tengen/TicTacToe-v0').action_space)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Discrete(9)\n"), done.stderr


def test_bad_requests_are_quoted() -> None:
    with pytest.raises(InvalidConfig, match="tengen/Chess-v0"):
        make_vector("tengen/Chess-v0", 2)
    with pytest.raises(InvalidConfig, match="no_such_module"):
        make_vector("no_such_module:Thing-v0", 2)
    with pytest.raises(InvalidConfig, match="num_envs 0"):
        make_vector("tengen/TicTacToe-v0", 0)
    with pytest.raises(InvalidConfig, match="rgb_array"):
        make_vector("tengen/TicTacToe-v0", 2, render_mode="rgb_array")
