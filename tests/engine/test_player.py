"""The player against networks with written-down opinions; time is injected, and nothing sleeps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import (
    CannotUndo,
    EvaluationError,
    IllegalMove,
    InvalidConfig,
    InvalidInput,
    InvalidRules,
    ModelNotFound,
    UnsupportedBoardSize,
)
from engine.go.diagram import from_diagram
from engine.go.position import Position
from engine.go.rules import BLACK, RULE_PRESETS, WHITE
from engine.go.vertex import to_gtp
from engine.model.catalog import Catalog
from engine.model.manifest import ModelManifest
from engine.model_source import CatalogModels
from engine.player import RESIGN, Analysis, Decision, Player
from engine.search.limits import Limits
from engine.search.result import StopReason
from engine.search.time_settings import TimeLeft, TimeSettings
from engine.searcher_pool import FULL_NOTICE
from engine.settings import PlayerSettings
from tests.support.scripted_models import Opinion, ScriptedModels
from tests.support.tiny_models import write_tiny_model

SIZE = 5
PASS = SIZE * SIZE
CENTRE = 12
LONG_S = 60.0

SETTLED = ". X . X .\nX X X X X\nX X X X X\nO O O O O\n. O . O ."
"""15 : 10, nothing left to do."""
HALF_WAY = ". X . X .\nX X X X X\n. . . . .\nO O O O O\n. O . O ."
"""10 : 10, five neutral points."""


class Watch:
    """A clock that goes on by `step_s` at every look."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


@contextmanager
def playing(
    opinion: Opinion | None = None,
    *,
    models: Any = None,
    diagram: str | None = None,
    komi: float = 0.5,
    now: Callable[[], float] | None = None,
    visits: int | None = 40,
    **settings: Any,
) -> Iterator[Player]:
    """A player of 5x5 that thinks for 40 visits in one thread, and imagines: scripted opinions are of moves."""
    defaults = {"visits": visits, "threads": 1, "seed": 1, "max_memory_mib": 16, "reground_every": 0}
    player = Player(
        models=models or ScriptedModels(SIZE, 9, opinion=opinion),
        settings=PlayerSettings(**{**defaults, **settings}),
        board_size=SIZE,
        komi=komi,
        now=now or Watch(),
    )
    try:
        if diagram is not None:
            player.position = from_diagram(diagram, komi=komi)
        yield player
    finally:
        player.close()


def vertex(action: int) -> str:
    return "resign" if action == RESIGN else to_gtp(action, SIZE)


# --- the game


def test_generate_plays_the_preferred_move() -> None:
    with playing(Opinion(logits={CENTRE: 3.0})) as player:
        decision = player.generate(BLACK)
        assert decision.action == decision.result.best_action == CENTRE
        assert decision.winrate == pytest.approx(0.5)
        assert player.position.moves == [(BLACK, CENTRE)]
        assert decision.result.total_visits <= 40


def test_generate_without_playing() -> None:
    with playing(Opinion(logits={CENTRE: 3.0})) as player:
        assert player.generate(BLACK, play=False).action == CENTRE
        assert player.position.moves == []


def test_the_other_colour_may_move_and_sees_itself_to_move() -> None:
    models = ScriptedModels(SIZE, opinion=Opinion(logits={CENTRE: 3.0, 0: 2.0}))
    with playing(models=models) as player:
        assert player.generate(WHITE).action == CENTRE
        assert player.generate(WHITE).action == 0
        assert player.position.moves == [(WHITE, CENTRE), (WHITE, 0)]
        seen = models.opened[0].observations[-1][0]
        assert (seen[16] == -1).all()  # the plane to_play


def test_values_are_black_s_and_the_search_knows_whose_turn_it_is() -> None:
    opinion = Opinion(values={3: 0.9, 4: -0.9})
    with playing(opinion, visits=400) as player:
        assert player.generate(BLACK, play=False).action == 3
        white = player.generate(WHITE, play=False)
        assert white.action == 4
        assert white.winrate == pytest.approx(0.95, abs=0.01)


def test_never_an_illegal_move() -> None:
    """The network insists on points that are occupied, forbidden by ko, or suicide."""
    ko = ". X O . .\nX O . O .\n. X O . .\n. . . . .\nO . . . ."
    opinion = Opinion(logits=dict.fromkeys(range(25), 1.0) | {7: 30.0, 6: 29.0, 0: 28.0})
    with playing(opinion, diagram=ko) as player:
        player.play(BLACK, 7)  # takes the ko
        assert not player.position.is_legal(WHITE, 6)
        assert player.position.is_legal(WHITE, player.generate(WHITE, play=False).action)
        white = player.generate(WHITE)
        assert vertex(white.action) not in ("B4", "C4", "A5")


def test_komi_rules_and_time_settings_survive_a_new_game() -> None:
    with playing() as player:
        player.new_game(rules=RULE_PRESETS["chinese"])
        player.position.komi = 3.5
        player.clock.set_settings(TimeSettings.absolute(300))
        player.clock.set_time_left(BLACK, 17, 0)
        player.play(BLACK, 0)
        player.new_game(9)
        assert (player.position.size, player.position.komi, player.position.moves) == (9, 3.5, [])
        assert player.position.rules == RULE_PRESETS["chinese"]
        assert player.clock.time_left(BLACK) == TimeLeft(main_s=300)
        player.new_game(komi=7.5)
        assert (player.position.size, player.position.komi) == (9, 7.5)


def test_refusals_change_nothing() -> None:
    with playing() as player:
        player.play(BLACK, CENTRE)
        position = player.position
        with pytest.raises(UnsupportedBoardSize, match="7"):
            player.new_game(7)
        with pytest.raises(UnsupportedBoardSize):
            player.new_game(99)
        with pytest.raises(InvalidRules):
            player.new_game(komi=float("nan"))
        with pytest.raises(IllegalMove):
            player.play(WHITE, CENTRE)
        with pytest.raises(UnsupportedBoardSize):
            player.position = Position(7)
        assert player.position is position
        assert position.moves == [(BLACK, CENTRE)]


def test_undo() -> None:
    with playing(Opinion(logits={CENTRE: 3.0})) as player:
        player.generate(BLACK)
        player.undo()
        assert player.position.moves == []
        with pytest.raises(CannotUndo):
            player.undo()


# --- from one move to the next


LINE = Opinion(logits={CENTRE: 3.0, 7: 2.5, 11: 2.5, 13: 2.5, 17: 2.5})
"""Prefers the centre, then the points beside it."""


def test_the_next_search_goes_on_from_this_one() -> None:
    with playing(LINE, visits=200) as player:
        first = player.generate(BLACK)
        player.play(WHITE, 7)
        second = player.generate(BLACK)
        assert first.result.carried_visits == 0
        assert 0 < second.result.carried_visits < first.result.total_visits
        assert second.result.total_visits <= 200
        third = player.generate(WHITE)
        assert third.result.carried_visits > 0
        assert player.position.stones[third.action] == WHITE


def test_every_simulation_of_a_playout_limit_is_new() -> None:
    with playing(LINE, visits=None, playouts=150) as player:
        assert player.generate(BLACK).result.total_visits <= 151
        second = player.generate(WHITE, limits=Limits(playouts=150))
        assert second.result.carried_visits > 0
        assert second.result.total_visits == 151 + second.result.carried_visits


@pytest.mark.parametrize("interruption", ["komi", "rules", "undo", "new game", "position", "estimate", "two colours"])
def test_another_game_is_searched_anew(interruption: str) -> None:
    with playing(LINE, visits=200) as player:
        player.generate(BLACK)
        color = WHITE
        if interruption == "komi":
            player.position.komi = 7.5
        elif interruption == "rules":
            player.position.rules = RULE_PRESETS["tromp-taylor"]
        elif interruption == "undo":
            player.undo()
            player.play(BLACK, 0)
        elif interruption == "new game":
            player.new_game()
        elif interruption == "position":
            player.position = from_diagram(SETTLED)
        elif interruption == "estimate":
            player.final_score()
        else:
            color = BLACK
        assert player.generate(color).result.carried_visits == 0


def test_nothing_is_kept_on_request() -> None:
    with playing(LINE, visits=200, reuse_tree=False) as player:
        player.generate(BLACK)
        assert player.generate(WHITE).result.carried_visits == 0


def test_a_full_tree_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.searcher.node_limit", lambda *_: 64)
    with playing(LINE, visits=500) as player:
        lines: list[str] = []
        player._pool._notify = lines.append
        result = player.generate(BLACK).result
        assert result.is_full
        assert result.evaluations > 128
        player.generate(WHITE)
        player.analyze(limits=Limits(visits=300)).wait()
        assert lines.count(FULL_NOTICE) == 1
    with playing(LINE, visits=50) as player:
        assert not player.generate(BLACK).result.is_full


def test_a_strange_board_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelManifest, "misgiving", lambda _, size, komi: f"size {size}, komi {komi}")
    with playing(komi=3.5) as player:
        lines: list[str] = []
        player._pool._notify = lines.append
        player.generate(BLACK)
        player.generate(WHITE)
        player.new_game(9, komi=4.5)
        player.generate(BLACK)
    assert [line for line in lines if line.startswith("size")] == ["size 5, komi 3.5", "size 9, komi 4.5"]


# --- in the opponent's time


def ponderer(player: Player) -> Analysis:
    analysis = player._own._analysis
    assert analysis is not None
    return analysis


def test_pondering_goes_on_until_the_opponent_has_moved() -> None:
    with playing(LINE, visits=200, ponder=True) as player:
        player.generate(BLACK)
        player.ponder()
        pondering = ponderer(player)
        assert pondering.color == WHITE
        while pondering.snapshot().total_visits < 400:  # the network is fast
            assert not pondering.is_finished
        player.play(WHITE, 7)
        assert pondering.is_finished
        found = pondering.snapshot()
        assert found.visits[7] > 20
        second = player.generate(BLACK)
        assert second.result.carried_visits > 0
        assert ponderer(player) is not pondering


@pytest.mark.parametrize(
    "call", ["undo", "new_game", "generate", "analyze", "final_score", "close", "end_pondering", "forget"]
)
def test_every_call_that_concerns_the_game_ends_pondering(call: str) -> None:
    with playing(LINE, visits=200, ponder=True) as player:
        player.generate(BLACK)
        player.ponder()
        pondering = ponderer(player)
        assert not pondering.is_finished
        arguments = {"generate": [WHITE], "analyze": [WHITE, Limits(visits=2)]}.get(call, [])
        getattr(player, call)(*arguments)
        pondering.wait(LONG_S)
        assert pondering.is_finished


@pytest.mark.parametrize(
    ("reason", "settings"),
    [
        ("not asked for", {}),
        ("nothing is kept", {"ponder": True, "reuse_tree": False}),
        ("Gumbel search", {"ponder": True, "visits": 30}),
    ],
)
def test_no_pondering(reason: str, settings: dict[str, Any]) -> None:
    with playing(LINE, **{"visits": 200, **settings}) as player:
        analysis = []
        player.generate(BLACK, on_search=analysis.append)
        player.ponder()
        assert ponderer(player) is analysis[0], reason


@pytest.mark.parametrize("call", ["play", "undo", "new_game"])
def test_what_comes_before_the_pondering_takes_its_place(call: str) -> None:
    with playing(LINE, visits=200, ponder=True) as player:
        player.generate(BLACK)
        getattr(player, call)(*([WHITE, 7] if call == "play" else []))
        before = player._own._analysis
        player.ponder()
        assert player._own._analysis is before


def test_what_was_found_is_forgotten_when_asked() -> None:
    with playing(LINE, visits=200) as player:
        assert player.generate(BLACK, play=False).result.carried_visits == 0
        assert player.generate(BLACK, play=False).result.carried_visits > 0
        player.forget()
        assert player.generate(BLACK, play=False).result.carried_visits == 0


def test_pondering_of_a_broken_network_is_told_by_the_next_move() -> None:
    opinion = Opinion()
    with playing(opinion, visits=200, ponder=True) as player:

        def breaks(analysis: Analysis) -> None:
            analysis.wait(LONG_S)
            opinion.is_broken = True

        assert player.generate(BLACK, on_search=breaks).action >= 0
        player.ponder()
        with pytest.raises(EvaluationError):
            player.generate(WHITE)


# --- what may be chosen


def test_allowed_and_avoided_moves() -> None:
    with playing(LINE, visits=100) as player:
        assert player.generate(BLACK, play=False, avoid=[CENTRE]).action in (7, 11, 13, 17)
        assert player.generate(BLACK, play=False, allow=[3]).action == 3
        result = player.analyze(BLACK, Limits(visits=100), avoid=[CENTRE, 7]).wait(LONG_S)
        assert result.visits[CENTRE] == result.visits[7] == 0
        with pytest.raises(InvalidInput):
            player.generate(BLACK, allow=[3], avoid=[3])
        assert player.position.moves == []
        assert player.generate(BLACK).action == CENTRE


def test_temperature_varies_the_opening_and_a_seed_repeats_it() -> None:
    def opening(seed: int, temperature: float) -> list[int]:
        with playing(LINE, visits=100, seed=seed, temperature=temperature) as player:
            return [player.generate(color).action for color in (BLACK, WHITE, BLACK)]

    games = [opening(seed, 1.0) for seed in range(6)]
    assert len({tuple(game) for game in games}) > 3
    assert opening(2, 1.0) == games[2]
    assert opening(1, 0.0) == opening(2, 0.0)


def test_a_device_that_is_not_there_is_told(tmp_path: Path) -> None:
    write_tiny_model(tmp_path, "tiny")
    models = CatalogModels(Catalog([tmp_path]), device="tpu")
    with playing(models=models) as player, pytest.raises(InvalidConfig, match="'tpu' is not one of cpu, cuda"):
        player.generate(BLACK)


# --- passing


def test_passes_when_that_wins_at_once() -> None:
    with playing(Opinion(logits={CENTRE: 9.0}, value=-1.0), diagram=HALF_WAY, komi=-0.5) as player:
        player.play(WHITE, PASS)
        decision = player.generate(BLACK)
        assert (decision.action, decision.winrate) == (PASS, 1.0)
        assert player.position.is_over


def test_does_not_pass_a_game_away_that_the_network_believes_won() -> None:
    """Black is behind on the board as it stands; the network would rather pass than capture."""
    opinion = Opinion(logits={PASS: 9.0}, value=0.9)
    with playing(opinion, diagram=HALF_WAY) as player:
        player.play(WHITE, PASS)
        assert vertex(player.generate(BLACK).action) in ("A3", "B3", "C3", "D3", "E3")


def test_does_not_pass_first_on_a_lost_board() -> None:
    with playing(Opinion(logits={PASS: 9.0}, value=0.9), diagram=HALF_WAY) as player:
        assert vertex(player.generate(BLACK, play=False).action) != "pass"
    with playing(Opinion(logits={PASS: 9.0}, value=0.9, values={PASS: -0.9}), diagram=HALF_WAY) as player:
        assert vertex(player.generate(WHITE).action) == "pass"


@pytest.mark.parametrize("visits", [1, 2, 8, 200])
def test_ends_a_game_that_is_lost_anyway(visits: int) -> None:
    with playing(Opinion(logits={PASS: 9.0}, value=-1.0), diagram=HALF_WAY, visits=visits, resign=False) as player:
        player.play(WHITE, PASS)
        assert vertex(player.generate(BLACK).action) == "pass"


def test_passes_rather_than_fill_its_own_eyes() -> None:
    """Lost by komi, and only own eyes are left: with any opinion of them."""
    for value in (-1.0, 1.0):
        opinion = Opinion(logits={0: 9.0, 2: 8.0}, value=value)
        with playing(opinion, diagram=SETTLED, komi=9.5, resign=False) as player:
            assert vertex(player.generate(BLACK).action) == "pass"
            assert vertex(player.generate(WHITE).action) == "pass"
            assert player.position.is_over


def test_answers_after_the_game_and_goes_on_when_told() -> None:
    with playing(Opinion(logits={CENTRE: 9.0}), komi=0.5) as player:
        player.play(BLACK, PASS)
        player.play(WHITE, PASS)
        assert player.generate(BLACK).action == PASS
        player.play(WHITE, 0)
        assert player.generate(BLACK).action == CENTRE


@pytest.mark.parametrize("seed", range(3))
def test_games_of_blind_networks_end(seed: int) -> None:
    """Blind networks with some wish to pass."""
    rng = np.random.default_rng(seed)
    opinion = Opinion(logits=dict(enumerate(rng.normal(size=25).tolist())) | {PASS: 1.5}, value=0.0)
    with playing(opinion, visits=8, resign=False) as player:
        color = BLACK
        for _ in range(200):
            action = player.generate(color).action
            color = -color
            if player.position.is_over:
                break
            assert action != RESIGN
        assert player.position.is_over


def test_clean_up_goes_on_after_two_passes_while_the_network_sees_dead_enemies() -> None:
    dead_stone = ". X . X .\nX X X X X\n. . . . .\n. . . . .\n. . . . O"
    opinion = Opinion(logits={PASS: 5.0, 19: 3.0}, value=1.0, ownership=np.ones((SIZE, SIZE)))
    with playing(opinion, diagram=dead_stone) as player:
        player.play(BLACK, PASS)
        player.play(WHITE, PASS)
        assert player.generate(BLACK, play=False).action == PASS
        assert vertex(player.generate(BLACK, cleanup=True).action) == "E2"
        assert player.dead_stones() == frozenset({24})
        opinion.ownership = np.zeros((SIZE, SIZE))
        player.play(WHITE, PASS)
        player.play(BLACK, PASS)
        assert player.generate(BLACK, cleanup=True).action == PASS


# --- resignation


def hopeless_turns(player: Player, turns: int) -> list[Decision]:
    """Black's decisions in a game where White answers at once; ply 7 and later are old enough."""
    for point in (20, 21, 22, 23, 24, 15, 16):
        player.play(BLACK if point % 2 == 0 else WHITE, point)
    return [player.generate(BLACK, play=True) for _ in range(turns)]


def test_resigns_after_three_hopeless_turns() -> None:
    with playing(Opinion(value=-0.95)) as player:
        decisions = hopeless_turns(player, 3)
        assert [decision.action == RESIGN for decision in decisions] == [False, False, True]
        assert decisions[2].winrate < 0.05
        assert decisions[2].result.best_action != RESIGN
        assert len(player.position.moves) == 9
        assert player.generate(BLACK).action == RESIGN
        player.new_game()
        assert player.generate(BLACK).action != RESIGN


def test_does_not_resign_when_told_not_to_or_when_only_asked() -> None:
    with playing(Opinion(value=-0.95), resign=False) as player:
        assert all(decision.action != RESIGN for decision in hopeless_turns(player, 5))
    with playing(Opinion(value=-0.95)) as player:
        hopeless_turns(player, 0)
        assert all(player.generate(BLACK, play=False).action != RESIGN for _ in range(5))


def test_taking_back_a_move_takes_back_despair() -> None:
    with playing(Opinion(value=-0.95)) as player:
        hopeless_turns(player, 2)
        player.undo()
        assert player.generate(BLACK).action != RESIGN


# --- time


def test_the_budget_is_the_clock_s() -> None:
    watch = Watch()
    with playing(now=watch, lag_buffer_s=0.0) as player:
        player.clock.set_settings(TimeSettings.absolute(600))
        expected = player.clock.budget(BLACK, size=SIZE, num_stones=0).time_s
        decision = player.generate(BLACK)
        assert decision.budget_s == expected
        assert decision.extra_s == pytest.approx(expected / 2)
        assert player.generate(WHITE, play=False, limits=Limits(visits=2)).budget_s == float("inf")


def test_without_a_clock_the_settings_hold() -> None:
    with playing(time_s=0.7) as player:
        assert player.generate(BLACK).budget_s == 0.7
        player.settings = PlayerSettings(time_s=9.0, max_time_s=3.0, visits=5)
        decision = player.generate(WHITE)
        assert decision.budget_s == 3.0
        assert decision.result.total_visits <= 5


def test_time_is_charged_to_the_player_and_told() -> None:
    watch = Watch(step_s=1.0)
    with playing(now=watch) as player:
        player.clock.set_settings(TimeSettings.absolute(600))
        decision = player.generate(BLACK)
        left = player.clock.time_left(BLACK)
        assert left is not None
        assert 0 < decision.elapsed_s <= 600 - left.main_s
        assert player.clock.time_left(WHITE) == TimeLeft(main_s=600)
        player.generate(BLACK, play=False)
        assert player.clock.time_left(BLACK) == left


def test_a_move_that_fails_leaves_the_clock_as_if_none_had_been_made() -> None:
    watch = Watch()

    def give_up() -> None:
        watch.now_s += 4
        raise InterruptedError

    with playing(now=watch) as player:
        player.clock.set_settings(TimeSettings.byo_yomi(0, 10, 3))
        for left_s in (6, 2):
            with pytest.raises(InterruptedError):
                player.generate(BLACK, wait=give_up)
            assert player.clock.time_left(BLACK) == TimeLeft(main_s=0, periods=3, period_s=left_s, stones=1)
        with pytest.raises(InvalidInput):
            player.generate(BLACK, allow=[])
        assert player.clock.elapsed_s(BLACK) == 0
        assert not player.is_generating
        assert player.position.moves == []
        player.generate(BLACK)
        assert player.clock.time_left(BLACK) == TimeLeft(main_s=0, periods=3, period_s=10, stones=1)


def test_loading_shortens_the_time_left_but_not_the_search() -> None:
    """The clock runs while the model loads, and the budget is what it allows afterwards."""
    watch, models = Watch(), ScriptedModels(SIZE)
    models.may_open.clear()
    with playing(models=models, now=watch) as player:
        player.clock.set_settings(TimeSettings.absolute(100))
        thread, decisions = generate_in_thread(player)
        assert models.is_opening.wait(LONG_S)
        watch.now_s += 50
        models.may_open.set()
        thread.join(LONG_S)
        clock_at_50 = Player(models=models, board_size=SIZE, preload=False, now=watch).clock
        clock_at_50.set_settings(TimeSettings.absolute(100))
        clock_at_50.set_time_left(BLACK, 50, 0)
        assert decisions[0].budget_s == clock_at_50.budget(BLACK, size=SIZE, num_stones=0).time_s
        assert player.clock.time_left(BLACK) == TimeLeft(main_s=50)


def generate_in_thread(player: Player, **options: Any) -> tuple[threading.Thread, list[Decision]]:
    decisions: list[Decision] = []
    thread = threading.Thread(target=lambda: decisions.append(player.generate(BLACK, **options)), daemon=True)
    thread.start()
    return thread, decisions


def test_abort_makes_it_answer_with_a_legal_move() -> None:
    with playing(visits=None, time_s=LONG_S) as player:
        is_searching = threading.Event()
        thread, decisions = generate_in_thread(player, on_search=lambda _: is_searching.set())
        assert is_searching.wait(LONG_S)
        player.abort()
        thread.join(LONG_S)
        assert decisions[0].result.stop_reason == StopReason.STOPPED
        assert player.position.moves == [(BLACK, decisions[0].action)]


def test_abort_while_the_model_loads_leaves_one_look() -> None:
    models = ScriptedModels(SIZE)
    models.may_open.clear()
    with playing(models=models, visits=None, time_s=LONG_S) as player:
        thread, decisions = generate_in_thread(player)
        assert models.is_opening.wait(LONG_S)
        while not player.is_generating:
            thread.join(0.001)
        player.abort()
        models.may_open.set()
        thread.join(LONG_S)
        assert decisions[0].result.total_visits <= 1


def test_abort_of_nothing_is_forgotten() -> None:
    with playing() as player:
        player.abort()
        assert player.generate(BLACK).result.total_visits > 1


def test_the_same_seed_plays_the_same_game() -> None:
    games = []
    for _ in range(2):
        with playing(Opinion(logits={3: 1.0, 7: 1.01}), resign=False) as player:
            games.append([player.generate(color).action for color in (BLACK, WHITE) * 4])
    assert games[0] == games[1]


# --- analysis and suggestions


def test_analysis_runs_until_stopped_and_moves_nothing() -> None:
    with playing(Opinion(logits={CENTRE: 3.0})) as player, player.analyze() as analysis:
        assert analysis.color == BLACK
        assert analysis.model.startswith("scripted@")
        while analysis.snapshot().total_visits < 100:
            assert not analysis.is_finished
        analysis.stop()
        result = analysis.wait(LONG_S)
        assert analysis.is_finished
        assert (result.stop_reason, result.best_action) == (StopReason.STOPPED, CENTRE)
        assert player.position.moves == []


def test_an_analysis_goes_on_from_the_search_before_it_and_the_next_move_from_the_analysis() -> None:
    with playing(LINE, visits=None, playouts=150) as player:
        player.generate(BLACK)
        with player.analyze() as analysis:
            while analysis.snapshot().total_visits < 300:
                assert not analysis.is_finished
        assert analysis.snapshot().carried_visits > 0
        with player.analyze() as again:
            assert again.snapshot().carried_visits >= 300
        assert player.generate(WHITE).result.carried_visits >= 300
        assert player.analyze(avoid=[CENTRE]).snapshot().visits[CENTRE] == 0


def test_the_analysis_of_what_the_rules_know_has_an_end() -> None:
    with playing(diagram=SETTLED) as player:
        player.play(WHITE, PASS)
        player.play(BLACK, PASS)
        result = player.analyze().wait(LONG_S)
        assert (result.best_action, result.total_visits) == (PASS, 2)
        player.new_game()
        with player.analyze(allow=[CENTRE]) as analysis:  # one move only, and everything to learn about it
            while analysis.snapshot().total_visits < 100:
                assert not analysis.is_finished


def test_a_new_search_ends_the_analysis_before_it() -> None:
    with playing() as player:
        first = player.analyze(WHITE)
        second = player.analyze(BLACK)
        assert first.is_finished
        player.generate(BLACK)
        assert second.is_finished
        third = player.analyze()
        player.new_game(9)
        assert third.is_finished


def test_one_network_serves_analysis_and_moves() -> None:
    models = ScriptedModels(SIZE)
    with playing(models=models) as player:
        for _ in range(3):
            player.analyze()
            player.generate(BLACK)
        assert len(models.opened) == 1


def test_the_result_says_what_would_be_played() -> None:
    opinion = Opinion(logits={PASS: 9.0}, value=0.9)
    with playing(opinion, diagram=HALF_WAY) as player, player.analyze(limits=Limits(visits=2)) as analysis:
        result = analysis.wait()
        assert vertex(result.best_action) in ("A3", "B3", "C3", "D3", "E3")
        assert result.principal_variation()[0] == result.best_action


def test_suggestions_are_independent_of_the_game_and_of_each_other() -> None:
    models = ScriptedModels(SIZE, 9, opinion=Opinion(logits={CENTRE: 3.0}))
    with playing(models=models, concurrent_searches=2) as player:
        position = Position(SIZE)
        first = player.suggest(position, Limits())
        later = Position(SIZE)
        later.play(BLACK, 0)
        second = player.suggest(later, Limits(visits=9), seed=17)
        assert second.wait(LONG_S).best_action == CENTRE
        assert (second.seed, second.color) == (17, WHITE)
        assert not first.is_finished
        first.stop()
        first.wait(LONG_S)
        assert player.suggest(Position(9), Limits(visits=3)).wait(LONG_S).total_visits == 3
        assert player.position.size == SIZE
        with pytest.raises(UnsupportedBoardSize):
            player.suggest(Position(7), Limits(visits=3))
        with pytest.raises(ModelNotFound):
            player.suggest(Position(SIZE), Limits(visits=3), model="unheard-of")


def test_many_suggestions_at_a_time() -> None:
    models = ScriptedModels(SIZE, opinion=Opinion(logits={CENTRE: 3.0}))
    with playing(models=models, concurrent_searches=4) as player:
        found: list[int] = []

        def suggest() -> None:
            for _ in range(5):
                found.append(player.suggest(Position(SIZE), Limits(visits=20)).wait(LONG_S).best_action)

        threads = [threading.Thread(target=suggest, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert found == [CENTRE] * 20
        assert len(models.opened) <= 5


# --- loading and its failures


def test_everything_but_moves_answers_while_the_model_loads() -> None:
    models = ScriptedModels(SIZE, 9)
    models.may_open.clear()
    with playing(models=models) as player:
        assert not player.is_ready
        assert not player.ensure_ready(0.0)
        assert player.ready_error is None
        player.play(BLACK, CENTRE)
        player.undo()
        player.new_game(9)
        player.play(BLACK, 3)
        models.may_open.set()
        assert player.ensure_ready(LONG_S)
        assert player.is_ready
        assert player.generate(WHITE).result.total_visits > 1


def test_a_player_without_models_still_keeps_the_game() -> None:
    with playing(models=ScriptedModels()) as player:
        assert not player.ensure_ready(LONG_S)
        assert isinstance(player.ready_error, ModelNotFound)
        player.new_game(13)
        assert not player.ensure_ready(LONG_S)
        assert isinstance(player.ready_error, ModelNotFound)
        player.play(BLACK, 3)
        with pytest.raises(ModelNotFound):
            player.generate(WHITE)
        assert player.position.moves == [(BLACK, 3)]
        for color in (WHITE, BLACK):
            player.play(color, player.position.pass_action)
        assert player.final_score().source == "rules"


def test_a_size_that_no_model_plays_is_told_when_it_matters() -> None:
    player = Player(models=ScriptedModels(9), board_size=SIZE)
    assert not player.ensure_ready(LONG_S)
    assert isinstance(player.ready_error, UnsupportedBoardSize)
    player.new_game(9)
    assert player.ensure_ready(LONG_S)
    player.close()


def test_what_was_wrong_with_one_size_is_not_said_of_another() -> None:
    models = ScriptedModels(9)
    player = Player(models=models, board_size=SIZE)
    assert not player.ensure_ready(LONG_S)
    models.may_open.clear()
    player.new_game(9)
    assert player.ready_error is None
    models.may_open.set()
    player.close()


def test_a_position_with_rules_of_its_own_does_not_change_those_of_the_next_game() -> None:
    with playing() as player:
        own = player.position.rules
        player.position = Position(SIZE, RULE_PRESETS["japanese"], 6.5)
        player.new_game()
        assert player.position.rules == player.rules == own
        player.new_game(rules=RULE_PRESETS["aga"])
        player.new_game()
        assert player.position.rules == player.rules == RULE_PRESETS["aga"]


def test_loading_only_when_needed() -> None:
    models = ScriptedModels(SIZE)
    player = Player(models=models, board_size=SIZE, preload=False, settings=PlayerSettings(threads=1))
    assert not player.is_ready
    assert models.opened == []
    assert player.suggest(Position(SIZE), Limits(visits=2)).wait().total_visits == 2
    assert player.is_ready
    assert player.ensure_ready(LONG_S)
    player.close()


def test_a_network_that_fails_loses_no_move_and_may_recover() -> None:
    opinion = Opinion()
    with playing(opinion) as player:
        assert player.ensure_ready(LONG_S)
        opinion.is_broken = True
        with pytest.raises(EvaluationError):
            player.generate(BLACK)
        with pytest.raises(EvaluationError):
            player.analyze()
        assert player.position.moves == []
        opinion.is_broken = False
        assert player.generate(BLACK).action != RESIGN


def test_the_user_hears_what_is_loaded() -> None:
    lines: list[str] = []
    player = Player(models=ScriptedModels(SIZE), board_size=SIZE, notify=lines.append)
    assert player.ensure_ready(LONG_S)
    assert [line[:23] for line in lines] == ["loading model scripted@"]
    assert "for 5x5" in lines[0]
    player.close()


def test_closing_ends_a_search_and_may_be_repeated() -> None:
    with playing(visits=None, time_s=LONG_S) as player:
        is_searching = threading.Event()
        thread, decisions = generate_in_thread(player, on_search=lambda _: is_searching.set())
        assert is_searching.wait(LONG_S)
        player.close()
        player.close()
        thread.join(LONG_S)
        assert len(decisions) == 1


# --- scores


def test_final_score_before_and_after_the_end() -> None:
    opinion = Opinion(ownership=np.ones((SIZE, SIZE)))
    with playing(opinion, diagram=SETTLED) as player:
        estimate = player.final_score()
        assert (estimate.source, estimate.points, len(estimate.dead)) == ("network", 24.5, 7)
        player.play(BLACK, PASS)
        player.play(WHITE, PASS)
        exact = player.final_score()
        assert (exact.source, exact.points, exact.dead) == ("rules", 4.5, frozenset())


def test_final_score_of_a_model_without_ownership() -> None:
    with playing(diagram=SETTLED) as player:
        score = player.final_score()
        assert (score.source, score.points) == ("board", 4.5)
        assert player.dead_stones() == frozenset()


# --- with a real network


@pytest.fixture
def real_player(tmp_path: Path) -> Iterator[Player]:
    write_tiny_model(tmp_path, "tiny", playable=(3, 9))
    player = Player(
        models=CatalogModels(Catalog([tmp_path])),
        settings=PlayerSettings(visits=30, threads=2, max_memory_mib=16),
        board_size=SIZE,
        komi=0.5,
    )
    yield player
    player.close()


def test_a_game_with_a_real_network(real_player: Player) -> None:
    color = BLACK
    for _ in range(150):
        decision = real_player.generate(color)
        assert decision.action == RESIGN or 0 <= decision.action <= PASS
        if decision.action == RESIGN or real_player.position.is_over:
            break
        color = -color
    assert decision.action == RESIGN or real_player.position.is_over
    assert isinstance(real_player.analyze(limits=Limits(visits=5)), Analysis)
    assert real_player.final_score().ownership
