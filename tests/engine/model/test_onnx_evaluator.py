"""The ONNX Runtime evaluator: hidden states by slot, threads, faults, and what it must not do to the process."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from engine.errors import EvaluationError, InvalidInput, ModelInvalid
from engine.go.features import encode_actions
from engine.model.catalog import Catalog
from engine.model.onnx_evaluator import OnnxEvaluator
from tests.support.tiny_models import PLANES, TinyModel, tiny_go_model, write_tiny_model

SIZE = 5
ACTIONS = SIZE * SIZE + 1
ROOT = Path(__file__).parents[3]


def make_evaluator(
    model: TinyModel | None = None, *, num_slots: int = 16, board_size: int = SIZE, halves: bool = True
) -> OnnxEvaluator:
    files = (model or tiny_go_model()).files
    return OnnxEvaluator(*files, board_size=board_size, num_slots=num_slots, halves=halves)


def slots(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int32)


def observations(batch: int, *, size: int = SIZE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((batch, PLANES, size, size), dtype=np.float32)


def step(evaluator: OnnxEvaluator, parent: int, action: int, child: int, to_play: int = 1):  # type: ignore[no-untyped-def]
    return evaluator.recurrent(slots(parent), slots(action), np.array([to_play], np.int8), slots(child))


class TestContract:
    def test_initial_returns_every_head(self) -> None:
        output = make_evaluator().initial(observations(3), slots(4, 0, 7))
        assert output.policy_logits.shape == (3, ACTIONS)
        assert output.value.shape == (3,)
        assert output.ownership is not None
        assert output.ownership.shape == (3, SIZE, SIZE)
        assert output.score_mean is not None
        assert output.score_mean.shape == (3,)
        assert output.score_stdev is not None
        assert output.score_stdev.shape == (3,)
        for array in (output.policy_logits, output.value, output.ownership, output.score_mean, output.score_stdev):
            assert array.dtype == np.float32

    def test_recurrent_without_reward_head_returns_zeros(self) -> None:
        evaluator = make_evaluator()
        evaluator.initial(observations(1), slots(0))
        output = step(evaluator, 0, 3, 1)
        assert output.policy_logits.shape == (1, ACTIONS)
        np.testing.assert_array_equal(output.reward, np.zeros(1, np.float32))

    def test_recurrent_computes_what_the_graph_says(self) -> None:
        """An independent evaluation of the two graphs by onnx's reference implementation."""
        model = tiny_go_model()
        evaluator, observed = make_evaluator(model, halves=False), observations(2)
        reference = [ReferenceEvaluator(graph) for graph in (model.initial, model.recurrent)]
        root = evaluator.initial(observed, slots(0, 1))
        hidden, _, _, _, policy, value = reference[0].run(None, {"observation": observed})
        np.testing.assert_allclose(root.policy_logits, policy, atol=1e-5)
        np.testing.assert_allclose(root.value, value, atol=1e-5)
        actions, to_play = slots(7, SIZE * SIZE), np.array([1, -1], np.int8)
        planes = encode_actions(actions, to_play, size=SIZE)
        output = evaluator.recurrent(slots(0, 1), actions, to_play, slots(2, 3))
        _, policy, value = reference[1].run(None, {"hidden": hidden, "action_planes": planes})
        np.testing.assert_allclose(output.policy_logits, policy, atol=1e-5)
        np.testing.assert_allclose(output.value, value, atol=1e-5)

    def test_batch_equals_one_at_a_time_bit_for_bit(self) -> None:
        batched, single = make_evaluator(), make_evaluator()
        observed = observations(4)
        actions, to_play = slots(0, 7, 25, 3), np.array([1, -1, 1, -1], np.int8)
        root = batched.initial(observed, slots(0, 1, 2, 3))
        output = batched.recurrent(slots(0, 1, 2, 3), actions, to_play, slots(4, 5, 6, 7))
        for i in range(4):
            alone = single.initial(observed[i : i + 1], slots(i))
            np.testing.assert_array_equal(alone.policy_logits[0], root.policy_logits[i])
            alone_step = single.recurrent(slots(i), actions[i : i + 1], to_play[i : i + 1], slots(4 + i))
            np.testing.assert_array_equal(alone_step.policy_logits[0], output.policy_logits[i])
            np.testing.assert_array_equal(alone_step.value[0], output.value[i])

    def test_a_look_says_what_initial_says_and_uses_no_slot(self) -> None:
        evaluator, observed = make_evaluator(), observations(3)
        root = evaluator.initial(observed, slots(0, 1, 2))
        before = step(evaluator, 0, 3, 4).policy_logits
        policy_logits, value = evaluator.look(observed)
        np.testing.assert_array_equal(policy_logits, root.policy_logits)
        np.testing.assert_array_equal(value, root.value)
        np.testing.assert_array_equal(evaluator.look(observed[1:2])[0], root.policy_logits[1:2])
        evaluator.look(observations(1, seed=1))
        np.testing.assert_array_equal(step(evaluator, 0, 3, 4).policy_logits, before)

    def test_slots_are_independent(self) -> None:
        """Writing one slot leaves the others, and a slot keeps its state until it is written again."""
        evaluator = make_evaluator()
        evaluator.initial(observations(2), slots(3, 9))
        before = step(evaluator, 3, 1, 0).policy_logits
        evaluator.initial(observations(3, seed=1), slots(2, 4, 9))
        np.testing.assert_array_equal(step(evaluator, 3, 1, 0).policy_logits, before)
        assert not np.array_equal(step(evaluator, 9, 1, 0).policy_logits, before)

    def test_child_may_overwrite_its_parent(self) -> None:
        one, other = make_evaluator(), make_evaluator()
        for evaluator in (one, other):
            evaluator.initial(observations(1), slots(0))
        step(one, 0, 1, 0)
        step(other, 0, 1, 5)
        np.testing.assert_array_equal(step(one, 0, 2, 1).policy_logits, step(other, 5, 2, 1).policy_logits)

    def test_action_and_mover_matter(self) -> None:
        evaluator = make_evaluator()
        evaluator.initial(observations(1), slots(0))
        outputs = [step(evaluator, 0, action, 1, to_play).value[0] for action in (1, 2, 25) for to_play in (1, -1)]
        assert len(set(outputs)) == 6

    def test_another_board_size(self) -> None:
        output = make_evaluator(board_size=9).initial(observations(1, size=9), slots(0))
        assert output.policy_logits.shape == (1, 82)

    def test_two_threads_give_the_results_of_one(self) -> None:
        """Each thread walks its own chain of slots; both start at once."""
        observed = observations(2)
        chains = [np.random.default_rng(seed).integers(0, ACTIONS, 200) for seed in (1, 2)]

        def walk(evaluator: OnnxEvaluator, index: int, barrier: threading.Barrier) -> list[np.ndarray]:
            barrier.wait()
            base, outputs = 3 * index, []
            for i, action in enumerate(chains[index]):
                outputs.append(step(evaluator, base + i % 3, int(action), base + (i + 1) % 3).policy_logits)
            return outputs

        results = []
        for workers in (1, 2):
            evaluator, barrier = make_evaluator(), threading.Barrier(workers)
            evaluator.initial(observed, slots(0, 3))
            with ThreadPoolExecutor(workers) as pool:
                results.append(list(pool.map(lambda i: walk(evaluator, i, barrier), (0, 1))))  # noqa: B023
        np.testing.assert_array_equal(results[0], results[1])


class TestReload:
    def test_new_weights_in_the_same_evaluator(self) -> None:
        evaluator, fresh = make_evaluator(tiny_go_model(1)), make_evaluator(tiny_go_model(2))
        before = evaluator.initial(observations(1), slots(0)).policy_logits
        evaluator.load_bytes(*tiny_go_model(2).files)
        after = evaluator.initial(observations(1), slots(0)).policy_logits
        assert not np.array_equal(after, before)
        np.testing.assert_array_equal(after, fresh.initial(observations(1), slots(0)).policy_logits)

    def test_a_damaged_model_leaves_the_old_one(self) -> None:
        evaluator = make_evaluator(tiny_go_model(1))
        before = evaluator.initial(observations(1), slots(0)).policy_logits
        initial, recurrent = tiny_go_model(2).files
        with pytest.raises(ModelInvalid, match=r"recurrent\.onnx"):
            evaluator.load_bytes(initial, recurrent[:-20])
        np.testing.assert_array_equal(evaluator.initial(observations(1), slots(0)).policy_logits, before)


def set_weight(model: onnx.ModelProto, name: str, value: float) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            array = numpy_helper.to_array(tensor).copy()
            array.reshape(-1)[0] = value
            tensor.CopyFrom(numpy_helper.from_array(array, name))


class TestFaults:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("graph", ["initial", "recurrent"])
    def test_weights_that_give_no_number(self, graph: str, value: float) -> None:
        model = tiny_go_model()
        set_weight(getattr(model, graph), "w_policy", value)
        with pytest.raises(ModelInvalid, match="NaN or infinity"):
            make_evaluator(model)

    def test_observation_that_gives_no_number(self) -> None:
        evaluator = make_evaluator()
        with pytest.raises(EvaluationError, match="NaN or infinity"):
            evaluator.initial(np.full((1, PLANES, SIZE, SIZE), np.nan, np.float32), slots(0))

    @pytest.mark.parametrize("slot", [-1, 16])
    def test_slot_outside_the_pool(self, slot: int) -> None:
        with pytest.raises(InvalidInput, match=r"0\.\.15"):
            make_evaluator().initial(observations(1), slots(slot))

    def test_observations_of_another_size(self) -> None:
        with pytest.raises(InvalidInput, match=r"expected \[1, 24, 5, 5\]"):
            make_evaluator().initial(observations(1, size=9), slots(0))

    def test_board_size_is_needed(self) -> None:
        with pytest.raises(InvalidInput, match="needs a board size"):
            OnnxEvaluator(*tiny_go_model().files, num_slots=1)

    def test_no_slots(self) -> None:
        with pytest.raises(InvalidInput, match="num_slots 0"):
            make_evaluator(num_slots=0)

    @pytest.mark.parametrize(
        ("rename", "message"),
        [
            ({"observation": "board"}, "no tensor 'observation'"),
            ({"hidden": "latent"}, "no tensor 'hidden'"),
            ({"value": "v"}, "no tensor 'value'"),
        ],
    )
    def test_missing_tensor(self, rename: dict[str, str], message: str) -> None:
        model = tiny_go_model()
        for node in model.initial.graph.node:
            for names in (node.input, node.output):
                names[:] = [rename.get(name, name) for name in names]
        for tensor in (*model.initial.graph.input, *model.initial.graph.output):
            tensor.name = rename.get(tensor.name, tensor.name)
        with pytest.raises(ModelInvalid, match=message):
            make_evaluator(model)

    def test_extra_input(self) -> None:
        model = tiny_go_model()
        extra = copy.deepcopy(model.initial.graph.input[0])
        extra.name = "temperature"
        model.initial.graph.input.append(extra)
        with pytest.raises(ModelInvalid, match="unexpected input 'temperature'"):
            make_evaluator(model)

    def test_wrong_element_type(self) -> None:
        model = tiny_go_model()
        model.initial.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
        with pytest.raises(ModelInvalid):
            make_evaluator(model)

    def test_graphs_of_two_models(self) -> None:
        """The hidden state that one makes is not the one that the other takes."""
        model = tiny_go_model()
        weights = {t.name: numpy_helper.to_array(t) for t in model.recurrent.graph.initializer}
        wider = np.concatenate([weights["w_step"]] * 2, axis=1)
        for tensor in model.recurrent.graph.initializer:
            if tensor.name == "w_step":
                tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(wider[:, :12]), "w_step"))
        model.recurrent.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 8
        with pytest.raises(ModelInvalid, match="differ in the channels"):
            make_evaluator(model)

    def test_a_policy_for_another_board(self) -> None:
        model = tiny_go_model()
        nodes = model.initial.graph.node
        concat = next(node for node in nodes if node.output[0] == "policy_logits")
        concat.input.append("passing")
        with pytest.raises(ModelInvalid, match=r"\[1, 27\], expected \[1, 26\]"):
            make_evaluator(model)

    def test_swapped_files(self) -> None:
        initial, recurrent = tiny_go_model().files
        with pytest.raises(ModelInvalid, match="observation"):
            OnnxEvaluator(recurrent, initial, board_size=SIZE, num_slots=1)

    def test_manifest_promises_something_else(self, tmp_path: Path) -> None:
        write_tiny_model(tmp_path, "tiny")
        text = (tmp_path / "tiny" / "manifest.json").read_text()
        (tmp_path / "tiny" / "manifest.json").write_text(text.replace('"hidden_size": 4', '"hidden_size": 8'))
        model = Catalog([tmp_path]).load("tiny")
        with pytest.raises(ModelInvalid, match="hidden_size 4, expected 8"):
            OnnxEvaluator.from_model(model, board_size=SIZE, num_slots=1)


QUIET_PROGRAM = """
import os, threading
from pathlib import Path
from engine.model.onnx_evaluator import OnnxEvaluator
from engine.errors import ModelInvalid
from tests.support.tiny_models import tiny_go_model
initial, recurrent = tiny_go_model().files
evaluator = OnnxEvaluator(initial, recurrent, board_size=5, num_slots=1)
for damaged in (b"", recurrent[:-9], recurrent[:40] + b"\\xff" * 9 + recurrent[49:]):
    try:
        OnnxEvaluator(initial, damaged, board_size=5, num_slots=1)
    except ModelInvalid:
        pass
tasks = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
assert tasks == threading.active_count() == 1, tasks
found = [str(p) for p in Path(os.environ["HOME"]).rglob("*") if p.is_file()]
assert not found, found
"""


def test_no_telemetry_and_nothing_on_stdout(tmp_path: Path) -> None:
    """No thread, no file in the home folder, no print, also outside CI, where ONNX Runtime keeps still by itself."""
    hidden = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", QUIET_PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
