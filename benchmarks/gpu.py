"""What an accelerator makes of training: moves of self-play and windows of learning a second, with random weights.

Self-play on the preset's largest board, from the first plies of its games, with searches of several numbers of
simulations, on one thread and on the preset's `selfplay.search_threads`; the expected share of the time in the network
and, for 32 simulations of the preset, the expected rate are printed beside. Learning on all boards, in both precisions,
windows built one batch ahead; the ratio is to float32. Wall time.

Run: python -m benchmarks.gpu [--device cuda] [--preset go9-gpu] [--simulations 16 32] [--set selfplay.num_games=8192]
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence

import torch

from trainer.actor import Publisher
from trainer.cli import parse_device
from trainer.config import TrainConfig, load_config
from trainer.network import make_network
from trainer.probe import time_board, time_learner

EXPECTED_SHARE = 0.6
"""Of self-play in the network, at least, on an H200."""
EXPECTED_RATE = {32: 20_000}
"""Moves a second by simulations, at least, on an H200."""


def selfplay_table(config: TrainConfig, *, simulations: Sequence[int], device: str) -> Iterator[str]:
    """The lines of a table of self-play on the largest board of `config`."""
    network = make_network(config.network)
    weights = Publisher(network, device=device).publish(network)
    yield "simulations  threads  moves/s  expected  in the network  expected"
    for count in simulations:
        search = config.search.with_simulations(count)
        for threads in sorted({1, config.selfplay.search_threads}):
            selfplay = dataclasses.replace(config.selfplay, search_threads=threads)
            board = dataclasses.replace(config, search=search, selfplay=selfplay).boards[0]
            rate, share = time_board(board, weights, device=device)
            expected = EXPECTED_RATE.get(count, "")
            yield f"{count:11}  {threads:7}  {rate:7.0f}  {expected:8}  {share:14.0%}  {EXPECTED_SHARE:8.0%}"


def learner_table(config: TrainConfig, *, device: str, seconds: float) -> Iterator[str]:
    """The lines of a table of learning."""
    yield "precision  windows/s  ratio"
    rates: list[float] = []
    for precision in ("float32", "bfloat16"):
        learner = dataclasses.replace(config.learner, precision=precision)
        rates.append(time_learner(dataclasses.replace(config, learner=learner), device=device, budget_s=seconds))
        yield f"{precision:>9}  {rates[-1]:9.0f}  {rates[-1] / rates[0]:5.2f}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=parse_device, default="cuda", help="cuda or cpu (default: cuda)")
    parser.add_argument("--preset", default="go9-gpu", help="whose network, boards and batches (default: go9-gpu)")
    parser.add_argument("--simulations", type=int, nargs="+", default=[16, 32], help="a move (default: 16 32)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of learning in each precision (default: 10)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the preset"
    )
    options = parser.parse_args(argv)
    config = load_config(options.preset, options.set)
    torch.set_num_threads(config.loop.threads)
    torch.manual_seed(0)
    network = config.network
    name = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else options.device
    print(
        f"{name}: {config.selfplay.num_games} games of {config.env.size}x{config.env.size}, network "
        f"{network.channels}/{network.representation_blocks}/{network.dynamics_blocks}, self-play in "
        f"{config.learner.precision}, batch of {config.learner.batch_size} windows"
    )
    for line in selfplay_table(config, simulations=options.simulations, device=options.device):
        print(line, flush=True)
    for line in learner_table(config, device=options.device, seconds=options.seconds):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
