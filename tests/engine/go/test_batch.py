"""`GoBatch`: games in step, their ends, resets and replays."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import IllegalMove, InvalidRules, UnsupportedBoardSize
from engine.go.batch import GoBatch
from engine.go.kernels import NO_MOVE
from engine.go.rules import BLACK, WHITE, KoRule, RuleSet, Scoring
from engine.go.tables import position_hash

STATE = (
    "stones",
    "to_play",
    "ply",
    "passes",
    "finished",
    "recent_stones",
    "recent_moves",
    "removed_colors",
    "prisoners",
)


def random_games(batch: GoBatch, seed: int, *, pass_rate: float = 0.05) -> np.ndarray:
    """Plays every game to its end; [G, T] int32 moves, `NO_MOVE` after the end."""
    rng = np.random.default_rng(seed)
    played = []
    while not batch.finished.all():
        weights = rng.random((batch.num_games, batch.num_actions)) * batch.legal_mask()
        weights[:, -1] *= rng.random(batch.num_games) < pass_rate
        weights[:, -1] += 1e-9
        actions = np.where(batch.finished, NO_MOVE, weights.argmax(axis=1)).astype(np.int32)
        played.append(actions)
        batch.play(actions)
    return np.stack(played, axis=1)


def state(batch: GoBatch, games: slice = slice(None)) -> dict[str, np.ndarray]:
    parts = {name: getattr(batch, name)[games].copy() for name in STATE}
    parts["legal"] = batch.legal_mask()[games]
    parts["banned"] = batch.banned_mask()[games]
    return parts


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_new_batch() -> None:
    batch = GoBatch(num_games=3, size=5, komi=[0.5, 7.0, -3.0])
    assert batch.num_actions == 26
    assert batch.max_plies == 50
    assert batch.komi.tolist() == [0.5, 7.0, -3.0]
    assert batch.to_play.tolist() == [BLACK] * 3
    assert batch.legal_mask().all()
    assert not batch.finished.any()
    assert batch.recent_moves.tolist() == [[NO_MOVE, NO_MOVE]] * 3


@pytest.mark.parametrize("size", [1, 26])
def test_sizes_without_rules_are_refused(size: int) -> None:
    with pytest.raises(UnsupportedBoardSize):
        GoBatch(num_games=1, size=size)


@pytest.mark.parametrize("komi", [float("nan"), float("inf"), [7.0, float("nan")]])
def test_komi_must_be_finite(komi: float | list[float]) -> None:
    with pytest.raises(InvalidRules, match="not finite"):
        GoBatch(num_games=2, size=5, komi=komi)


@pytest.mark.parametrize("suicide", [False, True])
@pytest.mark.parametrize("size", [2, 3, 5, 9, 25])
def test_history_holds_the_hash_of_every_position(size: int, suicide: bool) -> None:
    batch = GoBatch(num_games=4, size=size, rules=RuleSet(suicide=suicide))
    moves = random_games(batch, seed=size)
    batch.reset()
    for actions in moves.T:
        batch.play(actions)
        for game in range(batch.num_games):
            assert batch.history[game, batch.ply[game]] == position_hash(batch.stones[game], size)


def test_sequences_equal_moves_one_by_one() -> None:
    batch = GoBatch(num_games=8, size=5)
    moves = random_games(batch, seed=1)
    expected = state(batch)
    batch.reset()
    batch.play_sequences(moves)
    assert_same(state(batch), expected)


def test_reset_forgets_everything_but_komi_and_rules() -> None:
    rules = RuleSet(ko=KoRule.SITUATIONAL, suicide=True, scoring=Scoring.TERRITORY)
    batch = GoBatch(num_games=4, size=4, komi=[1, 2, 3, 4], rules=rules)
    fresh = state(batch)
    random_games(batch, seed=2)
    batch.reset()
    assert_same(state(batch), fresh)
    assert batch.komi.tolist() == [1, 2, 3, 4]
    assert batch.ko_rule.tolist() == [KoRule.SITUATIONAL] * 4
    assert batch.suicide.all()
    assert batch.scoring.tolist() == [Scoring.TERRITORY] * 4


@pytest.mark.parametrize("games", [[1, 3], np.array([False, True, False, True])], ids=["indices", "mask"])
def test_reset_of_some_games_leaves_the_others(games: list[int] | np.ndarray) -> None:
    batch = GoBatch(num_games=4, size=4, komi=1.0)
    random_games(batch, seed=3)
    before = state(batch, slice(0, 4, 2))
    batch.reset(games, komi=[5.0, 6.0], rules=RuleSet(ko=KoRule.SIMPLE))
    assert_same(state(batch, slice(0, 4, 2)), before)
    assert batch.komi.tolist() == [1, 5, 1, 6]
    assert batch.ko_rule.tolist() == [KoRule.POSITIONAL, KoRule.SIMPLE] * 2
    assert batch.ply[[1, 3]].tolist() == [0, 0]
    assert batch.legal_mask()[[1, 3]].all()


def test_an_old_history_is_not_compared_after_a_reset() -> None:
    """The hashes of the game before stay in memory; only entries up to the ply may count."""
    batch = GoBatch(num_games=1, size=2)
    random_games(batch, seed=4)
    batch.reset()
    assert batch.legal_mask().all()


def test_a_reset_forgets_that_white_began() -> None:
    """Under situational superko the first entry of the history says who was to move."""
    batch = GoBatch(num_games=1, size=4, rules=RuleSet(ko=KoRule.SITUATIONAL))
    batch.set_to_play(0, WHITE)
    assert batch.history_to_play[0, 0] == WHITE
    batch.reset()
    assert batch.history_to_play[0, 0] == BLACK


def test_inactive_games_and_no_moves_stay() -> None:
    batch = GoBatch(num_games=3, size=5)
    batch.play([3, NO_MOVE, 4], active=[True, True, False])
    assert batch.ply.tolist() == [1, 0, 0]
    assert batch.stones.sum(axis=1).tolist() == [1, 0, 0]
    assert batch.legal_mask().sum(axis=1).tolist() == [25, 26, 26]


@pytest.mark.parametrize("action", [26, -2, 1000])
def test_actions_off_the_board_raise_and_touch_nothing(action: int) -> None:
    batch = GoBatch(num_games=2, size=5)
    with pytest.raises(IllegalMove, match="game 1"):
        batch.play([0, action])
    assert batch.ply.tolist() == [1, 0]
    assert not batch.stones[1].any()


def test_a_stone_on_a_stone_raises() -> None:
    batch = GoBatch(num_games=1, size=5)
    batch.play([7])
    with pytest.raises(IllegalMove, match="on a stone"):
        batch.play([7])
    assert batch.ply.tolist() == [1]


def test_two_passes_finish_a_game_and_one_does_not() -> None:
    batch = GoBatch(num_games=2, size=3)
    batch.play([9, 9])
    batch.play([9, 4])
    assert batch.finished.tolist() == [True, False]
    assert batch.passes.tolist() == [2, 0]
    assert batch.legal_mask()[0].tolist() == [False] * 9 + [True]
    batch.play([0, 0])
    assert batch.ply.tolist() == [2, 3]


def test_the_ply_cap_finishes_a_game() -> None:
    batch = GoBatch(num_games=1, size=3, max_plies=2)
    batch.play([0])
    assert not batch.finished[0]
    batch.play([1])
    assert batch.finished[0]


def test_recent_boards_and_moves_are_newest_first() -> None:
    batch = GoBatch(num_games=1, size=3)
    for action in (0, 1, 9, 2):
        batch.play([action])
    assert batch.recent_moves.tolist() == [[2, 9]]
    assert batch.recent_stones[0].tolist() == [
        [1, -1, -1, 0, 0, 0, 0, 0, 0],
        [1, -1, 0, 0, 0, 0, 0, 0, 0],
        [1, -1, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0, 0],
    ]


def test_area_and_scores() -> None:
    batch = GoBatch(num_games=3, size=3, komi=[0.5, 0.5, 2.5])
    batch.set_stones(1, np.array([0, 1, -1, 1, 1, -1, 0, 1, -1], dtype=np.int8), BLACK)
    batch.set_stones(2, np.array([1, 0, -1, 1, 0, -1, 1, 0, -1], dtype=np.int8), WHITE)
    assert batch.area_ownership().tolist() == [
        [0] * 9,
        [1, 1, -1, 1, 1, -1, 1, 1, -1],
        [1, 0, -1, 1, 0, -1, 1, 0, -1],
    ]
    assert batch.area_scores().tolist() == [-0.5, 2.5, -2.5]
    assert batch.pass_pass_values().tolist() == [-1.0, 1.0, -1.0]
    assert batch.area_scores().dtype == batch.pass_pass_values().dtype == np.float32


def test_an_even_score_is_worth_nothing() -> None:
    batch = GoBatch(num_games=1, size=3, komi=9.0)
    batch.play([4])
    assert batch.pass_pass_values().tolist() == [0.0]


def test_only_the_answering_pass_is_terminal() -> None:
    batch = GoBatch(num_games=3, size=3, komi=[8.5, 9.0, 9.5])
    batch.play([4, 4, 4])
    assert np.isnan(batch.terminal_values()).all()
    batch.play([9, 9, 9])
    values = batch.terminal_values()
    assert np.isnan(values[:, :9]).all()
    assert values[:, 9].tolist() == [1.0, 0.0, -1.0]


def test_terminal_values_at_the_cap_are_the_scores_after_each_action() -> None:
    batch = GoBatch(num_games=6, size=4, komi=[-6.0, -3.0, -1.0, 0.0, 2.0, 4.5], max_plies=23)
    moves = random_games(batch, seed=5, pass_rate=0.0)
    batch.reset()
    batch.play_sequences(moves[:, :22])
    legal = batch.legal_mask()
    values = batch.terminal_values()
    assert (np.isnan(values) == ~legal).all()
    outcomes = set()
    for action in range(batch.num_actions):
        trial = batch.copy()
        trial.play(np.full(6, action, dtype=np.int32), active=legal[:, action])
        expected = np.sign(trial.area_scores())[legal[:, action]]
        assert values[legal[:, action], action].tolist() == expected.tolist()
        assert trial.finished[legal[:, action]].all()
        outcomes.update(expected.tolist())
    assert len(outcomes) > 1


def test_finished_games_keep_their_outcome_on_the_pass() -> None:
    batch = GoBatch(num_games=1, size=3, komi=0.5)
    batch.play([9])
    batch.play([9])
    values = batch.terminal_values()
    assert values[0, 9] == -1.0
    assert np.isnan(values[0, :9]).all()


def test_save_and_restore_undo_exactly() -> None:
    batch = GoBatch(num_games=1, size=3, max_plies=60)
    moves = random_games(batch, seed=6)[0]
    batch.reset()
    stages = []
    for action in moves:
        stages.append((batch.save(0), state(batch)))
        batch.play([action])
    for saved, expected in reversed(stages):
        batch.restore(0, saved)
        assert_same(state(batch), expected)


def test_extend_keeps_the_history() -> None:
    short = GoBatch(num_games=2, size=3, max_plies=12)
    long = GoBatch(num_games=2, size=3, max_plies=40)
    moves = random_games(short, seed=7, pass_rate=0.0)[:, :11]
    for batch in (short, long):
        batch.reset()
        batch.play_sequences(moves)
    short.extend(40)
    rest = random_games(long, seed=8)
    short.play_sequences(rest)
    assert_same(state(short), state(long))


def test_rules_count_per_game() -> None:
    """Suicide on a corner point, allowed in game 1 only."""
    stones = np.array([0, 0, -1, 1, -1, -1, -1, 0, 0], dtype=np.int8)
    batch = GoBatch(num_games=2, size=3)
    batch.set_rules(RuleSet(suicide=True), np.array([1]))
    for game in range(2):
        batch.set_stones(game, stones, BLACK)
    assert batch.legal_mask()[:, 0].tolist() == [True, True]
    batch.play([0, 0])
    batch.play([9, 9])
    assert batch.legal_mask()[:, 1].tolist() == [False, True]
