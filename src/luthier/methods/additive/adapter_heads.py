"""A classifier's head beside each adapter that is loaded: the head was trained with it, and answers with it.

The model's own head stays the base's. A copy of it with the saved weights stands beside, and a hook lets the copy of
the adapter whose turn it is answer, row by row where rows have adapters of their own.

Needs torch at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from luthier.methods.additive.adapter_places import Setup, by_row, setup_of
from luthier.models.head import head_parts, head_weights

_COPIES = "luthier_heads"


class Copies(nn.Module):
    """The copies of one module of the head, by the name of their adapter."""

    def __init__(self, setup: Setup):
        super().__init__()
        self.setup = setup
        self.of = nn.ModuleDict()

    def instead(self, part: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor | None:
        """Forward hook on the module itself."""

        def answer(name: str, output: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor | None:
            return self.of[_key(name)](*inputs) if _key(name) in self.of else None

        return by_row(self.setup.active, answer, output, *inputs)


def copy_head(model: Any, name: str) -> dict[str, nn.Parameter]:
    """Give an adapter a copy of the head, if there is one; its parameters by the names of the head's own."""
    weights: dict[str, nn.Parameter] = {}
    for part in head_parts(model):
        module = model.get_submodule(part)
        twin = copy.deepcopy(module)
        for inner in twin.modules():
            inner._forward_hooks = OrderedDict()  # else the copy would ask for the copy
        _copies(model, part).of[_key(name)] = twin
        weights |= {f"{part}.{inner}": parameter for inner, parameter in twin.named_parameters()}
    return weights


def head_of(model: Any, name: str) -> dict[str, nn.Parameter]:
    """The parameters of the head that an adapter answers with: of its copy, or else the model's own."""
    weights = dict(head_weights(model))
    for part in head_parts(model):
        copies = getattr(model, _COPIES, {})
        if _slot(part) in copies and _key(name) in copies[_slot(part)].of:
            twin = copies[_slot(part)].of[_key(name)]
            weights |= {f"{part}.{inner}": parameter for inner, parameter in twin.named_parameters()}
    return weights


def drop_head(model: Any, name: str) -> None:
    """Forget an adapter's copy."""
    holder: dict[str, Any] = getattr(model, _COPIES, {})
    for copies in holder.values():
        if _key(name) in copies.of:
            del copies.of[_key(name)]


def adopt_head(model: Any, name: str) -> None:
    """Make an adapter's copy of the head the model's own."""
    with torch.no_grad():
        found, own = head_of(model, name), head_weights(model)
        for inner, parameter in own.items():
            parameter.copy_(found[inner])
    drop_head(model, name)


def _copies(model: Any, part: str) -> Any:
    if not hasattr(model, _COPIES):
        model.add_module(_COPIES, nn.ModuleDict())
    holder = getattr(model, _COPIES)
    if _slot(part) not in holder:
        holder[_slot(part)] = Copies(setup_of(model))
        model.get_submodule(part).register_forward_hook(holder[_slot(part)].instead)
    return holder[_slot(part)]


def _slot(part: str) -> str:
    return part.replace(".", "_")


def _key(name: str) -> str:
    """As in `adapter_places.py`: no dot, and no attribute of modules."""
    return "of_" + name.replace(".", "_dot_")
