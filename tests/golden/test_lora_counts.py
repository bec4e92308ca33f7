"""Known counts of trainable weights, from arithmetic and from peft 0.21.2, through the methods' own settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from luthier.methods.full import Full
from luthier.methods.lora import LoRA
from luthier.methods.method import Method, trainable
from luthier.methods.prompt_tuning import PromptTuning


def llama(**changes: Any) -> Any:
    """Width 64, two layers, vocabulary 256."""
    settings: dict[str, Any] = {
        "vocab_size": 256, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4,
    } | changes  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        return LlamaForCausalLM(LlamaConfig(**settings))


def count(method: Method, model: Any) -> int:
    return sum(parameter.numel() for parameter in trainable(method.attach(model, None)))


def test_a_512_by_64_matrix_at_rank_8() -> None:
    model = llama(intermediate_size=512, num_hidden_layers=1)
    assert model.model.layers[0].mlp.gate_proj.weight.shape == (512, 64)
    assert count(LoRA(rank=8, targets=("gate_proj",)), model) == 8 * (512 + 64) == 4608
    assert round(1 - 4608 / (512 * 64), 2) == 0.86


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # peft's own choice of layers for Llama; ours is every linear layer but the head.
        (LoRA(rank=4, targets=("q_proj", "v_proj")), 2048),
        (LoRA(rank=4), 2 * 4 * (4 * (64 + 64) + 3 * (64 + 128))),
        (LoRA(rank=4, targets="q_proj"), 1024),
        (PromptTuning(virtual_tokens=4), 256),
        (PromptTuning(), 20 * 64),
        # Embedding, head, last norm; a layer has four square matrices, three of the feed-forward and two norms.
        (Full(), 2 * 256 * 64 + 64 + 2 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 64)),
    ],
    ids=lambda value: value.label() if isinstance(value, Method) else str(value),
)
def test_at_width_64_two_layers_and_vocabulary_256(method: Method, expected: int) -> None:
    assert count(method, llama()) == expected


def test_tied_weights_are_counted_once() -> None:
    assert count(Full(), llama(tie_word_embeddings=True)) == count(Full(), llama()) - 256 * 64
