"""Where things are in a transformer: its layers, and in them the matrices of attention and of the feed-forward.

Found by what modules are called, not by a table of models: in every family of transformers a layer stands in a list of
its like, and the path to what belongs to attention has `attn` or `attention` in it. Names are those of
`model.named_modules()`, of a plain transformers model or of one within peft.

Needs torch only through the model in hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from luthier.core.errors import LuthierError

Role = Literal["attention", "mlp"]

_ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)
_NORM = re.compile(r"norm|^ln_", re.IGNORECASE)


@dataclass(frozen=True)
class Anatomy:
    """The names of a model's parts.

    Attributes:
        layers: of the encoder, bottom first, and then of the decoder; a model has one of them, or both.
        linears: of every linear layer within the layers -> its role: query, key, value and output matrices are
            `attention` (those of cross-attention too), all others are `mlp`.
        norms: of every normalisation, within the layers and outside of them.
    """

    layers: tuple[str, ...]
    linears: dict[str, Role]
    norms: tuple[str, ...]

    @property
    def stacks(self) -> tuple[tuple[str, ...], ...]:
        """The layers of the encoder and those of the decoder apart, each bottom first; a model may have one alone."""
        return tuple(tuple(stack) for _, stack in groupby(self.layers, key=lambda layer: layer.rpartition(".")[0]))

    def of_role(self, *roles: Role) -> list[str]:
        """The linear layers of these roles."""
        return [name for name, role in self.linears.items() if role in roles]


def anatomy_of(model: Any) -> Anatomy:
    """Find the parts of a model.

    Raises:
        LuthierError: it has no list of layers with attention in them.
    """
    modules = dict(model.named_modules())
    layers = [f"{stack}.{name}" for stack in _stacks(modules) for name in modules[stack]._modules]
    if not layers:
        raise LuthierError(
            f"no layers with attention in them were found in {type(model).__name__}",
            where="model",
            mend="take a transformer, or a method that moves the whole model",
        )
    linears: dict[str, Role] = {}
    for layer in layers:
        for name, module in modules[layer].named_modules():
            if is_linear(module):
                linears[f"{layer}.{name}"] = "attention" if _ATTENTION.search(name) else "mlp"
    norms = tuple(name for name, module in modules.items() if _is_norm(name, module))
    return Anatomy(tuple(layers), linears, norms)


def is_linear(module: Any) -> bool:
    """Whether it multiplies by a matrix: torch's `Linear` (a quantised one too) and the `Conv1D` of GPT-2."""
    return any(cls.__name__ in ("Linear", "Conv1D") for cls in type(module).__mro__)


def _stacks(modules: dict[str, Any]) -> list[str]:
    """The outermost lists whose every member holds attention: of an encoder-decoder, the encoder's before the
    decoder's, as transformers orders them."""
    found: list[str] = []
    for name, module in modules.items():
        if type(module).__name__ != "ModuleList" or not len(module) or any(name.startswith(f"{one}.") for one in found):
            continue
        if all(any(_ATTENTION.search(path) for path, _ in member.named_modules()) for member in module):
            found.append(name)
    return found


def _is_norm(name: str, module: Any) -> bool:
    kind, leaf = type(module).__name__, name.rpartition(".")[2]
    named = _NORM.search(leaf) or "norm" in kind.lower()
    return bool(named) and any(True for _ in module.parameters(recurse=False))
