"""Known counts of IA3's trainable weights: width 64, two layers, 128 inside, vocabulary 256."""

from __future__ import annotations

from typing import Any

from peft import IA3Config, get_peft_model

from luthier.methods.additive.ia3 import IA3
from luthier.models.head import train_head
from tests.golden.test_lora_counts import bert, count, llama, t5


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
