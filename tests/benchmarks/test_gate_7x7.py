"""The gate of 7x7: the fair komi by a search and by the network alone, and the verdict."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import gate_7x7
from benchmarks.gate_7x7 import fair_komi, is_fair, main
from engine.go.position import Position
from engine.search.limits import Limits
from tests.support.tiny_models import write_tiny_model


def test_fair_komi_are_where_the_values_change_their_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that sees nine points for Black, with a network that sees ten and a quarter."""

    class Stub:
        def __init__(self, *_: object, size: int, **__: object) -> None:
            assert size == 7

        def search(self, position: Position, limits: Limits, **_: object) -> SimpleNamespace:
            assert limits.visits == 50
            assert not position.moves
            return SimpleNamespace(root_value=9.0 - position.komi, raw_value=np.tanh((10.25 - position.komi) / 100))

    monkeypatch.setattr(gate_7x7, "Side", Stub)
    searched, alone = fair_komi(Path("model"), visits=50, threads=1)
    assert searched == [9.0]
    assert alone == [pytest.approx(10.25, abs=0.01)]


@pytest.mark.parametrize(
    ("komi", "verdict"), [([8.0], True), ([9.4, 9.6, 9.9], True), ([7.9], False), ([9.0, 12.0], False), ([], False)]
)
def test_every_fair_komi_must_be_near_nine(komi: list[float], verdict: bool) -> None:
    assert is_fair(komi) is verdict


@pytest.mark.parametrize(("fair", "share", "code"), [(9.0, 1.0, 0), (9.0, 0.5, 1), (12.0, 1.0, 1)])
def test_both_conditions_decide(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fair: float, share: float, code: int
) -> None:
    model = write_tiny_model(tmp_path, "tiny", trained=(7,))
    tally = SimpleNamespace(pairs=[share], line=lambda: "", summary=lambda: {"share": share})
    monkeypatch.setattr(gate_7x7, "fair_komi", lambda *_, **__: ([fair], []))
    monkeypatch.setattr(gate_7x7, "play", lambda *_: SimpleNamespace(tally=tally))
    assert main([str(model), "--games", "2"]) == code


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that has learned nothing shares every pair with itself."""
    model = str(write_tiny_model(tmp_path, "tiny", trained=(7,)))
    assert main([model, "--against", model, "--games", "2", "--time", "0.001", "--visits", "8"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("fair komi: ")
    assert "by 8 visits" in lines[0]
    assert lines[-2].startswith(f"against {model}: A ")
    assert lines[-1] == "not passed"
    assert main([str(tmp_path / "none")]) == 2
