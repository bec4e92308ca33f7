"""Starting a pretraining from a model that exists: the same architecture goes on, another takes what fits.

A decoder's weights are worth having in other shapes. An encoder-decoder takes its blocks whole (T5Gemma: Zhang et al.
2025, arXiv 2504.06225): norms, feed-forward and attention have the same form, positions are learnt anew. BERT, whose
blocks are of another form, takes the token embeddings.
"""

from __future__ import annotations

from typing import Any

from luthier.core.errors import LuthierError
from luthier.models.neighbours import look_at_neighbours, scale_positions


def warm_start(model: Any, source: Any) -> str:
    """Copy into `model` what `source` has for it, in place.

    Args:
        model: freshly built.
        source: a trained model with the same tokenizer.

    Returns:
        What was taken, in a few words.

    Raises:
        LuthierError: nothing of the source fits.
    """
    import torch

    kinds = (source.config.model_type, model.config.model_type)
    with torch.no_grad():
        if kinds[0] == kinds[1]:
            return _same(model, source)
        theirs, ours = source.get_input_embeddings().weight, model.get_input_embeddings().weight
        if theirs.shape != ours.shape:
            raise LuthierError(
                f"its token embeddings are {tuple(theirs.shape)}, and those of the new model {tuple(ours.shape)}",
                where="start",
                mend="give the architecture the same vocabulary and d_model, or start from nothing",
            )
        if kinds == ("llama", "t5"):
            return _t5_from_llama(model, source)
        ours.copy_(theirs)
        if kinds[1] == "bert":
            scale_positions(model)
    return "token embeddings"


def _same(model: Any, source: Any) -> str:
    theirs, ours = source.state_dict(), model.state_dict()
    other = [key for key in ours if key not in theirs or theirs[key].shape != ours[key].shape]
    heads = source.config.num_attention_heads
    if heads != model.config.num_attention_heads:  # the weights have the same shapes all the same
        other.insert(0, f"it has {heads} heads")
    if other or len(theirs) != len(ours):
        raise LuthierError(
            f"the model to start from has another shape: {other[0] if other else 'it has more layers'}",
            where="start",
            mend="give the architecture the same sizes",
        )
    model.load_state_dict(theirs)
    return "all weights"


def _t5_from_llama(model: Any, source: Any) -> str:
    """Each side's blocks from the decoder's, spread evenly over its depth; cross-attention from self-attention."""
    config = source.config
    if (model.config.d_ff, model.config.num_heads) != (config.intermediate_size, config.num_attention_heads):
        raise LuthierError(
            "the blocks of the model to start from have other sizes",
            where="start",
            mend=f"give heads: {config.num_attention_heads} and d_feed_forward: {config.intermediate_size}",
        )
    # T5 multiplies what leaves the tied head by d_model^-0.5, and its embeddings enter as they are.
    model.shared.weight.copy_(source.model.embed_tokens.weight)
    for stack in (model.encoder, model.decoder):
        depth = len(stack.block)
        stack.final_layer_norm.weight.copy_(source.model.norm.weight)
        if stack is model.decoder:
            stack.final_layer_norm.weight.mul_(config.hidden_size**0.5)
        for place, block in enumerate(stack.block):
            layer = source.model.layers[round(place * (len(source.model.layers) - 1) / max(1, depth - 1))]
            for part in block.layer[:-1]:
                attention = part.SelfAttention if hasattr(part, "SelfAttention") else part.EncDecAttention
                part.layer_norm.weight.copy_(layer.input_layernorm.weight)
                _attention(attention, layer.self_attn, config)
            feed_forward = block.layer[-1]
            feed_forward.layer_norm.weight.copy_(layer.post_attention_layernorm.weight)
            feed_forward.DenseReluDense.wi_0.weight.copy_(layer.mlp.gate_proj.weight)
            feed_forward.DenseReluDense.wi_1.weight.copy_(layer.mlp.up_proj.weight)
            feed_forward.DenseReluDense.wo.weight.copy_(layer.mlp.down_proj.weight)
    look_at_neighbours(model)  # what rotary positions had said of order is lost
    return "token embeddings and blocks"


def _attention(ours: Any, theirs: Any, config: Any) -> None:
    """Grouped key and value heads are repeated; T5 does not divide by the root of a head's width, so queries do."""
    width = config.hidden_size // config.num_attention_heads
    times = config.num_attention_heads // config.num_key_value_heads

    def repeated(weight: Any) -> Any:
        heads = weight.view(config.num_key_value_heads, width, -1)
        return heads.repeat_interleave(times, dim=0).reshape(-1, weight.shape[1])

    ours.q.weight.copy_(theirs.q_proj.weight * width**-0.5)
    ours.k.weight.copy_(repeated(theirs.k_proj.weight))
    ours.v.weight.copy_(repeated(theirs.v_proj.weight))
    ours.o.weight.copy_(theirs.o_proj.weight)
