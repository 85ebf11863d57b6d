"""`OnnxExporter`: a network as two ONNX graphs, and new weights in them within milliseconds.

torch traces the network once; afterwards only the initializers change, by name. That is exact because every weight
stands in the graph as it stands in the network, which the constructor proves. Knows nothing of files, manifests or ONNX
Runtime.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.numpy_helper
import torch
from torch import Tensor, nn
from torch.export import Dim

from engine.errors import ModelInvalid
from engine.go.features import NUM_ACTION_PLANES
from trainer.network import GoNetwork, Network

PREFIX = "network."
"""What the traced modules put before the network's own parameter names."""


class ModelBytes(NamedTuple):
    """A whole model, as ONNX Runtime reads it."""

    initial: bytes
    """initial.onnx: observation -> hidden state and predictions."""
    recurrent: bytes
    """recurrent.onnx: hidden state and action -> next hidden state and predictions."""


class InitialInference(nn.Module):
    """`initial_inference` with plain tensors out; scalars are decoded inside the graph."""

    inputs = ("observation",)

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        names = ["hidden", "policy_logits", "value"]
        self.outputs = [*names, "ownership", "score_mean", "score_stdev"] if isinstance(network, GoNetwork) else names

    def forward(self, observation: Tensor) -> tuple[Tensor, ...]:
        output = self.network.initial(observation, auxiliary=isinstance(self.network, GoNetwork))
        plain = (output.hidden, output.policy_logits, self.network.config.value.decode(output.value_logits))
        if output.ownership is None or output.score is None:
            return plain
        return (*plain, output.ownership, output.score[:, 0], output.score[:, 1])


class RecurrentInference(nn.Module):
    """`recurrent_inference` with plain tensors out; `reward` only where the network predicts one."""

    inputs = ("hidden", "action_planes")

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        names = ["next_hidden", "policy_logits", "value"]
        self.outputs = [*names, "reward"] if network.config.reward is not None else names

    def forward(self, hidden: Tensor, action_planes: Tensor) -> tuple[Tensor, ...]:
        output = self.network.recurrent(hidden, action_planes)
        config = self.network.config
        plain = (output.hidden, output.policy_logits, config.value.decode(output.value_logits))
        if output.reward_logits is None or config.reward is None:
            return plain
        return (*plain, config.reward.decode(output.reward_logits))


class OnnxExporter:
    """Makes model bytes from any state dict of networks like the one it was built with.

    Building takes some seconds, `export` a few milliseconds. Not safe to call from two threads at once.
    """

    def __init__(self, network: Network) -> None:
        """Traces `network`; its weights are only read as the default of `export`. Raises `ModelInvalid` if the
        tracer did not keep every weight as it is."""
        self._network = network
        traced = copy.deepcopy(network).cpu().float().eval().requires_grad_(True)
        _scramble(traced)
        self._graphs = [
            _trace(module, _samples(module)) for module in (InitialInference(traced), RecurrentInference(traced))
        ]
        self._weights = [
            [(t.name.removeprefix(PREFIX), t) for t in graph.graph.initializer if t.name.startswith(PREFIX)]
            for graph in self._graphs
        ]

    def export(self, state_dict: Mapping[str, Tensor] | None = None) -> ModelBytes:
        """The model with the weights of `state_dict` (default: the network's own, as they are now).

        Raises `ModelInvalid` for a weight that is missing, has another shape, or holds NaN or infinity.
        """
        weights = self._network.state_dict() if state_dict is None else state_dict
        arrays: dict[str, bytes] = {}
        for targets in self._weights:
            for name, target in targets:
                if name not in arrays:
                    arrays[name] = _weight_bytes(weights, name, tuple(target.dims))
                target.raw_data = arrays[name]
        return ModelBytes(*(graph.SerializeToString(deterministic=True) for graph in self._graphs))


def _weight_bytes(weights: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> bytes:
    """Little-endian float32 bytes of one weight, after checks."""
    if name not in weights:
        raise ModelInvalid(f"weight {name!r} is missing")
    array = weights[name].detach().to("cpu", torch.float32).contiguous().numpy()
    if array.shape != shape:
        raise ModelInvalid(f"weight {name!r} has shape {list(array.shape)}, expected {list(shape)}")
    if not np.isfinite(array).all():
        raise ModelInvalid(f"weight {name!r} holds NaN or infinity")
    return array.astype("<f4", copy=False).tobytes()


def _scramble(network: nn.Module) -> None:
    """Gives every weight values of its own, so that no optimisation of the tracer can depend on them: zero biases would
    be dropped and equal tensors shared."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))


def _samples(module: InitialInference | RecurrentInference) -> tuple[Tensor, ...]:
    """Inputs to trace with: two samples, height and width unequal, so that no dimension is taken for another. Their
    values do not matter, and zeros leave torch's global generator alone."""
    config = module.network.config
    board = (7, 8) if config.kind == "go" else ()
    actions = NUM_ACTION_PLANES if config.kind == "go" else config.num_actions
    if isinstance(module, InitialInference):
        return (torch.zeros(2, config.observation_size, *board),)
    return (torch.zeros(2, config.channels, *board), torch.zeros(2, actions, *board))


def _trace(module: InitialInference | RecurrentInference, samples: tuple[Tensor, ...]) -> onnx.ModelProto:
    """The ONNX graph of `module`: batch, height and width are free, every weight an initializer of its own."""
    dims: dict[int, Any] = {0: Dim("batch")}
    if samples[0].dim() == 4:
        dims |= {2: Dim("height"), 3: Dim("width")}
    with _quiet():
        program = torch.onnx.export(
            module,
            samples,
            dynamo=True,
            input_names=list(module.inputs),
            output_names=module.outputs,
            dynamic_shapes=dict.fromkeys(module.inputs, dims),
            optimize=True,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _check_weights(model, module, samples)
    _strip(model)
    return model


def _check_weights(model: onnx.ModelProto, module: nn.Module, samples: tuple[Tensor, ...]) -> None:
    """Raises `ModelInvalid` unless each weight that an output depends on is an initializer of its name and values."""
    names, parameters = zip(*module.named_parameters(), strict=True)
    total = sum(output.sum() for output in module(*samples))
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    found = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
        if gradient is None:
            continue
        if name not in found or not np.array_equal(found[name], parameter.detach().numpy()):
            raise ModelInvalid(f"torch {torch.__version__} exported weight {name!r} in a changed form")


def _strip(model: onnx.ModelProto) -> None:
    """Removes what inference does not need: source locations, inferred shapes, tracing metadata."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    for output in graph.output:
        for dim in output.type.tensor_type.shape.dim:
            if not dim.dim_param.isidentifier() and dim.dim_param:
                dim.dim_param = "actions"


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back the tracer's remarks on missing optional packages and on its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
