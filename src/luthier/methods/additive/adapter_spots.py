"""Where in each layer of a model the parts of an adapter go, and in which way they are added there.

Found by what modules are called. AdapterHub's Pfeiffer placement reads the sum of the feed-forward and the residual,
which is the layer's output (normed, where a norm closes the layer); Houlsby's reads each sublayer's output before that
sum; the parallel one reads the residual that the feed-forward's norm reads, or in layers that end with their norm, what
the feed-forward reads.

Needs torch at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from luthier.core.errors import LuthierError
from luthier.methods.additive.adapter import Placement
from luthier.models.encoder_decoder import has_encoder

_SUBLAYERS = (
    ("self_attn", "mlp"),  # Llama, Gemma, Mistral, Qwen
    ("attn", "mlp"),  # GPT-2, GPT-J
    ("attention", "mlp"),  # GPT-NeoX
    ("self_attention.dense", "mlp.dense_4h_to_h"),  # BLOOM, Falcon: BLOOM's own modules add the residual themselves
    ("self_attn", "fc2"),  # OPT; BART's encoder and decoder
    ("layer.0.SelfAttention", "layer.-1.DenseReluDense"),  # T5's encoder and decoder
    ("attention.output.dropout", "output.dropout"),  # BERT, RoBERTa, ELECTRA: each before its LayerNorm
)
"""Where in a layer the output of the attention and that of the feed-forward appear, both before the residual add."""
_NORM_LAST = {
    **dict.fromkeys(("bart", "blenderbot-small", "marian"), ("final_layer_norm", "fc1")),
    **dict.fromkeys(("bert", "camembert", "electra", "roberta", "xlm-roberta"), ("output.LayerNorm", "intermediate")),
}
"""By model type, the norm that closes a layer, where it is taken of the sum with the residual (post-norm), and what
reads that residual."""
_NORM_FIRST = (
    "pre_feedforward_layernorm",  # Gemma 2 and 3
    "post_attention_layernorm",  # Llama, Gemma, Mistral, BLOOM
    "ln_2",  # GPT-2
    "layer.-1",  # T5: the sublayer itself
    "final_layer_norm",  # OPT
    "ln_1",  # GPT-J, whose attention and feed-forward read the same
    "input_layernorm",  # Phi, likewise
)
"""What reads the residual before the feed-forward, where norms come first; the first that a layer has."""


@dataclass(frozen=True)
class Spot:
    """Where a part of an adapter goes.

    Attributes:
        path: of the layer in the model.
        layer: it.
        name: of the place within the layer.
        module: whose output the part changes.
        way: in which way, a hook of `adapter_places.Place`.
        reader: for `beside`, the module whose input the part reads.
    """

    path: str
    layer: nn.Module
    name: str
    module: nn.Module
    way: Literal["after", "within", "beside"]
    reader: nn.Module | None = None


def spots(model: Any, placement: Placement) -> list[Spot]:
    """The spots of a placement, layer by layer, an encoder's before its decoder's.

    Raises:
        LuthierError: a model whose layers are of none of the known shapes.
    """
    norm_last = _NORM_LAST.get(model.config.model_type)
    found: list[Spot] = []
    for path, layer, attention, feed_forward in _layers(model):
        if placement == "houlsby":
            found.append(Spot(path, layer, "attention_adapter", attention, "after"))
            found.append(Spot(path, layer, "feed_forward_adapter", feed_forward, "after"))
        elif placement == "parallel":
            readers = norm_last[1:] if norm_last else _NORM_FIRST
            reader = next((module for name in readers if (module := _at(layer, name)) is not None), None)
            if reader is None:
                raise _unknown(model)
            found.append(Spot(path, layer, "parallel_adapter", feed_forward, "beside", reader))
        elif norm_last:
            norm = _at(layer, norm_last[0])
            if norm is None:
                raise _unknown(model)
            found.append(Spot(path, layer, "layer_adapter", norm, "within"))
        else:
            found.append(Spot(path, layer, "layer_adapter", layer, "after"))
    return found


def _layers(model: Any) -> list[tuple[str, nn.Module, nn.Module, nn.Module]]:
    """Each layer, by name, with what gives the attention's output and what gives the feed-forward's."""
    wanted = _depth(model)
    for paths in _SUBLAYERS:
        layers = []
        for name, layer in model.named_modules():
            attention, feed_forward = (_at(layer, path) for path in paths)
            if attention is not None and feed_forward is not None:
                layers.append((name, layer, attention, feed_forward))
        if len(layers) == wanted:
            return layers
    raise _unknown(model)


def _unknown(model: Any) -> LuthierError:
    known = "Llama, Gemma, Mistral, Qwen, GPT-2, GPT-J, GPT-NeoX, BLOOM, Falcon, OPT, T5, BART, BERT, RoBERTa"
    return LuthierError(
        f"no place for an adapter is known in {type(model).__name__}",
        where="adapter",
        mend=f"take a model of a known kind ({known} and their like), or another method, such as lora",
    )


def _depth(model: Any) -> int:
    """How many layers it has, the encoder's and the decoder's together."""
    if not has_encoder(model):
        return int(model.config.get_text_config(decoder=True).num_hidden_layers)
    encoder, decoder = model.get_encoder().config, model.get_decoder().config
    return int(encoder.get_text_config(encoder=True).num_hidden_layers) + int(
        decoder.get_text_config(decoder=True).num_hidden_layers
    )


def _at(module: nn.Module | None, path: str) -> nn.Module | None:
    """The submodule of that dotted name, or None; `-1` is the last of a list."""
    for name in path.split("."):
        if name == "-1" and module is not None:
            name = next(reversed(module._modules), name)
        module = module._modules.get(name) if module is not None else None
    return module
