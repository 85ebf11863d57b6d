"""The installed catalog as a source of networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import ModelInvalid, ModelNotFound, UnsupportedBoardSize
from engine.go.position import Position
from engine.model.catalog import Catalog
from engine.model_source import CatalogModels
from tests.support.tiny_models import write_tiny_model


@pytest.fixture
def models(tmp_path: Path) -> CatalogModels:
    write_tiny_model(tmp_path, "small", trained=(5,), playable=(3, 7))
    write_tiny_model(tmp_path, "large", trained=(9,), playable=(7, 9))
    return CatalogModels(Catalog([tmp_path]))


def test_the_model_follows_the_board_size(models: CatalogModels) -> None:
    assert models.find(None, 5).name == "small"
    assert models.find(None, 9).name == "large"
    assert models.find("large", 7).name == "large"
    assert models.board_sizes(None) == (3, 4, 5, 6, 7, 8, 9)
    assert models.board_sizes("large") == (7, 8, 9)


@pytest.mark.parametrize(("name", "size", "said"), [(None, 19, "3 to 9"), ("small", 9, "'small' plays 3 to 7")])
def test_sizes_that_nothing_plays(models: CatalogModels, name: str | None, size: int, said: str) -> None:
    with pytest.raises(UnsupportedBoardSize, match=f"board size {size}: .*{said}"):
        models.find(name, size)


def test_no_model_at_all(tmp_path: Path, models: CatalogModels) -> None:
    with pytest.raises(ModelNotFound):
        CatalogModels(Catalog([tmp_path / "nowhere"])).find(None, 9)
    with pytest.raises(ModelNotFound):
        models.find("unheard-of", 9)


def test_an_opened_network_evaluates(models: CatalogModels) -> None:
    evaluator = models.open(None, 5, num_slots=4)
    assert evaluator.num_slots == 4
    output = evaluator.initial(Position(5).observation()[None], np.zeros(1, np.int32))
    assert output.policy_logits.shape == (1, 26)


def test_only_the_user_may_name_a_folder(tmp_path: Path, models: CatalogModels) -> None:
    path = str(tmp_path / "small")
    with pytest.raises(ModelNotFound):
        models.find(path, 5)
    with pytest.raises(ModelNotFound):
        models.board_sizes(path)
    trusting = CatalogModels(Catalog([]), trusted=path)
    assert trusting.find(path, 5).name == "small"
    assert trusting.board_sizes(path) == (3, 4, 5, 6, 7)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path, "small")
    (folder / "recurrent.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelInvalid):
        CatalogModels(Catalog([tmp_path])).open(None, 5, num_slots=4)
