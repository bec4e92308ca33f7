"""How many virtual tokens a model has before every row, and whether they stand in the row or in its keys and values."""

from __future__ import annotations

from typing import Any

_PREFIXES = ("PREFIX_TUNING", "CARTRIDGE")
"""peft's names of what stands before the keys and values of every layer."""


def virtual_tokens(model: Any) -> int:
    """How many positions a soft prompt takes up in front of every row, of the row itself or of its keys and values; 0
    where there is none, or it is disabled."""
    config = getattr(model, "active_peft_config", None)
    if config is None or not config.is_prompt_learning or model._adapters_disabled:
        return 0
    return int(config.num_virtual_tokens)


def tokens_in_row(model: Any) -> int:
    """Of the `virtual_tokens` those that stand in the row itself: all, or none."""
    count = virtual_tokens(model)
    return 0 if count and model.active_peft_config.peft_type in _PREFIXES else count
