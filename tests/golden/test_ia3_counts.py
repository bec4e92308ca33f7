"""Known counts of IA3's trainable weights: width 64, two layers, 128 inside, vocabulary 256."""

from __future__ import annotations

from typing import Any

import torch
from peft import IA3Config, get_peft_model
from transformers import BertConfig, BertForSequenceClassification

from luthier.methods.additive.ia3 import IA3
from luthier.models.head import mark_head, train_head
from tests.golden.test_lora_counts import count, llama, t5


def bert() -> Any:
    """With a head of three classes, 195 weights, and the encoder's pooler in the checkpoint."""
    config = BertConfig(
        vocab_size=256, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, num_labels=3
    )
    with torch.random.fork_rng(devices=[]):
        model = BertForSequenceClassification(config)
    mark_head(model, [name for name, _ in model.named_parameters() if not name.startswith("classifier")])
    return model


def test_a_decoder() -> None:
    assert count(IA3(), llama()) == 2 * (64 + 64 + 128) == 512


def test_an_encoder_decoder() -> None:
    """Keys and values of six attentions, and four feed-forwards."""
    assert count(IA3(), t5()) == 6 * (64 + 64) + 4 * 128 == 1280


def test_an_encoder() -> None:
    """peft's own choice of layers takes in the attention's output matrix, which ends in `output.dense` too: 835. The
    paper does not rescale what goes into that, 64 a layer."""
    model = IA3().attach(bert(), None)
    ours = sum(weight.numel() for weight in train_head(model).parameters() if weight.requires_grad)
    theirs: Any = get_peft_model(bert(), IA3Config(task_type="SEQ_CLS"))
    assert sum(weight.numel() for weight in theirs.parameters() if weight.requires_grad) == 835
    assert ours == 835 - 2 * 64 == 2 * (64 + 64 + 128) + 195
