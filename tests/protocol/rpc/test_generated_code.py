"""The committed Python code is what protoc generates from the committed engine.proto."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.v1 import generate

ROOT = Path(__file__).parents[3]

pytest.importorskip("grpc_tools", reason="only developers have the compiler")


def test_generated_code_is_up_to_date() -> None:
    assert generate.stale_files(ROOT) == []


def test_a_changed_proto_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / generate.PROTO.parent
    folder.mkdir(parents=True)
    for name in generate.GENERATED:
        (folder / name).write_bytes((ROOT / generate.PROTO.parent / name).read_bytes())
    proto = (ROOT / generate.PROTO).read_text(encoding="utf-8")
    changed = proto.replace("int32 max_visits = 2;", "int32 max_visits = 22;")
    (tmp_path / generate.PROTO).write_text(changed, encoding="utf-8")
    assert generate.stale_files(tmp_path) == ["engine_pb2.py"]
