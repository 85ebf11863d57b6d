"""Positions of games: drawn, set up on boards, and the games of self-play to take them from where none were kept.

Knows game records, the rules kernel and self-play; knows nothing of what the positions are for.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from engine.go.batch import GoBatch
from engine.go.kernels import NO_MOVE
from engine.model.contract import PositionEvaluator
from trainer.config import TrainConfig
from trainer.record import GameRecord
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


def play_games(
    config: TrainConfig, evaluator: PositionEvaluator, *, count: int, rng: np.random.Generator
) -> list[GameRecord]:
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
