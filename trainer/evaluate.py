"""How well a network plays: batched games between agents, and returns in single-player environments.

An agent maps (observations, infos of a vector environment) to actions for all games. Everything else of an evaluation
(who plays which colour, how often) is in `play_games`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.model.contract import Evaluator
from engine.search.batch_search import BatchSearch
from engine.search.roots import RootBatch
from trainer.config import TrainConfig
from trainer.envs import TrainerVectorEnv

Agent = Callable[[NDArray[np.float32], dict[str, Any]], NDArray[np.int32]]


class SearchAgent:
    """Plays the search's choice without exploration noise."""

    def __init__(
        self,
        evaluator: Evaluator,
        config: TrainConfig,
        *,
        num_games: int,
        num_actions: int,
        num_simulations: int,
        seed: int = 0,
    ) -> None:
        search = dataclasses.replace(config.search, num_simulations=num_simulations, dirichlet_fraction=0.0)
        self._search = BatchSearch(evaluator, batch_size=num_games, num_actions=num_actions, config=search)
        self._pass_action = num_actions - 1 if config.is_go else -1
        self._rng = np.random.default_rng(seed)

    def __call__(self, observations: NDArray[np.float32], infos: dict[str, Any]) -> NDArray[np.int32]:
        roots = RootBatch(
            observations=observations,
            legal_mask=infos["action_mask"],
            to_play=infos["to_play"],
            terminal_values=infos.get("terminal_values"),
            pass_pass_values=infos.get("pass_pass_values"),
            pass_action=self._pass_action,
        )
        return self._search.run(roots, rng=self._rng, gumbel_scale=0.0).action


class RandomAgent:
    """Any legal action; in Go it passes only when nothing else is left."""

    def __init__(self, *, avoid_last: bool, seed: int = 0) -> None:
        self._avoid_last = avoid_last
        self._rng = np.random.default_rng(seed)

    def __call__(self, observations: NDArray[np.float32], infos: dict[str, Any]) -> NDArray[np.int32]:
        noise = (self._rng.random(infos["action_mask"].shape) + 1e-3) * infos["action_mask"]
        if self._avoid_last:
            noise[:, -1] *= 1e-6
        return noise.argmax(1).astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class GameResults:
    """Results of G games from the first player's view."""

    returns: NDArray[np.float32]
    """[G] sum of rewards: +1 / 0 / -1 for board games."""
    scores: NDArray[np.float32] | None
    """[G] final score in points; Go only."""
    first_actions: NDArray[np.int32]
    """[G] opening move."""
    lengths: NDArray[np.int32]
    """[G] plies."""


def play_games(
    env: TrainerVectorEnv, first: Agent, second: Agent | None = None, *, options: dict[str, Any] | None = None
) -> GameResults:
    """Plays one game in every slot of `env`: `first` moves where `to_play` is +1, `second` (if any) elsewhere."""
    games = env.num_envs
    everyone = np.ones(games, bool)
    observations, infos = env.reset(seed=0, options={"reset_mask": everyone} | (options or {}))
    done = np.zeros(games, bool)
    returns, lengths = np.zeros(games, np.float32), np.zeros(games, np.int32)
    first_actions: NDArray[np.int32] | None = None
    scores = np.zeros(games, np.float32)
    has_scores = "scores" in infos
    while not done.all():
        black = infos["to_play"] > 0
        actions = first(observations, infos) if second is None or black[~done].any() else np.zeros(games, np.int32)
        if second is not None and (~black[~done]).any():
            actions = np.where(black, actions, second(observations, infos)).astype(np.int32)
        first_actions = actions.copy() if first_actions is None else first_actions
        observations, rewards, terminated, truncated, infos = env.step(actions)
        returns += np.where(done, 0.0, rewards)
        lengths += ~done
        over = (terminated | truncated) & ~done
        if has_scores:
            scores[over] = infos["scores"][over]
        done |= over
        if over.any():  # finished slots go on with idle games that nobody counts
            observations, infos = env.reset(options={"reset_mask": terminated | truncated} | (options or {}))
    assert first_actions is not None
    return GameResults(
        returns=returns, scores=scores if has_scores else None, first_actions=first_actions, lengths=lengths
    )
