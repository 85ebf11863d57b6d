"""TicTacToe and Connect Four: rules by table and by independent referees, vector bookkeeping, saving and restoring."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import InvalidInput
from tests.support import perfect_tictactoe as perfect
from trainer.envs import TrainerVectorEnv, make_vector

TICTACTOE, CONNECT_FOUR = "tengen/TicTacToe-v0", "tengen/ConnectFour-v0"


def random_legal(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(mask.shape) * mask).argmax(axis=1)


def play_line(env: TrainerVectorEnv, actions: list[int]) -> tuple[float, bool, dict]:
    env.reset()
    for number, action in enumerate(actions):
        _, rewards, terminated, truncated, infos = env.step(np.array([action]))
        assert not truncated[0]
        if number + 1 < len(actions):
            assert not terminated[0], f"over after {number + 1} of {actions}"
            assert rewards[0] == 0
    return float(rewards[0]), bool(terminated[0]), infos


@pytest.mark.parametrize(
    ("label", "env_id", "actions", "reward", "over"),
    [
        ("row", TICTACTOE, [0, 3, 1, 4, 2], 1, True),
        ("column for the second player", TICTACTOE, [0, 2, 1, 5, 3, 8], -1, True),
        ("diagonal", TICTACTOE, [0, 1, 4, 2, 8], 1, True),
        ("anti-diagonal", TICTACTOE, [2, 0, 4, 1, 6], 1, True),
        ("draw", TICTACTOE, [0, 1, 2, 4, 3, 5, 7, 6, 8], 0, True),
        ("win on the full board", TICTACTOE, [0, 1, 2, 4, 3, 5, 7, 8, 6], 1, True),
        ("two in a row", TICTACTOE, [0, 3, 1], 0, False),
        ("vertical", CONNECT_FOUR, [0, 1, 0, 1, 0, 1, 0], 1, True),
        ("horizontal for the second player", CONNECT_FOUR, [0, 3, 0, 4, 1, 5, 1, 6], -1, True),
        ("rising diagonal", CONNECT_FOUR, [0, 1, 1, 2, 2, 3, 2, 3, 3, 6, 3], 1, True),
        ("falling diagonal", CONNECT_FOUR, [6, 5, 5, 4, 4, 3, 4, 3, 3, 0, 3], 1, True),
        ("no line across the edge", CONNECT_FOUR, [5, 0, 6, 0, 4, 1, 0, 1], 0, False),
        ("three in a column", CONNECT_FOUR, [0, 1, 0, 1, 0], 0, False),
    ],
)
def test_result_of_a_line(label: str, env_id: str, actions: list[int], reward: int, over: bool) -> None:
    env = make_vector(env_id, 1, render_mode="ansi")
    found_reward, found_over, _ = play_line(env, actions)
    assert (found_reward, found_over) == (reward, over), f"{label}\n{env.render()[0]}"


def test_tictactoe_agrees_with_independent_rules_in_every_position() -> None:
    """Breadth first through all 5478 positions, each set as a state and stepped by every action."""
    seen = {(perfect.EMPTY_BOARD, 1)}
    layer = list(seen)
    while layer:
        env = make_vector(TICTACTOE, len(layer))
        following = set()
        for cell in range(9):
            state = env.state()
            state["stones"][:] = [board for board, _ in layer]
            state["to_play"][:] = [to_play for _, to_play in layer]
            state["ply"][:] = [9 - board.count(0) for board, _ in layer]
            state["finished"][:] = state["winner"][:] = 0
            env.set_state(state)
            mask = env.observe()[1]["action_mask"].copy()
            observations, rewards, terminated, _, _ = env.step(np.full(len(layer), cell))
            for game, (board, to_play) in enumerate(layer):
                assert mask[game, cell] == (board[cell] == 0)
                if not mask[game, cell]:
                    assert terminated[game]
                    assert rewards[game] == -to_play
                    continue
                child = perfect.after(board, to_play, cell)
                assert perfect.board_of(observations[game]) == (child, -to_play)
                assert terminated[game] == perfect.is_over(child)
                assert rewards[game] == (perfect.winner(child) if perfect.is_over(child) else 0)
                if not perfect.is_over(child):
                    following.add((child, -to_play))
        seen |= following
        layer = sorted(following)
    assert len(seen) == 4520  # positions in which the game goes on, both by count of the literature: 5478 - 958 ended


def naive_connect_four_winner(board: np.ndarray) -> int:
    for row in range(6):
        for column in range(7):
            for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
                cells = [(row + down * i, column + right * i) for i in range(4)]
                if all(0 <= r < 6 and 0 <= c < 7 for r, c in cells):
                    total = sum(int(board[cell]) for cell in cells)
                    if abs(total) == 4:
                        return total // 4
    return 0


def test_connect_four_agrees_with_naive_rules_in_random_games() -> None:
    rng = np.random.default_rng(7)
    env = make_vector(CONNECT_FOUR, 24)
    _, infos = env.reset()
    boards = np.zeros((24, 6, 7), dtype=np.int8)
    over = np.zeros(24, dtype=bool)
    results = []
    while not over.all():
        mask = infos["action_mask"].copy()
        players = infos["to_play"].copy()
        actions = random_legal(mask, rng)
        observations, rewards, terminated, _, infos = env.step(actions)
        for game in (~over).nonzero()[0]:
            assert mask[game].tolist() == (boards[game, 0] == 0).tolist()
            row = int((boards[game, :, actions[game]] == 0).sum()) - 1
            boards[game, row, actions[game]] = players[game]
            winner = naive_connect_four_winner(boards[game])
            assert terminated[game] == (winner != 0 or bool((boards[game] != 0).all())), boards[game]
            assert rewards[game] == winner
            assert (observations[game, :42] - observations[game, 42:84]).tolist() == boards[game].ravel().tolist()
            assert (observations[game, 84:] == infos["to_play"][game]).all()
        results.extend(rewards[terminated & ~over])
        over |= terminated
    assert {1.0, -1.0} <= set(results)


@pytest.mark.parametrize(("env_id", "actions"), [(TICTACTOE, [4, 4]), (CONNECT_FOUR, [0, 0, 0, 0, 0, 0, 0])])
def test_illegal_action_loses_for_its_player(env_id: str, actions: list[int]) -> None:
    mover = 1 if len(actions) % 2 else -1
    env = make_vector(env_id, 1)
    reward, over, infos = play_line(env, actions)
    assert over
    assert infos["illegal"][0]
    assert reward == -mover
    assert not env.reset()[1]["illegal"][0]


@pytest.mark.parametrize("env_id", [TICTACTOE, CONNECT_FOUR])
def test_games_that_are_over_wait_for_their_reset(env_id: str) -> None:
    rng = np.random.default_rng(3)
    env = make_vector(env_id, 8, copy=True)
    observations, infos = env.reset(seed=1)
    over = np.zeros(8, dtype=bool)
    for _ in range(42):
        assert infos["action_mask"].any(axis=1).all()
        previous = observations
        observations, rewards, terminated, _, infos = env.step(random_legal(infos["action_mask"], rng))
        assert (observations[over] == previous[over]).all()
        assert (rewards[over] == 0).all()
        assert terminated[over].all()
        over = terminated
    assert over.all()
    assert env.batch.winner.any()
    mask = np.arange(8) < 3
    observations, infos = env.reset(options={"reset_mask": mask})
    fresh, _ = make_vector(env_id, 8).reset()
    assert (observations[mask] == fresh[mask]).all()
    assert not env.batch.winner[mask].any()
    assert (observations[~mask] == previous[~mask]).all()
    _, _, terminated, _, _ = env.step(np.zeros(8, dtype=np.int64))
    assert (terminated == ~mask).all()


def test_an_empty_mask_resets_nothing_and_options_stay_as_they_were() -> None:
    env = make_vector(TICTACTOE, 2, copy=True)
    env.step(np.array([0, 1]))
    options = {"reset_mask": np.zeros(2, dtype=bool)}
    before, _ = env.observe()
    after, _ = env.reset(options=options)
    assert (before == after).all()
    assert list(options) == ["reset_mask"]


@pytest.mark.parametrize("env_id", [TICTACTOE, CONNECT_FOUR])
def test_state_continues_bit_for_bit(env_id: str) -> None:
    rng = np.random.default_rng(11)
    first, second = make_vector(env_id, 16, copy=True), make_vector(env_id, 16, copy=True)
    _, infos = first.reset()
    for _ in range(6):
        _, _, _, _, infos = first.step(random_legal(infos["action_mask"], rng))
    state = first.state()
    second.set_state(state)
    for left, right in zip(first.observe(), second.observe(), strict=True):
        np.testing.assert_equal(left, right)
    for _ in range(10):
        actions = random_legal(infos["action_mask"], rng)
        left, right = first.step(actions), second.step(actions)
        np.testing.assert_equal(left, right)
        infos = left[-1]
    second.set_state(state)
    np.testing.assert_equal(second.state(), state)


def test_bad_input_is_quoted() -> None:
    env = make_vector(TICTACTOE, 2)
    with pytest.raises(InvalidInput, match=r"\[0, 9\]"):
        env.step(np.array([0, 9]))
    with pytest.raises(InvalidInput, match=r"-1"):
        env.step(np.array([0, -1]))
    with pytest.raises(InvalidInput, match=r"shape \(2,\)"):
        env.step(np.array([0]))
    with pytest.raises(InvalidInput, match="float64"):
        env.step(np.array([0.0, 1.0]))
    with pytest.raises(InvalidInput, match="reset_mask"):
        env.reset(options={"reset_mask": np.ones(3, dtype=bool)})
    with pytest.raises(InvalidInput, match="reset_masks"):
        env.reset(options={"reset_masks": np.ones(2, dtype=bool)})
    with pytest.raises(InvalidInput, match="stones"):
        env.set_state({**env.state(), "stones": np.zeros((3, 9), dtype=np.int8)})
    with pytest.raises(InvalidInput, match="'ply' is missing"):
        env.set_state({name: array for name, array in env.state().items() if name != "ply"})


def test_diagrams() -> None:
    env = make_vector(TICTACTOE, 1, render_mode="ansi")
    play_line(env, [0, 4, 8])
    assert env.render() == ("X . .\n. O .\n. . X\nO to play",)
    env = make_vector(CONNECT_FOUR, 1, render_mode="ansi")
    play_line(env, [3, 3, 0, 1, 0, 1, 0, 1, 0])
    assert env.render()[0].endswith("X O . O . . .\nX O . X . . .\n0 1 2 3 4 5 6\nX has won")
