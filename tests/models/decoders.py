"""Tiny decoders in memory, with weights large enough that a wrong position or mask changes what they say."""

from __future__ import annotations

import random
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from tests.tiny import tiny_config

VOCABULARY = 320
WINDOW = 8


def decoder(family: str, *, context: int = 256, seed: int = 0) -> Any:
    """A decoder of two layers in evaluation mode; `mistral-window` attends to the last `WINDOW` tokens alone."""
    config = tiny_config(family.removesuffix("-window"), vocab_size=VOCABULARY, context=context)
    config.initializer_range = 0.2
    if family == "mistral-window":
        config.sliding_window = WINDOW
    for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):  # GPT-2's dropout is on by default
        if hasattr(config, name):
            setattr(config, name, 0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config).eval()


def token_rows(lengths: tuple[int, ...], seed: int = 0) -> list[list[int]]:
    """Random ids of these lengths; none below 10, so that small ids can stand for padding."""
    stream = random.Random(seed)
    return [[stream.randrange(10, VOCABULARY) for _ in range(length)] for length in lengths]
