"""Known counts of trainable weights of the selective methods, from arithmetic and from peft 0.21.2."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from luthier.methods.method import Method, trainable
from luthier.methods.selective.attention import Attention
from luthier.methods.selective.bitfit import BitFit
from luthier.methods.selective.fisher_mask import FisherMask
from luthier.methods.selective.head_only import HeadOnly
from luthier.methods.selective.layers import Layers
from luthier.methods.selective.norms import Norms
from tests.golden.test_lora_counts import bert, count, llama, t5

HEAD = 3 * 64 + 3


def by_peft(model: Any, kind: str, norms: list[str] | None) -> int:
    """What peft's LN tuning trains: its own choice of norms, which for BERT it does not have."""
    from peft import LNTuningConfig, get_peft_model

    found: Any = get_peft_model(model, LNTuningConfig(task_type=kind, target_modules=norms))
    return sum(parameter.numel() for parameter in trainable(found))


@pytest.mark.parametrize(
    ("make", "kind", "norms", "expected"),
    [
        (llama, "CAUSAL_LM", None, 320),
        (t5, "SEQ_2_SEQ_LM", None, 768),
        (bert, "SEQ_CLS", ["LayerNorm"], 835),
    ],
    ids=["llama", "t5", "bert"],
)
def test_norms_are_as_many_as_in_peft(make: Any, kind: str, norms: list[str] | None, expected: int) -> None:
    assert count(Norms(), make()) == by_peft(make(), kind, norms) == expected


@pytest.mark.parametrize(
    ("make", "method", "expected"),
    [
        # A layer has 4 biases of 64 in attention, 128 and 64 in the feed-forward, 2 of 64 in its norms; beside them the
        # embeddings' norm and the pooler have one of 64 each, and the head its 195.
        (bert, BitFit(), 2 * (4 * 64 + 128 + 64 + 2 * 64) + 64 + 64 + HEAD),
        (bert, Attention(), 2 * 4 * (64 * 64 + 64) + HEAD),
        (bert, HeadOnly(), HEAD),
        (llama, Layers(), 4 * 64 * 64 + 3 * 64 * 128 + 2 * 64),
        (llama, Layers(count=2), 2 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 64)),
        (llama, Attention(), 2 * 4 * 64 * 64),
        (llama, HeadOnly(), 256 * 64),
        (llama, FisherMask(), round(0.005 * 2 * (4 * 64 * 64 + 3 * 64 * 128))),
        (bert, FisherMask(share=0.25), 2 * (4 * 64 * 64 + 2 * 64 * 128) // 4 + HEAD),
        # Six attentions of four matrices: two in the encoder, twice two in the decoder.
        (t5, Attention(), 6 * 4 * 64 * 64),
        (t5, HeadOnly(), 256 * 64),
    ],
    ids=lambda value: value.label() if isinstance(value, Method) else getattr(value, "__name__", str(value)),
)
def test_at_width_64_and_two_layers(make: Any, method: Method, expected: int) -> None:
    assert count(method, make()) == expected


def test_bitfit_of_bert_base_is_less_than_a_thousandth() -> None:
    """Eleven times the width in each of twelve layers, the embeddings' norm, the pooler, and a head of two classes."""
    config = BertConfig(vocab_size=28996)  # bert-base-cased
    with torch.device("meta"):
        model = BertForSequenceClassification(config)
    sizes = {name: value.numel() for name, value in model.named_parameters()}
    biases = sum(sizes[name] for name in BitFit().chosen(model))
    assert biases == 12 * 11 * 768 + 768 + 768 + 2 == 102_914
    assert round(100 * biases / sum(sizes.values()), 3) == 0.095
