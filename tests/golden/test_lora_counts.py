"""Known counts of trainable weights, from arithmetic and from peft 0.21.2, through the methods' own settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from luthier.methods.full import Full
from luthier.methods.method import Method, trainable
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.head import mark_head


def llama(**changes: Any) -> Any:
    """Width 64, two layers, vocabulary 256."""
    settings: dict[str, Any] = {
        "vocab_size": 256, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4,
    } | changes  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        return LlamaForCausalLM(LlamaConfig(**settings))


def t5() -> Any:
    """Width 64, two layers in the encoder and two in the decoder, vocabulary 256."""
    config = T5Config(
        vocab_size=256, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, decoder_start_token_id=0,
        feed_forward_proj="gated-silu",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        return T5ForConditionalGeneration(config)


def bert() -> Any:
    """Width 64, two layers, vocabulary 256, its pooler in the checkpoint, and a head of 3 * 64 + 3 weights."""
    config = BertConfig(
        vocab_size=256, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, num_labels=3
    )
    with torch.random.fork_rng(devices=[]):
        model = BertForSequenceClassification(config)
    mark_head(model, [name for name, _ in model.named_parameters() if not name.startswith("classifier")])
    return model


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


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # peft's own choice of layers for T5, in six attentions: two of the encoder's, and twice two of the decoder's.
        (LoRA(rank=4, targets=("q", "v")), 6144),
        # All four matrices of each of them, and three of each of four feed-forwards; the head is tied, and left alone.
        (LoRA(rank=4), 4 * (6 * 4 * (64 + 64) + 4 * 3 * (64 + 128))),
        (PromptTuning(virtual_tokens=4), 256),
    ],
    ids=lambda value: value.label() if isinstance(value, Method) else str(value),
)
def test_an_encoder_decoder_at_width_64_two_layers_and_vocabulary_256(method: Method, expected: int) -> None:
    assert count(method, t5()) == expected


def test_half_of_pefts_own_virtual_tokens_are_never_used() -> None:
    """Its default for encoder-decoders is twice as many, 512 weights, of which the decoder's half has no gradient."""
    from peft import PromptTuningConfig, get_peft_model

    model: Any = get_peft_model(t5(), PromptTuningConfig(task_type="SEQ_2_SEQ_LM", num_virtual_tokens=4))
    (weight,) = trainable(model)
    assert weight.numel() == 512
    ids = torch.arange(10)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    assert weight.grad is not None
    assert bool(weight.grad[:4].any(dim=1).all()) and not weight.grad[4:].any()
