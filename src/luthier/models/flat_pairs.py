"""Flat rows of encoder-decoders: what has to restart with every sequence, and takes no argument that says where.

Two hooks, which do nothing outside of a flat row. BART counts its positions by itself: `embed_positions` is given ones
that restart. T5 adds a learnt number to the score of query i and key j, by their distance alone,

    softmax(Q K^T + B) V        B_ij = b(j - i)

and computes B once a stack, in the first layer, over the whole row. There it is given B of the longest sequence, whose
top left corner is that of every other one. Between decoder and encoder B is zero, and is not laid out at all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PAIRS = ("t5", "mt5", "bart")
"""The encoder-decoders for which these hooks are all that is needed."""

_MARK = "luthier_restarts_positions"

Lengths = Callable[[bool], tuple[int, ...]]
"""Of the present flat row of the decoder (True) or of its encoder; empty where there is none."""


def restart_positions(model: Any, lengths: Lengths) -> None:
    """Put the hooks into a plain transformers model of one of `PAIRS`, once; they stay there.

    Args:
        model: whose positions restart.
        lengths: asked at every forward pass.
    """
    if restarts(model):
        return
    setattr(model, _MARK, True)
    for decoder, stack in ((False, model.get_encoder()), (True, model.get_decoder())):
        own = partial(lengths, decoder)
        if hasattr(stack, "embed_positions"):
            stack.embed_positions.register_forward_pre_hook(partial(_restart, own), with_kwargs=True)
            continue
        for module in stack.block[0].modules():
            if hasattr(module, "has_relative_attention_bias"):
                module.register_forward_pre_hook(partial(_bias_of_longest, own), with_kwargs=True)


def restarts(model: Any) -> bool:
    """Whether the hooks are in this model, plain or within peft."""
    return bool(getattr(model, _MARK, False))


def _restart(lengths: Callable[[], tuple[int, ...]], module: Any, args: Any, kwargs: Any) -> Any:
    import torch

    if not lengths():
        return None
    device: torch.device = module.weight.device
    positions = torch.cat([torch.arange(length, device=device) for length in lengths()])
    return args, {**kwargs, "position_ids": positions}


def _bias_of_longest(lengths: Callable[[], tuple[int, ...]], module: Any, args: Any, kwargs: Any) -> Any:
    if not lengths() or kwargs.get("position_bias") is not None:
        return None
    longest = max(lengths())
    of_distance = module.has_relative_attention_bias
    bias = module.compute_bias(longest, longest) if of_distance else args[0].new_zeros(1)
    return args, {**kwargs, "position_bias": bias}
