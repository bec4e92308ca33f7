"""Flat tokens: several sequences in one row, each attending only to itself, through transformers' own hooks.

A padded batch of ragged rows computes its padding too; on dialogues that was half the work. Here an attention function
and a mask function are registered with transformers (`AttentionInterface`, `AttentionMaskInterface`); inside
`flat_row(lengths)` they run attention sequence by sequence, outside they are plain SDPA. Positions restart through
`position_ids`, so outputs equal separate passes (tested to 1e-5 in fp32).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "luthier_flat"
_lengths: tuple[int, ...] = ()


@contextmanager
def flat_row(lengths: Sequence[int]) -> Iterator[None]:
    """Within it, a row of `sum(lengths)` tokens is attended to as sequences of these lengths."""
    global _lengths
    before, _lengths = _lengths, tuple(lengths)
    try:
        yield
    finally:
        _lengths = before


def use_flat_attention(model: Any) -> bool:
    """Switch the model to the registered attention; False where its architecture cannot take it.

    BLOOM does not call registered functions (ALiBi stands inside its own attention), soft-capped attention (Gemma 2)
    and attention sinks (GPT-OSS) are not SDPA, chunked attention (Llama 4) lives in the mask alone, and recurrent
    layers (Qwen3-Next) run on across the sequences: all these keep padded batches.
    """
    config = model.config.get_text_config(decoder=True)
    functional = getattr(model, "_supports_attention_backend", False) and getattr(model, "_supports_sdpa", False)
    capped = getattr(config, "attn_logit_softcapping", None)
    if not functional or capped or getattr(config, "is_encoder_decoder", False):
        return False
    if set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}:
        return False
    _register()
    try:
        model.set_attn_implementation(NAME)
    except (ValueError, KeyError, NotImplementedError):
        return False
    return True


def is_flat(model: Any) -> bool:
    """Whether `use_flat_attention` has switched this model."""
    return bool(model.config.get_text_config(decoder=True)._attn_implementation == NAME)


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    def mask(*args: Any, **kwargs: Any) -> Any:
        return None if _lengths else sdpa_mask(*args, **kwargs)

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, mask)


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention over `(1, head, position, head_dim)`, sequence by sequence; gives `(1, position, head, head_dim)`."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    if not _lengths:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal=is_causal, **kwargs
        )
        return output, None
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    pieces = []
    split = list(_lengths)
    for q, k, v in zip(query.split(split, 2), key.split(split, 2), value.split(split, 2), strict=True):
        length = q.shape[2]
        window = None
        if causal and sliding_window and length > sliding_window:
            window = torch.ones(length, length, dtype=torch.bool, device=q.device).tril().triu(1 - sliding_window)
        pieces.append(
            scaled_dot_product_attention(
                q, k, v, window, dropout_p=dropout, scale=scaling, is_causal=causal and window is None
            )
        )
    return torch.cat(pieces, dim=2).transpose(1, 2).contiguous(), None
