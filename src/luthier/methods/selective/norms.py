"""Tuning the norms (Zhao et al. 2023, arXiv 2312.11420): the scales and shifts of the normalisation layers.

LN(x) = g * (x - mean) / std + b        RMSNorm(x) = g * x / rms        every g and b trained, all else frozen

All of a model's norms: those within its layers, those after them, and one on the embeddings where there is one. peft's
LN tuning trains the same weights, in a copy of each norm; here they are trained in their place, which needs no wrapper
and is merged without rounding.
"""

from __future__ import annotations

from typing import Any, ClassVar

from luthier.methods.method import rate_between
from luthier.methods.selective.selective import Selective
from luthier.models.anatomy import anatomy_of


class Norms(Selective):
    """Train the normalisation layers."""

    name: ClassVar[str] = "norms"
    moves: ClassVar[str] = "the normalisation layers"
    paper: ClassVar[str] = "Zhao et al. 2023, arXiv 2312.11420"

    def learning_rate(self, parameters: int) -> float:
        """3e-2 at 5M parameters (measured: 24 steps of eight examples of generated/entities took 2, 6, 17, 34 and 48%
        of the house decoder's held-out loss away with 1e-3, 3e-3, 1e-2, 3e-2 and 1e-1, the last a tenth of a scale a
        step), falling with size as LoRA's does, to 2e-3 at 7B, which was not measured."""
        return rate_between(parameters, (5e6, 3e-2), (7e9, 2e-3))

    def encoder_learning_rate(self, parameters: int) -> float:
        """3e-3 up to 5M parameters (of 1e-3, 3e-3 and 1e-2 the highest whose first steps did not raise the loss of a
        BERT of two layers, to 0.92 nats in 36 steps from 1.09), and from there as BitFit's, 1e-3 from 110M on."""
        return rate_between(parameters, (5e6, 3e-3), (110e6, 1e-3))

    def chosen(self, model: Any) -> list[str]:
        norms = set(anatomy_of(model).norms)
        return [name for name, _ in model.named_parameters() if name.rpartition(".")[0] in norms]
