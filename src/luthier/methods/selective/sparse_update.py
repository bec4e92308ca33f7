"""A sparse update of a model's matrices: one vector of numbers, each of which is added to one entry of one matrix.

    W_m' = W_m + scatter(u[begin_m : end_m] at places_m)        u: (k,), all that is trained; W_m frozen

Each matrix is a parametrisation of torch, so that any layer that has a `weight` can be changed, GPT-2's transposed ones
too, whatever it computes with it. Needs torch at module level: imported only by functions that have a model in hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

UPDATE = "sparse_update"
"""The name of u among the model's parameters."""


class Scattered(nn.Module):
    """The parametrisation of one matrix: its part of the update, added where it belongs.

    Args:
        update: u, `(k,)`, one parameter that all of them share.
        places: `(n,)` where in the flattened matrix, ascending.
        begin: where this matrix's part of u begins.
    """

    places: torch.Tensor

    def __init__(self, update: nn.Parameter, places: torch.Tensor, begin: int):
        super().__init__()
        self.update = update
        self.register_buffer("places", places, persistent=False)
        self.begin = begin

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The matrix with its update, in the matrix's type."""
        return weight.flatten().index_add(0, self.places, self.part().to(weight.dtype)).view_as(weight)

    def part(self) -> torch.Tensor:
        """Its part of u, `(n,)`."""
        return self.update[self.begin : self.begin + len(self.places)]


def scatter(model: Any, names: Sequence[str], count: int) -> None:
    """Give a model an update of `count` numbers, zero, spread evenly over these modules' weights: `move` moves them."""
    weights = [model.get_submodule(name).weight for name in names]
    total = sum(weight.numel() for weight in weights)
    update = nn.Parameter(torch.zeros(count, device=weights[0].device))
    model.register_parameter(UPDATE, update)
    before = 0
    for name, weight in zip(names, weights, strict=True):
        begin, before = count * before // total, before + weight.numel()
        own = count * before // total - begin
        places = torch.arange(own, device=weight.device) * (weight.numel() // max(own, 1))
        parametrize.register_parametrization(model.get_submodule(name), "weight", Scattered(update, places, begin))


def scattered(model: Any) -> Iterator[tuple[str, Any, Scattered]]:
    """The matrices with an update, in order: the name of the module, the module, and the parametrisation."""
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module, "weight") and isinstance(module.parametrizations.weight[0], Scattered):
            yield name, module, module.parametrizations.weight[0]


def originals(model: Any) -> list[nn.Parameter]:
    """The frozen matrices below the updates, in order."""
    return [module.parametrizations.weight.original for _, module, _ in scattered(model)]


def move(model: Any, positions: torch.Tensor) -> None:
    """Let the update stand at these places from now on.

    Args:
        positions: `(k,)` in all the matrices, flattened, one after the other; ascending.
    """
    begin = before = 0
    for _, module, one in scattered(model):
        size = module.parametrizations.weight.original.numel()
        end = int(torch.searchsorted(positions, before + size))
        one.begin, one.places = begin, (positions[begin:end] - before).to(one.places.device)
        begin, before = end, before + size


def positions(model: Any) -> torch.Tensor:
    """What `move` was given."""
    found, before = [], 0
    for _, module, one in scattered(model):
        found.append(one.places + before)
        before += module.parametrizations.weight.original.numel()
    return torch.cat(found)


def fold(model: Any) -> None:
    """Add the update to the matrices, which become plain ones again."""
    for _, module, _ in list(scattered(model)):
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    delattr(model, UPDATE)
