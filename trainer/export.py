"""`tengen export`: a checkpoint as a model folder that the engine plays with.

The folder is written beside its place, read back as the engine reads it, compared with torch, and only then moved
there: what appears is whole and works.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine import __version__
from engine.errors import InvalidConfig
from engine.go.features import FEATURE_VERSION, NUM_ACTION_PLANES, variant_of
from engine.go.rules import MAX_SIZE, MIN_SIZE
from engine.model.folder import MANIFEST, load_model, read_folder
from engine.model.interface import INITIAL, RECURRENT
from engine.model.manifest import (
    NAME_PATTERN,
    ModelFile,
    ModelManifest,
    ModelShape,
    is_model_name,
    manifest_to_json,
)
from engine.model.onnx_evaluator import OnnxEvaluator
from trainer.agreement import Agreement, check_agreement
from trainer.checkpoint import Checkpoint, find_checkpoint, load_checkpoint, sync, write_checkpoint_files
from trainer.diagnosis.certificate import (
    CERTIFICATE,
    Certificate,
    check_identity,
    read_certificate,
    weights_digest,
    write_certificate,
)
from trainer.model_card import model_card
from trainer.network import Network
from trainer.onnx_graph import ModelBytes, OnnxExporter
from trainer.quantization import quantize_checkpoint
from trainer.run_facts import read_curve, thin, training_facts

CARD: Final = "README.md"
TRAINING_STATE: Final = "state"
"""What `tengen train --resume` goes on from, inside a model folder whose training is not over."""
CURVE: Final = "training.jsonl"
CURVE_ROWS: Final = 200
"""Rows of a run's figures that go with the model."""
CARD_ROWS: Final = 10
"""Rows of the card's table."""
INT8_SUFFIX: Final = "-int8"
"""Of the name and folder of a quantised form."""

__all__ = ["ExportSettings", "ModelBytes", "OnnxExporter", "export_model", "main"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """What a checkpoint does not say of the model to be made from it."""

    name: str | None = None
    """The model's name; None: that of its folder."""
    trained_sizes: tuple[int, ...] | None = None
    """Go: the board sizes that it was trained on in all its runs; None: that of the checkpoint's run."""
    playable_sizes: tuple[int, int] = (MIN_SIZE, 19)
    """Go: smallest and largest board on which it may be used."""
    priority: int = 0
    """See `ModelManifest.priority`."""
    notes: str = ""
    """Markdown for the card's section on strength."""
    certificate: Path | None = None
    """certificate.json of `tengen diagnose`, to go with the model."""
    with_state: bool = False
    """Whether weights and optimiser go with the model, in state/, so that its training can go on elsewhere."""
    int8: bool = False
    """Go: whether a second folder, with `INT8_SUFFIX`, gets the quantised form."""
    int8_certificate: Path | None = None
    """certificate.json of `tengen diagnose` on an earlier export of that form, to go with it."""
    replace: bool = False
    """Whether a model that is already in a folder may be replaced."""


def export_model(source: Path, output: Path, settings: ExportSettings | None = None) -> list[ModelManifest]:
    """Makes the folder `output` from `source`, a checkpoint or a run's folder, with the averaged weights; returns what
    it promises, and behind it what the folder of the quantised form promises, if that was asked for.

    Raises `ModelInvalid` where torch and ONNX Runtime disagree, `ModelNotFound` and `ModelInvalid` for the source, and
    `InvalidConfig` for a name, place or certificate that will not do. `output` is then as it was, but if only the
    quantised form fails.
    """
    settings = settings or ExportSettings()
    if settings.int8_certificate is not None and not settings.int8:
        raise InvalidConfig(f"{settings.int8_certificate} is of a quantised form, which only --int8 makes")
    name = settings.name if settings.name is not None else output.resolve().name
    if not is_model_name(name + INT8_SUFFIX if settings.int8 else name):
        raise InvalidConfig(f"model name {name!r} does not match {NAME_PATTERN.pattern}")
    outputs = [output, output.with_name(output.name + INT8_SUFFIX)][: 1 + settings.int8]
    for place in outputs:
        _check_place(place, replace=settings.replace)
    path = find_checkpoint(source)
    checkpoint = load_checkpoint(path)
    network = checkpoint.averaged_network()
    files = OnnxExporter(network).export()
    manifest = _manifest(name, checkpoint, network, files, settings)
    curve = read_curve(path.parent.parent / CURVE)
    certificate, int8_certificate = (
        None if file is None else read_certificate(file) for file in (settings.certificate, settings.int8_certificate)
    )
    if certificate is not None:
        check_identity(certificate, weights_sha256=weights_digest(network), digest=manifest.digest)
    with _new_folder(output) as folder:
        _write_model(folder, files, manifest)
        manifest = _with_agreement(manifest, _verify(folder, network))
        (folder / MANIFEST).write_text(manifest_to_json(manifest))
        card = model_card(manifest, curve=thin(curve, CARD_ROWS), notes=settings.notes, certificate=certificate)
        (folder / CARD).write_text(card)
        if settings.with_state:
            write_checkpoint_files(folder / TRAINING_STATE, dataclasses.replace(checkpoint, replay=None, selfplay=None))
        if certificate is not None:
            write_certificate(folder / CERTIFICATE, certificate)
        if curve:
            (folder / CURVE).write_text("".join(json.dumps(row) + "\n" for row in thin(curve, CURVE_ROWS)))
    return [manifest, *(_export_int8(p, checkpoint, files, manifest, int8_certificate) for p in outputs[1:])]


def _export_int8(
    output: Path, checkpoint: Checkpoint, files: ModelBytes, exact: ModelManifest, certificate: Certificate | None
) -> ModelManifest:
    """Makes the folder of the quantised form of `exact`; its priority is lower, until a match has shown it better."""
    quantised, loss = quantize_checkpoint(checkpoint, files)
    manifest = dataclasses.replace(
        exact,
        name=exact.name + INT8_SUFFIX,
        precision="int8",
        priority=exact.priority - 1,
        initial=_model_file(quantised.initial),
        recurrent=_model_file(quantised.recurrent),
        training={**exact.training, "agreement": {"against": exact.identity, **loss}},
    )
    if certificate is not None:
        check_identity(certificate, weights_sha256=None, digest=manifest.digest)
    with _new_folder(output) as folder:
        _write_model(folder, quantised, manifest)
        load_model(read_folder(folder))
        (folder / CARD).write_text(model_card(manifest, certificate=certificate))
        if certificate is not None:
            write_certificate(folder / CERTIFICATE, certificate)
    return manifest


@contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """A folder beside `output` that takes its place once it is filled, and is removed if that fails."""
    temporary = output.resolve().parent / f".{output.resolve().name}.tmp-{os.getpid()}"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _publish(temporary, output.resolve())
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_model(folder: Path, files: ModelBytes, manifest: ModelManifest) -> None:
    (folder / INITIAL).write_bytes(files.initial)
    (folder / RECURRENT).write_bytes(files.recurrent)
    (folder / MANIFEST).write_text(manifest_to_json(manifest))


def _model_file(data: bytes) -> ModelFile:
    return ModelFile(size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _check_place(output: Path, *, replace: bool) -> None:
    if not output.exists():
        return
    if not (output / MANIFEST).is_file():
        raise InvalidConfig(f"{output} exists and is no model folder")
    if not replace:
        raise InvalidConfig(f"{output} already holds a model: add --replace, or choose another folder")


def _manifest(
    name: str, checkpoint: Checkpoint, network: Network, files: ModelBytes, settings: ExportSettings
) -> ModelManifest:
    config, shape = checkpoint.config, checkpoint.config.network
    is_go = config.is_go
    return ModelManifest(
        name=name,
        shape=ModelShape(
            kind="go" if is_go else "vector",
            observation_size=shape.observation_size,
            hidden_size=shape.channels,
            action_size=NUM_ACTION_PLANES if is_go else shape.num_actions,
            has_reward=shape.reward is not None,
            has_ownership=is_go,
        ),
        environment=config.env.id,
        feature_variant=variant_of(shape.observation_size) if is_go else "",
        feature_version=FEATURE_VERSION if is_go else 0,
        trained_sizes=(settings.trained_sizes or tuple(sorted(b.env.size for b in config.boards))) if is_go else (),
        playable_sizes=settings.playable_sizes if is_go else (0, 0),
        komi_range=(config.env.komi_low, config.env.komi_high) if is_go else None,
        symmetries=is_go and config.learner.symmetries,
        priority=settings.priority,
        initial=_model_file(files.initial),
        recurrent=_model_file(files.recurrent),
        created=dt.datetime.now(dt.UTC).date().isoformat(),
        tengen_version=__version__,
        training=training_facts(checkpoint, network),
    )


def _verify(folder: Path, network: Network) -> Agreement:
    """Loads the folder as the engine does, but for the rounding of hidden states, and compares it with torch."""
    model = load_model(read_folder(folder))
    return check_agreement(
        network, lambda size, slots: OnnxEvaluator.from_model(model, board_size=size, num_slots=slots, halves=False)
    )


def _with_agreement(manifest: ModelManifest, agreement: Agreement) -> ModelManifest:
    return dataclasses.replace(manifest, training={**manifest.training, "agreement": dataclasses.asdict(agreement)})


def _publish(temporary: Path, output: Path) -> None:
    """Moves a finished folder to its place; the old model there, if any, goes only when the new one is in place."""
    for path in [*temporary.iterdir(), temporary]:
        sync(path)
    old = output.with_name(f".{output.name}.old-{os.getpid()}")
    if output.exists():
        output.rename(old)
    try:
        temporary.rename(output)
    except OSError:
        if old.exists():
            old.rename(output)
        raise
    sync(output.parent)
    shutil.rmtree(old, ignore_errors=True)


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tengen export", description="Turn a checkpoint into a model folder.")
    parser.add_argument("checkpoint", type=Path, help="a run's folder (its newest checkpoint), or one checkpoint")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="models/NAME", help="the model folder to make")
    parser.add_argument("--name", help="the model's name (default: the folder's)")
    parser.add_argument("--trained-sizes", type=_sizes, metavar="5,7,9", help="board sizes of all its training runs")
    parser.add_argument("--playable", type=_size_range, default=(MIN_SIZE, 19), metavar="5-13", help="default: 2-19")
    parser.add_argument("--priority", type=int, default=0, help="the higher one is the default among equals")
    parser.add_argument("--notes", type=Path, metavar="FILE.md", help="measured strength, for the card")
    parser.add_argument(
        "--certificate", type=Path, metavar="FILE.json", help="what `tengen diagnose` wrote, to go with it"
    )
    parser.add_argument(
        "--with-state", action="store_true", help="add state/, from which `tengen train --resume` can go on"
    )
    parser.add_argument(
        "--int8", action="store_true", help=f"also make models/NAME{INT8_SUFFIX}, the quantised form, for Go"
    )
    parser.add_argument(
        "--int8-certificate", type=Path, metavar="FILE.json", help="what `tengen diagnose` wrote of the quantised form"
    )
    parser.add_argument("--replace", action="store_true", help="replace the model that is there")
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        sizes = (0,)
    if not all(MIN_SIZE <= size <= MAX_SIZE for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of board sizes from {MIN_SIZE} to {MAX_SIZE}")
    return sizes


def _size_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    sizes = _sizes(f"{low},{high or low}")
    return sizes[0], sizes[-1]


def _read_notes(path: Path | None) -> str:
    try:
        return path.read_text(encoding="utf-8") if path is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"notes {path}: {error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `tengen export`; returns the exit status."""
    arguments = make_parser().parse_args(argv)
    settings = ExportSettings(
        name=arguments.name,
        trained_sizes=arguments.trained_sizes,
        playable_sizes=arguments.playable,
        priority=arguments.priority,
        notes=_read_notes(arguments.notes),
        certificate=arguments.certificate,
        with_state=arguments.with_state,
        int8=arguments.int8,
        int8_certificate=arguments.int8_certificate,
        replace=arguments.replace,
    )
    manifest, *quantised = export_model(arguments.checkpoint, arguments.out, settings)
    if manifest.training.get("step") == 0 and "weights" not in manifest.training.get("origin", {}):
        print(f"warning: {arguments.checkpoint} is at step 0: the model has learned nothing yet", file=sys.stderr)
    worst = max(manifest.training["agreement"]["largest"].values())
    print(f"wrote {manifest.identity} to {arguments.out}; torch and ONNX Runtime differ by at most {worst:.1e}")
    for other in quantised:
        loss = other.training["agreement"]
        print(
            f"wrote {other.identity} to {arguments.out}{INT8_SUFFIX}; at {loss['positions']} positions the policy "
            f"differs by {loss['policy_kl']:.4f} nats, the value by {loss['value_error']:.4f}, and the best move is "
            f"the same in {loss['best_move']:.1%}; compare their strength before giving it a higher priority"
        )
    return 0
