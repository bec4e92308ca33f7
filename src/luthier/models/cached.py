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
from luthier.models.flat_prefill import Beginning, read_prompts
from luthier.models.forward import logits_only_at
from luthier.models.virtual_tokens import virtual_tokens

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
        flat: whether the prompts are read in a flat row: the model was switched by `use_flat_attention`, and all rows
            are computed with the same weights. Virtual tokens take padded rows all the same.
        beginning: what all prompts begin with, read already; in a flat row alone.

    Attributes:
        logits: `(row, vocabulary)`, fp32, of every row's next token.
    """

    logits: torch.Tensor
    _cache: Any

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        pad_id: int,
        room: int,
        *,
        flat: bool = False,
        beginning: Beginning | None = None,
    ):
        import torch

        from luthier.models.cache import roomy_cache, with_room

        virtual = virtual_tokens(model)
        # peft puts a soft prompt in front at *every* call: only the prompts may go through it, the answers through the
        # model below, whose cache holds the virtual tokens by then.
        self._decoder = model.get_base_model() if virtual else model
        self._takes_positions = "position_ids" in _arguments(model)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=next(model.parameters()).device)
        self._positions = lengths + virtual
        self._mask: torch.Tensor | None = None
        self._slots = virtual + int(lengths.max())
        cache = roomy_cache(model.config, self._slots + room)
        self._whole_masks = flat and not virtual and not any(cache.is_sliding)
        if flat and not virtual:
            logits, mask = read_prompts(model, prompts, beginning, cache)
            self._cache, self.logits = cache, logits.float()
        else:
            mask = self._read_padded(model, prompts, pad_id, virtual, cache)
            if self._cache is not cache:  # peft's prefixes stand in a cache of its own
                self._cache = with_room(self._cache, self._slots + room)
        if not bool(mask.all()):
            self._mask = torch.cat([mask, mask.new_ones(len(mask), room)], dim=1)

    def step(self, tokens: torch.Tensor) -> None:
        """Put one token behind every row; `(row,)`."""
        inputs: dict[str, Any] = {}
        self._slots += 1
        if self._mask is not None:
            mask = self._mask[:, : self._slots]
            # SDPA's own shape, `(row, head, query, slot)`, is taken as it is; of the other one transformers makes it.
            inputs["attention_mask"] = mask[:, None, None] if self._whole_masks else mask
            if self._takes_positions:
                inputs["position_ids"] = self._positions[:, None]
        output = self._decoder(input_ids=tokens[:, None], past_key_values=self._cache, use_cache=True, **inputs)
        self._positions = self._positions + 1
        self._take(output, output.logits[:, -1])

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all rows but these; `(n,)` indices. What is kept of the rows' order is up to them."""
        self.logits = self.logits[rows]
        self._positions = self._positions[rows]
        if self._mask is not None:
            self._mask = self._mask[rows]
        self._cache.batch_select_indices(rows)

    def _read_padded(
        self, model: Any, prompts: Sequence[Sequence[int]], pad_id: int, virtual: int, cache: Any
    ) -> torch.Tensor:
        """Gives which slots hold tokens, `(row, slot)`."""
        import torch

        device = self._positions.device
        ids, mask = (tensor.to(device) for tensor in padded_rows(prompts, pad_id))
        rows, width = ids.shape
        last = torch.arange(rows, device=device) * width + self._positions - virtual - 1
        with logits_only_at(model, last, width):
            output = model(
                input_ids=ids,
                attention_mask=None if bool(mask.all()) else mask,
                past_key_values=cache,
                use_cache=True,
            )
        self._take(output, output.logits)
        return torch.cat([mask.new_ones(rows, virtual), mask], dim=1)

    def _take(self, output: Any, logits: torch.Tensor) -> None:
        self.logits = logits.float()
        self._cache = output.past_key_values


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
