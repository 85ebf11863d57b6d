"""The whole trainer against exact solutions: what it learns of 3x3 Go from zero is true."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.support.go_games import random_games
from tests.support.small_board_exam import draw_papers, examine, figures, make_config, train
from trainer.network import make_network


def test_the_examination_tells_right_from_wrong() -> None:
    config = make_config(overrides=["env.size=2", "env.komi_low=0.5", "env.komi_high=0.5", "network.channels=8"])
    papers = draw_papers(random_games(40, size=2, seed=1, komi=0.5), 60, seed=0)
    torch.manual_seed(0)
    answers = examine(config, make_network(config.network), papers, simulations=8)
    assert len(answers) == len(papers) == 60
    for answer in answers:
        assert answer.winner in answer.winners_after.values()
        assert answer.winner == answer.to_play or answer.to_play not in answer.winners_after.values()
    untrained = figures(answers)
    assert untrained["choices"] > 10
    assert untrained["moves_with_choice"] < 0.95
    for sign, share in ((1, 1.0), (-1, 0.0)):
        told = [
            dataclasses.replace(
                answer,
                raw_value=sign * 0.1 * answer.winner,
                action=next(a for a, winner in answer.winners_after.items() if winner == sign * answer.to_play),
            )
            for answer in answers
            if answer.has_choice
        ]
        assert figures(told)["value_sign"] == figures(told)["moves_with_choice"] == share


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_3x3_is_learned_from_zero() -> None:
    """On held-out games of a run of about five minutes of one core."""
    run = train(make_config())
    papers = draw_papers(list(run.replay.holdout), 800, seed=0)
    answers = examine(run.config, run.learner.averaged, papers)
    found = figures(answers)
    assert found["positions"] >= 0.95 * len(papers)
    assert found["choices"] > 100
    assert found["value_sign"] >= 0.95, found
    assert found["search_sign"] >= 0.95, found
    assert found["moves_with_choice"] >= 0.95, found
