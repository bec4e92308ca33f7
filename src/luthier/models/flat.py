"""Flat tokens: several sequences in one row, each attending only to itself, through transformers' own hooks.

A padded batch of ragged rows computes its padding too; on dialogues that was half the work. Here an attention function
and a mask function are registered with transformers (`AttentionInterface`, `AttentionMaskInterface`); inside
`flat_row(lengths)` they run attention sequence by sequence, outside they are plain SDPA. Positions restart through
`position_ids`, so outputs equal separate passes (tested to 1e-5 in fp32).

An encoder-decoder has two such rows, prompts for the encoder and completions for the decoder; in cross-attention each
completion looks at its own prompt. It takes no `position_ids`: `models/flat_pairs.py` has its positions restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from luthier.models.attention import attend
from luthier.models.encoder_decoder import has_encoder
from luthier.models.flat_pairs import PAIRS, restart_positions, restarts
from luthier.models.head import head_parts

if TYPE_CHECKING:
    import torch

NAME = "luthier_flat"
_HEADED = ("bert", "roberta", "camembert", "xlm-roberta")
"""Encoders whose heads were seen to read what the layers give out, and of a text to be classified its first token."""
_lengths: tuple[int, ...] = ()
_decoder_lengths: tuple[int, ...] = ()
_parents: tuple[int, ...] = ()


@contextmanager
def flat_row(lengths: Sequence[int], decoder_lengths: Sequence[int] = ()) -> Iterator[None]:
    """Within it, a row of `sum(lengths)` tokens is attended to as sequences of these lengths; any number of rows may
    be laid out alike.

    Args:
        lengths: of the sequences; behind an encoder, of what it reads.
        decoder_lengths: of what the decoder behind an encoder reads, as many; empty for a model of one stack.
    """
    global _lengths, _decoder_lengths
    before = _lengths, _decoder_lengths
    _lengths, _decoder_lengths = tuple(lengths), tuple(decoder_lengths)
    try:
        yield
    finally:
        _lengths, _decoder_lengths = before


@contextmanager
def branching(parents: Sequence[int]) -> Iterator[None]:
    """Within it, sequences of a flat row may begin with others, which stand in the row once (`models/branches.py`).

    Args:
        parents: for each sequence the earlier one that it goes on from, and which it sees with all before that; -1 for
            none. In a row of pairs, for each of the decoder's sequences the one of the encoder's that it looks at.
    """
    global _parents
    before, _parents = _parents, tuple(parents)
    try:
        yield
    finally:
        _parents = before


def use_flat_attention(model: Any) -> bool:
    """Switch the model to the registered attention; False where its architecture cannot take it.

    BLOOM does not call registered functions (ALiBi stands inside its own attention), soft-capped attention (Gemma 2)
    and attention sinks (GPT-OSS) are not SDPA, chunked attention (Llama 4) lives in the mask alone, and recurrent
    layers (Qwen3-Next) run on across the sequences: all these keep padded batches. So do encoder-decoders and encoders
    with a head, but for those that are known to be exact.
    """
    if not _suited(model):
        return False
    _register()
    try:
        model.set_attn_implementation(NAME)
    except (ValueError, KeyError, NotImplementedError):
        return False
    if has_encoder(model):
        restart_positions(model, _row_of_pairs)
    return True


def is_flat(model: Any) -> bool:
    """Whether `use_flat_attention` has switched this model."""
    if has_encoder(model):  # a configuration may be shared with a model that was not switched
        return bool(model.config._attn_implementation == NAME) and restarts(model)
    return bool(model.config.get_text_config(decoder=True)._attn_implementation == NAME)


def first_position(model: Any) -> int:
    """What `position_ids` begin with: 0, but in RoBERTa's kind the number after the padding token's."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    embeddings: Any = getattr(getattr(base, base.base_model_prefix, base), "embeddings", None)
    return int(embeddings.padding_idx) + 1 if hasattr(embeddings, "create_position_ids_from_input_ids") else 0


def _suited(model: Any) -> bool:
    if has_encoder(model):
        return model.config.model_type in PAIRS
    config = model.config.get_text_config(decoder=True)
    if head_parts(model) and config.model_type not in _HEADED:
        return False
    functional = getattr(model, "_supports_attention_backend", False) and getattr(model, "_supports_sdpa", False)
    if not functional or getattr(config, "attn_logit_softcapping", None):
        return False
    return not set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}


def _row_of_pairs(decoder: bool) -> tuple[int, ...]:
    """The lengths of what the decoder or its encoder reads; empty outside of a flat row of pairs."""
    return _decoder_lengths if decoder or not _decoder_lengths else _lengths


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
    position_bias: torch.Tensor | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention over `(row, head, position, head_dim)`, sequence by sequence; gives `(row, position, head, head_dim)`.

    A `position_bias` (T5's) is that of the longest sequence: distances are counted from its beginning, so its top left
    corner is that of a shorter one.
    """
    import torch
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    if not _lengths:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, position_bias, **kwargs
        )
        return output, None
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    if _crosses(module):
        position_bias = None  # T5 has none between the two: zeros
    pieces = []
    for q, k, v in _sequences(module, query, key, value):
        bias = None if position_bias is None else position_bias[:, :, : q.shape[2], : k.shape[2]]
        pieces.append(attend(q, k, v, causal=causal, window=sliding_window, bias=bias, dropout=dropout, scale=scaling))
    return torch.cat([piece.transpose(1, 2) for piece in pieces], dim=1), None


def _sequences(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """The queries of each sequence, and the keys and values that they may look at."""
    queries = list(_decoder_lengths if _decoder_lengths and module.is_decoder else _lengths)
    crosses = _crosses(module)
    keys = list(_lengths) if crosses else queries
    if _parents and (crosses or not _decoder_lengths):
        branches = (_of_branches(states.split(keys, 2), crosses) for states in (key, value))
        return zip(query.split(queries, 2), *branches, strict=True)
    return zip(query.split(queries, 2), _behind_prefix(key, keys), _behind_prefix(value, keys), strict=True)


def _behind_prefix(states: torch.Tensor, lengths: list[int]) -> Iterator[torch.Tensor]:
    """The keys or the values of each sequence: what a cache has put in front of the row is in front of all of them."""
    import torch

    surplus = states.shape[2] - sum(lengths)
    if not surplus:
        return iter(states.split(lengths, 2))
    prefix, *own = states.split([surplus, *lengths], 2)
    return (torch.cat([prefix, piece], dim=2) for piece in own)


def _of_branches(own: Sequence[torch.Tensor], crosses: bool) -> Iterator[torch.Tensor]:
    """The keys or the values of each sequence behind those that it goes on from, one sequence at a time: all of them
    together would take a shared beginning's memory as often as it is shared. Or of what it looks at across."""
    import torch

    for place, parent in enumerate(_parents):
        if crosses:
            yield own[parent]
            continue
        line = [own[place]]
        while parent >= 0:
            line.append(own[parent])
            parent = _parents[parent]
        yield line[0] if len(line) == 1 else torch.cat(line[::-1], dim=2)


def _crosses(module: Any) -> bool:
    """Whether this is a decoder's attention to its encoder."""
    return bool(_decoder_lengths) and module.is_decoder and not module.is_causal
