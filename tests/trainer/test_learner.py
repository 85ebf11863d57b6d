from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from engine.errors import EvaluationError
from tests.support.go_games import random_games
from trainer.config import EnvConfig, LearnerConfig, TrainConfig
from trainer.learner import Learner, learning_rate
from trainer.losses import compute_losses, unroll
from trainer.network import NetworkConfig, make_network
from trainer.support import Support
from trainer.windows import WindowBuilder, Windows

SIZE = 3


def make_windows(count: int, *, seed: int = 0, **learner: object) -> Windows:
    settings = {"unroll_steps": 2, "consistency_steps": 1} | learner
    config = TrainConfig(env=EnvConfig(size=SIZE), learner=LearnerConfig(**settings))  # type: ignore[arg-type]
    games = random_games(count, size=SIZE, seed=seed)
    rng = np.random.default_rng(seed)
    return WindowBuilder(config, num_actions=10).build([(g, int(rng.integers(len(g)))) for g in games], rng)


def make_learner(*, channels: int = 16, seed: int = 0, **settings: object) -> Learner:
    torch.manual_seed(seed)
    network = make_network(
        NetworkConfig(channels=channels, head_channels=8, representation_blocks=1, dynamics_blocks=1)
    )
    return Learner(network, LearnerConfig(**settings))  # type: ignore[arg-type]


def test_learning_rate_warms_up_and_drops_twice() -> None:
    config = LearnerConfig(learning_rate=1.0, warmup_steps=10, total_steps=100)
    rates = [learning_rate(step, config) for step in (0, 9, 59, 60, 84, 85, 99)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 0.3, 0.3, 0.1, 0.1])


def test_every_weight_learns() -> None:
    learner = make_learner(warmup_steps=0)
    losses = compute_losses(learner.network, make_windows(32), learner.config)
    assert set(losses) == {"policy", "value", "score", "ownership", "board", "legal", "terminal", "consistency"}
    sum(losses.values()).backward()  # type: ignore[union-attr]
    for name, parameter in learner.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_gradient_halves_at_every_imagined_step() -> None:
    learner = make_learner()
    windows = make_windows(8)
    states, _ = unroll(learner.network, windows)
    for state in states:
        state.retain_grad()
    network = learner.network
    states[1].sum().backward()
    halved = states[0].grad.clone()  # type: ignore[union-attr]
    start = states[0].detach().requires_grad_()
    network.imagine(start, windows.action_planes[0]).sum().backward()
    assert torch.allclose(halved, 0.5 * start.grad, atol=1e-6)  # type: ignore[operator]


def test_padding_steps_and_branches_do_not_teach_policy_or_value() -> None:
    learner = make_learner()
    windows = make_windows(32, branch_share=1.0)
    nothing = dataclasses.replace(
        windows,
        policy_weight=torch.zeros_like(windows.policy_weight),
        value_weight=torch.zeros_like(windows.value_weight),
    )
    losses = compute_losses(learner.network, nothing, learner.config)
    for name in ("policy", "value", "score", "ownership"):
        assert losses[name] == 0
    assert losses["board"] > 0


def test_finished_games_teach_no_legality() -> None:
    learner = make_learner()
    games = random_games(8, size=SIZE, seed=0)
    config = TrainConfig(env=EnvConfig(size=SIZE), learner=LearnerConfig(unroll_steps=2, branch_share=0.0))
    rng = np.random.default_rng(0)
    windows = WindowBuilder(config, num_actions=10).build([(game, len(game) - 1) for game in games], rng)
    assert windows.go is not None
    assert (windows.go.terminal[:, 1:] == 1).all()
    legal = windows.go.legal.clone()
    legal[:, 1:] = 1 - legal[:, 1:]
    other = dataclasses.replace(windows, go=dataclasses.replace(windows.go, legal=legal))
    first, second = (compute_losses(learner.network, w, learner.config) for w in (windows, other))
    assert torch.equal(first["legal"], second["legal"])
    assert first["legal"] > 0


def test_consistency_moves_the_imagined_state_and_never_the_real_one() -> None:
    learner = make_learner()
    network = learner.network
    with torch.no_grad():
        network.projection[-1].weight.zero_()  # type: ignore[union-attr]  # nothing flows to imagined states
        network.projection[-1].bias.fill_(1.0)  # type: ignore[union-attr]
    loss = compute_losses(network, make_windows(8), learner.config)["consistency"]
    loss.backward()
    assert loss > 0
    moved = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert moved == {"projection.2.weight", "projection.2.bias"}


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    learner = make_learner()
    before = {k: v.clone() for k, v in learner.state().items()}
    windows = make_windows(8)
    broken = dataclasses.replace(windows, observation=windows.observation * float("nan"))
    with pytest.raises(EvaluationError, match="step 0"):
        learner.step(broken)
    assert all(torch.equal(v, before[k]) for k, v in learner.state().items())
    assert learner.step_count == 0


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    learner = make_learner()
    before = {k: v.clone() for k, v in learner.state().items()}
    next(learner.network.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(
        EvaluationError, match=r"gradient is not finite at step 0.*lower learner\.learning_rate or learner\.clip_norm"
    ):
        learner.step(make_windows(8))
    assert all(torch.equal(v, before[k]) for k, v in learner.state().items())


def test_losses_are_computed_on_the_device_of_the_network() -> None:
    """torch's "meta" device refuses operands of other devices as a GPU does."""
    learner = make_learner()
    losses = compute_losses(learner.network.to("meta"), make_windows(8).to("meta"), learner.config)
    assert {loss.device.type for loss in losses.values()} == {"meta"}


def test_the_layout_of_a_gpu_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, other, windows = make_learner(), make_learner(), make_windows(16)
    wanted = learner.step(windows)
    seen = []

    def channels_last(observation: torch.Tensor) -> torch.Tensor:
        seen.append(observation.contiguous(memory_format=torch.channels_last))
        return seen[-1]

    monkeypatch.setattr("trainer.losses.in_fast_layout", channels_last)
    assert other.step(windows) == pytest.approx(wanted, rel=1e-4)
    assert len(seen) == 2
    assert not seen[0].is_contiguous()
    for one, another in zip(learner.network.parameters(), other.network.parameters(), strict=True):
        assert torch.allclose(one.grad, another.grad, atol=1e-5)  # type: ignore[arg-type]


def test_bfloat16_computes_nearly_the_same_losses_and_leaves_weights_float32() -> None:
    exact, coarse = make_learner(), make_learner(precision="bfloat16")
    windows = make_windows(64)
    wanted, found = exact.step(windows), coarse.step(windows)
    assert found == pytest.approx(wanted, rel=0.05, abs=0.01)
    assert found != wanted
    assert {p.dtype for p in coarse.network.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_head_computes_in_float32(precision: torch.dtype) -> None:
    """The head of rewards too, which sees the imagined states of every step."""
    torch.manual_seed(0)
    reward = Support(low=-1, high=1, bins=3)
    config = NetworkConfig(kind="vector", observation_size=4, num_actions=2, channels=8, reward=reward)
    network, count, steps = make_network(config), 6, 2
    windows = Windows(
        observation=torch.rand(count, 4),
        action_planes=torch.eye(2)[torch.randint(2, (steps, count))],
        policy=torch.full((count, steps + 1, 2), 0.5),
        policy_weight=torch.ones(count, steps + 1),
        value=torch.zeros(count, steps + 1),
        value_weight=torch.ones(count, steps + 1),
        reward=torch.ones(count, steps),
        reward_weight=torch.ones(count, steps),
        future_steps=(),
        future_observations=torch.zeros(0, count, 4),
        future_weight=torch.zeros(0, count),
    )
    seen = []
    for head in (network.reward, network.policy, network.value):
        head[-1].register_forward_hook(lambda *call: seen.append(call[-1].dtype))  # type: ignore[index,union-attr]
    losses = compute_losses(network, windows, LearnerConfig(), precision=precision)
    assert seen == [torch.float32] * 3
    hidden, expected = network.represent(windows.observation), []
    for planes in windows.action_planes:
        logits = network.reward(torch.cat([hidden, planes], 1))  # type: ignore[misc,operator]
        expected.append(-torch.log_softmax(logits, -1)[:, -1].mean() / steps)
        hidden = network.imagine(hidden, planes)
    tolerance = 1e-5 if precision == torch.float32 else 0.02
    assert losses["reward"].item() == pytest.approx(sum(expected).item(), abs=tolerance)  # type: ignore[union-attr]


def test_the_average_follows_the_weights_and_forgets_the_start() -> None:
    learner = make_learner(ema_decay=0.75, learning_rate=1e-2, warmup_steps=0)
    windows = make_windows(8)
    expected = [p.clone() for p in learner.network.parameters()]
    for step in range(1, 40):
        learner.step(windows)
        decay = min(0.75, step / (step + 9))
        current = [p.detach() for p in learner.network.parameters()]
        expected = [decay * e.detach() + (1 - decay) * c for e, c in zip(expected, current, strict=True)]
    for wanted, found in zip(expected, learner.averaged.parameters(), strict=True):
        assert torch.allclose(wanted, found, atol=1e-5)


def test_biases_do_not_decay_and_gradients_are_clipped() -> None:
    learner = make_learner(clip_norm=1e-3)
    assert [group["weight_decay"] for group in learner.optimizer.param_groups] == [1e-4, 0.0]
    assert {p.dim() for p in learner.optimizer.param_groups[1]["params"]} == {1}
    assert learner.step(make_windows(8))["grad_norm"] > 1e-3  # told as it was
    gradients = torch.cat([p.grad.flatten() for p in learner.network.parameters() if p.grad is not None])
    assert gradients.norm() == pytest.approx(1e-3, rel=1e-3)


def test_state_survives_a_round_trip() -> None:
    first, second = make_learner(), make_learner(seed=1)
    windows = make_windows(16)
    for _ in range(3):
        first.step(windows)
    second.load_state({k: v.clone() for k, v in first.state().items()}, step_count=first.step_count)
    assert first.step(windows) == second.step(windows)
    assert all(torch.equal(v, second.state()[k]) for k, v in first.state().items())


def test_a_network_overfits_512_windows() -> None:
    """Random labels on 512 fixed windows are learned by heart: boards, values and policies."""
    learner = make_learner(channels=64, learning_rate=3e-3, warmup_steps=20, total_steps=10_000, weight_decay=0.0)
    windows = make_windows(512, unroll_steps=1, branch_share=0.0)
    assert windows.go is not None
    first = learner.step(windows)
    for _ in range(240):
        last = learner.step(windows)
    floor = -(windows.policy * windows.policy.clamp(min=1e-9).log()).sum(-1) * windows.policy_weight
    policy_floor = float((floor.sum(0)).sum() / 512)
    assert last["board"] < 0.05 * first["board"]
    assert last["value"] < 0.15 * first["value"]
    assert last["policy"] - policy_floor < 0.35 * (first["policy"] - policy_floor)
    assert last["total"] < 0.5 * first["total"]
