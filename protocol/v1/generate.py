"""Generates the Python code of `engine.proto`, or checks that the committed code is what it generates.

    python -m protocol.v1.generate            writes protocol/v1/engine_pb2*.py[i]
    python -m protocol.v1.generate --check    exit 1 and the names of the files that differ

Needs the development dependency grpcio-tools; nothing at run time imports this module.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

PROTO = Path("protocol/v1/engine.proto")
GENERATED = ("engine_pb2.py", "engine_pb2.pyi", "engine_pb2_grpc.py")


def generate(root: Path, out: Path) -> None:
    """Runs protoc on `root`/protocol/v1/engine.proto; the files appear under `out`/protocol/v1. Blocks."""
    outputs = [f"--{plugin}_out={out}" for plugin in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={root}", *outputs, str(root / PROTO)]
    subprocess.run(command, check=True)


def stale_files(root: Path) -> list[str]:
    """Names of the committed files that differ from what protoc generates now, or are missing."""
    with tempfile.TemporaryDirectory() as folder:
        generate(root, Path(folder))
        fresh = Path(folder) / PROTO.parent
        committed = root / PROTO.parent
        return [name for name in GENERATED if _read(committed / name) != _read(fresh / name)]


def main(argv: list[str] | None = None) -> int:
    """Generates or checks; the exit status says whether the committed code is up to date."""
    parser = argparse.ArgumentParser(description="Generate the Python code of engine.proto.")
    parser.add_argument("--check", action="store_true", help="compare with the committed code instead of writing it")
    arguments = parser.parse_args(argv)
    root = Path(__file__).resolve().parents[2]
    if not arguments.check:
        generate(root, root)
        return 0
    stale = stale_files(root)
    for name in stale:
        print(f"{PROTO.parent / name} is not what {PROTO} generates: run `make proto`", file=sys.stderr)
    return 1 if stale else 0


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    raise SystemExit(main())
