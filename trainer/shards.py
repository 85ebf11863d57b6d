"""Named arrays as one or more safetensors files, none larger than a bound, so that any of them can be moved about.

An array that does not fit in one file is cut along its first axis; its pieces are called NAME#0, NAME#1 and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

SHARD_BYTES = 15 * 2**20
"""Bytes of arrays in one file; its header comes on top."""
SUFFIX = ".safetensors"


def write_shards(folder: Path, stem: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes `stem`.safetensors, and `stem`-1.safetensors and so on as far as needed. Raises `OSError`."""
    for index, shard in enumerate(_fill(arrays)):
        safetensors.numpy.save_file(shard, folder / (f"{stem}-{index}{SUFFIX}" if index else stem + SUFFIX))


def read_shards(folder: Path, names: list[str]) -> Arrays | None:
    """The arrays in the files `names` of `folder`, whole again; None where none is named. Raises `OSError`."""
    if not names:
        return None
    pieces: dict[str, list[NDArray[Any]]] = {}
    for name in names:
        for key, array in sorted(safetensors.numpy.load_file(folder / name).items(), key=_place):
            pieces.setdefault(key.rpartition("#")[0] or key, []).append(array)
    return {name: parts[0] if len(parts) == 1 else np.concatenate(parts) for name, parts in pieces.items()}


def shard_names(stem: str, names: list[str]) -> list[str]:
    """Those of `names` that `write_shards` gave to `stem`, in its order."""
    numbered = [f"{stem}-{index}{SUFFIX}" for index in range(1, len(names) + 1)]
    return [name for name in (stem + SUFFIX, *numbered) if name in names]


def _fill(arrays: Mapping[str, NDArray[Any]]) -> Iterator[Arrays]:
    """Files' contents, each within the bound."""
    shard: Arrays = {}
    room = SHARD_BYTES
    for name, array in _pieces(arrays):
        if array.nbytes > room and shard:
            yield shard
            shard, room = {}, SHARD_BYTES
        shard[name] = np.asarray(array, order="C")
        room -= array.nbytes
    yield shard


def _pieces(arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Arrays that fit, and pieces of those that do not; a row is never cut."""
    for name, array in arrays.items():
        if array.nbytes <= SHARD_BYTES or array.ndim == 0:
            yield name, array
            continue
        rows = max(1, SHARD_BYTES // (array.nbytes // len(array)))
        for index, start in enumerate(range(0, len(array), rows)):
            yield f"{name}#{index}", array[start : start + rows]


def _place(entry: tuple[str, NDArray[Any]]) -> tuple[str, int]:
    """Sorts the pieces of an array by number."""
    name, separator, number = entry[0].rpartition("#")
    return (name, int(number)) if separator else (entry[0], 0)
