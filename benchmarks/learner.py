"""Where a step of the learner goes: building its windows, against forward, backward and optimiser.

The windows come from games of the preset's largest board that a random network made with one simulation a move. Times
are this process's processor time on one core, the best of several turns; at most 15 % of a step are expected outside
forward, backward and optimiser.

Run: python -m benchmarks.learner [--preset go9] [--set learner.unrolled_share=1.0] [--rounds 8]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import dataclasses
import time

import numpy as np
import torch

from trainer.actor import Publisher, make_evaluator
from trainer.config import TrainConfig, load_config
from trainer.learner import Learner
from trainer.network import make_network
from trainer.replay import ReplayBuffer
from trainer.selfplay import SelfPlay, make_env
from trainer.windows import MixedWindowBuilder

EXPECTED_SHARE = 0.15
"""Of a step outside forward, backward and optimiser, at most."""
GAMES = 256
"""In the replay buffer, at least."""


def fill_replay(config: TrainConfig) -> ReplayBuffer:
    """A buffer of whole games."""
    network = make_network(config.network)
    evaluator = make_evaluator(Publisher(network, device="cpu").publish(network), config, device="cpu")
    env = make_env(config, num_envs=config.selfplay.num_games)
    selfplay = SelfPlay(config, env, evaluator, np.random.default_rng(0))
    replay = ReplayBuffer(config.replay)
    while len(replay.games) < GAMES:
        replay.add(selfplay.play(config.loop.plies_per_iteration, simulations=1))
    return replay


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="go9", help="whose largest board, network and batch (default: go9)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the preset"
    )
    parser.add_argument("--rounds", type=int, default=8, help="turns; the best counts (default: 8)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = load_config(options.preset, options.set).boards[0]
    config = dataclasses.replace(config, replay=dataclasses.replace(config.replay, holdout_every=0))
    replay, rng = fill_replay(config), np.random.default_rng(1)
    learner, builder = Learner(make_network(config.network), config.learner), MixedWindowBuilder(config)
    batch = config.learner.batch_size
    best = {"drawing": float("inf"), "windows": float("inf"), "step": float("inf")}
    for turn in range(options.rounds + 1):
        times = [time.process_time()]
        drawn = replay.sample(batch, rng)
        times.append(time.process_time())
        windows = builder.build(drawn, rng)
        times.append(time.process_time())
        learner.step(*windows)
        times.append(time.process_time())
        if turn > 0:  # the first compiles
            best = {name: min(best[name], spent) for name, spent in zip(best, np.diff(times).tolist(), strict=True)}
    total = sum(best.values())
    lengths = [len(game) for game in replay.games]
    print(
        f"{config.env.size}x{config.env.size}, {config.network.channels} channels, {batch} windows of "
        f"{config.learner.unroll_steps} steps, {config.learner.unrolled_share:.0%} of them unrolled, "
        f"{len(replay.games)} games of {np.mean(lengths):.0f} plies"
    )
    names = {"drawing": "drawing positions", "windows": "building windows", "step": "forward, backward, optimiser"}
    for name, spent in best.items():
        print(f"{names[name]:29} {1e3 * spent:7.1f} ms  {spent / total:6.1%}")
    print(
        f"{batch / total:.0f} windows per core-s, {1 - best['step'] / total:.1%} outside forward, "
        f"backward and optimiser, expected at most {EXPECTED_SHARE:.0%}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
