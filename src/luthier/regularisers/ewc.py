"""Elastic weight consolidation (Kirkpatrick et al. 2017, arXiv 1612.00796).

    L = L_task + (strength / 2) * sum_i F_i (w_i - w0_i)^2        w0 where the training starts
    F_i = sum_n (d/dw_i log p(y_n | x_n))^2 / sum_n units_n       over examples n of what is not to be forgotten

F is the diagonal of the empirical Fisher information: the gradient of each example's log-likelihood, at w0 and of its
own reference, squared, per unit (token). Near a minimum it is the curvature of the mean loss per unit, so that at
strength 1 the penalty is what the loss on the retained data rises by, to second order: a weight whose F is 200 and that
moves by 0.01 costs 0.5 * 200 * 0.01^2 = 0.01 nats a token.

The weights are the trained parameters themselves. With LoRA at its start (B zero) the gradient of A is zero, so F holds
B where it is, by what A lets through, and leaves A free. With soft prompts F holds the prompt near where it was drawn.
An encoder's head is held as the rest: retained examples are judged by the same head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from luthier.regularisers.regulariser import Regulariser, Restraint, retained_data
from luthier.regularisers.starting_point import starting_point

if TYPE_CHECKING:
    import torch

    from luthier.models.batch import Batch


class EWC(Regulariser):
    """Hold each weight back by how much the retained data depends on it."""

    name: ClassVar[str] = "ewc"
    retains: ClassVar[bool] = True
    paper: ClassVar[str] = "Kirkpatrick et al. 2017, arXiv 1612.00796"

    strength: float = Field(default=1000.0, ge=0)
    """Measured, in the sequence that `l2_sp` tells of: 5.00 nats on the task before and 0.245 on the new one without,
    4.62 and 0.243 at 10, 3.56 and 0.261 at 100, 1.87 and 0.236 at 1000, on 64 examples; with `lora` 4.29 and 0.248
    without, 3.04 and 0.251 at 1000. What has learnt the retained data well has small gradients on it, and so a small F:
    far more than 1 is needed."""
    examples: int = Field(default=128, ge=1)
    """How many retained examples F is measured on, one by one; all of them where there are fewer."""

    def retained_rows(self, batch_size: int) -> int:
        """One at a time: a gradient is squared for each example by itself."""
        return 1

    def begin(self, model: Any, *, method: Any, objective: Any, retained: Any | None) -> Restraint:
        if not self.strength:
            return Restraint()
        information = fisher(model, objective, retained_data(self, retained), self.examples)
        return _Elastic(self.strength, starting_point(model), information)


class _Elastic(Restraint):
    """Springs from the starting point to each weight, as stiff as the weight mattered."""

    def __init__(self, strength: float, start: dict[str, torch.Tensor], stiffness: dict[str, torch.Tensor]):
        self.strength, self.start, self.stiffness = strength, start, stiffness

    def penalty(self, forward: Any, model: Any, batch: Batch, step: int) -> torch.Tensor | None:
        held = [
            (self.stiffness[name] * (parameter.float() - self.start[name].float()).square()).sum()
            for name, parameter in model.named_parameters()
            if name in self.stiffness
        ]
        return 0.5 * self.strength * sum(held) if held else None


def fisher(model: Any, objective: Any, data: Any, examples: int) -> dict[str, torch.Tensor]:
    """The diagonal of the empirical Fisher information per unit, of every parameter that requires gradients, by name.

    Args:
        model: in evaluation mode, so that no dropout makes noise of it.
        objective: the `Objective` whose loss is the negative log-likelihood.
        data: `TrainingData` with a single example a step.
        examples: how many of the first epoch are read at the most.

    Raises:
        ValueError: a batch holds several examples: the square of a sum is not the sum of the squares.
    """
    import torch

    device = next(model.parameters()).device
    moving = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    squares = {name: torch.zeros_like(parameter, dtype=torch.float32) for name, parameter in moving.items()}
    units = 0
    for index in range(min(examples, data.steps_per_epoch)):
        for batch in data.step(0, index):
            if len(batch.example_ids) != 1:
                raise ValueError(f"{len(batch.example_ids)} examples in one batch: the Fisher needs them one by one")
            loss = objective.loss(model, batch.to(device))
            units += objective.units(batch)
            gradients = torch.autograd.grad(loss, list(moving.values()), allow_unused=True)
            for name, gradient in zip(moving, gradients, strict=True):
                if gradient is not None:
                    squares[name] += gradient.float().square()
    return {name: square / max(units, 1) for name, square in squares.items()}
