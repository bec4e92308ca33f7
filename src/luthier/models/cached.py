"""Rows that a model continues: the prompts go through it once, then one token at a time over its key-value cache.

Prompts are padded on the **right**. Their positions are then the natural ones, and a soft prompt's virtual tokens stand
directly in front of them; the padding that is left between a prompt and its answer is masked and takes up no position.
So a row's answer does not depend on what else is in the batch, wherever `takes_padding` says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from luthier.models.batch import padded_rows
from luthier.models.encoder_decoder import has_encoder
from luthier.models.forward import logits_only_at

if TYPE_CHECKING:
    import torch

_WINDOWS_OF_ENCODERS = ("attention_window", "local_radius", "block_size")  # LED, LongT5, BigBird


class CachedRows:
    """Prompts in front of a model, with their cache.

    Args:
        model: a transformers decoder, plain or within peft.
        prompts: ids, one row each.
        pad_id: any token that the model has.
        room: how many tokens will be put behind a prompt at most.

    Attributes:
        logits: `(row, vocabulary)`, fp32, of every row's next token.
    """

    logits: torch.Tensor
    _cache: Any

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], pad_id: int, room: int):
        import torch

        from luthier.models.cache import roomy_cache, with_room

        device = next(model.parameters()).device
        virtual = virtual_tokens(model)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        ids, mask = (tensor.to(device) for tensor in padded_rows(prompts, pad_id))
        rows, width = ids.shape
        padded = bool((lengths < width).any())
        # peft puts a soft prompt in front at *every* call: only the prompts may go through it, the answers through the
        # model below, whose cache holds the virtual tokens by then.
        self._decoder = model.get_base_model() if virtual else model
        self._takes_positions = "position_ids" in _arguments(model)
        self._positions = lengths + virtual
        self._mask = torch.cat([mask.new_ones(rows, virtual), mask], dim=1) if padded else None
        slots = virtual + width + room
        cache = roomy_cache(model.config, slots)
        with logits_only_at(model, torch.arange(rows, device=device) * width + lengths - 1, width):
            output = model(
                input_ids=ids, attention_mask=mask if padded else None, past_key_values=cache, use_cache=True
            )
        self._take(output, output.logits)
        if self._cache is not cache:  # peft's prefixes stand in a cache of its own
            self._cache = with_room(self._cache, slots)

    def step(self, tokens: torch.Tensor) -> None:
        """Put one token behind every row; `(row,)`."""
        import torch

        inputs: dict[str, Any] = {}
        if self._mask is not None:
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
            inputs["attention_mask"] = self._mask
            if self._takes_positions:
                inputs["position_ids"] = self._positions[:, None]
        output = self._decoder(input_ids=tokens[:, None], past_key_values=self._cache, use_cache=True, **inputs)
        self._positions = self._positions + 1
        self._take(output, output.logits[:, -1])

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all rows but these; `(n,)` indices."""
        self.logits = self.logits[rows]
        self._positions = self._positions[rows]
        if self._mask is not None:
            self._mask = self._mask[rows]
        self._cache.batch_select_indices(rows)

    def _take(self, output: Any, logits: torch.Tensor) -> None:
        self.logits = logits.float()
        self._cache = output.past_key_values


def virtual_tokens(model: Any) -> int:
    """How many positions a soft prompt takes up in front of every row, of the row itself or of its keys and values; 0
    where there is none, or it is disabled."""
    config = getattr(model, "active_peft_config", None)
    if config is None or not config.is_prompt_learning or model._adapters_disabled:
        return 0
    return int(config.num_virtual_tokens)


def takes_padding(model: Any, length: int) -> bool:
    """Whether rows of this length, padded in the middle, come out as they would alone; else equal lengths go together.

    They do where positions are an argument (or, in BLOOM, counted along the mask) and where attention reaches over the
    whole row: a window or a chunk is counted in slots of the cache, padding included, and recurrent layers see it all.
    Rows that an encoder reads are padded at their end, and do unless it attends within windows.
    """
    if has_encoder(model):
        return not any(hasattr(model.config, name) for name in _WINDOWS_OF_ENCODERS)
    config = model.config.get_text_config(decoder=True)
    if "position_ids" not in _arguments(model) and config.model_type != "bloom":
        return False
    if set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}:
        return False
    window = getattr(config, "sliding_window", None)
    return window is None or length <= window


def _arguments(model: Any) -> set[str]:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return set(inspect.signature(base.forward).parameters)
