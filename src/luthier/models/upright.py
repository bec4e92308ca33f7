"""Conv1D layers as linear ones: GPT-2 stores its matrices the other way round, and not every library takes them so.

    y = x W + b        W: (d_in, d_out) in a `Conv1D`, its transpose, (d_out, d_in), in a `Linear`

An upright layer is a view of the same storage and computes its product just as the Conv1D does, so that its answers are
the same bit for bit.

Needs torch at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from luthier.models.anatomy import anatomy_of


class Upright(nn.Linear):
    """A Conv1D as a linear layer.

    Args:
        turned: the Conv1D whose weights it takes over.
    """

    def __init__(self, turned: Any):
        nn.Module.__init__(self)
        self.in_features, self.out_features = turned.weight.shape
        self.weight = nn.Parameter(turned.weight.data.t(), requires_grad=turned.weight.requires_grad)
        self.bias = turned.bias

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`(..., d_in)` to `(..., d_out)`."""
        rows = torch.addmm(self.bias, hidden.reshape(-1, self.in_features), self.weight.t())
        return rows.view(*hidden.shape[:-1], self.out_features)


def stand_up(model: Any) -> None:
    """Put upright layers in place of every Conv1D within the model's layers."""
    from transformers.pytorch_utils import Conv1D

    modules = dict(model.named_modules())
    for name in anatomy_of(model).linears:
        if isinstance(modules[name], Conv1D):
            put(model, name, Upright(modules[name]))


def lie_down(model: Any) -> None:
    """Put a Conv1D back in place of every upright layer."""
    from transformers.pytorch_utils import Conv1D

    for name, module in list(model.named_modules()):
        if isinstance(module, Upright):
            turned = Conv1D(module.out_features, module.in_features)
            turned.weight = nn.Parameter(module.weight.data.t().contiguous(), module.weight.requires_grad)
            turned.bias = module.bias
            put(model, name, turned)


def put(model: Any, name: str, module: nn.Module) -> None:
    """Put a module in the place of the one of that dotted name, in the same mode."""
    parent, _, leaf = name.rpartition(".")
    owner = model.get_submodule(parent)
    setattr(owner, leaf, module.train(getattr(owner, leaf).training))
