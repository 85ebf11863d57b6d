"""What `tengen diagnose` was pointed at: a run, a checkpoint, a model folder or a model's name, opened as one thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InvalidConfig, ModelInvalid
from engine.go.features import NUM_PLANES, variant_of
from engine.go.rules import MAX_SIZE, MIN_SIZE
from engine.model.catalog import Catalog
from engine.model.contract import PositionEvaluator
from engine.model.folder import MANIFEST, ModelFolder, load_model, read_folder
from engine.model.manifest import ModelManifest
from engine.model.onnx_evaluator import OnnxEvaluator
from trainer.checkpoint import find_checkpoint, load_checkpoint, unpack_games
from trainer.config import EnvConfig, TrainConfig, config_from_dict
from trainer.diagnosis.certificate import weights_digest
from trainer.diagnosis.subject import EvaluatorSubject, NetworkSubject, SeenBy, Subject
from trainer.network import GoNetwork
from trainer.onnx_graph import OnnxExporter
from trainer.record import GameRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A Go model to diagnose."""

    name: str
    """Its name."""
    identity: dict[str, Any]
    """What tells it from every other model: `weights_sha256` or `digest`, and the step of its run if that is known."""
    config: TrainConfig
    """The configuration of its training, but that it sees all planes: `subject` and `make_evaluator` leave out those
    that the model was not made for."""
    trained_sizes: tuple[int, ...]
    """Board sizes of its training, ascending."""
    playable_sizes: tuple[int, int]
    """Smallest and largest board on which it may be used."""
    subject: Subject
    """The model itself."""
    make_evaluator: Callable[[int, int], PositionEvaluator]
    """The model behind the engine's contract, from a board size and a number of slots."""
    held_out: list[GameRecord]
    """Games of its run that it never learned from."""


def open_candidate(source: str) -> Candidate:
    """Opens a run's folder (its newest whole checkpoint), a checkpoint, a model folder, or an installed model by name.

    Raises `ModelNotFound`, `ModelInvalid`, and `InvalidConfig` for a game other than Go.
    """
    path = Path(source).expanduser()
    if (path / MANIFEST).is_file():
        return _from_folder(read_folder(path))
    return _from_checkpoint(path) if path.is_dir() else _from_folder(Catalog().find(source))


def _from_checkpoint(source: Path) -> Candidate:
    path = find_checkpoint(source)
    checkpoint = load_checkpoint(path)
    network = checkpoint.averaged_network()
    if not isinstance(network, GoNetwork):
        raise InvalidConfig(f"{source} learned {checkpoint.config.env.id}: only models of Go can be diagnosed")
    config = checkpoint.config
    files = OnnxExporter(network).export()  # searches run as the engine will run them, in the time that it will take

    def make_evaluator(size: int, slots: int) -> PositionEvaluator:
        return SeenBy(OnnxEvaluator(*files, board_size=size, num_slots=slots), config.variant)

    return Candidate(
        name=config.name,
        identity={"weights_sha256": weights_digest(network), "step": checkpoint.progress.get("step")},
        config=_seeing_all(config),
        trained_sizes=tuple(sorted(board.env.size for board in config.boards)),
        playable_sizes=(MIN_SIZE, MAX_SIZE),
        subject=NetworkSubject(network, variant=config.variant),
        make_evaluator=make_evaluator,
        held_out=unpack_games(checkpoint.replay or {}, prefix="holdout."),
    )


def _from_folder(folder: ModelFolder) -> Candidate:
    manifest, model = folder.manifest, load_model(folder)
    if manifest.shape.kind != "go":
        raise InvalidConfig(f"{manifest.name} learned {manifest.environment}: only models of Go can be diagnosed")
    variant = variant_of(manifest.shape.observation_size)

    def make_evaluator(size: int, slots: int) -> PositionEvaluator:
        return SeenBy(OnnxEvaluator.from_model(model, board_size=size, num_slots=slots), variant)

    return Candidate(
        name=manifest.name,
        identity={"digest": manifest.digest, "step": manifest.training.get("step")},
        config=_seeing_all(_config(manifest)),
        trained_sizes=manifest.trained_sizes or (manifest.playable_sizes[0],),
        playable_sizes=manifest.playable_sizes,
        subject=EvaluatorSubject(make_evaluator),
        make_evaluator=make_evaluator,
        held_out=[],
    )


def _seeing_all(config: TrainConfig) -> TrainConfig:
    network = dataclasses.replace(config.network, observation_size=NUM_PLANES["full"])
    return dataclasses.replace(config, network=network)


def _config(manifest: ModelManifest) -> TrainConfig:
    """The configuration in the manifest, or as much of one as the manifest promises."""
    if "config" in manifest.training:
        try:
            return config_from_dict(manifest.training["config"])
        except (InvalidConfig, TypeError, AttributeError) as error:
            raise ModelInvalid(f"model {manifest.name}: its training configuration is none: {error}") from error
    low, high = manifest.komi_range or (7.0, 7.0)
    size = manifest.trained_sizes[-1] if manifest.trained_sizes else manifest.playable_sizes[0]
    return TrainConfig(name=manifest.name, env=EnvConfig(size=size, komi_low=low, komi_high=high))


def with_size(config: TrainConfig, size: int, *, num_simulations: int | None = None) -> TrainConfig:
    """The configuration for one board size; on a size of its training with the komi of that. Elsewhere a komi that
    suits no other size becomes 7, or less where 7 points are more than half the board."""
    known = {board.env.size: board for board in config.boards}
    board, search = known.get(size, config.boards[0]), config.search
    env = board.env
    if size not in known:
        env = dataclasses.replace(env, size=size)
        if env.komi_high > 10 or size < 5:
            komi = min(7.0, size * size // 2)
            env = dataclasses.replace(env, komi_low=komi, komi_high=komi)
    if num_simulations is not None:
        search = search.with_simulations(num_simulations)
    return dataclasses.replace(board, env=env, search=search)
