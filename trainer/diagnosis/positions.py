"""Positions to diagnose on, beside those of games as they are: left by random moves, at another komi, against others.

Knows the rules kernel and how games are played; knows nothing of what is measured.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.go.batch import GoBatch
from engine.go.kernels import NO_MOVE
from trainer.config import TrainConfig
from trainer.evaluate import Agent, middle_komi
from trainer.evaluate import play_games as play_matches
from trainer.positions import Position, replay_to
from trainer.record import POLICY_TOP, GameRecord
from trainer.selfplay import make_env


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
    assert game.ownership is not None
    actions = np.concatenate([game.actions[:ply], moves[moves != NO_MOVE]])
    return _bare_record(actions, komi=game.komi, score=0.0, ownership=np.zeros_like(game.ownership))


def _bare_record(actions: NDArray[Any], *, komi: float, score: float, ownership: NDArray[np.int8]) -> GameRecord:
    """A game of which nothing is known but its moves and its end."""
    length = len(actions)
    return GameRecord(
        actions=actions.astype(np.int16),
        to_play=np.where(np.arange(length) % 2 == 0, 1, -1).astype(np.int8),
        rewards=np.zeros(length, np.float32),
        policy_actions=np.zeros((length, POLICY_TOP), np.int16),
        policy_probabilities=np.zeros((length, POLICY_TOP), np.float16),
        root_values=np.zeros(length, np.float32),
        surprise=np.zeros(length, np.float32),
        komi=komi,
        score=score,
        ownership=ownership,
    )


def at_komi(games: list[GameRecord], komi: float) -> list[GameRecord]:
    """The same moves and boards, scored as if they had been played at another komi."""
    return [dataclasses.replace(game, komi=komi, score=game.score + game.komi - komi) for game in games]


def play_opponent(config: TrainConfig, player: Agent, opponent: Agent, *, pairs: int, seed: int) -> list[GameRecord]:
    """`pairs` games of `player` as Black against `opponent`, then as many as White; each is made for `pairs` games at
    once. Komi is the middle of that of `config`."""
    size, komi = config.env.size, middle_komi(config)
    games: list[GameRecord] = []
    for black, white in ((player, opponent), (opponent, player)):
        moves: list[NDArray[np.int32]] = []
        env = make_env(config, num_envs=pairs)
        sides = [_recorded(agent, moves) for agent in (black, white)]
        results = play_matches(env, *sides, options={"komi": komi}, seed=seed)
        played = np.where(np.arange(len(moves))[:, None] < results.lengths, np.stack(moves), NO_MOVE).T
        boards = GoBatch(num_games=pairs, size=size, komi=komi)
        boards.play_sequences(played.astype(np.int32))
        ends = zip(played, results.lengths, boards.area_scores(), boards.area_ownership(), strict=True)
        games += [
            _bare_record(row[:length], komi=komi, score=float(score), ownership=owner.copy())
            for row, length, score, owner in ends
        ]
    return games


def _recorded(agent: Agent, moves: list[NDArray[np.int32]]) -> Agent:
    """The same agent, which adds what it plays to `moves`: in games in step one of two does at every ply."""

    def play(observations: NDArray[np.float32], infos: dict[str, Any]) -> NDArray[np.int32]:
        moves.append(agent(observations, infos))
        return moves[-1]

    return play
