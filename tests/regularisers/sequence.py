"""A task and then another: a small model that has learnt A, and what it still knows of A once it was trained on B.

start = knows_a()                                        # its loss on A has fallen
after = then_b(Full(), EWC(strength=1000), start)        # after.on_a, after.on_b: loss per token
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.core.training_settings import TrainingSettings
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.models.flat import use_flat_attention
from luthier.models.forward import inference
from luthier.models.tokens import Encoded
from luthier.objectives.supervised import Supervised, SupervisedData
from luthier.regularisers.regulariser import Regulariser
from luthier.training.loop import Trained, train
from tests.families import attach_to, family_data, family_rows
from tests.training.small import (
    ALWAYS,
    InterruptionError,
    attached,
    base,
    differing,
    fit,
    sequences,
    supervised_data,
    weights,
)

TASK_A, TASK_B = sequences(64), sequences(64, seed=1, answers=(15, 16, 17, 18))


@dataclass(frozen=True)
class After:
    """A model after its training on B, with its loss per token on both tasks."""

    model: Any
    trained: Trained
    on_a: float
    on_b: float


@cache
def knows_a() -> dict[str, torch.Tensor]:
    """The weights of a small model that was trained on A."""
    model = attached(Full())
    fit(model, supervised_data(TASK_A), Full(), learning_rate=1e-3, steps=40, validations=0)
    return {name: value.clone() for name, value in model.state_dict().items()}


def then_b(method: Method, regulariser: Regulariser, *, learning_rate: float = 1e-3, steps: int = 20) -> After:
    """Train what knows A on B."""
    model = base("llama")
    use_flat_attention(model)
    model.load_state_dict(knows_a())
    torch.manual_seed(0)
    model = method.attach(model, None)
    retained = supervised_data(TASK_A, batch_size=regulariser.retained_rows(8)) if regulariser.retains else None
    trained = held(
        model, supervised_data(TASK_B), method, regulariser, retained, learning_rate=learning_rate, steps=steps
    )
    return After(model, trained, loss(model, TASK_A), loss(model, TASK_B))


def loss(model: Any, rows: list[Encoded]) -> float:
    """Per token."""
    [batch] = supervised_data(rows, batch_size=len(rows)).step(0, 0)
    with inference(model):
        return float(Supervised().loss(model, batch)) / Supervised().units(batch)


def held(
    model: Any,
    data: SupervisedData,
    method: Method,
    regulariser: Regulariser,
    retained: SupervisedData | None,
    *,
    learning_rate: float = 1e-3,
    checkpoints: Path | None = None,
    interrupt_at: int | None = None,
    **settings: Any,
) -> Trained:
    """Train the model in place with a regulariser that may read retained data."""

    def notify(phase: str, step: int, total: int, values: Any) -> None:
        if step == interrupt_at:
            raise InterruptionError

    return train(
        model,
        data,
        method=method,
        objective=Supervised(),
        regulariser=regulariser,
        settings=TrainingSettings(validations=0, checkpoint_minutes=ALWAYS, **settings),
        learning_rate=learning_rate,
        retained=retained,
        checkpoints=checkpoints,
        notify=notify,
    )


def goes_on_bit_for_bit(family: str, method: Method, regulariser: Regulariser, place: Path) -> None:
    """A training of this family that is interrupted and taken up again ends where one without interruption does, and
    elsewhere than one without the regulariser."""
    rows, others = family_rows(family, 12), family_rows(family, 12, seed=1)

    def sitting(regulariser: Regulariser, **more: Any) -> Any:
        model = attach_to(family, method)
        data = family_data(model, rows, batch_size=6)
        kept = family_data(model, others, batch_size=regulariser.retained_rows(6)) if regulariser.retains else None
        held(model, data, method, regulariser, kept, learning_rate=1e-2, steps=4, clip=1e9, **more)
        return weights(model)

    whole = sitting(regulariser)
    with pytest.raises(InterruptionError):
        sitting(regulariser, checkpoints=place, interrupt_at=3)
    assert not differing(sitting(regulariser, checkpoints=place), whole)
    free = sitting(type(regulariser).model_validate({**_off(regulariser)}))
    assert differing(free, whole)


def _off(regulariser: Regulariser) -> dict[str, float]:
    return {"share" if "share" in type(regulariser).model_fields else "strength": 0.0}
