"""The places in a model that adapters stand in, and which of those there answer.

A place is a module within its layer. It holds the parts of adapters by name, and hooks into the layer's computation.
Whose turn it is stands in one `Setup` for the whole model: a name is a chain of adapters, the lowest first, and the
base's name (`row_adapters.BASE`) is a chain too, mostly empty. Where the rows of a batch have names of their own
(`row_adapters.current_rows`), each is given its own chain.

A part is any module with `update(hidden)`. Three ways of adding it, x being the sum that a closing norm is taken of:

    after       h <- h + update(h)
    within      LN(x) <- LN(x + update(LN(x)))
    beside      f(r) <- f(r) + update(r)        f the feed-forward with its norm, r the residual before both

Needs torch at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from luthier.core.errors import LuthierError
from luthier.methods.additive.adapter import Placement
from luthier.methods.additive.adapter_spots import Spot, spots
from luthier.models.row_adapters import BASE, current_rows

_SETUP = "luthier_adapters"


class Setup:
    """What each name means, and whose turn it is where rows have no names.

    Attributes:
        chains: name -> the adapters that answer under it, the lowest first.
        active: one of these names.
    """

    def __init__(self) -> None:
        self.chains: dict[str, tuple[str, ...]] = {BASE: ()}
        self.active = BASE

    def chain(self, name: str) -> tuple[str, ...]:
        """The adapters that answer under a name.

        Raises:
            LuthierError: there is none of that name.
        """
        if name not in self.chains:
            raise LuthierError(
                f"no adapter of this name is loaded; there are {', '.join(sorted(self.chains))}",
                where=name,
                mend="load it first, or name one of these",
            )
        return self.chains[name]


def setup_of(model: Any) -> Setup:
    """The model's own; a new one is kept on it."""
    setup = getattr(model, _SETUP, None)
    if setup is None:
        setup = Setup()
        setattr(model, _SETUP, setup)
    return setup


class Place(nn.Module):
    """One place in one layer, with the parts of adapters that stand there."""

    def __init__(self, setup: Setup):
        super().__init__()
        self.setup = setup
        self._read: torch.Tensor | None = None

    def add(self, name: str, part: nn.Module) -> None:
        self.add_module(_key(name), part)

    def part(self, name: str) -> Any | None:
        return self._modules.get(_key(name))

    def remove(self, name: str) -> Any | None:
        return self._modules.pop(_key(name), None)

    def after(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """Forward hook: what the module gives out passes through the chain."""

        def add(parts: list[Any], hidden: torch.Tensor) -> torch.Tensor:
            for part in parts:
                hidden = hidden + part.update(hidden)
            return hidden

        whole = isinstance(output, tuple)
        found = self._answer(add, output[0] if whole else output)
        return (found, *output[1:]) if whole and found is not None else found

    def within(self, norm: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor | None:
        """Forward hook on a norm that closes its layer: updates join the sum that was normed, to be normed with it."""

        def add(parts: list[Any], normed: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
            for part in parts:
                total = total + part.update(normed)
                normed = norm.forward(total)
            return normed

        return self._answer(add, output, inputs[0])

    def read(self, module: nn.Module, inputs: Any) -> None:
        """Forward pre-hook: what the module reads is what `beside` needs."""
        self._read = inputs[0]

    def beside(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor | None:
        """Forward hook: updates of what was read are added to what the module gives out."""

        def add(parts: list[Any], hidden: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
            for part in parts:
                hidden = hidden + part.update(residual)
            return hidden

        residual, self._read = self._read, None
        assert residual is not None
        return self._answer(add, output, residual)

    def _answer(self, add: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor | None:
        def chained(name: str, *tensors: torch.Tensor) -> torch.Tensor | None:
            parts = [part for one in self.setup.chain(name) if (part := self.part(one)) is not None]
            return add(parts, *tensors) if parts else None

        return by_row(self.setup.active, chained, *tensors)


def by_row(active: str, answer: Callable[..., torch.Tensor | None], *tensors: torch.Tensor) -> torch.Tensor | None:
    """The first tensor with every row replaced by the answer of its adapter; None where all rows stay as they are.

    Args:
        active: who answers where rows have no names.
        answer: called with a name and these tensors, or with those rows of them that have the name; None leaves the
            rows alone.
        tensors: `(row, ...)`, or `(row * position, width)` in layers that fold the two.
    """
    names = current_rows()
    if names is None or len(set(names)) == 1:
        return answer(active if names is None else names[0], *tensors)
    folded = tensors[0].ndim == 2 and len(tensors[0]) != len(names)
    if len(tensors[0]) % len(names) if folded else len(tensors[0]) != len(names):
        raise RuntimeError(f"{len(names)} adapters are named for a batch of shape {tuple(tensors[0].shape)}")
    lines = [one.reshape(len(names), -1, one.shape[-1]) if folded else one for one in tensors]
    result = None
    for name in dict.fromkeys(names):
        at = torch.tensor([place for place, other in enumerate(names) if other == name], device=tensors[0].device)
        found = answer(name, *(one[at] for one in lines))
        if found is not None:
            result = lines[0].clone() if result is None else result
            result[at] = found
    return None if result is None else result.reshape(tensors[0].shape)


def put(model: Any, name: str, placement: Placement, make: Callable[[int], nn.Module]) -> None:
    """Put an adapter's parts into every place of its placement, and let the name answer: above what the base has.

    Args:
        model: a plain transformers model.
        name: of the adapter.
        placement: where its parts stand.
        make: a part for a width; called in the order of the layers, on the CPU, so that the seed alone decides.

    Raises:
        LuthierError: a model whose layers are of none of the known shapes, or a name that is taken.
    """
    setup = setup_of(model)
    if name in setup.chains or any(place.part(name) is not None for _, place in places(model)):
        raise LuthierError(
            "an adapter of this name is there already", where=name, mend="load it under another name, or a fresh base"
        )
    width = model.config.get_text_config(decoder=True).hidden_size
    for spot in spots(model, placement):
        _opened(setup, spot).add(name, make(width).to(next(spot.layer.parameters()).device))
    setup.chains[name] = (*setup.chains[BASE], name)


def remove(model: Any, name: str) -> None:
    """Forget a name, and take away the parts that then answer under none; the base answers where it was active."""
    setup = setup_of(model)
    setup.chains.pop(name, None)
    if setup.active == name:
        setup.active = BASE
    kept = {_key(one) for chain in setup.chains.values() for one in chain}
    for _, place in places(model):
        for key in place._modules.keys() - kept:
            del place._modules[key]


def settle_below(model: Any, name: str, settled: str) -> None:
    """Make an adapter part of what the base is from now on, under another name; names that answered are forgotten."""
    setup = setup_of(model)
    for _, place in places(model):
        part = place.remove(name)
        if part is not None:
            place.add(settled, part)
    setup.chains = {BASE: (*setup.chain(name)[:-1], settled)}
    setup.active = BASE


def parts_of(model: Any, name: str) -> list[tuple[str, Any]]:
    """An adapter's parts, each with the name of its place in the model."""
    return [(path, part) for path, place in places(model) if (part := place.part(name)) is not None]


def weights_of(model: Any, name: str) -> dict[str, nn.Parameter]:
    """An adapter's parameters by place, without the adapter's own name; what parts share is there once."""
    found: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for path, part in parts_of(model, name):
        for inner, parameter in part.named_parameters():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                found[f"{path}.{inner}"] = parameter
    return found


def places(model: Any) -> Iterator[tuple[str, Place]]:
    """The places that have been opened, with their names in the model."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, Place))


def _opened(setup: Setup, spot: Spot) -> Place:
    """The place at a spot; hooked in when it is opened."""
    place = spot.layer._modules.get(spot.name)
    if isinstance(place, Place):
        return place
    place = Place(setup)
    spot.layer.add_module(spot.name, place)
    spot.module.register_forward_hook(getattr(place, spot.way))
    if spot.reader is not None:
        spot.reader.register_forward_pre_hook(place.read)
    return place


def _key(name: str) -> str:
    """The name of a submodule, which may hold no dot and must be no attribute of modules."""
    return "of_" + name.replace(".", "_dot_")
