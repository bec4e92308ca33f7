"""Arms that are trained together come to what each of them comes to alone, whichever way it is cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.core import interruption
from luthier.core.training_settings import TrainingSettings
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.reparameterised.stacked_lora import StackedLoRA
from luthier.models.batch import flat_batch, padded_batch
from luthier.models.flat import use_flat_attention
from luthier.models.forward import inference, scored_logits
from luthier.models.shells import drops_out, shell_of
from luthier.objectives.supervised import Supervised, SupervisedData
from luthier.training.stacked import StackedArm, copies, train_stacked
from luthier.training.stacked_adamw import StackedAdamW, clip_rows
from tests.models.decoders import decoder
from tests.training.small import ALWAYS, Fitted, attached, base, fit, sequences, supervised_data

ARMS = ((LoRA(rank=2), 1e-2), (LoRA(rank=4, rslora=True), 1e-2), (LoRA(rank=8, alpha=4.0), 3e-3))
ROWS, HELD_OUT = sequences(20), sequences(6, seed=1)
STEPS = {"steps": 7, "validations": 2}


def together(
    family: str,
    data: SupervisedData,
    arms: tuple[tuple[LoRA, float], ...] = ARMS,
    place: Path | None = None,
    flat: bool = True,
    **settings: Any,
) -> list[StackedArm]:
    model = base(family)
    if flat:
        use_flat_attention(model)
    stacked = []
    for number, (method, rate) in enumerate(arms):
        torch.manual_seed(0)
        adapted = method.attach(shell_of(model), None)
        arm = StackedArm(adapted, method, rate)
        if place is not None:
            arm.checkpoints, arm.log = place / f"{number}" / "checkpoint", place / f"{number}" / "train.jsonl"
            arm.log.parent.mkdir(parents=True, exist_ok=True)
        stacked.append(arm)
    train_stacked(model, stacked, data, objective=Supervised(), settings=TrainingSettings(**{**STEPS, **settings}))
    return stacked


def alone(family: str, data: SupervisedData, number: int = 0, **settings: Any) -> Fitted:
    method, rate = ARMS[number]
    return fit(attached(method, family=family), data, method, learning_rate=rate, **{**STEPS, **settings})


def factors(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach() for name, value in model.named_parameters() if "lora_" in name}


def logged(path: Path, key: str) -> list[float]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line[key] for line in lines if key in line]


def assert_alike(arm: StackedArm, single: Fitted) -> None:
    assert arm.trained is not None
    assert arm.trained.loss == pytest.approx(single.trained.loss, rel=1e-6)
    assert arm.trained.validation_loss == pytest.approx(single.trained.validation_loss, rel=1e-6)
    assert (arm.trained.steps, arm.trained.tokens) == (single.trained.steps, single.trained.tokens)
    ours, theirs = factors(arm.model), factors(single.model)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        # Where a gradient is all but zero Adam moves a weight by its sign alone: there rounding shows.
        assert (ours[name] - value).abs().median() <= 3e-6 * value.abs().median(), name
        assert (ours[name] - value).norm() <= 3e-4 * value.norm(), name


@pytest.mark.parametrize(
    ("family", "flat", "settings"),
    [
        pytest.param("llama", True, {"weight_decay": 0.1, "micro_batch_tokens": 80}, id="flat"),
        pytest.param("bloom", False, {}, id="padded"),
        pytest.param("gpt2", True, {}, id="turned matrices"),
    ],
)
def test_every_step_is_that_of_the_arm_alone(family: str, flat: bool, settings: Any, tmp_path: Path) -> None:
    most = settings.get("micro_batch_tokens", 4096)
    data = supervised_data(ROWS, HELD_OUT, flat=flat, most_tokens=most)
    stacked = together(family, data, place=tmp_path, flat=flat, **settings)
    for number, arm in enumerate(stacked):
        single = alone(family, data, number, log=tmp_path / "alone.jsonl", **settings)
        assert_alike(arm, single)
        assert arm.log is not None
        assert logged(arm.log, "loss") == pytest.approx(single.losses, rel=1e-6)
        assert logged(arm.log, "validation_loss") == pytest.approx([*single.validation_losses.values()], rel=1e-6)
        for key in ("step", "tokens", "learning_rate"):
            assert logged(arm.log, key) == logged(tmp_path / "alone.jsonl", key)
        (tmp_path / "alone.jsonl").unlink()


def test_gradients_are_those_of_the_arm_alone_and_padding_has_none() -> None:
    model, objective, batch = base("llama"), Supervised(), flat_batch(ROWS[:8])
    use_flat_attention(model)
    adapted = []
    for number, (method, _) in enumerate(ARMS):
        torch.manual_seed(number)
        adapted.append(method.attach(shell_of(model), None))
        for name, value in factors(adapted[-1]).items():
            torch.nn.init.normal_(value, std=0.05 if "lora_B" in name else 0.1)
    stack = StackedLoRA(shell_of(model), adapted, [method for method, _ in ARMS])
    losses = objective.losses(stack.model, copies(batch, 3), 3)
    losses.sum().backward()
    for row, (arm, (method, _)) in enumerate(zip(adapted, ARMS, strict=True)):
        loss = objective.loss(arm, batch)
        loss.backward()
        assert losses[row].item() == pytest.approx(loss.item(), rel=1e-6)
        gradients = {name: value.grad for name, value in arm.named_parameters() if value.grad is not None}
        own = stack.unpacked(stack.gradients[row], method.rank)
        assert own.keys() == gradients.keys()
        for name, gradient in gradients.items():
            assert (own[name] - gradient).norm() <= 1e-5 * gradient.norm(), name
        assert torch.equal(stack.packed(own), stack.gradients[row])  # nothing beyond the arm's rank


def test_what_is_saved_is_what_a_single_training_saves(tmp_path: Path) -> None:
    data = supervised_data(ROWS, HELD_OUT)
    arm, single = together("llama", data)[2], alone("llama", data, 2)
    arm.method.save(arm.model, tmp_path / "stacked")
    arm.method.save(single.model, tmp_path / "alone")
    for name in ("adapter_config.json", "base.json"):
        assert (tmp_path / "stacked" / name).read_text() == (tmp_path / "alone" / name).read_text()
    batch = padded_batch(HELD_OUT, pad_id=0)
    answers = []
    for name in ("stacked", "alone"):
        loaded = arm.method.load(base("llama"), tmp_path / name)
        with inference(loaded):
            answers.append(scored_logits(loaded, batch))
    assert torch.allclose(*answers, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("first", ["stacked", "alone"])
def test_a_stack_goes_on_from_single_checkpoints_and_they_from_its(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = supervised_data(ROWS, HELD_OUT)
    whole = [alone("llama", data, number) for number in range(3)]
    with monkeypatch.context() as patched:
        asked = iter([False, False, False, True] * 3)  # a signal comes in the fourth step
        patched.setattr(interruption, "asked", lambda: next(asked))
        if first == "stacked":
            with pytest.raises(interruption.Interrupted):
                together("llama", data, place=tmp_path)
        else:
            for number in range(3):
                with pytest.raises(interruption.Interrupted):
                    alone("llama", data, number, checkpoints=tmp_path / f"{number}" / "checkpoint")
    assert {path.name for path in tmp_path.glob("*/checkpoint/*")} == {"step-00000004"}
    if first == "stacked":
        for number, before in enumerate(whole):
            rest = alone("llama", data, number, checkpoints=tmp_path / f"{number}" / "checkpoint")
            assert rest.losses == pytest.approx(before.losses[4:], rel=1e-6)
    else:
        for arm, before in zip(together("llama", data, place=tmp_path), whole, strict=True):
            assert_alike(arm, before)


def test_a_stack_goes_on_bit_by_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = supervised_data(ROWS, HELD_OUT)
    whole = together("llama", data)
    with monkeypatch.context() as patched:
        asked = iter([False, False, True])
        patched.setattr(interruption, "asked", lambda: next(asked))
        with pytest.raises(interruption.Interrupted):
            together("llama", data, place=tmp_path)
    for arm, before in zip(together("llama", data, place=tmp_path), whole, strict=True):
        assert all(torch.equal(value, factors(arm.model)[name]) for name, value in factors(before.model).items())


def test_an_arm_that_diverges_leaves_the_others_alone() -> None:
    data = supervised_data(ROWS, HELD_OUT)
    arms = (ARMS[0], (LoRA(rank=4), 1e38), ARMS[2])
    first, lost, third = together("llama", data, arms)
    assert lost.trained is None
    assert_alike(first, alone("llama", data, 0))
    assert_alike(third, alone("llama", data, 2))


def test_an_arm_with_another_checkpoint_is_left_to_itself(tmp_path: Path) -> None:
    data = supervised_data(ROWS, HELD_OUT)
    alone("llama", data, 1, checkpoints=tmp_path / "1" / "checkpoint", checkpoint_minutes=ALWAYS)
    first, other, third = together("llama", data, place=tmp_path)
    assert other.trained is None and first.trained is not None and third.trained is not None


def test_a_shell_shares_weights_and_nothing_else() -> None:
    model = decoder("llama")
    shell = shell_of(model)
    assert all(a is b for a, b in zip(model.parameters(), shell.parameters(), strict=True))
    names = {name for name, _ in model.named_modules()}
    LoRA(rank=2).attach(shell, None)
    assert {name for name, _ in model.named_modules()} == names


def test_dropout_is_seen() -> None:
    model = decoder("gpt2")
    assert not drops_out(model)
    model.transformer.h[0].attn.attn_dropout.p = 0.1
    assert drops_out(model)
    model = decoder("llama")
    assert not drops_out(model)
    model.model.layers[1].self_attn.attention_dropout = 0.1
    assert drops_out(model)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_rows_move_as_torch_moves_them(decay: float) -> None:
    torch.manual_seed(0)
    settings = TrainingSettings(weight_decay=decay)
    rows, rates = torch.randn(3, 50), (1e-2, 3e-3, 1e-1)
    singles = [torch.nn.Parameter(row.clone()) for row in rows]
    theirs = [
        torch.optim.AdamW([single], lr=rate / 2, betas=settings.betas, weight_decay=decay)
        for single, rate in zip(singles, rates, strict=True)
    ]
    ours = StackedAdamW(rows, rates, settings)
    for _ in range(5):
        gradients = torch.randn(3, 50)
        for single, gradient in zip(singles, gradients, strict=True):
            single.grad = gradient.clone()
            torch.nn.utils.clip_grad_norm_([single], 6.5)
        clip_rows(gradients, 6.5)
        ours.step(gradients, 0.5)
        for optimizer in theirs:
            optimizer.step()
    assert torch.allclose(rows, torch.stack([single.detach() for single in singles]), rtol=1e-5, atol=1e-7)


def test_copies_score_the_same_positions_in_every_arm() -> None:
    rows = sequences(4)
    for batch in (flat_batch(rows), padded_batch(rows, pad_id=0)):
        twice = copies(batch, 2)
        assert batch.scored is not None and twice.scored is not None
        size, count = batch.input_ids.numel(), len(batch.targets)
        assert torch.equal(twice.scored[count:] - size, batch.scored)
        assert torch.equal(twice.input_ids.reshape(-1)[twice.scored + 1], twice.targets)
        assert twice.lengths == batch.lengths
