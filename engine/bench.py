"""`tengen bench`: how fast this installation searches, beside what its networks could do at best."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from typing import Final

from engine import __version__, speed
from engine.errors import ModelNotFound
from engine.model.catalog import Catalog
from engine.model.folder import ModelFolder, load_model
from engine.model_source import CatalogModels
from engine.searcher import paying_leaves
from engine.searcher_pool import SearcherPool
from engine.settings import PlayerSettings, available_cores

RULES_SIZES: Final = (9, 13, 19)
OVERHEAD_SIZES: Final = (9, 19)
MEMORY_MIB: Final = 64
"""Of a search: more than it needs here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints. Raises `ModelError` for a model that is not there."""
    options = make_parser().parse_args(arguments)
    report = measure(options, _silent if options.json else print)
    if options.json:
        print(json.dumps(report))
    return 0


def measure(options: argparse.Namespace, tell: speed.Tell) -> dict[str, object]:
    """The figures of one run, with the facts of the machine. `options`: see `make_parser`; raises as `main`."""
    folders = _models(options.model)
    report: dict[str, object] = {
        "tengen": __version__,
        "python": platform.python_version(),
        "machine": platform.processor() or platform.machine(),
        "cores": available_cores(),
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
    }
    report["search"] = [row for folder in folders for row in _search_rows(folder, options, tell)]
    report["overhead"] = _overhead_rows(options, tell)
    report["rules"] = _rules_rows(tell)
    if not options.no_start:
        report["start"] = _start_row(folders[0], tell)
    return report


def _silent(line: str) -> None:
    pass


def _models(name: str | None) -> list[ModelFolder]:
    """The Go models to measure: all that are installed, or one by name or path."""
    catalog = Catalog()
    if name is not None:
        folder = catalog.resolve(name)
        if folder.manifest.shape.kind != "go":
            raise ModelNotFound(f"model {name} does not play Go: there is no board to search")
        return [folder]
    folders = [folder for folder in catalog.models.values() if folder.manifest.shape.kind == "go"]
    if not folders:
        raise ModelNotFound("no Go model is installed; --model FOLDER names one")
    return folders


def _sizes(folder: ModelFolder, chosen: Sequence[int] | None) -> list[int]:
    """The board sizes to measure a model on: by default the largest that it was trained on."""
    return list(chosen) if chosen else [max(folder.manifest.trained_sizes or folder.manifest.playable_sizes)]


def _search_rows(folder: ModelFolder, options: argparse.Namespace, tell: speed.Tell) -> list[dict[str, object]]:
    """For each size and number of threads: the search as it is played by default, which looks at the real position at
    every node, and MuZero's, which imagines it."""
    rows = []
    manifest, name = folder.manifest, str(folder.path)
    model = load_model(folder)
    for size, threads, every in product(_sizes(folder, options.size), options.threads, (1, 0)):
        settings = PlayerSettings(
            model=name, threads=threads, reground_every=every, device=options.device, max_memory_mib=MEMORY_MIB
        )
        leaves = paying_leaves(manifest, size)
        models = CatalogModels(trusted=name, device=options.device, threads=threads)
        bare = speed.bare_graph(
            model, size=size, looks=every == 1, batch=leaves, device=options.device, threads=threads
        )
        measured = speed.measure_search(
            SearcherPool(models, settings, notify=_silent),
            bare,
            size=size,
            settings=settings,
            slices=options.slices,
            slice_s=options.slice,
        )
        facts = {"model": manifest.identity, "channels": manifest.shape.hidden_size, "size": size, "threads": threads}
        rows.append(facts | {"reground_every": every, "leaves": leaves} | asdict(measured))
        tell(
            f"search    {manifest.name} {size}x{size}, {'looks' if every else 'imagines'}, threads {threads}, "
            f"leaves by {leaves}: {measured.search_evals_per_s:.0f} evals/s of {measured.raw_evals_per_s:.0f} raw, "
            f"ratio {measured.ratio:.3f} ({measured.core_ratio:.3f} by processor time)"
        )
    return rows


def _overhead_rows(options: argparse.Namespace, tell: speed.Tell) -> list[dict[str, object]]:
    rows = []
    for size in OVERHEAD_SIZES:
        measured = speed.measure_overhead(size=size, repeats=options.slices)
        rows.append({"size": size} | asdict(measured))
        tell(
            f"overhead  {size}x{size}: {measured.search_us:.1f} us a simulation without network, "
            f"{measured.kernel_us:.1f} us of it in kernels"
        )
    return rows


def _rules_rows(tell: speed.Tell) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for size in RULES_SIZES:
        moves_per_s = speed.measure_rules(size=size)
        rows.append({"size": size, "moves_per_s": moves_per_s})
        tell(f"rules     {size}x{size}: {moves_per_s:.0f} moves/s")
    return rows


def _start_row(folder: ModelFolder, tell: speed.Tell) -> dict[str, object]:
    size = max(_sizes(folder, None))
    measured = speed.measure_start(str(folder.path), size=size)
    tell(f"start     first {measured.first_s:.1f} s, warm {measured.warm_s:.1f} s ({folder.manifest.name})")
    return {"model": folder.manifest.identity, "size": size} | asdict(measured)


def make_parser() -> argparse.ArgumentParser:
    """The options of `tengen bench`."""
    parser = argparse.ArgumentParser(
        prog="tengen bench",
        description="Measure search, network, rules and start-up in one run.",
        epilog="On a machine with other work on it, trust the ratios, not the rates.",
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--model", metavar="NAME", help="model name or folder; every installed Go model")
    parser.add_argument("--size", metavar="N", type=int, action="append", help="board size; the largest trained one")
    parser.add_argument("--threads", metavar="N", type=int, nargs="+", default=[1, 2], help="search threads; 1 and 2")
    parser.add_argument("--device", default="cpu", help="where networks run; %(default)s")
    parser.add_argument("--slices", metavar="N", type=int, default=9, help="pairs of measurements; %(default)s")
    parser.add_argument("--slice", metavar="S", type=float, default=0.25, help="seconds of one; %(default)s")
    parser.add_argument("--no-start", action="store_true", help="leave out the start-up, which takes half a minute")
    return parser
