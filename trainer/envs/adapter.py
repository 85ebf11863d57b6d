"""Any single Gymnasium environment with discrete actions behind the trainer's vector interface.

A game in flight is remembered as its seed and its actions, never as a pickled object: restoring it replays them. That
is exact for every environment whose episodes depend on nothing else, which is what Gymnasium asks of `reset(seed=)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from engine.errors import InvalidConfig, InvalidInput
from trainer.envs.vector_env import (
    Infos,
    State,
    TrainerVectorEnv,
    checked_array,
    generator_from_array,
    generator_to_array,
)

_MAX_SEED = 2**31
_NEVER_RESET = -1


class AdapterVectorEnv(TrainerVectorEnv):
    """G environments stepped one after the other.

    Observations are flattened to float32 vectors as `gymnasium.spaces.flatten` does it, without scaling (a Discrete one
    becomes one-hot). Action a of the trainer is `action_space.start + a`. `action_mask` and `to_play` come from the
    environments' infos where these have them: else every action is legal and the first player moves. An environment
    with an attribute `two_player = True` is a two-player game; its rewards must be from the first player's view.
    """

    def __init__(self, make_env: Callable[[], gymnasium.Env[Any, Any]], *, num_envs: int, copy: bool = True) -> None:
        """Raises `InvalidConfig` where the actions are not Discrete or the observations cannot be flattened."""
        self.envs = [make_env() for _ in range(num_envs)]
        first = self.envs[0]
        self.spec, self.render_mode = first.spec, first.render_mode
        if not isinstance(first.action_space, spaces.Discrete):
            raise InvalidConfig(f"{self._name}: action space {first.action_space} must be Discrete")
        space = spaces.flatten_space(first.observation_space)
        if not isinstance(space, spaces.Box):
            raise InvalidConfig(f"{self._name}: observation space {first.observation_space} cannot be flattened")
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        self._set_spaces(
            num_envs=num_envs,
            observation_space=spaces.Box(low, high, dtype=np.float32),
            num_actions=int(first.action_space.n),
        )
        self.two_player = bool(getattr(first.unwrapped, "two_player", False))
        self.metadata = {**self.metadata, "render_modes": first.metadata.get("render_modes", [])}
        self.copy = copy
        self._first_action = int(first.action_space.start)
        self._observations = np.zeros((num_envs, *self.observation_shape), dtype=np.float32)
        self._action_mask = np.ones((num_envs, self.num_actions), dtype=np.bool_)
        self._to_play = np.ones(num_envs, dtype=np.int8)
        self._terminated = np.zeros(num_envs, dtype=np.bool_)
        self._truncated = np.zeros(num_envs, dtype=np.bool_)
        self._seeds = np.full(num_envs, _NEVER_RESET, dtype=np.int64)
        self._histories: list[list[int]] = [[] for _ in range(num_envs)]
        self._can_replay = first.spec is None or not first.spec.nondeterministic

    @property
    def _name(self) -> str:
        return self.spec.id if self.spec is not None else type(self.envs[0].unwrapped).__name__

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], Infos]:
        """Starts the masked games with seeds drawn from `np_random`, which `seed` seeds.

        Options other than `reset_mask` go to every environment that is reset; such games cannot be saved by `state`.
        """
        if seed is not None:
            super().reset(seed=seed)
        options = dict(options or {})
        games = self._reset_mask(options).nonzero()[0]
        options.pop("reset_mask", None)
        if options:
            self._can_replay = False
        for game in games:
            self._start(int(game), int(self.np_random.integers(_MAX_SEED)), options or None)
        self._require_started()
        return self.observe()

    def step(
        self, actions: Any
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], Infos]:
        actions = self._checked_actions(actions)
        self._require_started()
        rewards = np.zeros(self.num_envs, dtype=np.float32)
        for game in (~(self._terminated | self._truncated)).nonzero()[0]:
            rewards[game] = self._play(int(game), int(actions[game]))
        observations, infos = self.observe()
        return observations, rewards, self._terminated.copy(), self._truncated.copy(), infos

    def observe(self) -> tuple[NDArray[np.float32], Infos]:
        infos = {"action_mask": self._action_mask, "to_play": self._to_play}
        if self.copy:
            return self._observations.copy(), {name: array.copy() for name, array in infos.items()}
        return self._observations, infos

    def state(self) -> State | None:
        """Seeds, actions and generator; None where the environment is nondeterministic or was reset with options."""
        if not self._can_replay:
            return None
        lengths = np.array([len(history) for history in self._histories], dtype=np.int32)
        return {
            "seeds": self._seeds.copy(),
            "lengths": lengths,
            "actions": np.array([action for history in self._histories for action in history], dtype=np.int32),
            "observations": self._observations.copy(),
            "generator": generator_to_array(self.np_random),
        }

    def set_state(self, state: State) -> None:
        """Replays the games of `state`; raises `InvalidInput` where they do not arrive at the saved observations."""
        lengths = checked_array(state, "lengths", np.zeros(self.num_envs, dtype=np.int32))
        seeds = checked_array(state, "seeds", self._seeds)
        saved = checked_array(state, "observations", self._observations)
        actions = checked_array(state, "actions", np.zeros(int(lengths.sum()), dtype=np.int32))
        generator = generator_from_array(checked_array(state, "generator", np.zeros(6, dtype=np.uint64)))
        histories = np.split(actions, np.cumsum(lengths)[:-1])
        for game, history in enumerate(histories):
            if seeds[game] == _NEVER_RESET:
                raise InvalidInput(f"state of game {game} was taken before its first reset")
            self._start(game, int(seeds[game]), None)
            for action in history:
                self._play(game, int(action))
        if not np.array_equal(self._observations, saved, equal_nan=True):
            raise InvalidInput(f"{self._name} does not replay to the saved state: not deterministic, or changed")
        self.np_random = generator

    def render(self) -> tuple[Any, ...] | None:
        return None if self.render_mode is None else tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: Any) -> None:
        for env in self.envs:
            env.close()

    def _start(self, game: int, seed: int, options: dict[str, Any] | None) -> None:
        observation, info = self.envs[game].reset(seed=seed, options=options)
        self._seeds[game] = seed
        self._histories[game] = []
        self._terminated[game] = self._truncated[game] = False
        self._store(game, observation, info)

    def _play(self, game: int, action: int) -> float:
        """Steps one environment; returns its reward."""
        observation, reward, terminated, truncated, info = self.envs[game].step(self._first_action + action)
        self._histories[game].append(action)
        self._terminated[game] = terminated
        self._truncated[game] = truncated
        self._store(game, observation, info)
        return float(reward)

    def _store(self, game: int, observation: Any, info: dict[str, Any]) -> None:
        """Writes one environment's observation and info to the arrays of the batch."""
        self._observations[game] = np.asarray(spaces.flatten(self.envs[game].observation_space, observation))
        mask = info.get("action_mask")
        self._action_mask[game] = True if mask is None or not np.any(mask) else np.asarray(mask, dtype=np.bool_)
        self._to_play[game] = info.get("to_play", 1)

    def _require_started(self) -> None:
        waiting = (self._seeds == _NEVER_RESET).nonzero()[0]
        if waiting.size:
            raise gymnasium.error.ResetNeeded(f"games {waiting.tolist()} have never been reset")
