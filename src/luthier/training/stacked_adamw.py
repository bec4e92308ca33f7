"""AdamW over a matrix whose every row holds the weights of an arm, with a rate of its own.

    m <- b1 m + (1 - b1) g        v <- b2 v + (1 - b2) g^2
    w <- (1 - eta_k d) w - eta_k / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + e)        for row k, step t, decay d

Loshchilov & Hutter 2017, arXiv 1711.05101; equal to torch's AdamW on each row by itself, to rounding (tested). One
update of the whole matrix starts as few kernels as that of a single tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from luthier.core.training_settings import TrainingSettings

if TYPE_CHECKING:
    import torch

_EPSILON = 1e-8
"""e, torch's default, which single trainings have."""
_BESIDE_NORM = 1e-6
"""What torch's `clip_grad_norm_` adds to the norm that it divides by."""


class StackedAdamW:
    """The state of the update: two moments of every weight.

    Args:
        weights: `(arm, P)`, changed in place.
        rates: the peak rate of each arm.
        settings: decay rates and weight decay; every weight is a matrix's.
        done: how many steps were taken before.

    Attributes:
        first, second: `(arm, P)`, the moments m and v.
        done: steps taken.
    """

    def __init__(self, weights: torch.Tensor, rates: Sequence[float], settings: TrainingSettings, done: int = 0):
        import torch

        self.weights, self.settings, self.done = weights, settings, done
        self.rates = torch.tensor(rates, dtype=torch.float64, device=weights.device)
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)

    def step(self, gradients: torch.Tensor, factor: float) -> None:
        """Move the weights.

        Args:
            gradients: `(arm, P)`.
            factor: of the peak rates, at this step.
        """
        self.done += 1
        b1, b2 = self.settings.betas
        rates = self.rates * factor
        if self.settings.weight_decay:
            self.weights.mul_((1 - rates * self.settings.weight_decay)[:, None].float())
        self.first.lerp_(gradients, 1 - b1)
        self.second.mul_(b2).addcmul_(gradients, gradients, value=1 - b2)
        spread = (self.second.sqrt() / (1 - b2**self.done) ** 0.5).add_(_EPSILON)
        by_arm = (rates / (1 - b1**self.done))[:, None].float()
        self.weights.sub_(self.first.div(spread).mul_(by_arm))

    def keep(self, rows: Sequence[int], weights: torch.Tensor) -> None:
        """Drop all arms but these, whose weights are given."""
        chosen = list(rows)
        self.weights, self.rates = weights, self.rates[chosen]
        self.first, self.second = self.first[chosen], self.second[chosen]


def clip_rows(gradients: torch.Tensor, most: float) -> torch.Tensor:
    """Scale the gradient of every arm whose norm is above `most` down to it, in place; gives the norms, `(arm,)`."""
    norms = gradients.norm(dim=1)
    gradients.mul_((most / (norms + _BESIDE_NORM)).clamp(max=1.0)[:, None])
    return norms
