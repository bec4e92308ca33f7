"""A regulariser's penalty is added to the mean loss of a step, whatever its micro-batches."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from luthier.methods.full import Full
from luthier.models.batch import Batch, flat_batch
from luthier.objectives.supervised import Supervised
from luthier.regularisers.regulariser import NoRegulariser, Regulariser, Restraint
from tests.training.small import attached, differing, fit, sequences, supervised_data, weights

ROWS = sequences(8)


class Pull(Regulariser):
    """L2 towards where the training began."""

    name: ClassVar[str] = "pull"
    strength: float = 1.0

    def begin(self, model: Any, **rest: Any) -> Restraint:
        return Pulling(weights(model), self.strength)


class Pulling(Restraint):
    def __init__(self, start: dict[str, torch.Tensor], strength: float):
        self.start, self.strength = start, strength

    def penalty(self, forward: Any, model: Any, batch: Batch, step: int) -> torch.Tensor:
        return self.strength * sum((p - self.start[name]).square().sum() for name, p in model.named_parameters())


def test_none_adds_nothing() -> None:
    model = attached(Full())
    restraint = NoRegulariser().begin(model, method=Full(), objective=Supervised(), retained=None)
    assert restraint.penalty(model, model, flat_batch(ROWS[:1]), 0) is None


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return float(sum((one[name] - other[name]).square().sum() for name in one)) ** 0.5


def test_a_pull_back_holds_the_weights_back_and_is_no_part_of_the_loss() -> None:
    start = weights(attached(Full()))
    data = supervised_data(ROWS)
    free, held, untouched = (
        fit(attached(Full()), data, Full(), learning_rate=1e-3, regulariser=regulariser, steps=5)
        for regulariser in (NoRegulariser(), Pull(strength=10.0), Pull(strength=0.0))
    )
    assert distance(weights(held.model), start) < 0.7 * distance(weights(free.model), start)
    assert not differing(weights(untouched.model), weights(free.model))
    assert held.losses[0] == free.losses[0]
    # The second step begins at weights that a penalty of zero slope did not yet hold: the first is equal too.
    assert held.losses[1] == pytest.approx(free.losses[1], rel=1e-6)
    assert held.losses[2] > free.losses[2]


def test_a_penalty_counts_once_a_step() -> None:
    model = attached(Full())
    start = weights(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    moved = {name: parameter.clone() for name, parameter in weights(model).items()}
    gradients = []

    class Looks(Full):
        def after_step(self, model: Any, step: int) -> None:
            gradients.append(step)

    seen: list[torch.Tensor] = []
    original = torch.optim.AdamW.step

    def step(self: Any, *args: Any) -> Any:
        seen.append(torch.cat([p.grad.flatten() for p in model.parameters()]).clone())
        return original(self, *args)

    class Started(Pull):
        def begin(self, model: Any, **rest: Any) -> Restraint:
            return Pulling(start, self.strength)

    for most_tokens in (40, 100_000):
        data = supervised_data(ROWS, most_tokens=most_tokens)
        model.load_state_dict(moved)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim.AdamW, "step", step)
            fit(model, data, Looks(), regulariser=Started(), objective=Supervised(), steps=1, clip=1e9)
    assert gradients == [0, 0]
    torch.testing.assert_close(seen[0], seen[1], rtol=1e-4, atol=1e-6)
