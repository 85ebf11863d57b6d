from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import InvalidConfig
from trainer.config import PRESETS, change_config, config_from_dict, config_to_dict, load_config


@pytest.mark.parametrize("preset", sorted(p.stem for p in PRESETS.glob("*.toml")))
def test_presets_load_and_round_trip(preset: str) -> None:
    config = load_config(preset)
    assert config.name == preset
    assert config_from_dict(config_to_dict(config)) == config


def test_settings_of_another_version_are_passed_over() -> None:
    plain = config_to_dict(load_config("go5"))
    plain["search"]["since_deleted"] = 1
    assert config_from_dict(plain) == load_config("go5")


def test_a_configuration_is_changed_as_a_preset_is() -> None:
    for preset, override in (("go5", "env.smaller=[]"), ("tictactoe", "search.num_simulations=3")):
        assert change_config(load_config(preset), [override]) == load_config(preset, [override])
    rewards = ["network.reward.high=2", "learner.value_target=n_step"]
    assert change_config(load_config("tictactoe"), rewards) == load_config("tictactoe", rewards)
    with pytest.raises(InvalidConfig, match="unknown setting"):
        change_config(load_config("go5"), ["learner.batchsize=64"])


def test_overrides() -> None:
    config = load_config("go5", ["learner.batch_size=64", "network.value.bins=5", "name=other", "env.komi_low=-1.5"])
    assert (config.learner.batch_size, config.network.value.bins, config.name) == (64, 5, "other")
    assert config.env.komi_low == -1.5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learner.batchsize=64", "unknown setting"),
        ("learner.batch_size=many", "configuration: "),
        ("learner.batch_size", "expected key.sub=value"),
        ("search.num_simulations=0", "num_simulations"),
        ("search=5", "configuration"),
        ("learner.batch_size.x=5", "cannot set"),
        ("learner.batch_size=0", r"Expected `int` >= 1 - at `\$\.learner\.batch_size`"),
        ("learner.learning_rate=nan", "learner.learning_rate"),
        ("learner.value_target=outcomes", "Invalid enum value 'outcomes'"),
        ("replay.windows_per_position=0", "windows_per_position"),
        ("replay.holdout_every=1", "every game"),
        ("selfplay.random_opening_share=1.5", "random_opening_share"),
        ("env.size=1", "env.size"),
        ("env.komi_high=-20.0", "no komi in steps"),
        ("env.size=3", "beyond twice the area"),
        ("network.kind=cnn", "network.kind"),
        ("network.channels=0", "network.channels"),
        ("network.value.low=1.0", "low must be less than high"),
        ("network.value.high=3.0", "minmax"),
        ("network.reward.high=1.0", "vector"),
        ("learner.value_target=n_step", "go together"),
        ("network.reward.heigh=1.0", "unknown setting 'network.reward.heigh'"),
        ("=5", "unknown setting ''"),
    ],
)
def test_bad_overrides_are_named(override: str, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        load_config("go5", [override])


def test_a_preset_may_begin_with_another(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('base = "go9"\n[network]\nchannels = 48\n[env]\nsmaller = []\nstages = []\n')
    overrides = ["name=run", "network.channels=48", "env.smaller=[]", "env.stages=[]"]
    assert load_config(file) == load_config("go9", overrides)
    file.write_text('base = "nothing"')
    with pytest.raises(InvalidConfig, match="no preset 'nothing'"):
        load_config(file)


def test_unknown_and_broken_presets(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"presets are: .*go5"):
        load_config("nothing")
    broken = tmp_path / "broken.toml"
    broken.write_text("a = = 1")
    with pytest.raises(InvalidConfig, match=r"broken\.toml"):
        load_config(broken)
    broken.write_bytes(b"name = '\xff'")
    with pytest.raises(InvalidConfig, match=r"broken\.toml"):
        load_config(broken)
