"""How a trained run plays TicTacToe: games against a perfect player, and every line that any opponent can play.

The perfect player draws evenly among all the moves that keep the value of the position. Without noise the run plays a
position always alike, so that all games against every opponent are few enough to be played out: a run that loses none
of them cannot be beaten.

Run: python benchmarks/tictactoe.py runs/tictactoe --simulations 8 25 50 100
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.perfect_tictactoe import (
    Board,
    observation_of,
    outcomes_against_everything,
    perfect_actions,
    positions,
)
from trainer.actor import Publisher, make_evaluator
from trainer.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from trainer.evaluate import SearchAgent, describe_results, evaluate

POSITIONS_AT_A_TIME = 512


def choices(checkpoint: Checkpoint, *, num_simulations: int) -> dict[tuple[Board, int], int]:
    """What a run plays in every position (board, player to move) that is not over, without noise."""
    config = checkpoint.config
    config = dataclasses.replace(
        config,
        search=dataclasses.replace(config.search, num_simulations=num_simulations),
        selfplay=dataclasses.replace(config.selfplay, num_games=POSITIONS_AT_A_TIME),
    )
    network = checkpoint.averaged_network()
    evaluator = make_evaluator(Publisher(network, device="cpu").publish(network), config, device="cpu")
    agent = SearchAgent(evaluator, config, num_games=POSITIONS_AT_A_TIME, num_actions=9)
    every = positions()
    found: dict[tuple[Board, int], int] = {}
    for begin in range(0, len(every), POSITIONS_AT_A_TIME):
        some = every[begin : begin + POSITIONS_AT_A_TIME]
        observations = np.stack([observation_of(board, to_play) for board, to_play in some])
        infos = {
            "action_mask": np.array([[cell == 0 for cell in board] for board, _ in some]),
            "to_play": np.array([to_play for _, to_play in some], np.int8),
        }
        found |= dict(zip(some, agent(observations, infos).tolist(), strict=True))
    return found


def every_line(chosen: dict[tuple[Board, int], int]) -> dict[str, dict[int, int]]:
    """By the seat of who plays as `chosen`, how many lines end with each outcome {+1, 0, -1}, that player's view."""
    found = {}
    for seat, player in (("first", 1), ("second", -1)):
        outcomes = outcomes_against_everything(lambda board, to_play: chosen[board, to_play], player)
        found[seat] = {outcome * player: number for outcome, number in outcomes.items()}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run's folder (its newest checkpoint), or one checkpoint")
    parser.add_argument("--simulations", type=int, nargs="+", default=[8, 25, 50, 100], help="%(default)s")
    parser.add_argument("--games", type=int, default=400, help="half of them as each player; %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the perfect player; %(default)s")
    options = parser.parse_args(arguments)
    checkpoint = load_checkpoint(find_checkpoint(options.run))
    print(f"step {checkpoint.progress['step']} of {options.run}")
    for number in options.simulations:
        rng = np.random.default_rng(options.seed)

        def perfect(observations: NDArray[np.float32], _: object, rng: np.random.Generator = rng) -> NDArray[np.int32]:
            return perfect_actions(observations, rng)

        results = evaluate(checkpoint, games=options.games, num_simulations=number, opponent=perfect)
        lines = every_line(choices(checkpoint, num_simulations=number))
        print(f"{number} simulations")
        for text, (seat, outcomes) in zip(describe_results(results), lines.items(), strict=True):
            total = sum(outcomes.values())
            print(f"  {text} | every line as {seat}: {total} lines, {outcomes[-1]} losses", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
