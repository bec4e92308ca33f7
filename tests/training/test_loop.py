"""The loop: accumulation, bad losses, validations, early stopping, its log."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.methods.full import Full
from luthier.methods.reparameterised.lora import LoRA
from luthier.models.batch import Batch
from luthier.objectives.supervised import Supervised
from tests.training.small import attached, differing, fit, sequences, supervised_data, weights

ROWS = sequences(20)


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
def test_accumulation_over_ragged_rows_equals_the_big_batch(flat: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    few = supervised_data(ROWS, flat=flat, most_tokens=40)
    units = [Supervised().units(batch) for batch in few.step(0, 0)]
    assert len(units) > 2 and len(set(units)) > 1  # a mean of means would be something else
    monkeypatch.setattr("luthier.models.batch.FILL", 0.0)  # else ragged rows would not stand in one padded batch
    whole = supervised_data(ROWS, flat=flat, most_tokens=100_000)
    assert len(whole.step(0, 0)) == 1
    method = Full()
    # AdamW's first steps divide a gradient by its own size: of one near zero, rounding alone decides the sign. A small
    # rate keeps that below the tolerance.
    one = fit(attached(method), whole, method, learning_rate=5e-4, steps=8)
    many = fit(attached(method), few, method, learning_rate=5e-4, steps=8)
    assert one.losses == pytest.approx(many.losses, rel=1e-6)
    assert one.losses[-1] < one.losses[0] - 0.5
    assert one.trained.tokens == many.trained.tokens
    for name, value in weights(one.model).items():
        torch.testing.assert_close(value, weights(many.model)[name], atol=1e-5, rtol=0, msg=name)


class Explodes(Supervised):
    """Supervised, with a fault at the examples of one step."""

    name: ClassVar[str] = "explodes"
    at: tuple[str, ...] = ()
    fault: str = "loss"

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        loss = super().loss(model, batch)
        if not set(batch.example_ids) & set(self.at):
            return loss
        if self.fault == "loss":
            return loss * math.inf
        weight = next(p for p in model.parameters() if p.requires_grad)
        return loss + (weight * 0).sum().sqrt()  # 0, with a slope that is not a number


@pytest.mark.parametrize("fault", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_before_the_step(fault: str) -> None:
    data, method = supervised_data(ROWS), LoRA()
    third = [name for batch in data.step(0, 2) for name in batch.example_ids]
    model, before = attached(method), []
    with pytest.raises(LuthierError, match="step 3") as caught:
        fit(
            model,
            data,
            method,
            objective=Explodes(at=tuple(third), fault=fault),
            steps=6,
            watch=lambda phase, step: before.append(weights(model)),
        )
    assert caught.value.exit_code == 1
    assert caught.value.where is not None and all(name in caught.value.where for name in third)
    assert len(before) == 2
    assert not differing(weights(model), before[-1])
    assert differing(before[0], before[1])


def test_epochs_become_steps() -> None:
    data, method = supervised_data(sequences(40), batch_size=4), LoRA(rank=1)
    for epochs, steps in ((0.7, 7), (0.01, 1), (0.25, 3)):
        assert fit(attached(method), data, method, epochs=epochs, validations=0).trained.steps == steps


def test_validations_are_spread_and_the_last_is_at_the_end() -> None:
    data, method = supervised_data(ROWS, ROWS[:4]), LoRA(rank=1)
    fitted = fit(attached(method), data, method, steps=7, validations=3)
    assert list(fitted.validation_losses) == [2, 5, 7]
    assert fitted.trained.validation_loss == fitted.validation_losses[7]
    assert fitted.trained.kept_step == fitted.trained.steps == 7
    assert not fit(attached(method), data, method, steps=2, validations=0).validation_losses
    assert not fit(attached(method), supervised_data(ROWS), method, steps=2).validation_losses


def test_the_validation_loss_is_that_of_the_finished_model_per_token() -> None:
    data, method = supervised_data(ROWS, ROWS[:5], most_tokens=30), LoRA(rank=2, dropout=0.5)
    fitted = fit(attached(method), data, method, steps=3, validations=1)
    nats = tokens = 0.0
    for row in ROWS[:5]:
        ids = torch.tensor([row.ids])
        with torch.no_grad():
            logits = fitted.model(input_ids=ids, use_cache=False).logits[0].log_softmax(-1)
        for position in range(row.prompt_length, len(row.ids)):
            nats -= float(logits[position - 1, row.ids[position]])
            tokens += 1
    assert fitted.trained.validation_loss == pytest.approx(nats / tokens, rel=1e-5)
    assert not fitted.model.training


class TestEarlyStopping:
    # Some of the held-out answers are like those trained on, so their loss falls first and rises after.
    data = supervised_data(sequences(8), sequences(8, seed=1, answers=(11, 12, 13, 14, 15)))
    settings: ClassVar[dict[str, Any]] = {
        "steps": 40, "validations": 20, "patience": 2, "schedule": "constant", "learning_rate": 3e-3
    }  # fmt: skip

    def test_the_best_weights_are_kept(self, tmp_path: Path) -> None:
        method, at = Full(), {}
        model = attached(method)
        settings = dict(self.settings)
        rate = settings.pop("learning_rate")
        fitted = fit(
            model, self.data, method, learning_rate=rate, checkpoints=tmp_path, **settings,
            watch=lambda phase, step: at.update({step: weights(model)}) if phase == "validate" else None,
        )  # fmt: skip
        losses = fitted.validation_losses
        best = min(losses, key=lambda step: losses[step])
        assert 2 < best < fitted.trained.steps < 40
        assert fitted.trained.steps == best + 4  # two validations without a better loss
        assert fitted.trained.kept_step == best
        assert fitted.trained.validation_loss == losses[best]
        assert not differing(weights(model), at[best])
        assert differing(weights(model), at[fitted.trained.steps])

    def test_without_a_place_to_keep_them_the_last_weights_stay(self) -> None:
        settings = dict(self.settings)
        rate = settings.pop("learning_rate")
        fitted = fit(attached(Full()), self.data, Full(), learning_rate=rate, **settings)
        assert fitted.trained.kept_step == fitted.trained.steps < 40
        assert fitted.trained.validation_loss == fitted.validation_losses[fitted.trained.steps]

    def test_a_validation_loss_that_is_no_number_is_never_the_best(self, tmp_path: Path) -> None:
        method = LoRA()
        held_out = sequences(2, seed=1)
        objective = Explodes(at=(held_out[0].example_id,), fault="loss")
        fitted = fit(
            attached(method), supervised_data(ROWS, held_out), method, objective=objective,
            steps=8, validations=8, patience=3, checkpoints=tmp_path,
        )  # fmt: skip
        assert fitted.trained.steps == fitted.trained.kept_step == 3
        assert not (tmp_path / "best").exists()


def test_a_line_a_step(tmp_path: Path) -> None:
    data, method = supervised_data(ROWS, ROWS[:4]), LoRA(rank=1)
    log = tmp_path / "run" / "train.jsonl"
    fitted = fit(attached(method), data, method, steps=6, validations=1, warmup=0.5, log=log)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["loss"] for line in lines[:6]] == fitted.losses
    assert lines[6] == {"step": 6, "validation_loss": fitted.validation_losses[6]}
    assert [line["step"] for line in lines[:6]] == [1, 2, 3, 4, 5, 6]
    assert [line["learning_rate"] for line in lines[:3]] == pytest.approx([1e-2 / 3, 2e-2 / 3, 1e-2])
    tokens = [sum(batch.tokens for batch in data.step(*divmod(step, 3))) for step in range(6)]
    assert [line["tokens"] for line in lines[:6]] == [sum(tokens[: step + 1]) for step in range(6)]
    assert tokens[:3] != tokens[3:]  # shuffled anew
    assert sum(tokens[:3]) == sum(tokens[3:]) == sum(len(row.ids) for row in ROWS)
    assert fitted.trained.tokens == sum(tokens)
    assert fitted.trained.loss == pytest.approx(sum(fitted.losses) / 6)


def test_a_gradient_above_the_clip_is_shortened_to_it() -> None:
    method, norms = Full(), []

    class Norms(Full):
        def after_step(self, model: Any, step: int) -> None:
            norms.append(step)

    # With plain steps of length lr * gradient AdamW would hide the clip, so the gradient itself is looked at.
    model = attached(method)
    seen: list[float] = []
    original = torch.optim.AdamW.step

    def step(self: Any, *args: Any) -> Any:
        seen.append(float(torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in model.parameters()]))))
        return original(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        fit(model, supervised_data(ROWS), Norms(), steps=2, clip=0.05)
    assert seen == pytest.approx([0.05, 0.05], rel=1e-4)
    assert norms == [0, 1]
