"""Checkpoints become model folders: what is in them, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import InvalidConfig, InvalidInput, ModelInvalid, ModelNotFound
from engine.go.batch import GoBatch
from engine.model.catalog import Catalog
from engine.model.folder import load_model, read_folder
from engine.model.onnx_evaluator import OnnxEvaluator
from trainer import diagnose, export, quantization
from trainer.agreement import TOLERANCE, check_agreement, random_games
from trainer.checkpoint import Checkpoint, find_checkpoint, save_checkpoint
from trainer.config import load_config
from trainer.export import ExportSettings, export_model
from trainer.network import Network, make_network
from trainer.onnx_graph import ModelBytes, OnnxExporter
from trainer.run_facts import read_curve, thin, train_command

SMALL = (
    *("network.channels=8", "network.head_channels=8", "network.representation_blocks=1", "network.dynamics_blocks=1"),
    "loop.seed=7",
)
CONFIG = load_config("go9", [*SMALL])


class ReusedExporter:
    """The exporter of any network of this shape without another trace; test_onnx_graph.py shows that it is the same."""

    traced: OnnxExporter | None = None

    def __init__(self, network: Network) -> None:
        if ReusedExporter.traced is None:
            ReusedExporter.traced = OnnxExporter(make_network(CONFIG.network))
        self.network = network

    def export(self) -> ModelBytes:
        assert self.traced is not None
        return self.traced.export(self.network.state_dict())


@pytest.fixture(scope="module", autouse=True)
def _reuse_exporter() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "OnnxExporter", ReusedExporter)
        yield


def write_run(folder: Path, *, names: tuple[str, ...] = ("step-1",), progress: dict[str, object] | None = None) -> Path:
    """A run of some checkpoints; the averaged weights differ from each other and from the network's own."""
    for seed, name in enumerate(names):
        torch.manual_seed(seed)
        averaged = make_network(CONFIG.network).state_dict()
        own = make_network(CONFIG.network).state_dict()
        weights = {f"averaged.{k}": v for k, v in averaged.items()} | {f"network.{k}": v for k, v in own.items()}
        source = {"name": "go7", "step": 9000, "games": 1234, "positions": 9999, "core_hours": 2.5, "gpu_hours": 0.75}
        origin = {"weights": source}
        known = {"step": 12, "games": 345, "ledger": {"core_s": 5400.0, "gpu_s": 900.0}, "origin": origin}
        facts = known if progress is None else progress
        checkpoint = Checkpoint(config=CONFIG, learner=weights, progress=facts)
        save_checkpoint(folder / "checkpoints", checkpoint, name=name)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("run"))
    known = {"time": 1.0, "rate": 3.0, "gpu_hours": 0.0}
    rows = [known | {"step": i, "games": 10 * i, "loss/policy": 2 / (i + 1)} for i in range(30)]
    (folder / "training.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 30, "ga')
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> Path:
    output = run / "models" / "small-go"
    export_model(run, output, ExportSettings(trained_sizes=(5, 9), playable_sizes=(5, 13), notes="Beats nobody."))
    return output


class TestFolder:
    def test_files(self, model: Path) -> None:
        names = sorted(path.name for path in model.iterdir())
        assert names == ["README.md", "initial.onnx", "manifest.json", "recurrent.onnx", "training.jsonl"]
        assert [path.name for path in model.parent.iterdir()] == ["small-go"]

    def test_manifest(self, model: Path) -> None:
        manifest = read_folder(model).manifest
        assert (manifest.name, manifest.environment, manifest.feature_variant) == ("small-go", "tengen/Go-v0", "full")
        assert (manifest.trained_sizes, manifest.playable_sizes, manifest.komi_range) == ((5, 9), (5, 13), (5.5, 8.5))
        assert manifest.symmetries
        assert (manifest.training["games"], manifest.training["core_hours"], manifest.training["seed"]) == (345, 1.5, 7)
        assert max(manifest.training["agreement"]["largest"].values()) < 1e-5
        assert "play_rng" not in json.dumps(manifest.training)

    def test_engine_plays_the_averaged_network(self, run: Path, model: Path) -> None:
        checkpoint = export.load_checkpoint(find_checkpoint(run))
        network = make_network(CONFIG.network)
        network.load_state_dict(checkpoint.averaged_weights)
        observations = GoBatch(num_games=1, size=9).observe()
        evaluator = OnnxEvaluator.from_model(Catalog([model.parent]).load(board_size=9), board_size=9, num_slots=1)
        found = evaluator.initial(observations, np.zeros(1, np.int32)).policy_logits
        with torch.no_grad():
            expected = network.initial(torch.from_numpy(observations)).policy_logits
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_card_tells_the_facts_and_no_others(self, model: Path) -> None:
        card, manifest = (model / "README.md").read_text(), read_folder(model).manifest
        assert card.startswith("# small-go\n")
        for fact in (
            "5x5, 9x9",
            "5x5 to 13x13",
            "| games of self-play | 345 |",
            "| core-hours | 1.5 |",
            "| GPU-hours | 0.25 |",
            "| began with the weights of | `go7` at step 9,000: 1,234 games, 2.50 core-hours, 0.75 GPU-hours |",
            "Beats nobody.",
        ):
            assert fact in card
        assert manifest.initial.sha256 in card
        assert "tengen train go9 --weights RUN --set network.channels=8" in card
        assert "hours on the clock" not in card
        assert "positions |" not in card.split("### Learning curve")[0]
        curve = card.split("### Learning curve")[1].split("##")[0].strip().splitlines()
        assert curve[0] == "| games | policy loss |"
        assert len(curve) == 2 + 10
        assert curve[-1].startswith("| 290 ")

    def test_curve_file_holds_known_figures_only(self, model: Path) -> None:
        rows = [json.loads(line) for line in (model / "training.jsonl").read_text().splitlines()]
        assert len(rows) == 30
        assert set(rows[0]) == {"step", "games", "gpu_hours", "loss/policy"}


class TestRefusals:
    def test_disagreement_leaves_nothing_behind(
        self, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A converter that changes a few weights by a hundredth is caught."""

        class Careless(ReusedExporter):
            def export(self) -> ModelBytes:
                self.network = copy.deepcopy(self.network)
                self.network.state_dict()["dynamics_action.weight"][3] *= 1.01
                return super().export()

        monkeypatch.setattr(export, "OnnxExporter", Careless)
        with pytest.raises(ModelInvalid, match="torch and ONNX differ on 5x5 by"):
            export_model(run, tmp_path / "models" / "wrong")
        assert list((tmp_path / "models").iterdir()) == []

    def test_a_board_size_that_was_baked_in(self) -> None:
        """A model that works on 9x9 alone does not pass: the comparison is made on three sizes."""
        network = make_network(CONFIG.network).eval()
        files = ReusedExporter(network).export()

        def make(size: int | None, slots: int) -> OnnxEvaluator:
            return OnnxEvaluator(*files, board_size=9 if size == 13 else size, num_slots=slots, halves=False)

        with pytest.raises(InvalidInput, match=r"\[8, 24, 13, 13\]"):
            check_agreement(network, make)

    def test_weights_without_numbers(self, tmp_path: Path) -> None:
        run = write_run(tmp_path)
        checkpoint = export.load_checkpoint(find_checkpoint(run))
        checkpoint.learner["averaged.heads.value_out.weight"][0, 0] = torch.nan
        save_checkpoint(run / "checkpoints", checkpoint, name="step-2")
        with pytest.raises(ModelInvalid, match="holds NaN"):
            export_model(run, tmp_path / "models" / "wrong")
        assert not (tmp_path / "models").exists()

    def test_weights_of_another_network(self, tmp_path: Path) -> None:
        run = write_run(tmp_path)
        checkpoint = export.load_checkpoint(find_checkpoint(run))
        del checkpoint.learner["averaged.heads.value_out.weight"]
        save_checkpoint(run / "checkpoints", checkpoint, name="step-2")
        with pytest.raises(ModelInvalid, match=r"heads\.value_out\.weight"):
            export_model(run, tmp_path / "models" / "wrong")

    @pytest.mark.parametrize("name", ["Big", ".hidden", "a b", "", "x" * 65, "a/b"])
    def test_names(self, run: Path, tmp_path: Path, name: str) -> None:
        with pytest.raises(InvalidConfig, match="does not match"):
            export_model(run, tmp_path / "model", ExportSettings(name=name))

    def test_folder_of_something_else(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "precious").mkdir()
        with pytest.raises(InvalidConfig, match="no model folder"):
            export_model(run, tmp_path / "precious", ExportSettings(replace=True))

    def test_no_checkpoint(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound, match="no checkpoint"):
            export_model(tmp_path, tmp_path / "model")


def test_replacing_a_model(tmp_path: Path) -> None:
    run, output = write_run(tmp_path), tmp_path / "models" / "one"
    (first,) = export_model(run, output)
    with pytest.raises(InvalidConfig, match="--replace"):
        export_model(run, output)
    write_run(tmp_path, names=("step-1", "step-2"))
    (second,) = export_model(run, output, ExportSettings(replace=True))
    assert second.digest != first.digest
    assert load_model(read_folder(output)).manifest.digest == second.digest
    assert [path.name for path in output.parent.iterdir()] == ["one"]


def test_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    write_run(tmp_path, names=("step-1", "step-2"))
    weights = tmp_path / "checkpoints" / "step-2" / "weights.safetensors"
    assert find_checkpoint(tmp_path).name == "step-2"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert find_checkpoint(tmp_path).name == "step-1"
    assert find_checkpoint(tmp_path / "checkpoints" / "step-1").name == "step-1"


def test_random_games_are_varied_real_and_repeatable() -> None:
    one, other = (random_games(num_games=8, size=9, rng=np.random.default_rng(0)) for _ in range(2))
    np.testing.assert_array_equal(one.stones, other.stones)
    assert len(set(one.ply.tolist())) > 4
    assert {-1, 1} <= set(one.to_play.tolist())
    assert TOLERANCE == 1e-4


def test_command_repeats_the_configuration() -> None:
    command = train_command(CONFIG)
    assert command is not None
    words = command.split()
    assert words[:3] == ["tengen", "train", "go9"]
    overrides = [word for word in words[3:] if word != "--set"]
    assert sorted(overrides) == sorted(SMALL)
    assert load_config("go9", overrides) == CONFIG


def test_command_repeats_boards_and_stages() -> None:
    small = "env.smaller=[{size=5, komi_low=14.5, komi_high=25.5}]"
    stages = "env.stages=[{shares={5=1.0}, gate=0.9, until=0.5}, {shares={9=1.0}}]"
    config = load_config("go9", [small, stages, "selfplay.precision=float32"])
    words = shlex.split(train_command(config) or "")
    assert load_config("go9", [word for word in words[3:] if word != "--set"]) == config


def test_curve_of_a_run_without_figures(tmp_path: Path) -> None:
    assert read_curve(tmp_path / "training.jsonl") == []
    (tmp_path / "training.jsonl").write_bytes(b'\xff\xfe\n[1]\n{"games": "many", "step": 3}\n')
    assert read_curve(tmp_path / "training.jsonl") == [{"step": 3}]


@pytest.mark.parametrize(("rows", "count"), [(0, 10), (9, 10), (10, 10), (11, 10), (1000, 7)])
def test_thinning_keeps_order_and_the_last_row(rows: int, count: int) -> None:
    table = [{"step": float(i)} for i in range(rows)]
    kept = thin(table, count)
    assert len(kept) == min(rows, count)
    assert kept[-1:] == table[-1:]
    assert sorted({row["step"] for row in kept}) == [row["step"] for row in kept]


def test_command_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "cli"
    arguments = [str(run), "-o", str(output), "--playable", "5-9", "--trained-sizes", "9,5", "--priority", "3"]
    assert export.main(arguments) == 0
    assert "wrote cli@" in capsys.readouterr().out
    manifest = read_folder(output).manifest
    assert (manifest.trained_sizes, manifest.playable_sizes, manifest.priority) == ((5, 9), (5, 9), 3)
    with pytest.raises(SystemExit):
        export.main([*arguments, "--playable", "1-99"])


@pytest.mark.parametrize(
    ("progress", "is_told"),
    [({"step": 0}, True), ({"step": 1}, False), ({"step": 0, "origin": {"weights": {"name": "go7"}}}, False)],
)
def test_a_network_that_has_learned_nothing_comes_with_a_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    progress: dict[str, Any],
    is_told: bool,
) -> None:
    manifest = SimpleNamespace(identity="new@0", training=progress | {"agreement": {"largest": {"value": 0.0}}})
    monkeypatch.setattr(export, "export_model", lambda *_: [manifest])
    assert export.main(["runs/new", "-o", str(tmp_path)]) == 0
    assert ("warning: runs/new is at step 0: " in capsys.readouterr().err) == is_told


@pytest.fixture(scope="module")
def models(run: Path) -> Path:
    """A model and its quantised form."""
    root = run / "quantised"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantization, "PLAYED_GAMES", 4)
        export_model(run, root / "small-go", ExportSettings(int8=True, priority=3))
    return root


class TestInt8:
    def test_a_second_folder(self, models: Path) -> None:
        assert sorted(path.name for path in models.iterdir()) == ["small-go", "small-go-int8"]
        exact, quantised = (read_folder(models / name).manifest for name in ("small-go", "small-go-int8"))
        assert (exact.name, exact.precision) == ("small-go", "float32")
        assert (quantised.name, quantised.precision) == ("small-go-int8", "int8")
        assert quantised.initial != exact.initial
        assert quantised.recurrent != exact.recurrent
        agreement = quantised.training["agreement"]
        assert agreement["against"] == exact.identity
        assert agreement["games"] == "self-play"
        assert 0.0 <= agreement["policy_kl"] < 0.1

    def test_float32_stays_the_default(self, models: Path) -> None:
        assert Catalog([models]).find(board_size=9).manifest.name == "small-go"

    def test_it_is_loaded_and_evaluates(self, models: Path) -> None:
        evaluator = OnnxEvaluator.from_model(Catalog([models]).load("small-go-int8"), board_size=9, num_slots=2)
        evaluator.initial(GoBatch(num_games=1, size=9).observe(), np.zeros(1, np.int32))
        output = evaluator.recurrent(
            np.zeros(1, np.int32), np.full(1, 40, np.int32), np.ones(1, np.int8), np.ones(1, np.int32)
        )
        assert output.policy_logits.shape == (1, 82)

    def test_card(self, models: Path) -> None:
        card = (models / "small-go-int8" / "README.md").read_text()
        for fact in (
            "| precision | int8 |",
            "KL(policy of float32, policy of int8)",
            "(self-play)",
            "--model small-go-int8",
        ):
            assert fact in card
        assert "| precision | float32 |" in (models / "small-go" / "README.md").read_text()

    def test_a_place_that_is_taken_is_refused_before_anything_is_written(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "one-int8").mkdir()
        with pytest.raises(InvalidConfig, match="one-int8 exists and is no model folder"):
            export_model(run, tmp_path / "one", ExportSettings(int8=True))
        assert [path.name for path in tmp_path.iterdir()] == ["one-int8"]

    def test_names_leave_room_for_the_ending(self, run: Path, tmp_path: Path) -> None:
        with pytest.raises(InvalidConfig, match="does not match"):
            export_model(run, tmp_path / "one", ExportSettings(name="x" * 62, int8=True))

    def test_command_line(self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(quantization, "PLAYED_GAMES", 4)
            assert export.main([str(run), "--out", str(tmp_path / "two"), "--int8"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert lines[1].startswith("wrote two-int8@")

    def test_it_has_a_certificate_of_its_own(
        self, run: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Diagnosed as any model, and handed to an export that makes the same files again."""
        monkeypatch.setattr(quantization, "PLAYED_GAMES", 4)
        small = ["--games", "2", "--windows", "20", "--steps", "2", "--simulations", "4", "--trees", "2"]
        words = [str(models / "small-go-int8"), *small, "--pairs", "0", "--sizes", "", "--out", str(tmp_path)]
        assert diagnose.main(words) == 0
        certificate = tmp_path / "certificate.json"
        settings = ExportSettings(name="small-go", int8=True, int8_certificate=certificate)
        exact, quantised = export_model(run, tmp_path / "again", settings)
        assert quantised.digest == json.loads(certificate.read_text())["model"]["digest"] != exact.digest
        assert (tmp_path / "again-int8" / "certificate.json").read_bytes() == certificate.read_bytes()
        assert "How far its imagination can be trusted" in (tmp_path / "again-int8" / "README.md").read_text()
        assert not (tmp_path / "again" / "certificate.json").exists()
        other = tmp_path / "other.json"
        other.write_text(certificate.read_text().replace(quantised.digest, exact.digest))
        with pytest.raises(InvalidConfig, match=r"another model .* on the model folder that is exported"):
            export_model(run, tmp_path / "wrong", dataclasses.replace(settings, int8_certificate=other))
        assert not (tmp_path / "wrong-int8").exists()
        with pytest.raises(InvalidConfig, match="which only --int8 makes"):
            export_model(run, tmp_path / "none", ExportSettings(int8_certificate=certificate))
