"""How late moves are: timed moves of one engine on a busy machine, and whole games with little time in every system.

Every core runs a process that only counts, at the engine's own priority. A move's lateness is its time from call to
answer less what it was allowed (budget and extra time). The stated limits: 50 ms at the 99th percentile, 150 ms at
worst, and no game lost on time. The engine plays itself, in turns in absolute, Fischer, byo-yomi and Canadian time;
both sides' clocks are the engine's own books. There is no controller to keep time back for; the lag buffer is the first
of those limits, since who plans to use up a byo-yomi period to its end loses it.

Run: python -m benchmarks.deadlines [--moves 300] [--time 0.2] [--games 8] [--main-time 4] [--idle]    (three minutes)
     python -m benchmarks.deadlines --moves 0 --games 50 --main-time 10                                (half an hour)
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice

import numpy as np

from engine.go.rules import BLACK
from engine.player import Player
from engine.search.time_settings import TimeSettings
from engine.settings import PlayerSettings, available_cores

PERCENTILE_LIMIT_S = 0.05
WORST_LIMIT_S = 0.15
READY_TIMEOUT_S = 300.0


@contextmanager
def busy_cores(number: int) -> Iterator[None]:
    """Keeps `number` cores busy meanwhile."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def timed_moves(player: Player, moves: int) -> list[float]:
    """Seconds that each of `moves` moves was late, game after game; negative where it came early. Where there is
    nothing to choose there is no budget, and the move does not count."""
    lateness = []
    color = BLACK
    while len(lateness) < moves:
        start = time.monotonic()
        decision = player.generate(color)
        if decision.budget_s < math.inf:
            lateness.append(time.monotonic() - start - decision.budget_s - decision.extra_s)
        color = -color
        if player.position.is_over or len(player.position.moves) > player.position.area:
            player.new_game()
            color = BLACK
    return lateness


def systems(main_s: float) -> tuple[TimeSettings, ...]:
    """Time settings of every kind that give a game about as much time as `main_s` seconds a side."""
    return (
        TimeSettings.absolute(main_s),
        TimeSettings.fischer(main_s / 2, main_s / 80),
        TimeSettings.byo_yomi(main_s / 2, main_s / 40, 5),
        TimeSettings.canadian(main_s / 2, main_s / 8, 10),
    )


def lost_on_time(player: Player, settings: TimeSettings) -> bool:
    """Plays one game; whether a move took longer than its side had left."""
    player.clock.set_settings(settings)
    player.new_game()
    color = BLACK
    while not player.position.is_over and len(player.position.moves) < 2 * player.position.area:
        left = player.clock.time_left(color)
        assert left is not None, "there is a time limit"
        if player.generate(color).elapsed_s > left.total_s(settings):
            return True
        color = -color
    return False


def report(lateness: Sequence[float]) -> bool:
    """Prints the figures; returns whether they keep the limits."""
    late = np.array(lateness)
    percentile, worst = float(np.percentile(late, 99)), float(late.max())
    print(
        f"{late.size} moves: median {1e3 * np.median(late):.1f} ms, 99th percentile {1e3 * percentile:.1f} ms "
        f"(limit {1e3 * PERCENTILE_LIMIT_S:.0f}), worst {1e3 * worst:.1f} ms (limit {1e3 * WORST_LIMIT_S:.0f})"
    )
    return percentile <= PERCENTILE_LIMIT_S and worst <= WORST_LIMIT_S


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line for the moves and one for the games; 1 if a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model name or folder; the installation's choice")
    parser.add_argument("--size", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--moves", type=int, default=300)
    parser.add_argument("--time", type=float, default=0.2, help="seconds a move")
    parser.add_argument("--games", type=int, default=8)
    parser.add_argument("--main-time", type=float, default=4.0, help="seconds a side and game, more or less")
    parser.add_argument("--idle", action="store_true", help="without the busy cores")
    options = parser.parse_args(arguments)
    settings = PlayerSettings(
        model=options.model, threads=options.threads, time_s=options.time, lag_buffer_s=PERCENTILE_LIMIT_S, resign=False
    )
    player = Player(settings=settings, board_size=options.size)
    if not player.ensure_ready(READY_TIMEOUT_S):
        raise player.ready_error or TimeoutError("the model does not load")
    with busy_cores(0 if options.idle else available_cores()):
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        print(f"{options.size}x{options.size}, {settings.num_threads} threads, load {load:.1f} at the start")
        is_kept = report(timed_moves(player, options.moves)) if options.moves else True
        games = islice(cycle(systems(options.main_time)), options.games)
        losses = [settings for settings in games if lost_on_time(player, settings)]
        for settings in losses:
            print(f"lost on time: {settings}")
        print(f"{options.games} games of {options.main_time:g} s a side: {len(losses)} lost on time (limit 0)")
    player.close()
    return 0 if is_kept and not losses else 1


if __name__ == "__main__":
    raise SystemExit(main())
