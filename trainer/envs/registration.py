"""Which environment ids exist, and how any id becomes a vector environment for the trainer.

Names modules and classes by text only: nothing behind an id is imported before that id is made.
"""

from __future__ import annotations

import importlib
from typing import Any, cast

import gymnasium
from gymnasium.envs.registration import load_env_creator

from engine.errors import InvalidConfig
from trainer.envs.vector_env import TrainerVectorEnv

NAMESPACE = "tengen"

_CLASSES = {
    "tengen/Go-v0": ("trainer.envs.go:GoEnv", "trainer.envs.go:GoVectorEnv"),
    "tengen/TicTacToe-v0": ("trainer.envs.tictactoe:TicTacToeEnv", "trainer.envs.tictactoe:TicTacToeVectorEnv"),
    "tengen/ConnectFour-v0": (
        "trainer.envs.connect_four:ConnectFourEnv",
        "trainer.envs.connect_four:ConnectFourVectorEnv",
    ),
}

ENV_IDS = tuple(sorted(_CLASSES))


def register() -> None:
    """Makes the ids known to `gymnasium.make` and `gymnasium.make_vec`; calling it again is harmless."""
    for env_id, (entry_point, vector_entry_point) in _CLASSES.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(id=env_id, entry_point=entry_point, vector_entry_point=vector_entry_point)


def make_vector(env_id: str, num_envs: int, *, copy: bool = False, **kwargs: Any) -> TrainerVectorEnv:
    """Builds the vector environment of any Gymnasium id whose actions are discrete.

    The ids of this package have native batched environments; any other id, also in the form `module:Name-v0`, is
    stepped one environment at a time behind the same interface. `kwargs` go to the environment's constructor.
    With `copy=False` the arrays that `reset` and `step` return are overwritten by the next call.
    Raises `InvalidConfig` for an unknown id, a bad `num_envs`, or spaces that the adapter cannot serve.
    """
    spec = _find_spec(env_id)
    if num_envs < 1:
        raise InvalidConfig(f"num_envs {num_envs!r} must be at least 1")
    if spec.namespace == NAMESPACE:
        creator = load_env_creator(str(spec.vector_entry_point))
        return cast(TrainerVectorEnv, creator(num_envs=num_envs, copy=copy, **{**spec.kwargs, **kwargs}))
    from trainer.envs.adapter import AdapterVectorEnv

    return AdapterVectorEnv(
        lambda: gymnasium.make(spec, disable_env_checker=True, **kwargs), num_envs=num_envs, copy=copy
    )


def _find_spec(env_id: str) -> gymnasium.envs.registration.EnvSpec:
    """The registered spec of `env_id`, after importing the module before a colon; raises `InvalidConfig`."""
    module, _, name = env_id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        return gymnasium.spec(name)
    except (gymnasium.error.Error, ImportError) as error:
        raise InvalidConfig(f"environment {env_id!r} is not known to Gymnasium: {error}") from error
