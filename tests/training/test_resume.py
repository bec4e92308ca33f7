"""An interrupted training goes on as if it had not been: the same losses and weights, bit for bit."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from tests.training.small import (
    ALWAYS,
    Fitted,
    InterruptionError,
    attached,
    differing,
    fit,
    sequences,
    supervised_data,
    weights,
)

DATA = supervised_data(sequences(20), sequences(6, seed=1))  # three steps an epoch, the last with four rows
WITH_DROPOUT = LoRA(dropout=0.3)


def sitting(method: Method, **settings: Any) -> Fitted:
    return fit(attached(method), DATA, method, steps=9, validations=3, checkpoint_minutes=ALWAYS, **settings)


@pytest.mark.parametrize("done", [3, 4, 6], ids=["end of an epoch", "within an epoch", "end of the next epoch"])
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        pytest.param(WITH_DROPOUT, {}, id="lora with dropout"),
        pytest.param(Full(), {"learning_rate": 1e-3, "optimizer": "muon", "weight_decay": 0.1}, id="full with muon"),
    ],
)
def test_the_rest_is_bit_equal(method: Method, settings: dict[str, Any], done: int, tmp_path: Path) -> None:
    whole = sitting(method, log=tmp_path / "whole.jsonl", **settings)
    places = {"checkpoints": tmp_path / "checkpoint", "log": tmp_path / "train.jsonl"}
    with pytest.raises(InterruptionError):
        sitting(method, interrupt_at=done + 1, **places, **settings)
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == [f"step-{done:08d}"]
    # Where the random streams stand by now must not matter, nor what the fresh adapter drew.
    model = attached(method, seed=123)
    torch.manual_seed(99)
    random.seed(99)
    rest = fit(model, DATA, method, steps=9, validations=3, checkpoint_minutes=ALWAYS, **places, **settings)
    assert rest.losses == whole.losses[done:]
    assert not differing(weights(rest.model), weights(whole.model))
    assert rest.trained.steps == 9
    assert rest.trained.tokens == whole.trained.tokens
    assert rest.trained.loss == whole.trained.loss
    assert rest.trained.validation_loss == whole.trained.validation_loss
    lines = [
        [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in path.open()]
        for path in (tmp_path / "whole.jsonl", places["log"])
    ]
    assert lines[0] == lines[1]  # no step is missing, none stands there twice


def test_dropout_is_what_the_random_state_is_kept_for(tmp_path: Path) -> None:
    """Without it the losses after resuming would differ: the test above would notice."""
    first = sitting(WITH_DROPOUT)
    model = attached(WITH_DROPOUT)
    torch.manual_seed(99)
    again = fit(model, DATA, WITH_DROPOUT, steps=9, validations=3)
    assert first.losses != again.losses


def test_early_stopping_goes_on_where_it_was(tmp_path: Path) -> None:
    data = supervised_data(sequences(8), sequences(8, seed=1, answers=(11, 12, 13, 14, 15)))
    settings: dict[str, Any] = {
        "steps": 40, "validations": 20, "patience": 2, "schedule": "constant", "checkpoint_minutes": ALWAYS
    }  # fmt: skip
    whole = fit(attached(Full()), data, Full(), learning_rate=3e-3, checkpoints=tmp_path / "whole", **settings)
    kept, steps = whole.trained.kept_step, whole.trained.steps
    place = tmp_path / "parts"
    for interrupt_at in (kept + 1, kept + 3):  # after the best was kept, and after one validation that was worse
        with pytest.raises(InterruptionError):
            fit(
                attached(Full()), data, Full(), learning_rate=3e-3,
                checkpoints=place, interrupt_at=interrupt_at, **settings,
            )  # fmt: skip
    rest = fit(attached(Full()), data, Full(), learning_rate=3e-3, checkpoints=place, **settings)
    assert (rest.trained.kept_step, rest.trained.steps) == (kept, steps)
    assert rest.trained.validation_loss == whole.trained.validation_loss
    assert not differing(weights(rest.model), weights(whole.model))
    assert {path.name for path in place.iterdir()} == {"best", f"step-{steps:08d}"}


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    whole = sitting(WITH_DROPOUT, checkpoints=tmp_path)
    again = sitting(WITH_DROPOUT, checkpoints=tmp_path)
    assert again.losses == []
    assert again.trained.loss == whole.trained.loss
    assert not differing(weights(again.model), weights(whole.model))
