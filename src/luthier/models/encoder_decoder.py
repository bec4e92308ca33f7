"""Encoder-decoders: what their decoder begins with, and rows that it answers one token at a time.

The encoder reads the prompt once. The decoder begins with a token of its own, attends to what the encoder made of the
prompt, and counts its positions by itself; so prompts are padded on the right, and all decoders of a batch stand at the
same position. A soft prompt's virtual tokens stand in front of the encoder's row, and no others in front of the
decoder's; a prefix stands in the decoder's cache from the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from luthier.core.errors import LuthierError
from luthier.models.batch import padded_rows

if TYPE_CHECKING:
    import torch


def has_encoder(model: Any) -> bool:
    """Whether an encoder reads the prompt; transformers' and peft's models alike."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def start_ids(model: Any) -> tuple[int, ...]:
    """What the decoder has read when an answer begins; empty for a model without an encoder.

    The first is `decoder_start_token_id`. A `forced_bos_token_id` follows it where generation is to begin with one, as
    with BART's `<s>`: there the completions that are trained on begin with it too.

    Raises:
        LuthierError: the model's configuration names no first token.
    """
    if not has_encoder(model):
        return ()
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    start, forced = (_setting(base, name) for name in ("decoder_start_token_id", "forced_bos_token_id"))
    if start is None:
        raise LuthierError(
            "the model does not say which token its decoder begins with",
            where=str(base.config.name_or_path) or None,
            mend="set decoder_start_token_id in its config.json (T5: the padding token; BART: the end of sequence)",
        )
    return (start,) if forced is None else (start, forced)


def _setting(base: Any, name: str) -> int | None:
    """Of the generation's configuration, or else of the model's: checkpoints have it in either."""
    of_generation = getattr(base.generation_config, name, None)
    found: int | None = getattr(base.config, name, None) if of_generation is None else of_generation
    return found


def start_id(model: Any) -> int | None:
    """What the decoder has read where a completion begins to be scored; None for a model without an encoder."""
    return next(iter(start_ids(model)), None)


class CachedAnswers:
    """Answers on their way behind an encoder, with the decoder's cache.

    Args:
        model: a transformers encoder-decoder, plain or within peft.
        prompts: ids, one row each.
        pad_id: any token that the model has.
        room: how many tokens an answer has at most.

    Attributes:
        logits: `(row, vocabulary)`, fp32, of every answer's next token.
    """

    logits: torch.Tensor

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], pad_id: int, room: int):
        import torch
        from transformers import DynamicCache, EncoderDecoderCache

        from luthier.models.cache import roomy_cache, with_room

        device = next(model.parameters()).device
        ids, mask = (tensor.to(device) for tensor in padded_rows(prompts, pad_id))
        rows, width = ids.shape
        padded = not bool(mask.all())
        start = start_ids(model)
        own = roomy_cache(model.get_decoder().config, len(start) + room)
        output = model(
            input_ids=ids,
            attention_mask=mask if padded else None,
            decoder_input_ids=torch.tensor([start] * rows, device=device),
            past_key_values=EncoderDecoderCache(own, DynamicCache()),
            use_cache=True,
        )
        # peft puts a soft prompt in front of the encoder's row: what the encoder made of both is kept, and only the
        # model below goes on from there.
        self._model = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._encoded = output.encoder_last_hidden_state
        virtual = self._encoded.shape[1] - width
        self._mask = torch.cat([mask.new_ones(rows, virtual), mask], dim=1) if padded else None
        self._take(output)
        if self._cache.self_attention_cache is not own:  # peft's prefixes stand in a cache of its own
            slots = self._cache.get_seq_length() + room
            self._cache.self_attention_cache = with_room(self._cache.self_attention_cache, slots)

    def step(self, tokens: torch.Tensor) -> None:
        """Put one token behind every answer; `(row,)`."""
        self._take(
            self._model(
                encoder_outputs=(self._encoded,),
                attention_mask=self._mask,
                decoder_input_ids=tokens[:, None],
                past_key_values=self._cache,
                use_cache=True,
            )
        )

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all answers but these; `(n,)` indices."""
        self.logits, self._encoded = self.logits[rows], self._encoded[rows]
        if self._mask is not None:
            self._mask = self._mask[rows]
        for cache in (self._cache.self_attention_cache, self._cache.cross_attention_cache):
            cache.batch_select_indices(rows)

    def _take(self, output: Any) -> None:
        self.logits = output.logits[:, -1].float()
        self._cache = output.past_key_values
