"""Imagination held to the rules: what a search may try, how two passes end, and when it looks at the real board."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.go.board_tree import MOST_PLIES
from engine.go.position import Position
from engine.go.symmetry import NUM_IMAGES, Images, restore, see_image
from engine.go.vertex import from_gtp
from engine.grounded import GroundedEvaluator
from engine.model.contract import ILLEGAL_LOGIT, RecurrentOutput
from engine.model.onnx_evaluator import OnnxEvaluator
from tests.support.tiny_models import tiny_go_model

SIZE = 3
PASS = SIZE * SIZE
EVERYWHERE = 99
ONE = np.ones(1, np.int8)


def slot(number: int) -> np.ndarray:
    return np.array([number], np.int32)


class Walk:
    """A line of play, imagined by a grounded and by a plain network, and played on a board."""

    def __init__(
        self,
        *,
        rules_depth: float = 0,
        reground_every: int = 0,
        ends_are_exact: bool = True,
        network_slots: int = 16,
        num_slots: int | None = None,
        symmetries: bool = False,
    ) -> None:
        model = tiny_go_model(seed=5)
        self.plain = OnnxEvaluator(*model.files, board_size=SIZE, num_slots=16)
        self.grounded = GroundedEvaluator(
            OnnxEvaluator(*model.files, board_size=SIZE, num_slots=network_slots),
            num_slots=num_slots,
            size=SIZE,
            variant="full",
            rules_depth=rules_depth,
            reground_every=reground_every,
            symmetries=symmetries,
        )
        self.ends_are_exact = ends_are_exact
        self.begin(Position(SIZE, komi=0.5))

    def begin(self, position: Position) -> None:
        self.position, self.depth = position, 0
        self.grounded.begin(position, ends_are_exact=self.ends_are_exact)
        for evaluator in (self.grounded, self.plain):
            evaluator.initial(position.observation()[None], slot(0))

    def step(self, action: int) -> RecurrentOutput:
        """Into the next slot; the board only follows what is legal."""
        arguments = slot(self.depth), slot(action), ONE * self.position.to_play, slot(self.depth + 1)
        self.depth += 1
        self.imagined = self.plain.recurrent(*arguments)
        if self.position.is_legal(self.position.to_play, action):
            self.position.play(self.position.to_play, action)
        return self.grounded.recurrent(*arguments)

    def look(self) -> np.ndarray:
        """The policy of the real position, from a slot that nobody uses."""
        return self.plain.initial(self.position.observation()[None], slot(15)).policy_logits


def masked(walk: Walk, policy_logits: np.ndarray) -> np.ndarray:
    return np.where(walk.position.legal_mask(), policy_logits, np.float32(ILLEGAL_LOGIT))


def test_only_legal_actions_are_left_down_to_the_depth() -> None:
    walk = Walk(rules_depth=2)
    for depth, action in enumerate((4, 0, 1), 1):
        output = walk.step(action)
        expected = masked(walk, walk.imagined.policy_logits) if depth <= 2 else walk.imagined.policy_logits
        np.testing.assert_array_equal(output.policy_logits, expected)
        np.testing.assert_array_equal(output.value, walk.imagined.value)


def test_depth_is_counted_from_the_root_of_the_present_search() -> None:
    walk = Walk(rules_depth=1)
    walk.step(4)
    walk.begin(walk.position.copy())
    assert (walk.step(0).policy_logits == ILLEGAL_LOGIT).any()


def test_superko_counts_the_game_before_the_root() -> None:
    walk = Walk(rules_depth=EVERYWHERE)
    game = Position(SIZE)
    for vertex in ("A2", "B1", "B3", "A1", "C3", "C1"):  # both have a chain; nothing can be taken twice yet
        game.play(game.to_play, from_gtp(vertex, SIZE))
    walk.begin(game)
    rng = np.random.default_rng(1)
    for _ in range(12):
        legal = np.flatnonzero(walk.position.legal_mask()[:-1])
        output = walk.step(int(rng.choice(legal)) if len(legal) else PASS)
        np.testing.assert_array_equal(output.policy_logits[0] == ILLEGAL_LOGIT, ~walk.position.legal_mask())


@pytest.mark.parametrize("every", [1, 2, 3])
def test_the_real_board_is_seen_at_every_so_many_plies(every: int) -> None:
    walk = Walk(reground_every=every)
    for depth, action in enumerate((4, 0, 1, 8, 5, 7), 1):
        output = walk.step(action)
        if depth % every == 0:
            np.testing.assert_allclose(output.policy_logits, walk.look(), atol=1e-6)
            walk.plain.initial(walk.position.observation()[None], slot(walk.depth))  # imagines from there as well
        else:
            np.testing.assert_allclose(output.policy_logits, walk.imagined.policy_logits, atol=1e-6)


def test_two_passes_are_worth_the_score() -> None:
    for ends_are_exact in (True, False):
        walk = Walk(rules_depth=EVERYWHERE, ends_are_exact=ends_are_exact)
        walk.step(4)  # Black owns everything
        walk.step(PASS)
        output = walk.step(PASS)
        assert output.value == (1.0 if ends_are_exact else walk.imagined.value)
        assert output.value.dtype == np.float32


def test_a_game_that_is_over_stays_as_it_is() -> None:
    walk = Walk(rules_depth=EVERYWHERE, reground_every=1)
    outputs = [walk.step(action) for action in (4, PASS, PASS, PASS, PASS)]
    for output in outputs[2:]:
        assert output.value[0] == 1.0
        np.testing.assert_array_equal(np.flatnonzero(output.policy_logits[0] > ILLEGAL_LOGIT), [PASS])


def test_an_illegal_action_is_imagined_and_so_is_what_follows() -> None:
    walk = Walk(reground_every=2)
    for action in (4, 4, 0, 1):  # a stone on a stone
        output = walk.step(action)
    np.testing.assert_array_equal(output.policy_logits, walk.imagined.policy_logits)


@pytest.mark.parametrize("reground_every", [0, 1, 2])
def test_states_together_equal_one_at_a_time(reground_every: int) -> None:
    """Among them two passes, an illegal action, what follows it, and looks at real positions."""
    walks = [Walk(rules_depth=EVERYWHERE, reground_every=reground_every) for _ in range(2)]
    for walk in walks:
        for action in (4, PASS):
            walk.step(action)
    alone, together = (walk.grounded for walk in walks)
    parents = np.array([0, 1, 1, 2, 2, 2], np.int32)
    actions = np.array([4, 0, 4, 0, PASS, 4], np.int32)
    for first in (8, 8):  # again, from a slot that an illegal action led to
        children = np.arange(first, first + 6, dtype=np.int32)
        to_play = np.array([1, -1, -1, 1, 1, 1], np.int8)
        output = together.recurrent(parents, actions, to_play, children)
        for row in range(6):
            one = slice(row, row + 1)
            expected = alone.recurrent(parents[one], actions[one], to_play[one], children[one])
            np.testing.assert_allclose(output.policy_logits[one], expected.policy_logits, atol=1e-5)
            np.testing.assert_allclose(output.value[one], expected.value, atol=1e-6)
            np.testing.assert_array_equal(output.reward[one], expected.reward)
        parents = np.array([1, 10, 1, 2, 2, 11], np.int32)
    assert output.value[4] == 1.0
    assert (output.policy_logits == ILLEGAL_LOGIT).any()


def test_where_nothing_is_imagined_no_states_are_kept() -> None:
    """The network has room for the root alone, and every node is judged as the real position."""
    walk = Walk(rules_depth=math.inf, reground_every=1, network_slots=1, num_slots=16)
    assert walk.grounded.num_slots == 16
    for action in (4, 0, PASS, 8, 5, 7, 1):
        output = walk.step(action)
        np.testing.assert_array_equal(output.policy_logits, masked(walk, walk.look()))
        np.testing.assert_array_equal(output.reward, [0.0])
    walk.begin(walk.position.copy())
    np.testing.assert_array_equal(walk.step(3).policy_logits, masked(walk, walk.look()))


def test_real_positions_are_seen_as_images_of_themselves() -> None:
    """Each as one of the sixteen, the same one every time, and not all as the same."""
    walks = [
        Walk(rules_depth=math.inf, reground_every=1, network_slots=1, num_slots=16, symmetries=True) for _ in range(2)
    ]
    images, found = Images.of(SIZE), []
    for action in (4, 0, PASS, 8, 5, 7, 1):
        output, again = (walk.step(action) for walk in walks)
        np.testing.assert_array_equal(output.policy_logits, again.policy_logits)
        answers = []
        for image in range(NUM_IMAGES):
            observation = np.empty((24, SIZE * SIZE), np.float32)
            see_image(walks[0].position.observation().reshape(24, -1), image, images, observation)
            policy_logits, value = walks[0].plain.look(observation.reshape(1, 24, SIZE, SIZE))
            restore(policy_logits, value, np.array([image]), images)
            answers.append((masked(walks[0], policy_logits).tobytes(), value.item()))
        seen = (output.policy_logits.tobytes(), output.value.item())
        found.append([image for image, answer in enumerate(answers) if answer == seen])
    assert all(found)
    assert not set.intersection(*map(set, found))


def test_what_is_imagined_is_imagined_from_the_position_as_it_is() -> None:
    for every in (0, 2):
        plain, symmetric = (
            Walk(rules_depth=math.inf, reground_every=every, symmetries=symmetries) for symmetries in (False, True)
        )
        for action in (4, 0, 1):
            expected, output = plain.step(action), symmetric.step(action)
            np.testing.assert_array_equal(output.policy_logits, expected.policy_logits)
            np.testing.assert_array_equal(output.value, expected.value)


def test_a_path_too_long_to_be_followed_is_worth_a_draw() -> None:
    walk = Walk(rules_depth=math.inf, reground_every=1, ends_are_exact=False, network_slots=1, num_slots=MOST_PLIES + 2)
    values = [
        walk.grounded.recurrent(slot(depth), slot(PASS), ONE, slot(depth + 1)).value[0]
        for depth in range(MOST_PLIES + 1)
    ]
    assert values[MOST_PLIES - 5] != 0
    assert values[-2:] == [0.0, 0.0]


def test_planes_of_the_small_variant() -> None:
    class Watch(OnnxEvaluator):
        """Keeps what it was shown."""

        def look(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            self.seen = observations
            return np.zeros((len(observations), PASS + 1), np.float32), np.zeros(len(observations), np.float32)

    network = Watch(*tiny_go_model(seed=5).files, board_size=SIZE, num_slots=1)
    assert isinstance(network, Watch)
    position = Position(SIZE, komi=0.5)
    grounded = GroundedEvaluator(
        network, size=SIZE, variant="basic", rules_depth=math.inf, reground_every=1, num_slots=8
    )
    grounded.begin(position, ends_are_exact=True)
    grounded.initial(position.observation()[None], slot(0))
    grounded.recurrent(slot(0), slot(4), ONE, slot(1))
    position.play(1, 4)
    np.testing.assert_array_equal(network.seen[0], position.observation("basic"))
