"""A long analysis stays within its memory: the process before the search, once its tree is full, and from then on.

One search of the empty board that nothing limits, at the default settings but for the memory. A full tree forgets and
goes on, so from that moment the process should not grow any more: the stated limit is 2 %. Before it, it should not
have grown by more than the memory that the search was given, and 256 MiB for ONNX Runtime, compiler and network.

Run: python -m benchmarks.soak [--minutes 60] [--memory 256] [--model go9]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import psutil

from engine.player import Player
from engine.settings import PlayerSettings

MOST_GROWTH = 0.02
OTHER_MIB = 256.0
READY_TIMEOUT_S = 300.0
SAMPLES = 60
MIB = 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each minute or so; 1 if a limit is not kept, or the tree never filled its memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model name or folder; the installation's choice")
    parser.add_argument("--size", type=int, default=9)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--memory", metavar="MIB", type=int, default=256, help="of the search; %(default)s MiB")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args(arguments)
    settings = PlayerSettings(model=options.model, threads=options.threads, max_memory_mib=options.memory)
    player = Player(settings=settings, board_size=options.size, preload=False)
    process = psutil.Process()
    before = process.memory_info().rss / MIB
    if not player.ensure_ready(READY_TIMEOUT_S):
        raise player.ready_error or TimeoutError("the model does not load")
    started_s, full = time.monotonic(), []
    with player.analyze() as analysis:
        for sample in range(1, SAMPLES + 1):
            result = analysis.wait(max(0.0, started_s + 60.0 * options.minutes * sample / SAMPLES - time.monotonic()))
            resident = process.memory_info().rss / MIB
            if result.is_full:
                full.append(resident)
            print(
                f"{(time.monotonic() - started_s) / 60:6.1f} min  {result.total_visits:10} visits  {resident:7.1f} MiB"
                f"{'  full' if result.is_full else ''}"
            )
        analysis.stop()
        analysis.wait()
    player.close()
    if len(full) < 2:
        print("the tree never filled its memory: more --minutes or less --memory")
        return 1
    growth = max(full) / full[0] - 1.0
    print(f"{full[0] - before:.1f} MiB more than before the search (limit {options.memory + OTHER_MIB:.0f})")
    print(f"growth of a full tree {growth:.2%} (limit {MOST_GROWTH:.0%})")
    return int(growth > MOST_GROWTH or full[0] - before > options.memory + OTHER_MIB)


if __name__ == "__main__":
    raise SystemExit(main())
