"""The vector environment that self-play drives: Gymnasium's `VectorEnv` without autoreset, plus what a trainer needs.

Knows no game. What every environment behind it promises is written at `TrainerVectorEnv`.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from engine.errors import InvalidInput

Infos = dict[str, Any]
State = dict[str, NDArray[Any]]


class TrainerVectorEnv(VectorEnv[Any, Any, Any]):
    """G = `num_envs` games in step, none of which restarts by itself (`AutoresetMode.DISABLED`).

    `reset(seed=, options={"reset_mask": bool[G]})` restarts the masked games only (all without a mask, none if the mask
    is all False) and returns the observations and infos of all G. `step(actions)` takes int[G]. A game that is over
    ignores its action: reward 0, still terminated or truncated, until it is reset.

    Observations are float32 [G, *observation_shape], rewards float32[G], terminated and truncated bool[G].
    Infos always hold arrays for all G games: `action_mask` bool[G, num_actions], each row with at least one True, also
    in games that are over, and `to_play` int8[G], +1 for the first player, -1 for the second, always +1 where
    there is one player. In two-player games every reward is from the first player's view.

    With `copy=False` observations and infos live in arrays that the next `reset`, `step` or `set_state` overwrites and
    that the caller must not write.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 Gymnasium declares it so
        "autoreset_mode": AutoresetMode.DISABLED,
        "render_modes": ["ansi"],
        "render_fps": 1,
    }
    num_actions: int
    observation_shape: tuple[int, ...]
    two_player: bool

    def _set_spaces(self, *, num_envs: int, observation_space: gymnasium.spaces.Box, num_actions: int) -> None:
        """Fixes the sizes; every subclass calls this first."""
        self.num_envs = num_envs
        self.num_actions = num_actions
        self.observation_shape = tuple(observation_space.shape)
        self.single_observation_space = observation_space
        self.single_action_space = gymnasium.spaces.Discrete(num_actions)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @cached_property
    def observation_space(self) -> gymnasium.Space[Any]:  # type: ignore[override]
        """Built when first asked for: its bounds are as large as two batches of observations."""
        return batch_space(self.single_observation_space, self.num_envs)

    @abstractmethod
    def observe(self) -> tuple[NDArray[np.float32], Infos]:
        """The observations and infos of the present positions, as the last `reset` or `step` returned them."""

    @abstractmethod
    def state(self) -> State | None:
        """Everything that the games in flight depend on, as arrays that do not change any more.

        None where games in flight cannot be restored: the trainer then resets all games with a new seed.
        """

    @abstractmethod
    def set_state(self, state: State) -> None:
        """Continues exactly where `state()` was taken, from an environment built with the same arguments.

        Raises `InvalidInput` where the arrays do not fit this environment.
        """

    def _checked_actions(self, actions: Any) -> NDArray[np.int32]:
        """`actions` as int32[G]; raises `InvalidInput` for a wrong shape or an action outside the action space."""
        array = np.asarray(actions)
        if array.shape != (self.num_envs,) or not np.issubdtype(array.dtype, np.integer):
            raise InvalidInput(f"actions {array.dtype}{array.shape} must be integers of shape ({self.num_envs},)")
        if ((array < 0) | (array >= self.num_actions)).any():
            raise InvalidInput(f"actions {array.tolist()} must be in 0..{self.num_actions - 1}")
        return array.astype(np.int32)

    def _reset_mask(self, options: dict[str, Any]) -> NDArray[np.bool_]:
        """The games that `reset(options=options)` restarts, bool[G]; raises `InvalidInput` for any other kind."""
        mask = options.get("reset_mask")
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise InvalidInput(f"reset_mask {mask.dtype}{mask.shape} must be bool of shape ({self.num_envs},)")
        return mask


def checked_array(state: State, name: str, like: NDArray[Any]) -> NDArray[Any]:
    """The array `name` of a saved state, if it has the shape and dtype of `like`; raises `InvalidInput` if not."""
    array = state.get(name)
    if array is None or array.shape != like.shape or array.dtype != like.dtype:
        found = "missing" if array is None else f"{array.dtype}{array.shape}"
        raise InvalidInput(f"state {name!r} is {found}, expected {like.dtype}{like.shape}")
    return array


def generator_to_array(generator: np.random.Generator) -> NDArray[np.uint64]:
    """The state of a PCG64 generator, uint64[6]: state and increment in two halves each, then the spare 32 bits."""
    state = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise InvalidInput(f"generator {state['bit_generator']!r} must be PCG64")
    low = (1 << 64) - 1
    words = [half for key in ("state", "inc") for half in (state["state"][key] >> 64, state["state"][key] & low)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], dtype=np.uint64)


def generator_from_array(words: NDArray[np.uint64]) -> np.random.Generator:
    """The generator that `generator_to_array` saved; it continues with the same numbers."""
    state_high, state_low, inc_high, inc_low, has_uint32, uinteger = (int(word) for word in words)
    bit_generator = np.random.PCG64()
    bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": state_high << 64 | state_low, "inc": inc_high << 64 | inc_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
    return np.random.Generator(bit_generator)
