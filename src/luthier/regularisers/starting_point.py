"""Where a training starts: a copy of every weight that it will move."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def starting_point(model: Any, without: Collection[str] = ()) -> dict[str, torch.Tensor]:
    """A copy of the parameters that require gradients, by their names in the model, on its device.

    Args:
        model: with the method attached, before its first step.
        without: names that are left out.
    """
    return {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and name not in without
    }
