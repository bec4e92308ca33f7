"""Shells of a model: further trees of modules over the same weights, each to be changed without the others noticing.

    shell_of(base).layers[0].q_proj is not base.layers[0].q_proj
    shell_of(base).layers[0].q_proj.weight is base.layers[0].q_proj.weight

A method attaches itself to a shell as it does to a model; several trainings then share one base in memory.
"""

from __future__ import annotations

import copy
from typing import Any


def shell_of(model: Any) -> Any:
    """Copies of all modules and of the configuration; parameters and buffers are the model's own."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)


def drops_out(model: Any) -> bool:
    """Whether a pass in training mode would draw anything: some dropout in the model is above zero.

    Read off its modules: a `Dropout` layer, or a rate that a module keeps for a functional dropout, all of which
    transformers calls something with `drop` in it.
    """
    for module in model.modules():
        rates = {name: value for name, value in vars(module).items() if "drop" in name}
        if "Dropout" in type(module).__name__:
            rates["p"] = getattr(module, "p", 0.0)
        if any(isinstance(rate, float | int) and rate > 0 for rate in rates.values()):
            return True
    return False
