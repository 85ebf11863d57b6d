"""Checkpoints of a run: a folder each, written whole or not at all, read newest first.

A checkpoint holds weights.safetensors (network and averaged weights), optimizer.safetensors, selfplay.safetensors
(games in progress), replay.safetensors and state.json (configuration, counters, generators, digests); what is too long
for one file goes on in weights-1.safetensors and so on. Resuming needs only the weights; what else is missing or
damaged starts afresh. No pickle anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from engine.errors import InvalidConfig, ModelInvalid, ModelNotFound, TengenError
from trainer.config import TrainConfig, config_from_dict, config_to_dict
from trainer.named_parts import part_of
from trainer.network import Network, make_network
from trainer.record import GameRecord, guess_opening
from trainer.shards import Arrays, read_shards, shard_names, write_shards

CHECKPOINTS = "checkpoints"
"""The folder of a run's checkpoints in the run's own."""
STATE = "state.json"
WEIGHTS, OPTIMIZER, SELFPLAY, REPLAY = "weights", "optimizer", "selfplay", "replay"
"""Stems of `trainer.shards`."""
TEMPORARY = ".tmp"
KEPT = 3
"""Whole checkpoints kept in a run's folder."""
DAMAGED = ".damaged"
"""Ending of checkpoints that could not be read; they are kept for a look and not counted."""
FORMAT = 4
"""2: state.json has a digest of itself. 3: weights and moments may go on in further files. 4: games know how long their
random openings were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One whole state of a run."""

    config: TrainConfig
    """The configuration it was made with."""
    learner: dict[str, Tensor]
    """`Learner.state()`; the entries `optimizer.*` may be missing."""
    progress: dict[str, Any]
    """Counters, generators and the ledger, as JSON values."""
    replay: dict[str, NDArray[Any]] | None = None
    """`pack_games` of the window and the held-out games."""
    selfplay: dict[str, NDArray[Any]] | None = None
    """`SelfPlay.state()`."""
    lost: tuple[str, ...] = ()
    """What could not be read, and why: parts that start afresh."""

    @property
    def averaged_weights(self) -> dict[str, Tensor]:
        """State dict of the averaged network."""
        return part_of(self.learner, "averaged.")

    def games(self, part: Literal["games", "holdout"]) -> list[GameRecord]:
        """The window's games, or the held-out ones, on boards of `config.env.size`; none where they were not kept."""
        size = self.config.env.size if self.config.is_go else 0
        return [game for game in unpack_games(self.replay or {}, prefix=f"{part}.") if game.size == size]

    def averaged_network(self) -> Network:
        """The network to play with and to export; raises `ModelInvalid` if the weights are not those of its shape."""
        network = make_network(self.config.network)
        try:
            network.load_state_dict(self.averaged_weights)
        except RuntimeError as error:
            first, *details = str(error).splitlines()
            raise ModelInvalid(f"not the weights of its network: {(details or [first])[0].strip()}") from error
        return network.eval()


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, name: str) -> Path:
    """Writes `folder/name` atomically (temporary folder, fsync, rename), then drops all but the newest KEPT.

    Raises `OSError` where the disk is full or refuses; the checkpoints that were there are then as they were.
    """
    temporary, target = folder / f"{name}{TEMPORARY}", folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        write_checkpoint_files(temporary, checkpoint)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(temporary, target)
        sync(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise OSError(f"{target} could not be written: {error}") from error
    for old in list_checkpoints(folder)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def write_checkpoint_files(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes the files of a checkpoint into the new folder `folder`, each synced to disk."""
    folder.mkdir(parents=True)
    moments = {k: v for k, v in checkpoint.learner.items() if k.startswith("optimizer.")}
    weights = {k: v for k, v in checkpoint.learner.items() if k not in moments}
    parts = {WEIGHTS: _to_numpy(weights), OPTIMIZER: _to_numpy(moments)}
    parts |= {REPLAY: checkpoint.replay or {}, SELFPLAY: checkpoint.selfplay or {}}
    for part, arrays in parts.items():
        if arrays:
            write_shards(folder, part, arrays)
    files = sorted(p.name for p in folder.iterdir())
    state = {
        "format": FORMAT,
        "config": config_to_dict(checkpoint.config),
        "progress": checkpoint.progress,
        "sha256": {name: _digest(folder / name) for name in files},
    }
    state["digest"] = _state_digest(state)
    (folder / STATE).write_text(json.dumps(state, indent=1) + "\n")
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads one checkpoint folder. Only its state and weights must be there and whole: see `Checkpoint.lost`.

    Raises `ModelInvalid` if they are damaged and `ModelNotFound` if it is no checkpoint.
    """
    if not (path / STATE).is_file():
        raise ModelNotFound(f"{path} is no checkpoint: it has no {STATE}")
    state = _read_state(path / STATE)
    parts: dict[str, Arrays] = {}
    lost: list[str] = []
    for part in (WEIGHTS, OPTIMIZER, REPLAY, SELFPLAY):
        try:
            parts[part] = _read_part(path, part, state["sha256"])
        except (OSError, SafetensorError, ModelInvalid) as error:
            if part == WEIGHTS:
                raise ModelInvalid(f"{path} is damaged: {error}") from error
            lost.append(f"{part}: {error}")
    try:
        config = config_from_dict(state["config"])
    except InvalidConfig as error:
        raise ModelInvalid(f"{path} is damaged: {error}") from error
    learner = parts[WEIGHTS] | parts.get(OPTIMIZER, {})
    return Checkpoint(
        config=config,
        learner={name: torch.from_numpy(array) for name, array in learner.items()},
        progress=state["progress"],
        replay=parts.get(REPLAY) or None,
        selfplay=parts.get(SELFPLAY) or None,
        lost=tuple(lost),
    )


def _read_part(path: Path, part: str, digests: dict[str, str]) -> Arrays:
    """The arrays of a part, none if it was not written; raises `ModelInvalid`, `OSError` or `SafetensorError`."""
    names = shard_names(part, list(digests))
    for name in names:
        if not (path / name).is_file():
            raise ModelInvalid(f"{path / name} is missing")
        if _digest(path / name) != digests[name]:
            raise ModelInvalid(f"{path / name} is damaged: its sha256 is not the one in {STATE}")
    return read_shards(path, names)


def _read_state(path: Path) -> dict[str, Any]:
    """The content of state.json; raises `ModelInvalid` if it is not what was written."""
    try:
        state: dict[str, Any] = json.loads(path.read_text())
        if state["format"] > FORMAT:
            raise ModelInvalid(f"{path} is of format {state['format']}, from a newer version; known here: {FORMAT}")
        if state["format"] > 1 and state.pop("digest") != _state_digest(state):
            raise ModelInvalid(f"{path} is damaged: it is not what its digest says")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelInvalid(f"{path} is damaged: {error!r}") from error
    return state


def list_checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if p.suffix not in (TEMPORARY, DAMAGED) and (p / STATE).is_file()]
    return sorted(found, key=lambda p: p.name, reverse=True)


def set_aside(path: Path) -> Path:
    """Renames a damaged checkpoint, so that whole ones are no longer dropped in its favour; returns its new path."""
    aside = path.with_name(path.name + DAMAGED)
    shutil.rmtree(aside, ignore_errors=True)
    return path.rename(aside)


def find_checkpoint(source: Path, note: Callable[[str], None] = lambda _: None) -> Path:
    """The checkpoint `source`, or the newest of the run `source`, whole if one is; tells `note` what is wrong with
    others. Raises `ModelNotFound`."""
    if (source / STATE).is_file():
        return source
    problems: list[str] = []

    def tell(problem: str) -> None:
        problems.append(problem)
        note(problem)

    found = newest([*list_checkpoints(source), *list_checkpoints(source / CHECKPOINTS)], tell)
    if found is None:
        raise ModelNotFound("; ".join([f"{source} holds no checkpoint that can be read", *problems]))
    return found[0]


def newest(paths: Sequence[Path], note: Callable[[str], None]) -> tuple[Path, Checkpoint] | None:
    """The first of `paths` that is whole, or else the first whose weights are; tells `note` what is wrong with others.

    A minute less of a run is worth more than its replay buffer.
    """
    partial: tuple[Path, Checkpoint] | None = None
    for path in paths:
        try:
            saved = load_checkpoint(path)
        except TengenError as error:
            note(str(error))
            continue
        if not saved.lost:
            return path, saved
        partial = partial or (path, saved)
        note(f"{path} is not whole: {'; '.join(saved.lost)}")
    return partial


def sweep(folder: Path) -> list[Path]:
    """Removes the files and folders that interrupted writes left behind; returns what it removed."""
    stray = list(folder.glob(f"*{TEMPORARY}")) if folder.is_dir() else []
    for path in stray:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return stray


_SCALARS = {"bootstrap": np.float64, "komi": np.float64, "score": np.float64, "opening_plies": np.int32}
"""Types of what a game has one of."""


def pack_games(games: Iterable[GameRecord], *, prefix: str) -> dict[str, NDArray[Any]]:
    """Games as a few long arrays with a length each."""
    games = list(games)
    if not games:
        return {}
    packed: dict[str, NDArray[Any]] = {f"{prefix}length": np.array([len(g) for g in games], np.int32)}
    packed[f"{prefix}size"] = np.array([g.size for g in games], np.int32)
    for name, kind in _SCALARS.items():
        packed[prefix + name] = np.array([getattr(g, name) for g in games], kind)
    for name in GameRecord.__dataclass_fields__:
        if name not in _SCALARS and getattr(games[0], name) is not None:
            packed[prefix + name] = np.concatenate([getattr(g, name) for g in games])
    return packed


def unpack_games(packed: dict[str, NDArray[Any]], *, prefix: str) -> list[GameRecord]:
    """The inverse of `pack_games`."""
    arrays = part_of(packed, prefix)
    if not arrays:
        return []
    lengths = arrays.pop("length")
    areas = arrays.pop("size", np.zeros(0, np.int32)) ** 2
    columns = {name: arrays.pop(name).tolist() for name in _SCALARS if name in arrays}
    columns |= {name: _split(name, values, lengths, areas) for name, values in arrays.items()}
    if "opening_plies" not in columns:  # before format 4
        columns["opening_plies"] = [guess_opening(rows) for rows in columns["policy_probabilities"]]
    return [GameRecord(**{name: values[i] for name, values in columns.items()}) for i in range(len(lengths))]


def _split(name: str, values: NDArray[Any], lengths: NDArray[np.int32], areas: NDArray[np.int32]) -> list[NDArray[Any]]:
    """One piece per game: T rows, T + 1 of observations, the points of the board of ownership."""
    rows = lengths + 1 if name == "observations" else lengths
    if name == "ownership":  # format 2 did not know the sizes, and had games of one
        rows = areas if len(areas) else np.full(len(lengths), len(values) // len(lengths))
    # Copies: as a view, the last game to leave the window would keep all of them in memory.
    return [piece.copy() for piece in np.split(values, np.cumsum(rows)[:-1])]


def _to_numpy(tensors: dict[str, Tensor]) -> Arrays:
    return {k: v.detach().cpu().numpy() for k, v in tensors.items()}


def _state_digest(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sync(path: Path) -> None:
    """fsync of a file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
