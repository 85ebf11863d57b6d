"""Ablations in miniature: every variant learns, plays the preset's runs, and is in the table."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from benchmarks.ablations import BASE, LOOKS, NO_SKIP, VARIANTS, main, unchanged
from trainer.config import load_config

MINIATURE = {
    "env.size": 3,
    "env.komi_low": 0.5,
    "env.komi_high": 2.5,
    "network.channels": 8,
    "network.representation_blocks": 1,
    "network.head_channels": 8,
    "search.num_simulations": 4,
    "selfplay.num_games": 8,
    "replay.warmup_positions": 10,
    "learner.batch_size": 32,
    "loop.plies_per_iteration": 128,
}


def test_every_variant_is_another_configuration_than_the_preset() -> None:
    assert unchanged("go5", [], list(VARIANTS)) == []
    configs = [load_config("go5", list(settings)) for name, settings in VARIANTS.items() if name != NO_SKIP]
    assert all(config != other for config, other in itertools.combinations(configs, 2))


def test_a_variant_that_is_the_preset_itself_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit):
        main(["go9", "--only", "self-play in 8 bits", "16 channels", "--out", str(out)])
    assert "'self-play in 8 bits'] would not differ from go9 as it is: leave out" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [word for key, value in MINIATURE.items() for word in ("--set", f"{key}={value}")]
    basic = "basic observation, 6 planes"
    arguments = ["go5", *settings, "--minutes", "0.2", "--pairs", "4", "--out", str(tmp_path), "--only", NO_SKIP, basic]
    assert main(arguments) == 0
    rows = capsys.readouterr().out.splitlines()[-3:]
    assert {row.split("|")[1].strip() for row in rows} == {BASE, NO_SKIP, basic}
    facts = json.loads((tmp_path / "ablations.json").read_text())
    assert len(facts["runs"]) == 6
    assert all(run["step"] > 0 for run in facts["runs"])
    for variant, found in facts["shares"].items():
        matches = 1 if variant == BASE else 4
        assert set(found) == set(LOOKS)
        assert all(len(shares) == matches and all(len(pairs) == 4 for pairs in shares) for shares in found.values())
    assert main(arguments) == 0  # nothing is learned again
    assert capsys.readouterr().out.splitlines()[-3:] == rows
