"""Has a run learned 5x5 Go? The game is solved: Black in the centre takes the whole board, whatever White answers (van
der Werf 2003). With a komi of 24.5 Black must therefore win, and with one of 25.5 nobody can win as Black.

Three conditions: against GNU Go, with komi 24.5, Black opens in the centre and wins all 25 points in nine games of ten;
and the network alone has the sign of the value right for 95 % of what is known, which is the empty board, Black in the
centre, and every answer to that, at every komi from 14.5 to 25.5.

Run: python -m benchmarks.gate_5x5 runs/go5 [--games 20] [--time 0.1]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.match import Match
from benchmarks.match import make_parser as match_parser
from engine.errors import TengenError
from engine.go.batch import GoBatch
from engine.go.kernels import NO_MOVE
from engine.model.folder import MANIFEST, load_model, read_folder
from engine.model.onnx_evaluator import OnnxEvaluator
from protocol.gtp.client import EngineError
from trainer.export import export_model

SIZE, CENTRE, POINTS = 5, 12, 25
KOMI = np.arange(14.5, 26.0, 1.0)
"""Black wins at all of them but the last."""
LEAST_WON, LEAST_RIGHT = 0.9, 0.95


def known_positions() -> tuple[GoBatch, NDArray[np.int8]]:
    """Every known position at every komi, and who wins there: +1 Black, -1 White."""
    answers = [action for action in range(POINTS + 1) if action != CENTRE]
    moves = [[NO_MOVE, NO_MOVE], [CENTRE, NO_MOVE], *([CENTRE, answer] for answer in answers)]
    batch = GoBatch(num_games=len(moves) * len(KOMI), size=SIZE, komi=np.tile(KOMI, len(moves)))
    batch.play_sequences(np.repeat(np.array(moves, np.int32), len(KOMI), axis=0))
    return batch, np.where(batch.komi < POINTS, 1, -1).astype(np.int8)


def value_signs(model: Path) -> tuple[float, dict[float, float]]:
    """Share of the known positions for which the network's value has the right sign: of all, and by komi."""
    batch, winners = known_positions()
    evaluator = OnnxEvaluator.from_model(load_model(read_folder(model)), board_size=SIZE, num_slots=batch.num_games)
    value = evaluator.initial(batch.observe(), np.arange(batch.num_games, dtype=np.int32)).value
    is_right = np.sign(value) == winners
    return float(is_right.mean()), {float(k): float(is_right[batch.komi == k].mean()) for k in KOMI}


def play_black(model: Path, options: argparse.Namespace) -> tuple[int, int]:
    """Of the games against GNU Go as Black: how many opened in the centre, and how many of those took every point."""
    arguments = ["--size", str(SIZE), "--komi", str(POINTS - 0.5), "--colors", "black", "--games", str(options.games)]
    arguments += ["--time", str(options.time), "--level", str(options.level)]
    match = Match(match_parser().parse_args([*arguments, "--options", f"--model {model} --threads {options.threads}"]))
    match.run()
    games = [game for _, game in match.tally.games]
    opened = [game for game in games if game.position.moves and game.position.moves[0].action == CENTRE]
    return len(opened), sum(game.score == 0.5 for game in opened)


def as_model(source: Path, folder: Path) -> Path:
    """The model `source`, or the one that is exported from the run or checkpoint `source` into `folder`.

    Raises `TengenError`.
    """
    if (source / MANIFEST).is_file():
        return source.resolve()
    export_model(source.resolve(), folder / "candidate")
    return folder / "candidate"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures; 1 if the run is not there yet, 2 if it cannot be asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a run's folder (its newest checkpoint), a checkpoint, or a model")
    parser.add_argument("--games", type=int, default=20, help="%(default)s")
    parser.add_argument("--time", type=float, default=0.1, help="seconds a move; %(default)s")
    parser.add_argument("--level", type=int, default=10, help="of GNU Go; %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="%(default)s")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = as_model(options.model, Path(folder))
            right, by_komi = value_signs(model)
            print("sign of the value right, by komi: " + ", ".join(f"{k:g} {s:.0%}" for k, s in by_komi.items()))
            opened, won = play_black(model, options)
    except (TengenError, EngineError) as error:
        print(f"gate_5x5: {error}", file=sys.stderr)
        return 2
    has_passed = won >= LEAST_WON * options.games and right >= LEAST_RIGHT
    print(f"value sign {right:.1%}; opened in the centre {opened}, and won every point {won} of {options.games}")
    print("passed" if has_passed else "not passed")
    return int(not has_passed)


if __name__ == "__main__":
    raise SystemExit(main())
