"""Finding models: by name, by path, by board size; and what a listing costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import ModelInvalid, ModelNotFound
from engine.model import catalog as catalog_module
from engine.model.catalog import Catalog, default_roots
from tests.support.tiny_models import write_tiny_model

ROOT = Path(__file__).parents[3]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Three models: one for 5x5, one for 9x9, one for both that may play up to 19x19."""
    write_tiny_model(tmp_path, "five", trained=(5,), playable=(4, 7))
    write_tiny_model(tmp_path, "nine", trained=(9,), playable=(7, 13))
    write_tiny_model(tmp_path, "wide", trained=(5, 9), playable=(2, 19), priority=-1)
    return tmp_path


class TestBoardSize:
    @pytest.mark.parametrize(
        ("board_size", "name"),
        [
            (5, "five"),  # trained on it, and the higher priority
            (9, "nine"),
            (6, "five"),  # nobody was trained on it: the nearest, of equals the higher priority
            (7, "five"),  # two sizes at the same distance: the first name
            (8, "nine"),
            (19, "wide"),  # the only one that may
            (2, "wide"),
        ],
    )
    def test_default(self, models: Path, board_size: int, name: str) -> None:
        assert Catalog([models]).find(board_size=board_size).manifest.name == name

    def test_higher_priority_wins_among_equals(self, models: Path) -> None:
        write_tiny_model(models, "zeta", trained=(9,), playable=(9, 9), priority=1)
        assert Catalog([models]).find(board_size=9).manifest.name == "zeta"

    def test_none_for_this_size(self, models: Path) -> None:
        with pytest.raises(ModelNotFound, match="no model for board size 25; there are: five, nine, wide"):
            Catalog([models]).find(board_size=25)

    def test_named_model_for_another_size(self, models: Path) -> None:
        with pytest.raises(ModelNotFound, match="model 'five' is not for board size 9; it plays 4 to 7"):
            Catalog([models]).find("five", board_size=9)

    def test_board_sizes(self, models: Path) -> None:
        assert Catalog([models]).board_sizes() == tuple(range(2, 20))
        assert Catalog([models]).board_sizes("five") == (4, 5, 6, 7)
        assert Catalog([]).board_sizes() == ()


class TestNames:
    def test_unknown_name(self, models: Path) -> None:
        with pytest.raises(ModelNotFound, match="no model 'ten'; there are: five, nine, wide"):
            Catalog([models]).find("ten")

    @pytest.mark.parametrize("name", ["../five", "/etc", "five/", ".", "", "FIVE", "five\x00"])
    def test_names_are_never_paths(self, models: Path, name: str) -> None:
        with pytest.raises(ModelNotFound):
            Catalog([models]).find(name)

    def test_first_root_wins(self, models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        other = tmp_path_factory.mktemp("other")
        write_tiny_model(other, "five", trained=(6,))
        assert Catalog([other, models]).find("five").path == other / "five"
        assert Catalog([models, other]).find("five").path == models / "five"

    def test_nothing_installed(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound, match="no model; none is installed"):
            Catalog([tmp_path / "nowhere"]).find()


class TestPaths:
    def test_load_by_path(self, models: Path) -> None:
        assert Catalog([]).load(str(models / "five"), board_size=5).manifest.name == "five"

    def test_relative_path(self, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(models)
        assert Catalog([]).load("./nine").manifest.name == "nine"
        monkeypatch.chdir(models / "nine")
        assert Catalog([]).load(".").manifest.name == "nine"

    def test_path_of_no_model(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound, match="is no model folder"):
            Catalog([]).load(str(tmp_path))

    def test_path_for_another_size(self, models: Path) -> None:
        with pytest.raises(ModelNotFound, match="'five' is not for board size 9"):
            Catalog([]).load(str(models / "five"), board_size=9)


class TestDamage:
    def test_damaged_manifest_is_passed_over_and_reported(self, models: Path) -> None:
        (models / "five" / "manifest.json").write_text("{")
        catalog = Catalog([models])
        assert sorted(catalog.models) == ["nine", "wide"]
        assert list(catalog.problems) == ["five"]
        assert catalog.find(board_size=5).manifest.name == "wide"
        with pytest.raises(ModelInvalid, match=r"manifest\.json: no JSON"):
            catalog.find("five")
        with pytest.raises(ModelNotFound, match=r"\(damaged: five\)"):
            catalog.find("ten")

    def test_unfinished_exports_are_not_models(self, models: Path) -> None:
        (models / "five").rename(models / ".five.tmp-123")
        assert sorted(Catalog([models]).models) == ["nine", "wide"]


class TestRoots:
    def test_variable_comes_first(self, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TENGEN_MODELS", os.pathsep.join([str(models), "", "~/models"]))
        assert default_roots()[:2] == [models, Path("~/models").expanduser()]
        assert Catalog().find("five").path == models / "five"

    def test_variable_may_name_one_model(self, models: Path) -> None:
        assert list(Catalog([models / "nine"]).models) == ["nine"]

    def test_source_tree_and_installation(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beside an installed engine a folder "models" is somebody else's."""
        monkeypatch.delenv("TENGEN_MODELS", raising=False)
        package = tmp_path / "engine"
        assert default_roots(package) == [package / "_models"]
        (tmp_path / "pyproject.toml").touch()
        assert default_roots(package) == [package / "_models", tmp_path / "models"]


class TestCommand:
    @pytest.fixture(autouse=True)
    def _only_these(self, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catalog_module, "default_roots", lambda: [models])

    def test_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert catalog_module.main([]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split("@")[0] for line in lines] == ["five", "nine", "wide"]
        assert "trained on 5, 9; plays 2 to 19  by default for 2, 3, 14 to 19" in lines[2]

    def test_a_folder_that_is_not_in_the_catalog(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_tiny_model(tmp_path / "elsewhere", "mine", trained=(5,), playable=(2, 25))
        assert catalog_module.main([str(tmp_path / "elsewhere" / "mine")]) == 0
        assert "by default" not in capsys.readouterr().out

    def test_verify(self, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data = (models / "nine" / "initial.onnx").read_bytes()
        (models / "nine" / "initial.onnx").write_bytes(data[:-1] + b"\0")
        assert catalog_module.main(["--verify"]) == 1
        out = capsys.readouterr().out
        assert out.count("verified") == 2
        assert "damaged: " in out
        assert catalog_module.main(["five", "--verify"]) == 0

    def test_nothing(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(catalog_module, "default_roots", list)
        assert catalog_module.main([]) == 0
        assert "TENGEN_MODELS" in capsys.readouterr().out


def test_listing_loads_no_numeric_library(models: Path) -> None:
    program = (
        "import sys; from engine.model import catalog; assert catalog.main([]) == 0; "
        "sys.exit(', '.join({'numpy', 'numba', 'onnxruntime'} & set(sys.modules)) or 0)"
    )
    environment = os.environ | {"TENGEN_MODELS": str(models), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "five@" in done.stdout
