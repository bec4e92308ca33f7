"""The last layer, computed only where its output is wanted.

Of the last layer's outputs only those at scored positions are read. Its keys and values are needed everywhere, but its
queries, its output projection and its feed-forward are functions of one position each: within `last_layer_only_at` they
take the scored positions alone, and what they give stands in zeros elsewhere, where nobody looks. With answers of 29 in
206 tokens this leaves out three quarters of the layer. Exact: what is computed is computed from the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from luthier.core.errors import LuthierError
from luthier.models.anatomy import anatomy_of

if TYPE_CHECKING:
    import torch

_FEED_FORWARD = "mlp"
_KNOWN = ({"up_proj", "down_proj"}, {"c_fc", "c_proj"})
"""What is in a feed-forward that maps one tensor to one: Llama's kind, and GPT-2's. A mixture of experts is neither."""
_BY_POSITION = ("q_proj", "o_proj")
"""What layers of the Llama kind call the projections of queries and outputs; where they are called otherwise, or stand
in one matrix with keys and values, they are left as they are."""
_MOST = 0.7
"""The share of scored positions from which on it is not worth the copying."""
_LAST = "luthier_last_layer"
"""The attribute that keeps the name of a model's last layer, which takes a walk through all of it to find."""


@contextmanager
def last_layer_only_at(model: Any, positions: torch.Tensor, width: int) -> Iterator[None]:
    """Within it, a forward pass of `(row, width)` tokens computes the last layer at these positions.

    Args:
        model: a transformers decoder, plain or within peft.
        positions: `(n,)` indices into the flattened `(row * width)`.
        width: positions of a row; passes of another width (with virtual tokens) are left alone.
    """
    with ExitStack() as stack:
        for module in _parts(model):
            stack.enter_context(_only_at(module, positions, width))
        yield


def _parts(model: Any) -> list[Any]:
    """The modules of the last layer that work position by position.

    None where something hooks into that layer: it may read all positions in one place and add to few in another; nor
    where positions are computed from one another (`_mixes`).
    """
    if model.training and getattr(model, "is_activation_checkpointing", False):  # its second pass runs after this one
        return []
    name = model.__dict__.get(_LAST)
    if name is None:
        try:
            stacks = anatomy_of(model).stacks
        except LuthierError:  # layers that are not found are left as they are
            stacks = ()
        name = model.__dict__[_LAST] = stacks[0][-1] if len(stacks) == 1 else ""
    if not name:
        return []
    last = model.get_submodule(name)
    if any(module._forward_hooks or module._forward_pre_hooks or _mixes(module) for module in last.modules()):
        return []
    children = dict(last.named_children())
    parts = [part for child in children.values() for inner, part in child.named_children() if inner in _BY_POSITION]
    feed_forward = children.get(_FEED_FORWARD)
    inside = set() if feed_forward is None else {inner for inner, _ in feed_forward.named_children()}
    if any(known <= inside for known in _KNOWN) and "experts" not in inside:
        parts.append(feed_forward)
    return parts


def _mixes(module: Any) -> bool:
    """Whether a position's output depends on which others are computed: 8 bits, and the router of peft's lily."""
    return type(module).__module__.startswith(("bitsandbytes", "peft.tuners.lily"))


@contextmanager
def _only_at(module: Any, positions: torch.Tensor, width: int) -> Iterator[None]:
    shape: list[torch.Size] = []

    def select(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        shape.clear()
        if len(args) != 1 or args[0].ndim != 3 or args[0].shape[1] != width:
            return None
        rows, _, size = args[0].shape
        if len(positions) > _MOST * rows * width:
            return None
        shape.append(args[0].shape)
        return (args[0].reshape(rows * width, size)[positions][None],)

    def spread(_: Any, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor | None:
        if not shape:
            return None
        rows = shape.pop()[0]
        size = output.shape[-1]
        return output.new_zeros(rows * width, size).index_copy(0, positions, output[0]).view(rows, width, size)

    handles = [module.register_forward_pre_hook(select), module.register_forward_hook(spread)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
