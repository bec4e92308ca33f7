"""The bottleneck of an adapter.

    update(h) = s (W_up f(W_down h + b_down) + b_up)        W_down: (size, d_model), W_up: (d_model, size)

What is done with the update is the place's to say (`adapter_places.py`).

Needs torch at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from luthier.methods.additive.adapter import Nonlinearity

FUNCTIONS: dict[Nonlinearity, Any] = {
    "relu": functional.relu, "swish": functional.silu, "gelu": functional.gelu, "tanh": torch.tanh
}  # fmt: skip


class Affine(nn.Module):
    """x W^T + b. No `nn.Linear`: what looks for a model's linear layers (LoRA, a quantiser) must pass over adapters.

    Args:
        inputs, outputs: the widths.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(outputs, inputs)), nn.Parameter(torch.zeros(outputs))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return functional.linear(hidden, self.weight, self.bias)


class Bottleneck(nn.Module):
    """The two matrices and their nonlinearity.

    Drawn as in AdapterHub: both matrices from N(0, 0.02^2); or, with `from_zero`, W_down as `nn.Linear` draws its own,
    and W_up zero, so that nothing is added at first. Biases are zero.

    Args:
        width: d_model.
        size: of the bottleneck.
        nonlinearity: f.
        scaling: s.
        from_zero: whether the update begins as exactly zero.
    """

    def __init__(
        self, width: int, size: int, nonlinearity: Nonlinearity, scaling: float = 1.0, from_zero: bool = False
    ):
        super().__init__()
        self.down, self.up = Affine(width, size), Affine(size, width)
        self.nonlinearity, self.scaling = nonlinearity, scaling
        if from_zero:
            nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
            nn.init.zeros_(self.up.weight)
        else:
            nn.init.normal_(self.down.weight, std=0.02)
            nn.init.normal_(self.up.weight, std=0.02)

    def update(self, hidden: torch.Tensor) -> torch.Tensor:
        """`(..., width)` to the same, in the type that it came in: the base may be of a narrower type."""
        inner = FUNCTIONS[self.nonlinearity](self.down(hidden.to(self.down.weight.dtype)))
        update: torch.Tensor = self.up(inner)
        return (update * self.scaling if self.scaling != 1.0 else update).to(hidden.dtype)
