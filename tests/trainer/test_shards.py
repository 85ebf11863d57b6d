from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainer import shards
from trainer.shards import read_shards, shard_names, write_shards

ARRAYS = {
    "long": np.arange(1000, dtype=np.int16).reshape(100, 10),
    "longer": np.arange(3000, dtype=np.float32).reshape(300, 10),
    "scalar": np.array(3.0),
    "empty": np.zeros((0, 4), np.int8),
    "short": np.array([1, 2, 3], np.int64),
}


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("limit", [500, 5_000, 10**6])
def test_arrays_come_back_whole_from_files_within_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", limit)
    write_shards(tmp_path, "part", ARRAYS)
    files = shard_names("part", names_in(tmp_path))
    assert len(files) == len(names_in(tmp_path))
    assert (len(files) == 1) == (limit == 10**6)
    assert len(files) > 11 or limit > 500  # more than ten: their order is not that of their names
    assert all((tmp_path / name).stat().st_size < limit + 1_000 for name in files)
    again = read_shards(tmp_path, files)
    assert again is not None
    assert again.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert again[name].dtype == array.dtype
        assert np.array_equal(again[name], array), name


def test_a_part_without_one_of_its_files_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 5_000)
    write_shards(tmp_path, "part", ARRAYS)
    files = shard_names("part", names_in(tmp_path))
    (tmp_path / files[1]).unlink()
    with pytest.raises(FileNotFoundError):
        read_shards(tmp_path, files)
    assert read_shards(tmp_path, []) is None


def test_files_of_other_parts_are_not_taken() -> None:
    names = ["replay.safetensors", "replay-1.safetensors", "selfplay.safetensors", "replay-x.safetensors"]
    assert shard_names("replay", names) == ["replay.safetensors", "replay-1.safetensors"]
