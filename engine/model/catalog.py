"""`Catalog`: which models there are, and which one plays a board size. `main` lists them for `tengen models`.

Looks into the folders of $TENGEN_MODELS, then into the models that were installed with the engine, then into models/ of
a source tree; of two models with one name the first is taken. A listing reads manifests only, never weights. Names are
looked up in that listing and never joined to a path.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from engine.errors import ModelError, ModelNotFound
from engine.go.rules import MAX_SIZE, MIN_SIZE
from engine.model.folder import MANIFEST, LoadedModel, ModelFolder, load_model, read_folder
from engine.model.manifest import ModelManifest

VARIABLE: Final = "TENGEN_MODELS"
"""Environment variable: more folders, separated as in PATH."""


def default_roots(package: Path = Path(__file__).parents[1]) -> list[Path]:
    """The folders that are searched for model folders, in order."""
    roots = [Path(part).expanduser() for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    roots.append(package / "_models")
    if (package.parent / "pyproject.toml").is_file():  # else the parent is site-packages, where "models" is not ours
        roots.append(package.parent / "models")
    return roots


class Catalog:
    """The models found at construction; a later look needs a new catalog."""

    def __init__(self, roots: Iterable[Path] | None = None) -> None:
        """Reads the manifests below `roots` (default: `default_roots()`). Damaged ones end up in `problems`."""
        self.models: dict[str, ModelFolder] = {}
        """By name."""
        self.problems: dict[str, ModelError] = {}
        """Why a model folder of this name was passed over."""
        for root in default_roots() if roots is None else roots:
            for path in _model_folders(root):
                self._add(path)

    def _add(self, path: Path) -> None:
        try:
            folder = read_folder(path)
        except ModelError as error:
            self.problems.setdefault(path.name, error)
        else:
            self.models.setdefault(folder.manifest.name, folder)

    def find(self, name: str | None = None, *, board_size: int | None = None) -> ModelFolder:
        """The model of this name, or else the best one for `board_size`: one that was trained on that size, then the
        one with the nearest trained size; of equals the higher priority, then the first name.

        Raises `ModelNotFound`, also where the named model may not play `board_size`, and the `ModelInvalid` of a named
        model that is damaged.
        """
        if name is not None:
            return self._find_name(name, board_size)
        fits = [m for m in self.models.values() if board_size is None or m.manifest.can_play(board_size)]
        if not fits:
            wanted = "" if board_size is None else f" for board size {board_size}"
            raise ModelNotFound(f"no model{wanted}; {self._inventory()}")
        return min(fits, key=lambda m: _rank(m.manifest, board_size))

    def _find_name(self, name: str, board_size: int | None) -> ModelFolder:
        if name not in self.models:
            if name in self.problems:
                raise self.problems[name]
            raise ModelNotFound(f"no model {name!r}; {self._inventory()}; for a folder write ./{name}")
        found = self.models[name]
        if board_size is not None and not found.manifest.can_play(board_size):
            low, high = found.manifest.playable_sizes
            sizes = f"it plays {low} to {high}" if high else "it plays no Go"
            raise ModelNotFound(f"model {name!r} is not for board size {board_size}; {sizes}")
        return found

    def resolve(self, model: str | None = None, *, board_size: int | None = None) -> ModelFolder:
        """As `find`, but `model` may also be the path of a model folder: it then holds a slash or begins with a dot
        or tilde. Not for names that come from a network."""
        if model is None or not _is_path(model):
            return self.find(model, board_size=board_size)
        folder = read_folder(Path(model).expanduser())
        return Catalog([folder.path]).find(folder.manifest.name, board_size=board_size)

    def load(self, model: str | None = None, *, board_size: int | None = None) -> LoadedModel:
        """`resolve`, then the weights, verified. Blocks while it reads. Raises `ModelNotFound` and `ModelInvalid`."""
        return load_model(self.resolve(model, board_size=board_size))

    def board_sizes(self, model: str | None = None) -> tuple[int, ...]:
        """Board sizes, ascending, that `model` (a name or path), or any model, may play. Raises as `resolve`."""
        folders = list(self.models.values()) if model is None else [self.resolve(model)]
        return tuple(size for size in range(MIN_SIZE, MAX_SIZE + 1) if any(f.manifest.can_play(size) for f in folders))

    def _inventory(self) -> str:
        known = f"there are: {', '.join(sorted(self.models))}" if self.models else "none is installed"
        return known + (f" (damaged: {', '.join(sorted(self.problems))})" if self.problems else "")


def _model_folders(root: Path) -> list[Path]:
    """`root` itself if it is a model folder, else the model folders in it, by name."""
    if (root / MANIFEST).is_file():
        return [root]
    try:
        found = [path for path in root.iterdir() if (path / MANIFEST).is_file()]
    except OSError:  # no such folder, or not ours to read: then there are no models
        return []
    return sorted(path for path in found if not path.name.startswith("."))  # a dot: an export that is not finished


def _rank(manifest: ModelManifest, board_size: int | None) -> tuple[int, int, str]:
    """Sorts the best model for `board_size` first."""
    sizes = manifest.trained_sizes
    distance = min((abs(size - board_size) for size in sizes), default=MAX_SIZE) if board_size is not None else 0
    return distance, -manifest.priority, manifest.name


def _is_path(model: str) -> bool:
    return model.startswith((".", "~")) or "/" in model or os.sep in model


def main(arguments: Sequence[str] | None = None) -> int:
    """`tengen models`: one line a model; exit status 1 if one is damaged."""
    parser = argparse.ArgumentParser(prog="tengen models", description="List the models that this installation finds.")
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names or folders (default: all)")
    parser.add_argument("--verify", action="store_true", help="read the weights, compare checksums and evaluate once")
    options = parser.parse_args(arguments)
    catalog = Catalog()
    if options.models:
        folders = [catalog.resolve(model) for model in options.models]
        problems: list[ModelError] = []
    else:
        folders, problems = list(catalog.models.values()), list(catalog.problems.values())
    for folder in folders:
        try:
            if options.verify:
                _verify(folder)
            facts = [_line(folder), *(["verified"] if options.verify else []), _default_sizes(catalog, folder)]
            print("  ".join(filter(None, [*facts, str(folder.path)])))
        except ModelError as error:
            problems.append(error)
    for problem in problems:
        print(f"damaged: {problem}")
    if not folders and not problems:
        print(f"no models; set {VARIABLE} to a folder of model folders")
    return 1 if problems else 0


def _line(folder: ModelFolder) -> str:
    """What its manifest says."""
    manifest = folder.manifest
    sizes = ""
    if manifest.playable_sizes[1]:
        trained = ", ".join(map(str, manifest.trained_sizes)) or "no size"
        sizes = f"trained on {trained}; plays {manifest.playable_sizes[0]} to {manifest.playable_sizes[1]}"
    precision = manifest.precision if manifest.precision != "float32" else ""
    return "  ".join(filter(None, [manifest.identity, manifest.environment, precision, sizes]))


def _default_sizes(catalog: Catalog, folder: ModelFolder) -> str:
    """The board sizes for which this model is taken where none is named."""
    if folder not in catalog.models.values():
        return ""
    low, high = folder.manifest.playable_sizes
    sizes = [size for size in range(low, high + 1) if high and catalog.find(board_size=size) == folder]
    return f"by default for {spell_sizes(sizes)}" if sizes else ""


def spell_sizes(sizes: Sequence[int]) -> str:
    """Ascending sizes, such as `5 to 13` or `9, 13, 17 to 19`."""
    runs = [[size for _, size in run] for _, run in groupby(enumerate(sizes), lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _verify(folder: ModelFolder) -> None:
    """Loads the model and evaluates once; raises `ModelError`."""
    from engine.model.onnx_evaluator import OnnxEvaluator  # ONNX Runtime, which a listing does not need

    model = load_model(folder)
    sizes = folder.manifest.trained_sizes or folder.manifest.playable_sizes
    OnnxEvaluator.from_model(model, board_size=sizes[-1] or None, num_slots=1)
