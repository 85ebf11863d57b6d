"""What the two-player board games share: reset, step and illegal actions of a vector of games, and one game as `Env`.

Knows no rules: they live in the batch that a subclass holds. A single game is a vector of one, so that there is only
one implementation of each game.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidConfig, InvalidInput
from trainer.envs.vector_env import Infos, TrainerVectorEnv


class GameBatch(Protocol):
    """The part of a batch of games that this module reads, and the one array it writes: `finished`."""

    to_play: NDArray[np.int8]
    """[G] +1 first player, -1 second player."""
    finished: NDArray[np.bool_]
    """[G] games that are over."""


class BoardGameVectorEnv(TrainerVectorEnv):
    """G two-player games over a batch of rules. Reward: the outcome +1/0/-1, first player's view, when a game ends.

    An illegal action loses the game for the player who made it; infos hold `illegal` bool[G] for that step.
    A board game has no randomness: `seed` seeds `np_random` and nothing else.
    """

    two_player = True
    batch: GameBatch
    reset_options: ClassVar[frozenset[str]] = frozenset({"reset_mask"})

    def _allocate(self, *, copy: bool, render_mode: str | None) -> None:
        """The arrays that every step writes; after `_set_spaces`."""
        if render_mode not in (None, "ansi"):
            raise InvalidConfig(f"render_mode {render_mode!r} must be None or 'ansi'")
        self.render_mode = render_mode
        self.copy = copy
        self._rows = np.arange(self.num_envs)
        self._observations = np.zeros((self.num_envs, *self.observation_shape), dtype=np.float32)
        self._action_mask = np.zeros((self.num_envs, self.num_actions), dtype=np.bool_)
        self._illegal = np.zeros(self.num_envs, dtype=np.bool_)

    @abstractmethod
    def _restart(self, games: NDArray[np.int64], options: dict[str, Any]) -> None:
        """Starts the games with these indices again and writes their positions to the arrays as `_refresh` does."""

    @abstractmethod
    def _play(self, actions: NDArray[np.int32], active: NDArray[np.bool_]) -> None:
        """Plays the legal `actions` [G] of the `active` games."""

    @abstractmethod
    def _outcomes(self) -> NDArray[np.float32]:
        """+1, 0 or -1 [G], first player's view; asked for after `_refresh`, read only for games that are over."""

    @abstractmethod
    def _refresh(self) -> None:
        """Writes the present positions of all games to `_observations` and `_action_mask`."""

    @abstractmethod
    def diagram(self, game: int) -> str:
        """The position of one game as text."""

    def _extra_infos(self) -> Infos:
        """Arrays of this game beyond `action_mask`, `to_play` and `illegal`."""
        return {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], Infos]:
        super().reset(seed=seed)
        options = options or {}
        unknown = sorted(set(options) - self.reset_options)
        if unknown:
            raise InvalidInput(f"reset options {unknown} are unknown; expected {sorted(self.reset_options)}")
        games = self._reset_mask(options).nonzero()[0]
        if games.size:
            self._restart(games, options)
        self._illegal[:] = False
        return self.observe()

    def step(
        self, actions: Any
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], Infos]:
        actions = self._checked_actions(actions)
        live = ~self.batch.finished
        movers = self.batch.to_play.astype(np.float32)
        np.logical_and(live, ~self._action_mask[self._rows, actions], out=self._illegal)
        self.batch.finished[self._illegal] = True
        self._play(actions, live & ~self._illegal)
        self._refresh()
        rewards = np.zeros(self.num_envs, dtype=np.float32)
        ended = live & self.batch.finished
        if ended.any():
            rewards[ended] = np.where(self._illegal, -movers, self._outcomes())[ended]
        observations, infos = self.observe()
        return observations, rewards, self.batch.finished.copy(), np.zeros(self.num_envs, dtype=np.bool_), infos

    def observe(self) -> tuple[NDArray[np.float32], Infos]:
        infos = {
            "action_mask": self._action_mask,
            "to_play": self.batch.to_play,
            "illegal": self._illegal,
            **self._extra_infos(),
        }
        if self.copy:
            return self._observations.copy(), {name: array.copy() for name, array in infos.items()}
        return self._observations, infos

    def render(self) -> tuple[str, ...] | None:
        if self.render_mode is None:
            return None
        return tuple(self.diagram(game) for game in range(self.num_envs))


class BoardGameEnv(gymnasium.Env[NDArray[np.float32], int]):
    """One game: a vector environment of one behind Gymnasium's plain interface.

    Info holds `action_mask` int8[A], as `action_space.sample(mask)` takes it, `to_play` (+1 or -1) and `illegal`. An
    illegal action ends the game as a loss for the player who made it. The reward at the end is the outcome from the
    first player's view, whoever moved last. Stepping a game that is over raises `gymnasium.error.ResetNeeded`.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 Gymnasium declares it so
    two_player = True

    def __init__(self, vector: BoardGameVectorEnv) -> None:
        """`vector` has one game and copies what it returns."""
        self._vector = vector
        self.render_mode = vector.render_mode
        self.observation_space = vector.single_observation_space
        self.action_space = vector.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        observations, infos = self._vector.reset(options=options)
        return observations[0], self._info(infos)

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        if self._vector.batch.finished[0]:
            raise gymnasium.error.ResetNeeded("the game is over: call reset() before step()")
        observations, rewards, terminated, truncated, infos = self._vector.step(np.array([action]))
        return observations[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), self._info(infos)

    def render(self) -> str | None:
        return None if self.render_mode is None else self._vector.diagram(0)

    def _info(self, infos: Infos) -> dict[str, Any]:
        return {
            "action_mask": infos["action_mask"][0].astype(np.int8),
            "to_play": int(infos["to_play"][0]),
            "illegal": bool(infos["illegal"][0]),
        }
