"""Prompts read in one flat row, without padding, behind a beginning that they share and that is read once.

    cache: [beginning]    row: [rest 1][rest 2] ...    ->    a cache of rows: [beginning][rest 1][0 0 0]
                                                                              [beginning][rest 2][0]

What a cache has put in front of a flat row is in front of all of its sequences (`models/flat.py`), so one pass reads
the rests of all prompts; then keys and values move to the rows that answers are written behind. The beginning's cache
serves every batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.models.flat import flat_row
from luthier.models.forward import logits_only_at

if TYPE_CHECKING:
    import torch

_GROWING = ("dynamic", "longrope")
"""Rotations that depend on how long the row is: a beginning by itself would be turned by others."""


@dataclass(frozen=True)
class Beginning:
    """Tokens that every prompt begins with, and the cache of one row that has read them.

    Attributes:
        length: how many tokens.
        cache: of transformers; never written to after it was made.
    """

    length: int
    cache: Any


def read_beginning(model: Any, ids: Sequence[int]) -> Beginning | None:
    """Read what all prompts begin with; None where it cannot be read apart.

    Args:
        model: a decoder that `use_flat_attention` has switched, without virtual tokens.
        ids: of the beginning, one at least.
    """
    parameters = getattr(model.config.get_text_config(decoder=True), "rope_parameters", None) or {}
    nested = [values for values in parameters.values() if isinstance(values, dict)]
    if any(values.get("rope_type") in _GROWING for values in (parameters, *nested)):
        return None
    cache, _ = _read(model, [ids], None)
    return Beginning(len(ids), cache)


def read_prompts(
    model: Any, prompts: Sequence[Sequence[int]], beginning: Beginning | None, cache: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Read prompts into an empty cache of as many rows.

    Args:
        model: as above.
        prompts: whole, with the beginning, of which each has at least one token more.
        beginning: what they share; None for nothing.
        cache: transformers' or `roomy_cache`; a row's slots behind its own prompt are zeros, to be masked.

    Returns:
        The logits of each row's next token, `(row, vocabulary)`, and which slots hold tokens, `(row, slot)`, bool.
    """
    import torch

    start = beginning.length if beginning else 0
    flat, logits = _read(model, [prompt[start:] for prompt in prompts], beginning)
    lengths = [len(prompt) - start for prompt in prompts]
    for layer, read in zip(cache.layers, flat.layers, strict=True):
        if read.is_initialized:  # not so where a layer takes the keys of another
            layer.update(_rows(read.keys, start, lengths), _rows(read.values, start, lengths))
    slots = torch.arange(start + max(lengths), device=logits.device)
    return logits, slots < torch.tensor(lengths, device=logits.device)[:, None] + start


def _read(model: Any, rests: Sequence[Sequence[int]], beginning: Beginning | None) -> tuple[Any, torch.Tensor]:
    """One flat pass over them: its cache, `(1, head, position, head_dim)`, and the logits behind each."""
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import Cache, DynamicLayer

    device = next(model.parameters()).device
    start = beginning.length if beginning else 0
    # Windows are kept by the attention here; layers that forget would leave the rows without their first keys.
    cache = Cache(layers=[DynamicLayer() for _ in DynamicCache(config=model.config).layers])
    for layer, read in zip(cache.layers, beginning.cache.layers if beginning else (), strict=False):
        if read.is_initialized:
            layer.update(read.keys, read.values)
    lengths = [len(rest) for rest in rests]
    positions = torch.cat([torch.arange(start, start + length) for length in lengths])[None].to(device)
    ids = torch.tensor([[token for rest in rests for token in rest]], device=device)
    last = torch.tensor(lengths, device=device).cumsum(0) - 1
    with flat_row(lengths), logits_only_at(model, last, sum(lengths)):
        logits = model(input_ids=ids, position_ids=positions, past_key_values=cache, use_cache=True).logits
    return cache, logits


def _rows(states: torch.Tensor, start: int, lengths: Sequence[int]) -> torch.Tensor:
    """`(row, head, slot, head_dim)` of a flat row's keys or values, with the beginning before each."""
    _, heads, _, size = states.shape
    beginning, *own = states.split([start, *lengths], dim=2)
    rows = states.new_zeros(len(lengths), heads, start + max(lengths), size)
    rows[:, :, :start] = beginning
    for row, piece in enumerate(own):
        rows[row, :, start : start + piece.shape[2]] = piece[0]
    return rows
