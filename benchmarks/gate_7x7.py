"""Has a run learned 7x7 Go? Black's best play is thought to be worth nine points there.

Two conditions: in paired games the model wins 95 % of the points against one that learned 5x5 only; and a search finds
the empty board even at a komi within a point of nine. What the network alone thinks fair is told as well.

Run: python -m benchmarks.gate_7x7 runs/go7 [--against go5] [--games 60] [--time 0.1]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.dials import Dials, Side, parse_settings
from benchmarks.dials import make_parser as dials_parser
from benchmarks.gate_5x5 import as_model
from engine.errors import TengenError
from engine.go.position import Position
from engine.search.limits import Limits
from trainer.diagnosis.komi_sweep import crossings

SIZE = 7
FAIR, MARGIN = 9.0, 1.0
LEAST_SHARE = 0.95
KOMI = np.arange(4.0, 14.5, 0.5)
"""At which the empty board is searched."""
MATCH_KOMI = ("7", "11")


def fair_komi(model: Path, *, visits: int, threads: int) -> tuple[list[float], list[float]]:
    """Every komi of `KOMI`, interpolated, at which Black's chance on the empty board crosses a half: for a search of
    `visits`, and for the network alone."""
    side = Side(str(model), parse_settings([], threads=threads), size=SIZE, clock=time.monotonic)
    results = [side.search(Position(SIZE, komi=float(komi)), Limits(visits=visits), goes_on=False) for komi in KOMI]
    searched = np.array([result.root_value for result in results], np.float32)
    return crossings(KOMI, searched), crossings(KOMI, np.array([result.raw_value for result in results], np.float32))


def is_fair(komi: Sequence[float]) -> bool:
    """Whether there is a fair komi, and none far from what is right."""
    return bool(komi) and all(abs(k - FAIR) <= MARGIN for k in komi)


def play(model: Path, options: argparse.Namespace) -> Dials:
    """The match against the earlier model."""
    words = ["--model-a", str(model), "--model-b", options.against, "--size", str(SIZE)]
    words += ["--komi", *MATCH_KOMI, "--games", str(options.games), "--time", str(options.time)]
    dials = Dials(dials_parser().parse_args([*words, "--threads", str(options.threads), "--decided", "0.98"]))
    dials.run()
    return dials


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures; 1 if the run is not there yet, 2 if it cannot be asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a run's folder (its newest checkpoint), a checkpoint, or a model")
    parser.add_argument("--against", default="go5", metavar="MODEL", help="name or folder of a model; %(default)s")
    parser.add_argument("--games", type=int, default=60, help="%(default)s")
    parser.add_argument("--time", type=float, default=0.1, help="seconds a move; %(default)s")
    parser.add_argument("--visits", type=int, default=4000, help="of the searches for the fair komi; %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="%(default)s")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = as_model(options.model, Path(folder))
            searched, alone = fair_komi(model, visits=options.visits, threads=options.threads)
            print(f"fair komi: {searched} by {options.visits} visits, {alone} by the network alone")
            tally = play(model, options).tally
    except TengenError as error:
        print(f"gate_7x7: {error}", file=sys.stderr)
        return 2
    if len(tally.pairs) < options.games // 2:
        return 2
    print(f"against {options.against}: {tally.line()}")
    has_passed = tally.summary()["share"] >= LEAST_SHARE and is_fair(searched)
    print("passed" if has_passed else "not passed")
    return int(not has_passed)


if __name__ == "__main__":
    raise SystemExit(main())
