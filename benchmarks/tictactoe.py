"""How a trained run plays TicTacToe: games against a perfect player, and every line that any opponent can play.

The perfect player draws evenly among all the moves that keep the value of the position. Without noise the run plays a
position always alike, so that all games against every opponent are few enough to be played out: a run that loses none
of them cannot be beaten. Before that it prints how right the values are, of positions and of what is imagined.

Run: python benchmarks/tictactoe.py runs/tictactoe --simulations 8 25 50 100
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tests.support.perfect_tictactoe import (
    Board,
    after,
    is_over,
    observation_of,
    outcomes_against_everything,
    perfect_actions,
    positions,
    value,
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
        search=config.search.with_simulations(num_simulations),
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


def value_errors(checkpoint: Checkpoint, *, moves: int, seed: int) -> list[float]:
    """Mean error of the value, in [0, 2], of every position, and after 1, ..., `moves` imagined moves from there.

    The moves are random legal ones; games that end on the way go on with their outcome.
    """
    network, support = checkpoint.averaged_network(), checkpoint.config.network.value
    rng = np.random.default_rng(seed)
    now = positions()
    errors = []
    with torch.no_grad():
        output = network.initial(torch.from_numpy(np.stack([observation_of(*position) for position in now])))
        for _ in range(moves + 1):
            truth = np.array([value(*position) for position in now])
            errors.append(float(np.abs(support.decode(output.value_logits).numpy() - truth).mean()))
            actions = [int(rng.choice([cell for cell in range(9) if board[cell] == 0] or [0])) for board, _ in now]
            output = network.recurrent(output.hidden, torch.eye(9)[actions])
            steps = zip(now, actions, strict=True)
            now = [
                (board if is_over(board) else after(board, to_play, action), -to_play)
                for (board, to_play), action in steps
            ]
    return errors


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
    errors = value_errors(checkpoint, moves=4, seed=options.seed)
    print("error of the value after 0, 1, ... imagined moves: " + " ".join(f"{error:.3f}" for error in errors))
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
