"""Self-play in step: one batched search for all games of a vector environment, one ply at a time.

Knows the vector environment, the search and game records; nothing of networks, learning or files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidConfig
from engine.go.batch import GoBatch
from engine.go.features import Variant
from engine.model.contract import PositionEvaluator
from engine.search.batch_search import BatchResult
from engine.search.roots import RootBatch
from engine.search.tree import NO_PASS
from trainer.config import GO_ID, KOMI_STEP, TrainConfig, komi_steps
from trainer.envs import TrainerVectorEnv, make_vector
from trainer.envs.go import GoVectorEnv
from trainer.game_search import GameSearch
from trainer.named_parts import part_of
from trainer.record import GameRecord, top_policy

DECIDED_PLIES = 3
"""Plies in a row that a value must say the same side wins before searches shrink."""


def make_env(config: TrainConfig, *, num_envs: int) -> TrainerVectorEnv:
    """The vector environment of `config`; raises `InvalidConfig` where its network or search do not fit it."""
    is_ours = config.env.id == GO_ID
    if config.is_go != is_ours:
        raise InvalidConfig(f"network.kind {config.network.kind!r} does not fit env.id {config.env.id!r}")
    board = {"size": config.env.size, "variant": config.variant} if config.is_go else {}
    env = make_vector(config.env.id, num_envs, **board)
    if env.two_player != config.search.two_player:
        raise InvalidConfig(f"search.two_player must be {str(env.two_player).lower()} for {config.env.id}")
    found = {"observation_size": env.observation_shape[0], "num_actions": 0 if config.is_go else env.num_actions}
    for name, value in found.items():
        if getattr(config.network, name) != value:
            raise InvalidConfig(f"network.{name} = {getattr(config.network, name)}, but {config.env.id} has {value}")
    return env


def make_roots(config: TrainConfig, observations: NDArray[np.float32], infos: dict[str, Any]) -> RootBatch:
    """The positions of a vector environment of `config` as the search takes them."""
    mask = infos["action_mask"]
    return RootBatch(
        observations=observations,
        legal_mask=mask,
        to_play=infos["to_play"],
        terminal_values=infos.get("terminal_values"),
        pass_pass_values=infos.get("pass_pass_values"),
        pass_action=mask.shape[1] - 1 if config.is_go else NO_PASS,
    )


def roots_of(boards: GoBatch, *, variant: Variant = "full") -> RootBatch:
    """The positions of `boards` as the search takes them; `variant`: the planes that the network sees."""
    return RootBatch(
        observations=boards.observe(variant=variant),
        legal_mask=boards.legal_mask(),
        to_play=boards.to_play.copy(),
        terminal_values=boards.terminal_values(),
        pass_pass_values=boards.pass_pass_values(),
        pass_action=boards.area,
    )


def go_games(env: TrainerVectorEnv) -> GoBatch | None:
    """The boards of an environment of Go; None for another."""
    return env.batch if isinstance(env, GoVectorEnv) else None


def draw_komi(config: TrainConfig, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """[count] komi of games of `config`, each that may be drawn equally likely."""
    steps = komi_steps(config.env.komi_low, config.env.komi_high)
    return rng.integers(steps.start, steps.stop, size=count).astype(np.float32) * np.float32(KOMI_STEP)


def random_actions(noise: NDArray[np.float64], legal: NDArray[np.bool_], *, has_pass: bool) -> NDArray[np.int32]:
    """[G] legal actions, each equally likely where `noise` [G, A] is drawn evenly from [0, 1).

    `has_pass`: the last action is a pass, which teaches nothing, and is chosen where nothing else is legal.
    """
    ranks = np.where(legal, noise, -1.0)
    if has_pass:
        ranks[:, -1] = -0.5
    return ranks.argmax(1).astype(np.int32)


class SelfPlay:
    """Games in progress; `play` advances them all and hands out those that end."""

    def __init__(
        self, config: TrainConfig, env: TrainerVectorEnv, evaluator: PositionEvaluator, rng: np.random.Generator
    ) -> None:
        self._config = config
        self._env = env
        self._rng = rng
        self._games = config.selfplay.num_games
        self._search = GameSearch(config, evaluator, num_games=self._games, num_actions=env.num_actions)
        self._evaluator = evaluator
        area = config.env.size**2
        sampled = config.selfplay.sampled_plies
        self._sampled_plies = round(sampled * area) if config.is_go else int(sampled)
        self._history = _History(self._games, keep_observations=not config.is_go)
        self._decided = np.zeros(self._games, np.int32)  # plies in a row; negative: that White wins
        self._random_plies = np.zeros(self._games, np.int32)
        self._komi = np.zeros(self._games, np.float32)
        self._owed = 0  # positions asked for and not made yet; negative: made too many
        self.positions = 0
        """Positions made since it was built."""
        self._observations, self._infos = self._reset(np.ones(self._games, bool))

    def play(self, plies: int, *, simulations: int | None = None) -> list[GameRecord]:
        """Makes `plies` more positions over all games; returns the games that ended, in order.

        All games advance together, so that it may make up to a ply of each too many; the next calls make as many less.
        `simulations` a move, at most and by default the configuration's.
        """
        finished: list[GameRecord] = []
        self._owed += plies
        while self._owed > 0:
            finished += self._step(simulations or self._config.search.num_simulations)
            self._owed -= self._games
            self.positions += self._games
        return finished

    def _step(self, most: int) -> list[GameRecord]:
        """Searches and plays one ply of every game, with `most` simulations where a game is open and the move is not to
        be a random one."""
        infos, config = self._infos, self._config.selfplay
        roots = make_roots(self._config, self._observations, infos)
        simulations = np.where(np.abs(self._decided) >= DECIDED_PLIES, min(config.decided_simulations, most), most)
        is_quick = np.zeros(self._games, bool)
        if config.quick_share:
            is_quick = self._rng.random(self._games) < config.quick_share
            simulations = np.where(is_quick, np.minimum(config.quick_simulations, simulations), simulations)
        simulations = np.where(self._in_opening, 0, simulations)
        result = self._search.run(
            roots,
            go_games(self._env),
            num_simulations=simulations,
            rng=self._rng,
            gumbel_scale=(~is_quick).astype(np.float32),
        )
        value = result.root_value
        winner = (np.sign(value) * (np.abs(value) > config.decided_value)).astype(np.int32)
        self._decided = winner + np.where(self._decided * winner > 0, self._decided, 0)
        actions, searched = self._choose(result, infos["action_mask"])
        self._history.append(
            self._observations,
            actions,
            infos["to_play"],
            result,
            searched & ~is_quick,
            surprise(result, infos["action_mask"]),
        )
        self._observations, rewards, terminated, truncated, self._infos = self._env.step(actions)
        self._history.reward(rewards)
        over = terminated | truncated
        if not over.any():
            return []
        records = self._finish(np.flatnonzero(over), truncated & ~terminated)
        self._observations, self._infos = self._reset(over)
        return records

    @property
    def _in_opening(self) -> NDArray[np.bool_]:
        """[G] where the next move is a random one."""
        return self._history.length < self._random_plies

    def _choose(self, result: BatchResult, legal: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Actions [G], and which of them the search chose; the others are random openings."""
        ply = self._history.length
        # Not the visits: sequential halving visits its first candidates equally, whatever it thinks of them.
        weights = result.policy_target.astype(np.float64) ** (1.0 / self._config.selfplay.temperature)
        sampled = _draw(weights, self._rng)
        actions = np.where(ply < self._sampled_plies, sampled, result.action)
        opening = self._in_opening
        random = random_actions(self._rng.random(legal.shape), legal, has_pass=self._config.is_go)
        return np.where(opening, random, actions).astype(np.int32), ~opening

    def _finish(self, games: NDArray[np.int64], cut_off: NDArray[np.bool_]) -> list[GameRecord]:
        """Records of the games that just ended; `cut_off` ones get the network's value of their last state."""
        bootstrap = np.zeros(self._games, np.float32)
        if cut_off.any():
            slots = np.flatnonzero(cut_off).astype(np.int32)
            bootstrap[cut_off] = self._evaluator.initial(self._observations[cut_off], slots).value
        scores = ownership = None
        if self._config.is_go:
            scores, ownership = self._infos["scores"], self._env.batch.area_ownership()
        return [
            self._history.record(
                int(g),
                bootstrap=float(bootstrap[g]),
                komi=float(self._komi[g]),
                opening_plies=min(int(self._random_plies[g]), int(self._history.length[g])),
                score=None if scores is None else float(scores[g]),
                ownership=None if ownership is None else ownership[g].copy(),
                last_observation=self._observations[g],
            )
            for g in games
        ]

    def _reset(self, mask: NDArray[np.bool_]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts the masked games again, each with its own komi and opening."""
        config = self._config.selfplay
        self._history.clear(mask)
        self._decided[mask] = 0
        count = self._games
        komi = draw_komi(self._config, count, self._rng)
        opening = self._rng.integers(1, max(config.random_opening_plies, 1), size=count, endpoint=True)
        opening[self._rng.random(count) >= config.random_opening_share] = 0
        self._komi = np.where(mask, komi, self._komi).astype(np.float32)
        self._random_plies = np.where(mask, opening, self._random_plies).astype(np.int32)
        options: dict[str, Any] = {"reset_mask": mask}
        if self._config.is_go:
            options["komi"] = self._komi
        seed = int(self._rng.integers(2**31)) if mask.all() else None
        observations, infos = self._env.reset(seed=seed, options=options)
        return observations, infos

    def state(self) -> dict[str, NDArray[Any]] | None:
        """Games in progress as named arrays; None where they cannot be stored and restart on resume."""
        env_state = self._env.state()
        if env_state is None:
            return None
        own = {
            "decided": self._decided,
            "random_plies": self._random_plies,
            "komi": self._komi,
            "owed": np.array([self._owed]),
        }
        return (
            {f"env.{k}": v for k, v in env_state.items()}
            | {f"history.{k}": v for k, v in self._history.state().items()}
            | {f"selfplay.{k}": v for k, v in own.items()}
        )

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """The inverse of `state`."""
        self._env.set_state(part_of(state, "env."))
        self._observations, self._infos = self._env.observe()
        self._history.load_state(part_of(state, "history."))
        own = part_of(state, "selfplay.")
        self._decided, self._random_plies, self._komi = own["decided"], own["random_plies"], own["komi"]
        self._owed = int(own["owed"][0]) if "owed" in own else 0  # older checkpoints have none


class _History:
    """What happened so far in each game in progress, as growing arrays [G, plies, ...]."""

    def __init__(self, games: int, *, keep_observations: bool) -> None:
        self.length = np.zeros(games, np.int32)
        self._rows = np.arange(games)
        self._keep_observations = keep_observations
        self._arrays: dict[str, NDArray[Any]] = {}
        self._capacity = 0

    def append(
        self,
        observations: NDArray[np.float32],
        actions: NDArray[np.int32],
        to_play: NDArray[np.int8],
        result: BatchResult,
        taught: NDArray[np.bool_],
        surprise_nats: NDArray[np.float32],
    ) -> None:
        """Adds one ply to every game; `taught`: whose policy is worth learning."""
        top_actions, top_probabilities = top_policy(result.policy_target)
        top_probabilities[~taught] = 0
        ply = {
            "actions": actions.astype(np.int16),
            "to_play": to_play.astype(np.int8),
            "rewards": np.zeros(len(actions), np.float32),
            "policy_actions": top_actions,
            "policy_probabilities": top_probabilities,
            "root_values": result.root_value.astype(np.float32),
            "surprise": np.where(taught, surprise_nats, 0.0).astype(np.float32),
        }
        if self._keep_observations:
            ply["observations"] = observations
        if not self._arrays or int(self.length.max()) >= self._capacity:
            self._grow(ply)
        for name, values in ply.items():
            self._arrays[name][self._rows, self.length] = values
        self.length += 1

    def reward(self, rewards: NDArray[np.float32]) -> None:
        """Sets the reward of the ply just added."""
        self._arrays["rewards"][self._rows, self.length - 1] = rewards

    def record(
        self,
        game: int,
        *,
        bootstrap: float,
        komi: float,
        opening_plies: int,
        score: float | None,
        ownership: NDArray[np.int8] | None,
        last_observation: NDArray[np.float32],
    ) -> GameRecord:
        """The finished game `game` as a record of its own arrays."""
        length = int(self.length[game])
        kept = {name: values[game, :length].copy() for name, values in self._arrays.items()}
        observations = kept.pop("observations", None)
        if observations is not None:
            observations = np.concatenate([observations, last_observation[None]])
        return GameRecord(
            **kept,
            bootstrap=bootstrap,
            komi=komi,
            opening_plies=opening_plies,
            score=float(kept["rewards"].sum()) if score is None else score,
            ownership=ownership,
            observations=observations,
        )

    def clear(self, mask: NDArray[np.bool_]) -> None:
        """Forgets the masked games."""
        self.length[mask] = 0

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything as named arrays."""
        return {"length": self.length} | self._arrays

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """The inverse of `state`."""
        self.length = state["length"]
        self._arrays = {name: values for name, values in state.items() if name != "length"}
        self._capacity = next(iter(self._arrays.values())).shape[1] if self._arrays else 0

    def _grow(self, ply: dict[str, NDArray[Any]]) -> None:
        """Doubles the room for plies."""
        capacity = max(64, 2 * self._capacity)
        for name, values in ply.items():
            grown = np.zeros((len(values), capacity, *values.shape[1:]), values.dtype)
            if self._capacity:
                grown[:, : self._capacity] = self._arrays[name]
            self._arrays[name] = grown
        self._capacity = capacity


def surprise(result: BatchResult, legal: NDArray[np.bool_]) -> NDArray[np.float32]:
    """[G] KL(policy target || prior) in nats over legal actions."""
    logits = np.where(legal, result.policy_logits, -np.inf)
    logits = logits - logits.max(1, keepdims=True)
    log_prior = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    target = result.policy_target
    ratio = np.log(np.maximum(target, 1e-12)) - np.where(legal, log_prior, 0.0)
    return np.maximum((target * ratio).sum(1), 0.0).astype(np.float32)


def _draw(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """One index per row, with probability proportional to its weight."""
    cumulative = weights.cumsum(1)
    return (rng.random((len(weights), 1)) * cumulative[:, -1:] < cumulative).argmax(1)
