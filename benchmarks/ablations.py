"""What each part of the method is worth: runs that lack it, or have more of it, against runs of the preset itself.

Every run learns from zero for the same processor time, so that a part which costs time has to earn it. Then each plays
pairs of games, of one opening with both colours, against every run of the preset, with as many simulations a move as in
training: once with imagination below the root (MuZero) and once with the real board at every node. The preset's own
runs play each other too: that is what the seed alone is worth. A run that `--out` has whole, with the same settings, is
not learned again; one that was interrupted begins anew, for its time would not be the others'.

The table has Elo over all games of a variant, its 95 % interval as if only the games varied, and the lowest and the
highest Elo of the matches of two runs, which shows what the seeds do.

Run: python -m benchmarks.ablations go5 --minutes 10 --seeds 1 2 --jobs 2 --out runs/ablations
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import multiprocessing
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from torch import Tensor

from engine.elo import paired_share, to_elo
from trainer.actor import Publisher, make_evaluator
from trainer.config import TrainConfig, config_to_dict, load_config
from trainer.diagnosis.subject import SeenBy
from trainer.loop import train
from trainer.network import GoNetwork, masked, scale_hidden
from trainer.onnx_graph import ModelBytes
from trainer.progress import Reporter
from trainer.rating import play_pairs
from trainer.run import run_figures

BASE = "the preset"
NO_SKIP = "without the identity skip"
VARIANTS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        BASE: (),
        "16 moves considered instead of 8": ("search.num_considered=16",),
        "without the board decoder": ("learner.board_weight=0",),
        "without consistency": ("learner.consistency_weight=0",),
        "without ownership and score": ("learner.ownership_weight=0", "learner.score_weight=0"),
        "basic observation, 6 planes": ("network.observation_size=6",),
        "1 dynamics block": ("network.dynamics_blocks=1",),
        "3 dynamics blocks": ("network.dynamics_blocks=3",),
        NO_SKIP: (),
        "without branches": ("learner.branch_share=0",),
        "imagination in self-play": ("selfplay.reground_every=0",),
        "self-play in 8 bits": ("selfplay.precision=int8",),
        "every window unrolled": ("learner.unrolled_share=1.0",),
        "8 simulations": ("search.num_simulations=8", "search.num_considered=4"),
        "32 simulations": ("search.num_simulations=32", "search.num_considered=16"),
        "32 simulations in a quarter of the moves, else 8": (
            "search.num_simulations=32",
            "search.num_considered=16",
            "selfplay.quick_share=0.75",
        ),
        "half the learning rate": ("learner.learning_rate=5e-4",),
        "twice the learning rate": ("learner.learning_rate=2e-3",),
        "a window of a quarter": ("replay.window_scale=12_500",),
        "a window of four times": ("replay.window_scale=200_000",),
        "16 channels": ("network.channels=16",),
        "64 channels": ("network.channels=64",),
    }
)
"""Settings by name; what is half or twice is so of the defaults of `trainer.config`, which the presets of CPUs keep."""
LOOKS = MappingProxyType({"imagination": 0, "real boards": 1})
"""How a match searches: `selfplay.reground_every`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a run came to."""

    variant: str
    """Of `VARIANTS`."""
    seed: int
    """Of the run."""
    config: TrainConfig
    """Its settings."""
    weights: ModelBytes
    """Its averaged network."""
    figures: dict[str, float]
    """Of the run."""


def unchanged(preset: str, settings: Sequence[str], variants: Sequence[str]) -> list[str]:
    """Those of `variants` that would learn as the preset does: it has the settings that they ask for."""
    base = load_config(preset, list(settings))
    return [name for name in variants if VARIANTS[name] and load_config(preset, [*settings, *VARIANTS[name]]) == base]


def imagine_without_skip(self: GoNetwork, hidden: Tensor, action_planes: Tensor, mask: Tensor | None = None) -> Tensor:
    """`GoNetwork.imagine`, whose blocks begin with the convolution alone instead of what it changes."""
    x = masked(self.dynamics_hidden(hidden) + self.dynamics_action(action_planes), mask)
    return scale_hidden(self.dynamics(x, mask), mask)


def learn(preset: str, settings: Sequence[str], variant: str, seed: int, minutes: float, out: Path) -> Learned:
    """One run, in a process of its own, which the variant may change."""
    fixed = ["loop.rate_every=0", "loop.sample_sgf_every=0", "loop.actors=0"]  # this process's time is the run's
    overrides = [*settings, *VARIANTS[variant], f"loop.seed={seed}", *fixed]
    config = load_config(preset, overrides)
    if variant == NO_SKIP:
        GoNetwork.imagine = imagine_without_skip  # type: ignore[method-assign]
    folder = out / f"{variant.replace(' ', '-').replace(',', '')}-{seed}"
    paths = [folder / name for name in ("initial.onnx", "recurrent.onnx", "figures.json")]
    asked = {"minutes": minutes, "config": config_to_dict(config)}
    facts = json.loads(paths[-1].read_text()) if paths[-1].is_file() else {}
    if json.loads(json.dumps(asked)) != facts.get("asked"):
        shutil.rmtree(folder, ignore_errors=True)
        end = time.process_time() + 60 * minutes
        with Reporter(folder, title=folder.name) as reporter:
            run = train(config, folder, reporter=reporter, should_stop=lambda: time.process_time() > end)
        weights = Publisher(run.learner.averaged, device="cpu").publish(run.learner.averaged)
        assert isinstance(weights, ModelBytes)
        paths[0].write_bytes(weights.initial)
        paths[1].write_bytes(weights.recurrent)
        facts = {"asked": asked, "figures": run_figures(run)}
        paths[2].write_text(json.dumps(facts))
    weights = ModelBytes(paths[0].read_bytes(), paths[1].read_bytes())
    return Learned(variant=variant, seed=seed, config=config, weights=weights, figures=facts["figures"])


def compare(config: TrainConfig, first: Learned, second: Learned, pairs: int) -> dict[str, list[float]]:
    """The shares of `pairs` pairs of games that `first` won, by `LOOKS`; `config` is the preset's."""
    found = {}
    for name, reground_every in LOOKS.items():
        selfplay = dataclasses.replace(config.selfplay, num_games=pairs, reground_every=reground_every)
        match = dataclasses.replace(config, selfplay=selfplay)
        sides = (
            SeenBy(make_evaluator(side.weights, match, device="cpu"), side.config.variant) for side in (first, second)
        )
        rng = np.random.default_rng((first.seed, second.seed))
        found[name] = play_pairs(match, *sides, pairs=pairs, rng=rng).tolist()
    return found


Shares = dict[str, dict[str, list[list[float]]]]
"""By variant and by `LOOKS`: the shares of each match of two runs."""


def table(runs: Sequence[Learned], shares: Shares) -> list[str]:
    """Markdown, the strongest first."""
    lines = ["| variant | steps | positions | " + " | ".join(f"Elo, {name}" for name in LOOKS) + " |"]
    lines.append("|---|---|---|" + "---|" * len(LOOKS))
    order = sorted(shares, key=lambda variant: -float(np.mean(shares[variant]["imagination"])))
    for variant in order:
        own = [run.figures for run in runs if run.variant == variant]
        steps, positions = (" / ".join(f"{figures[k]:,.0f}" for figures in own) for k in ("step", "positions"))
        cells = []
        for name in LOOKS:
            mean, low, high = paired_share(list(itertools.chain(*shares[variant][name]))).elo
            matches = sorted(to_elo(float(np.mean(points))) for points in shares[variant][name])
            cells.append(f"{mean:+.0f} [{low:.0f}, {high:.0f}]; {matches[0]:+.0f} to {matches[-1]:+.0f}")
        lines.append(f"| {variant} | {steps} | {positions} | {' | '.join(cells)} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Learns, plays and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="for all runs")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="all variants")
    parser.add_argument("--minutes", type=float, default=10.0, help="of processor time for each run; %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="%(default)s")
    parser.add_argument("--pairs", type=int, default=128, help="of games between two runs; %(default)s")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, of one core each; %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    config = load_config(options.preset, options.settings)
    variants = list(dict.fromkeys([BASE, *options.only]))
    if same := unchanged(options.preset, options.settings, variants):
        parser.error(f"{same} would not differ from {options.preset} as it is: leave out, see --only")
    # One process a run: a variant may change what the code does.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context, max_tasks_per_child=1) as pool:
        common = (options.preset, options.settings)
        learning = [
            pool.submit(learn, *common, variant, seed, options.minutes, options.out)
            for seed, variant in itertools.product(options.seeds, variants)
        ]
        runs = [future.result() for future in learning]
        bases = [run for run in runs if run.variant == BASE]
        pairings = [(a, b) for a, b in itertools.product(runs, bases) if a.variant != BASE or a.seed < b.seed]
        playing = [pool.submit(compare, config, a, b, options.pairs) for a, b in pairings]
        shares: Shares = {variant: {name: [] for name in LOOKS} for variant in variants}
        for (first, _), future in zip(pairings, playing, strict=True):
            for name, points in future.result().items():
                shares[first.variant][name].append(points)
    facts: dict[str, Any] = {
        "runs": [{"variant": run.variant, "seed": run.seed} | run.figures for run in runs],
        "shares": shares,
    }
    (options.out / "ablations.json").write_text(json.dumps(facts))
    print("\n".join(table(runs, {name: found for name, found in shares.items() if found["imagination"]})))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
