"""The speed of every commit that was measured: `tengen bench`, kept as one line of JSON a commit in history.jsonl.

A line is the report of `tengen bench --json` with the commit and the day before it. Compare ratios; rates only of one
machine at rest. The options of `tengen bench` may follow.

Run: python -m benchmarks.history    measures, appends a line, and shows it beside those before
     python -m benchmarks.history --show    shows what there is
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine import bench

HISTORY = Path(__file__).with_suffix(".jsonl")
LINES_SHOWN = 10


def commit_of(folder: Path) -> str:
    """The commit that `folder` is at; ends in "-dirty" where files have been changed since."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def append(report: dict[str, object], history: Path) -> None:
    """Adds a line to `history`."""
    facts = {"commit": commit_of(Path(__file__).parent), "date": datetime.now(UTC).date().isoformat()}
    with history.open("a") as file:
        file.write(json.dumps(facts | report) + "\n")


def table(lines: Sequence[dict[str, Any]]) -> list[str]:
    """A row for each search that was measured, the oldest commit first: ratios to the bare network, by the clock and by
    processor time."""
    rows = [f"{'commit':16} {'date':10} load  model      size threads nodes    evals/s   ratio  by core"]
    for line in lines:
        load = "   ?" if not line["load"] else f"{line['load'][0]:4.1f}"
        for row in line["search"]:
            nodes = "looks" if row["reground_every"] else "imagines"
            rows.append(
                f"{line['commit']:16} {line['date']:10} {load}  {row['model'].split('@')[0]:10} {row['size']:4} "
                f"{row['threads']:7} {nodes:8} {row['search_evals_per_s']:7.0f}  {row['ratio']:6.3f}  "
                f"{row['core_ratio']:7.3f}"
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures unless only asked to show. Raises `ModelError` as `tengen bench`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="measure nothing")
    parser.add_argument("--history", type=Path, default=HISTORY, help="the file; history.jsonl beside this one")
    options, others = parser.parse_known_args(arguments)
    if not options.show:
        append(bench.measure(bench.make_parser().parse_args(others), print), options.history)
    lines = options.history.read_text().splitlines() if options.history.exists() else []
    print("\n".join(table([json.loads(line) for line in lines[-LINES_SHOWN:]])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
