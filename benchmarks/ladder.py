"""How strong a model is: a ladder of opponents below it, the same time a move against each of them.

The lowest rungs are a random mover and the same network before it learned anything; then the model itself without a
search and with a few visits, and models that came before it; then GNU Go. All rungs play paired openings: Tengen's
own by `benchmarks.dials`, two random stones and komi 7 by `benchmarks.match`. With one thread time is
processor time in the former. Rungs that `--json` has already, of this model under these settings, are not played again,
so that a ladder may be stopped; one that was interrupted is. `--picture` draws what it has of the model
on this board.

Run: python -m benchmarks.ladder go9-int8 --games 200 --time 0.1 --json runs/ladder.jsonl --picture runs/ladder.svg
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import msgspec
import torch
from matplotlib.figure import Figure

from benchmarks.dials import Dials
from benchmarks.dials import make_parser as dials_parser
from benchmarks.match import SMALLEST_WITH_OPENINGS, Match
from benchmarks.match import make_parser as match_parser
from engine.elo import to_elo
from engine.errors import InvalidConfig, TengenError
from engine.model.catalog import Catalog
from protocol.gtp.client import EngineError
from trainer.checkpoint import Checkpoint, save_checkpoint
from trainer.config import config_from_dict
from trainer.export import export_model
from trainer.learner import Learner
from trainer.network import make_network

VISITS = (1, 16, 64, 256, 1024)
LEVELS = (1, 5, 10)
SEED = 1
PICTURES = (".svg", ".png")

Figures = dict[str, Any]


def rungs(options: argparse.Namespace, folder: Path) -> dict[str, Callable[[], Figures]]:
    """By name, weakest kind first, what plays the games of a rung."""
    against = partial(_own, options)
    found: dict[str, Callable[[], Figures]] = {
        "a random mover": partial(_other, options, ["--opponent", "random"]),
        "the same network, untrained": lambda: against(["--model-b", str(untrained(options.model, folder))]),
    }
    for visits in VISITS:
        name = "its policy without a search" if visits == 1 else f"itself with {visits} visits"
        found[name] = partial(against, ["--b", f"visits={visits}"])
    for earlier in options.earlier:
        manifest = Catalog().resolve(earlier).manifest
        name = f"{manifest.name} of step {manifest.training['step']:,}"
        found[name] = partial(against, ["--model-b", earlier])
    for level in options.levels:
        found[f"GNU Go 3.8 level {level}"] = partial(_other, options, ["--opponent", "gnugo", "--level", str(level)])
    return found


def untrained(model: str, folder: Path) -> Path:
    """The network of `model` as it was before it learned anything, as a model folder in `folder`."""
    training = Catalog().resolve(model).manifest.training
    if "config" not in training:
        raise InvalidConfig(f"model {model} does not say how it was trained")
    config = config_from_dict(training["config"])
    torch.manual_seed(SEED)
    learner = Learner(make_network(config.network), config.learner)
    checkpoint = Checkpoint(config=config, learner=learner.state(), progress={"step": 0})
    export_model(save_checkpoint(folder, checkpoint, name="step-0"), folder / "untrained")
    return folder / "untrained"


def _own(options: argparse.Namespace, words: Sequence[str]) -> Figures:
    """Games against an opponent that our own engine plays. Raises `KeyboardInterrupt` if not all were played."""
    common = ["--model", options.model, "--size", str(options.size), "--games", str(options.games)]
    common += ["--time", str(options.time), "--threads", str(options.threads), "--decided", str(options.decided)]
    if options.komi is not None:
        common += ["--komi", *map(str, options.komi)]
    dials = Dials(dials_parser().parse_args([*common, *words]))
    dials.run()
    if len(dials.tally.pairs) < options.games // 2:
        raise KeyboardInterrupt
    return dials.figures()


def _other(options: argparse.Namespace, words: Sequence[str]) -> Figures:
    """Games against another program, at the middle of the komi."""
    common = ["--size", str(options.size), "--games", str(options.games), "--time", str(options.time)]
    common += ["--opening-plies", str(opening_plies(options))]
    if options.komi is not None:
        common += ["--komi", str(sum(options.komi) / 2)]
    engine = ["--options", f"--model {options.model} --threads {options.threads}"]
    return Match(match_parser().parse_args([*common, *engine, *words])).run()


def opening_plies(options: argparse.Namespace) -> int:
    """Random stones that begin a pair of games against another program."""
    return 2 if options.size >= SMALLEST_WITH_OPENINGS else 0


def shares(figures: Figures) -> tuple[float, float, float]:
    """The share of the points and its 95 % interval; rounded, for a bound that is 1 but for the last bit has no Elo."""
    share, low, high = (round(x, 6) for x in (figures.get("share", figures.get("win_rate")), *figures["interval_95"]))
    return share, low, high


def row(name: str, figures: Figures) -> str:
    """A line of the Markdown table."""
    share, low, high = shares(figures)
    results = f"{figures['wins']} / {figures['draws']} / {figures['losses']}"
    return f"| {name} | {figures['games']} | {results} | {share:.1%} [{low:.1%}, {high:.1%}] |"


def plot(ladder: Sequence[Figures], model: str) -> Figure:
    """Elo over each opponent, weakest first, with 95 % intervals; an arrow where every game was won."""
    ladder = sorted(ladder, key=shares, reverse=True)
    names = list(dict.fromkeys(figures["rung"] for figures in ladder))
    times = sorted({figures["time_s"] for figures in ladder})
    elos = [[to_elo(share) for share in shares(figures)] for figures in ladder]
    farthest = 100.0 + max(abs(elo) for elo in itertools.chain(*elos) if math.isfinite(elo))
    figure = Figure(figsize=(8, 1.4 + 0.34 * len(names)), layout="constrained")
    axes = figure.subplots()
    for figures, (mean, low, high) in zip(ladder, elos, strict=True):
        index = times.index(figures["time_s"])
        place = names.index(figures["rung"]) + 0.3 * (index - (len(times) - 1) / 2)
        low, mean, high = (min(max(elo, -farthest), farthest) for elo in (low, mean, high))
        axes.plot([low, high], [place, place], f"C{index}-")
        axes.plot(mean, place, f"C{index}{'>' if mean == farthest else 'o'}", markersize=5)
    for index, time_s in enumerate(times):
        axes.plot([], [], f"C{index}o-", label=f"{time_s:g} s a move")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.axvline(0, color="0.8", zorder=0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(f"Elo of {model} over the opponent, 95 % intervals\n(arrow: every game was won)")
    figure.legend(loc="outside upper right", ncols=len(times))
    return figure


def kept(file: Path) -> list[Figures]:
    """The rungs that `file` has."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def asked(options: argparse.Namespace) -> Figures:
    """What the figures of a rung depend on. Raises `ModelError`."""
    return {
        "model": Catalog().resolve(options.model).manifest.identity,
        "size": options.size,
        "time_s": options.time,
        "threads": options.threads,
        "decided": options.decided,
        "asked": options.games,
        "asked_komi": options.komi,
        "opening_plies": opening_plies(options),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays what is missing and prints the table; 1 if a side cannot play, 130 after an interrupt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", help="name or folder")
    add("--size", type=int, default=9, help="%(default)s")
    add("--games", type=int, default=200, help="on each rung; %(default)s")
    add("--time", type=float, default=0.1, help="seconds a move; %(default)s")
    add("--threads", type=int, default=1, help="%(default)s")
    add("--decided", type=float, default=2.0, metavar="V", help="cut own games when both see an outcome of V; never")
    add("--komi", type=float, nargs=2, metavar=("LOW", "HIGH"), help="those of the training, and 7 for other programs")
    add("--earlier", nargs="*", default=[], metavar="MODEL", help="models that came before it")
    add("--levels", nargs="*", type=int, default=LEVELS, help="of GNU Go; 1 5 10")
    add("--only", nargs="+", metavar="TEXT", help="rungs whose names contain one of these")
    add("--json", type=Path, required=True, metavar="FILE", help="where the figures are kept, a line a rung")
    add("--picture", type=Path, metavar="FILE", help="draw what that file has of model and board: .svg, .png")
    options = parser.parse_args(arguments)
    if options.picture is not None and options.picture.suffix not in PICTURES:
        parser.error(f"--picture {options.picture}: expected the name of a {' or '.join(PICTURES)} file")
    try:
        settings = asked(options)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        done = {line["rung"]: line for line in kept(options.json) if settings.items() <= line.items()}
        with tempfile.TemporaryDirectory() as folder:
            for name, play in rungs(options, Path(folder)).items():
                if name in done or not (options.only is None or any(text in name for text in options.only)):
                    continue
                print(name, flush=True)
                done[name] = play() | {"rung": name} | settings
                with options.json.open("a") as file:
                    file.write(msgspec.json.encode(done[name]).decode() + "\n")
    except (TengenError, EngineError) as error:
        print(f"ladder: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ladder: interrupted; the same command goes on", file=sys.stderr)
        return 130
    print("| opponent | games | won / drawn / lost | share of the points [95 %] |\n|---|---|---|---|")
    print("\n".join(row(name, figures) for name, figures in done.items()))
    board = {name: settings[name] for name in ("model", "size")}
    if options.picture is not None and (
        shown := [line for line in kept(options.json) if board.items() <= line.items()]
    ):
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context({"svg.hashsalt": "ladder"}):
            plot(shown, settings["model"]).savefig(options.picture, metadata={"Date": None})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
