"""Known counts of trainable weights in bottleneck adapters: those of the papers, from arithmetic."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from luthier.methods.additive.adapter import Adapter
from luthier.methods.method import trainable


def count(method: Adapter, *, width: int, layers: int) -> int:
    config: Any = GPT2Config(n_embd=width, n_layer=layers, n_head=4, vocab_size=50, n_positions=16)
    with torch.device("meta"):
        model = GPT2LMHeadModel(config)
    return sum(parameter.numel() for parameter in trainable(method.attach(model, None)))


@pytest.mark.parametrize(
    ("placement", "reduction", "expected"),
    [
        # Houlsby et al. 2019, section 2.1: a bottleneck of width m on d features has 2md + d + m weights.
        ("houlsby", 16, 12 * 2 * (2 * 48 * 768 + 768 + 48)),
        ("houlsby", 12, 12 * 2 * (2 * 64 * 768 + 768 + 64)),
        ("pfeiffer", 16, 12 * (2 * 48 * 768 + 768 + 48)),
    ],
)
def test_at_the_size_of_bert_base(placement: Literal["pfeiffer", "houlsby"], reduction: int, expected: int) -> None:
    assert count(Adapter(placement=placement, reduction=reduction), width=768, layers=12) == expected


def test_the_known_figures() -> None:
    """AdapterHub prints 1,789,056 (1.6%) for `double_seq_bn` and 894,528 (0.8%) for `seq_bn` on BERT-base."""
    assert count(Adapter(placement="houlsby"), width=768, layers=12) == 1_789_056
    assert count(Adapter(placement="pfeiffer"), width=768, layers=12) == 894_528
    assert count(Adapter(), width=256, layers=1) == 8_464
