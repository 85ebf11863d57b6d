"""Moves per second of the rules kernels on one core: legal mask, play, replay, observation, area score.

Random legal games in step, played to the ply cap; drawing the actions is not counted. The stated limit of each size is
one microsecond a point for a move with its exact legal mask, and the last column says how many times faster than
sgfmill's board (play alone, no legality) the kernel's play is in the same run. `--cold` also measures the first compile
in a fresh cache and the load from a warm one, each in its own process.

Run: python -m benchmarks.rules [--games 256] [--repeat 5] [--cold]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sgfmill.boards import Board

from engine.go.batch import GoBatch
from engine.go.kernels import NO_MOVE

SIZES = (5, 9, 13, 19)

START_UP = """
import time, numpy as np
start = time.perf_counter()
from engine.go.batch import GoBatch
from engine.go.features import encode_actions
imported = time.perf_counter()
batch = GoBatch(num_games=1, size=9)
batch.legal_mask(); batch.play([3]); batch.terminal_values(); batch.pass_pass_values(); batch.observe()
encode_actions(np.zeros(1, np.int32), np.ones(1, np.int8), size=9)
print(f"import {imported - start:.2f} s, all kernels ready {time.perf_counter() - imported:.2f} s")
"""


def random_games(batch: GoBatch, rng: np.random.Generator) -> tuple[NDArray[np.int32], float, float]:
    """Plays every game to its cap: moves [G, T], seconds in `legal_mask`, seconds in `play`."""
    batch.reset()
    moves = np.full((batch.num_games, batch.max_plies), NO_MOVE, dtype=np.int32)
    mask_s = play_s = 0.0
    for ply in range(batch.max_plies):
        start = time.perf_counter()
        legal = batch.legal_mask()
        mask_s += time.perf_counter() - start
        weights = rng.random(legal.shape, dtype=np.float32) * legal
        weights[:, -1] = 1e-9
        actions = np.where(batch.finished, NO_MOVE, weights.argmax(axis=1)).astype(np.int32)
        moves[:, ply] = actions
        start = time.perf_counter()
        batch.play(actions)
        play_s += time.perf_counter() - start
    return moves, mask_s, play_s


def seconds(work: Callable[[], object], repeat: int) -> float:
    """The best of `repeat` runs: the others were disturbed by neighbours."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def sgfmill_moves_per_s(moves: NDArray[np.int32], size: int) -> float:
    """sgfmill's board on the first game."""
    board = Board(size)
    played = 0
    start = time.perf_counter()
    for ply, action in enumerate(moves[0]):
        if 0 <= action < size * size:
            board.play(*divmod(int(action), size), "bw"[ply % 2])
            played += 1
    return played / (time.perf_counter() - start)


def measure(size: int, *, games: int, repeat: int) -> str:
    """One line of the table."""
    batch = GoBatch(num_games=games, size=size)
    rng = np.random.default_rng(size)
    runs = [random_games(batch, rng) for _ in range(repeat)]
    moves = runs[-1][0]
    count = int((moves != NO_MOVE).sum())
    mask_us = min(run[1] for run in runs) / count * 1e6
    play_us = min(run[2] for run in runs) / count * 1e6

    def replay() -> None:
        batch.reset()
        batch.play_sequences(moves)

    replay_us = seconds(replay, repeat) / count * 1e6
    batch.reset()
    batch.play_sequences(moves[:, : batch.area])
    batch.observe()
    observe_us = seconds(batch.observe, repeat) / games * 1e6
    area_us = seconds(batch.area_scores, repeat) / games * 1e6
    both = mask_us + play_us
    return (
        f"{size:2}x{size:<2} {1e6 / both:11,.0f} {mask_us:8.2f} {play_us:8.2f} {replay_us:8.2f} {observe_us:8.2f} "
        f"{area_us:8.2f} {both / batch.area:10.3f} {1e6 / play_us / sgfmill_moves_per_s(moves, size):10.0f}x"
    )


def measure_start_up() -> None:
    """Compile and load times, each in a process of its own."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": os.getcwd()}
        for label in ("cold", "cached"):
            command = [sys.executable, "-c", START_UP]
            result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            print(f"{label:7}{result.stdout.strip()}")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    print("size    moves/s   mask us  play us replay us observe   area us  us/point  vs sgfmill")
    for size in SIZES:
        print(measure(size, games=options.games, repeat=options.repeat), flush=True)
    if options.cold:
        measure_start_up()


if __name__ == "__main__":
    main()
