"""Small trainings: a decoder in memory, ragged rows whose answers can be learnt, and one call that trains it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from luthier.core.training_settings import TrainingSettings
from luthier.methods.method import Method
from luthier.models.flat import use_flat_attention
from luthier.models.tokens import Encoded
from luthier.objectives.objective import Objective, TrainingData
from luthier.objectives.supervised import Supervised, SupervisedData
from luthier.regularisers.regulariser import NoRegulariser, Regulariser
from luthier.training.loop import Trained, train
from tests.models.decoders import VOCABULARY, decoder
from tests.models.encoder_decoders import FAMILIES as ENCODER_DECODERS
from tests.models.encoder_decoders import encoder_decoder

ALWAYS = 1e-9
"""A `checkpoint_minutes` that is over after every step."""


def sequences(count: int, seed: int = 0, answers: Sequence[int] = (11, 12, 13, 14)) -> list[Encoded]:
    """Ragged rows: 3 to 20 tokens of prompt, then 1 to 9 out of `answers`, then 10, which ends them all."""
    stream = random.Random(seed)
    rows = []
    for index in range(count):
        prompt = [stream.randrange(20, VOCABULARY) for _ in range(stream.randrange(3, 21))]
        answer = [stream.choice(answers) for _ in range(stream.randrange(1, 10))]
        rows.append(Encoded(f"{seed}-{index}", (*prompt, *answer, 10), len(prompt)))
    return rows


def supervised_data(
    rows: Sequence[Encoded],
    held_out: Sequence[Encoded] = (),
    *,
    batch_size: int = 8,
    seed: int = 0,
    flat: bool = True,
    most_tokens: int = 4096,
    start_id: int | None = None,
) -> SupervisedData:
    return SupervisedData(
        rows,
        held_out,
        batch_size=batch_size,
        seed=seed,
        flat=flat,
        most_tokens=most_tokens,
        pad_id=0,
        start_id=start_id,
    )


def base(family: str) -> Any:
    """A decoder, or an encoder-decoder, of that family."""
    return encoder_decoder(family, loud=False) if family in ENCODER_DECODERS else decoder(family)


def attached(method: Method, *, family: str = "llama", seed: int = 0) -> Any:
    """A fresh model with the method on it, ready for flat rows where both can take them."""
    model = base(family)
    use_flat_attention(model)
    torch.manual_seed(seed)
    return method.attach(model, None)


@dataclass
class Fitted:
    """A model, how its training went, and what it told of itself."""

    model: Any
    trained: Trained
    losses: list[float] = field(default_factory=list)
    validation_losses: dict[int, float] = field(default_factory=dict)


class InterruptionError(Exception):
    """What stands for a process that is ended in the middle of a training."""


def fit(
    model: Any,
    data: TrainingData,
    method: Method,
    *,
    learning_rate: float = 1e-2,
    objective: Objective | None = None,
    regulariser: Regulariser | None = None,
    checkpoints: Path | None = None,
    log: Path | None = None,
    interrupt_at: int | None = None,
    watch: Any = None,
    precision: str = "fp32",
    **settings: Any,
) -> Fitted:
    """Train the model in place.

    Args:
        interrupt_at: the step after which, before its checkpoint is written, the process ends.
        watch: called with (phase, step) after each step and validation.
    """
    fitted = Fitted(model, Trained(0, 0, 0.0, 0, 0.0, None))

    def notify(phase: str, step: int, total: int, values: Any) -> None:
        if phase == "train":
            fitted.losses.append(values["loss"])
        else:
            fitted.validation_losses[step] = values["validation_loss"]
        if watch is not None:
            watch(phase, step)
        if phase == "train" and step == interrupt_at:
            raise InterruptionError

    fitted.trained = train(
        model,
        data,
        method=method,
        objective=objective or Supervised(),
        regulariser=regulariser or NoRegulariser(),
        settings=TrainingSettings(**settings),
        learning_rate=learning_rate,
        precision=precision,
        checkpoints=checkpoints,
        log=log,
        notify=notify,
    )
    return fitted


def weights(model: Any) -> dict[str, torch.Tensor]:
    """A copy of every weight by name."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def differing(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> list[str]:
    """The names of the weights that are not bit for bit the same."""
    assert first.keys() == second.keys()
    return [name for name in first if not torch.equal(first[name], second[name])]
