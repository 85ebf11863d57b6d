"""`tengen evaluate`: how well a run plays, as returns in single-player environments and as games against an opponent.

An agent maps (observations, infos of a vector environment) to actions for all games. Everything else of an evaluation
(who plays which colour, how often) is in `play_games` and `evaluate`.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidConfig
from engine.model.contract import Evaluator
from trainer.actor import Publisher, make_evaluator
from trainer.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from trainer.config import KOMI_STEP, TrainConfig
from trainer.envs import TrainerVectorEnv
from trainer.game_search import GameSearch
from trainer.selfplay import go_games, make_env, make_roots, random_actions
from trainer.wording import counted

Agent = Callable[[NDArray[np.float32], dict[str, Any]], NDArray[np.int32]]
"""(observations [G, ...], infos) of a vector environment -> one action per game, int32[G]."""


class SearchAgent:
    """Plays the choice of a run's search without exploration noise."""

    def __init__(
        self,
        evaluator: Evaluator,
        config: TrainConfig,
        *,
        num_games: int,
        num_actions: int,
        env: TrainerVectorEnv | None = None,
    ) -> None:
        """For `num_games` games at once, with the simulations of `config.search`.

        `env`: where they are played. Only there can the search look at real boards, if `config` says so.
        """
        self._config = dataclasses.replace(
            config,
            search=dataclasses.replace(config.search, dirichlet_fraction=0.0),
            selfplay=config.selfplay if env else dataclasses.replace(config.selfplay, reground_every=0),
        )
        self._env = env
        self._search = GameSearch(self._config, evaluator, num_games=num_games, num_actions=num_actions)

    def __call__(self, observations: NDArray[np.float32], infos: dict[str, Any]) -> NDArray[np.int32]:
        roots = make_roots(self._config, observations, infos)
        boards = None if self._env is None else go_games(self._env)
        return self._search.run(roots, boards, rng=np.random.default_rng(0), gumbel_scale=0.0).action


class RandomAgent:
    """Any legal action; in Go it passes only when nothing else is left."""

    def __init__(self, *, avoid_last: bool, seed: int = 0) -> None:
        """`avoid_last`: the last action is a pass."""
        self._avoid_last = avoid_last
        self._rng = np.random.default_rng(seed)

    def __call__(self, observations: NDArray[np.float32], infos: dict[str, Any]) -> NDArray[np.int32]:
        legal = infos["action_mask"]
        return random_actions(self._rng.random(legal.shape), legal, has_pass=self._avoid_last)


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
    env: TrainerVectorEnv,
    first: Agent,
    second: Agent | None = None,
    *,
    options: dict[str, Any] | None = None,
    seed: int = 0,
) -> GameResults:
    """Plays one game in every slot of `env`: `first` moves where `to_play` is +1, `second` (if any) elsewhere.

    `options` go to every reset; `seed` seeds the environment's own randomness.
    """
    games = env.num_envs
    observations, infos = env.reset(seed=seed, options={"reset_mask": np.ones(games, bool)} | (options or {}))
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
        done |= over  # nothing that their slots still do counts
    assert first_actions is not None
    return GameResults(
        returns=returns, scores=scores if has_scores else None, first_actions=first_actions, lengths=lengths
    )


def evaluate(
    checkpoint: Checkpoint,
    *,
    games: int,
    num_simulations: int | None = None,
    opponent: Agent | None = None,
    komi: float | None = None,
    seed: int = 0,
) -> list[GameResults]:
    """Plays `games` games with a checkpoint's averaged network, all at once and without noise.

    One element for single-player environments; else two, of games / 2 each (rounded up): the network first, then
    second, against `opponent` (default: a random mover). `num_simulations` defaults to the preset's; `komi` (Go) to
    the middle of the preset's range. Raises `InvalidConfig` for settings out of range, and `ModelInvalid`.
    """
    if games < 1:
        raise InvalidConfig(f"games {games!r} must be at least 1")
    search = checkpoint.config.search
    if num_simulations is not None:
        search = search.with_simulations(num_simulations)
    each = -(-games // 2) if search.two_player else games
    config = dataclasses.replace(
        checkpoint.config,
        search=search,
        selfplay=dataclasses.replace(checkpoint.config.selfplay, num_games=each),
    )
    env = make_env(config, num_envs=each)
    network = checkpoint.averaged_network()
    evaluator = make_evaluator(Publisher(network, device="cpu").publish(network), config, device="cpu")
    agent = SearchAgent(evaluator, config, num_games=each, num_actions=env.num_actions, env=env)
    if not env.two_player:
        return [play_games(env, agent, seed=seed)]
    options = {"komi": middle_komi(config) if komi is None else komi} if config.is_go else None
    other = opponent or RandomAgent(avoid_last=config.is_go, seed=seed)
    return [
        play_games(env, agent, other, options=options, seed=seed),
        play_games(env, other, agent, options=options, seed=seed),
    ]


def middle_komi(config: TrainConfig) -> float:
    """The half point nearest to the middle of the trained range, where no game is a draw."""
    middle = (config.env.komi_low + config.env.komi_high) / 2
    return float(np.floor(middle)) + KOMI_STEP


def describe_results(results: list[GameResults]) -> list[str]:
    """One line for each element of what `evaluate` returns."""
    if len(results) == 1:
        returns = results[0].returns
        spread = returns.std() / max(len(returns), 1) ** 0.5
        low, high = returns.min(), returns.max()
        games = counted(len(returns), "game")
        return [f"mean return {returns.mean():.1f} +- {spread:.1f} over {games}, {low:g} to {high:g}"]
    lines = []
    for seat, sign, result in zip(("first", "second"), (1, -1), results, strict=True):
        wins, draws, losses = ((result.returns * sign == outcome).sum() for outcome in (1, 0, -1))
        points = counted(wins, "win"), counted(draws, "draw"), counted(losses, "loss", "losses")
        line = f"as {seat} player: {', '.join(points)}"
        if result.scores is not None:
            line += f"; mean score {(result.scores * sign).mean():+.1f} points for the network"
        lines.append(line)
    return lines


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tengen evaluate",
        description="Play with a run's newest network: mean return of one player, or games against a random mover.",
    )
    parser.add_argument("checkpoint", type=Path, help="a run's folder (its newest checkpoint), or one checkpoint")
    parser.add_argument("--games", type=int, default=100, help="default: 100; of two players, half as each")
    parser.add_argument("--simulations", type=int, help="default: those of the preset")
    parser.add_argument("--komi", type=float, help="Go; default: the middle of the preset's range")
    parser.add_argument("--seed", type=int, default=0, help="of the environment and the random mover (default: 0)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `tengen evaluate`; returns the exit status."""
    arguments = make_parser().parse_args(argv)
    path = find_checkpoint(arguments.checkpoint)
    checkpoint = load_checkpoint(path)
    results = evaluate(
        checkpoint,
        games=arguments.games,
        num_simulations=arguments.simulations,
        komi=arguments.komi,
        seed=arguments.seed,
    )
    simulations = arguments.simulations or checkpoint.config.search.num_simulations
    print(f"{path}: {checkpoint.config.env.id}, {counted(simulations, 'simulation')}")
    print("\n".join(describe_results(results)))
    return 0
