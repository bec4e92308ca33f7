"""Frozen linear layers in four or eight bits, put in the place of a loaded model's own, through bitsandbytes.

`nf4` (Dettmers et al. 2023, arXiv 2305.14314): blocks of 64 weights with a scale each; the scales, less their mean, are
quantised again, to 8 bits in blocks of 256. A product first makes the weights whole, in the type of its input:

    W = scale_i * code[w_j]        w_j: 4 bits, an index into 16 values; scale_i = nested_i * code8[s_i] + mean

`int8` (Dettmers et al. 2022, arXiv 2208.07339): a scale for each row, and the input rounded to 8 bits row by row too;
inputs beyond 6 are multiplied apart, in fp16, as in the paper.

Only the linear layers within the layers: embeddings, norms, biases and heads stay as they are. The same weights give
the same bits each time.

Needs torch and bitsandbytes at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Literal

import torch
from bitsandbytes.nn import Int8Params, Linear4bit, Linear8bitLt, Params4bit
from peft.import_utils import is_bnb_4bit_available, is_bnb_available
from torch import nn

from luthier.core.errors import LuthierError
from luthier.models.anatomy import anatomy_of
from luthier.models.upright import put

for _availability in (is_bnb_available, is_bnb_4bit_available):
    _availability.cache_clear()  # a worker keeps bitsandbytes from peft until something is quantised (`preload.py`)

Bits = Literal["nf4", "int8"]

_OUTLIER = 6.0
"""Beyond it an input is multiplied apart (section 3.2 of arXiv 2208.07339)."""
_STORAGE = torch.int8
"""What the packed bits pass for: T5 casts the input of the feed-forward's last matrix to its type, if not to int8."""


def quantise(model: Any, bits: Bits) -> None:
    """Put quantised layers in place of every linear layer within the model's layers; a Conv1D is turned upright.

    Args:
        model: a plain transformers model, on the CPU.
        bits: `nf4`, with double quantisation, or `int8`.

    Raises:
        LuthierError: the model is quantised already, or a matrix of its is not of floating-point numbers.
    """
    # It says at each product that inputs are cast to fp16 first, which is how they are quantised.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    names = anatomy_of(model).linears
    layers = {name: model.get_submodule(name) for name in names}
    for name, layer in layers.items():
        if not layer.weight.is_floating_point():
            raise LuthierError(
                f"{name} is quantised already: its weights are {str(layer.weight.dtype).removeprefix('torch.')}",
                where="model",
                mend="take the model in fp32 or bf16: it is quantised here, the same each time",
            )
    for name, layer in layers.items():
        upright = layer.weight.data.t() if type(layer).__name__ == "Conv1D" else layer.weight.data
        new = _four_bits(upright) if bits == "nf4" else _eight_bits(upright)
        if layer.bias is not None:
            new.bias = nn.Parameter(layer.bias.data, requires_grad=False)
        put(model, name, new)
    # What peft looks at to choose its layers.
    model.is_loaded_in_4bit, model.is_loaded_in_8bit = bits == "nf4", bits == "int8"


def quantised(model: Any) -> Iterator[nn.Module]:
    """The quantised layers of a model, plain or within peft."""
    return (module for module in model.modules() if isinstance(module, Linear4bit | Linear8bitLt))


def stored_bytes(layer: Any) -> int:
    """The bytes of a quantised layer's weights with all that is needed to read them: scales, and tables of values."""
    if isinstance(layer, Linear4bit):
        state = layer.weight.quant_state
        parts = [layer.weight.data, state.absmax, state.code]
        if state.nested:
            parts += [state.offset, state.state2.absmax, state.state2.code]
    else:
        scales = layer.weight.SCB if layer.state.SCB is None else layer.state.SCB
        parts = [layer.weight.data, scales]
    return sum(part.numel() * part.element_size() for part in parts)


def _four_bits(weight: torch.Tensor) -> nn.Module:
    kept: dict[str, Any] = {"compress_statistics": True, "quant_type": "nf4", "quant_storage": _STORAGE}
    with torch.device("meta"):  # nothing is drawn: the seed is for what is trained
        layer = Linear4bit(weight.shape[1], weight.shape[0], bias=False, **kept)
    # On a CPU with AVX512-BF16, an evaluation would repack the weights for products that have no gradient: the training
    # after it would stand still, without a word.
    layer.support_avx512bf16_for_cpu = False
    layer.weight = Params4bit(weight.contiguous(), requires_grad=False, module=layer, **kept).to("cpu")
    return layer


def _eight_bits(weight: torch.Tensor) -> nn.Module:
    with torch.device("meta"):
        layer = Linear8bitLt(weight.shape[1], weight.shape[0], bias=False, has_fp16_weights=False, threshold=_OUTLIER)
    layer.weight = Int8Params(weight.contiguous(), requires_grad=False, has_fp16_weights=False).to("cpu")
    return layer
