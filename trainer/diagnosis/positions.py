"""Positions to diagnose on: drawn from games, replayed to a board, left by random moves, or played anew.

Knows the rules kernel and self-play; knows nothing of what is measured.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from engine.go.batch import GoBatch
from engine.go.kernels import NO_MOVE
from engine.model.contract import Evaluator
from trainer.config import TrainConfig
from trainer.record import POLICY_TOP, GameRecord
from trainer.selfplay import SelfPlay, make_env

Position = tuple[GameRecord, int]
"""A game and a ply: the position before that ply."""


def draw_positions(games: list[GameRecord], count: int, rng: np.random.Generator) -> list[Position]:
    """`count` different positions, or as many as there are, each equally likely."""
    every = [(game, ply) for game in games for ply in range(len(game))]
    chosen = rng.permutation(len(every))[:count]
    return [every[i] for i in chosen]


def replay_to(positions: list[Position], size: int) -> GoBatch:
    """The boards of `positions`, with the histories of their games."""
    batch = GoBatch(num_games=len(positions), size=size, komi=[game.komi for game, _ in positions])
    moves = np.full((len(positions), max(ply for _, ply in positions) + 1), NO_MOVE, np.int32)
    for row, (game, ply) in enumerate(positions):
        moves[row, :ply] = game.actions[:ply]
    batch.play_sequences(moves)
    return batch


def leave_games(positions: list[Position], *, steps: int, size: int, rng: np.random.Generator) -> list[Position]:
    """The same positions in games that go on with up to `steps` random legal moves, passes among them.

    These games have no outcome: score 0, and every point is nobody's.
    """
    batch = replay_to(positions, size)
    moves = np.full((len(positions), steps), NO_MOVE, np.int32)
    for step in range(steps):
        noise = rng.random((len(positions), batch.num_actions)) * batch.legal_mask()
        moves[:, step] = np.where(batch.finished, NO_MOVE, noise.argmax(1))
        batch.play(moves[:, step])
    return [(_branch(game, ply, row), ply) for (game, ply), row in zip(positions, moves, strict=True)]


def _branch(game: GameRecord, ply: int, moves: NDArray[np.int32]) -> GameRecord:
    actions = np.concatenate([game.actions[:ply], moves[moves != NO_MOVE]]).astype(np.int16)
    length = len(actions)
    assert game.ownership is not None
    return dataclasses.replace(
        game,
        actions=actions,
        to_play=np.where(np.arange(length) % 2 == 0, 1, -1).astype(np.int8),
        rewards=np.zeros(length, np.float32),
        policy_actions=np.zeros((length, POLICY_TOP), np.int16),
        policy_probabilities=np.zeros((length, POLICY_TOP), np.float16),
        root_values=np.zeros(length, np.float32),
        surprise=np.zeros(length, np.float32),
        score=0.0,
        ownership=np.zeros_like(game.ownership),
    )


def play_games(config: TrainConfig, evaluator: Evaluator, *, count: int, rng: np.random.Generator) -> list[GameRecord]:
    """`count` games of self-play as in training: the first of each slot, so that short games are not preferred.

    The evaluator needs `count * (config.search.num_simulations + 1)` slots.
    """
    config = dataclasses.replace(config, selfplay=dataclasses.replace(config.selfplay, num_games=count))
    env = make_env(config, num_envs=count)
    play = SelfPlay(config, env, evaluator, rng)
    first: dict[int, GameRecord] = {}
    while len(first) < count:
        ended = play.play(count)  # one ply of every game
        restarted = np.flatnonzero(env.batch.ply == 0)  # type: ignore[attr-defined]
        for slot, game in zip(restarted, ended, strict=True):
            first.setdefault(int(slot), game)
    return [first[slot] for slot in sorted(first)]
