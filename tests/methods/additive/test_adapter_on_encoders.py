"""Bottleneck adapters in encoders whose layers end with their normalisation: where they read, and where they add."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.adapter_places import parts_of
from luthier.methods.additive.bottleneck import Bottleneck
from luthier.models.head import Head
from luthier.models.load import find_model, load_model
from tests.models.encoders import Family, tiny_encoder

IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


def encoder_of(family: Family, folder: Path, placement: Literal["pfeiffer", "houlsby"]) -> tuple[Any, Any]:
    """The encoder without adapters, and with large ones."""
    files = find_model(str(tiny_encoder(family, folder / family)))
    plain, adapted = (load_model(files, head=Head("class", ("a", "b"))) for _ in range(2))
    adapted = Adapter(placement=placement, reduction=4).attach(adapted, None).eval()
    with torch.no_grad():
        for _, bottleneck in parts_of(adapted, "default"):
            for weights in bottleneck.parameters():
                weights.copy_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(weights.numel())) / 5)
    return getattr(plain, plain.base_model_prefix), getattr(adapted, adapted.base_model_prefix)


def update(bottleneck: Bottleneck, hidden: torch.Tensor, nonlinearity: Any) -> torch.Tensor:
    """W_up f(W_down h + b_down) + b_up, written out."""
    inner = nonlinearity(hidden @ bottleneck.down.weight.T + bottleneck.down.bias)
    return inner @ bottleneck.up.weight.T + bottleneck.up.bias


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_pfeiffer_reads_the_normed_sum_and_adds_before_the_norm(family: Family, tmp_path: Path) -> None:
    plain, adapted = encoder_of(family, tmp_path, "pfeiffer")
    with torch.no_grad():
        hidden = plain.embeddings(IDS)
        for layer, with_adapter in zip(plain.encoder.layer, adapted.encoder.layer, strict=True):
            attended = layer.attention(hidden)[0]
            summed = layer.output.dense(layer.intermediate(attended)) + attended
            norm = layer.output.LayerNorm
            added = update(with_adapter.layer_adapter.part("default"), norm(summed), torch.relu)
            hidden = norm(summed + added)
        found = adapted(IDS).last_hidden_state
        assert torch.allclose(found, hidden, atol=1e-5)
        assert not torch.allclose(found, plain(IDS).last_hidden_state, atol=1e-2)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_houlsby_follows_each_sublayer_before_its_residual(family: Family, tmp_path: Path) -> None:
    plain, adapted = encoder_of(family, tmp_path, "houlsby")
    silu = torch.nn.functional.silu
    with torch.no_grad():
        hidden = plain.embeddings(IDS)
        for layer, with_adapter in zip(plain.encoder.layer, adapted.encoder.layer, strict=True):
            out = layer.attention.output.dense(layer.attention.self(hidden)[0])
            out = out + update(with_adapter.attention_adapter.part("default"), out, silu)
            attended = layer.attention.output.LayerNorm(out + hidden)
            out = layer.output.dense(layer.intermediate(attended))
            out = out + update(with_adapter.feed_forward_adapter.part("default"), out, silu)
            hidden = layer.output.LayerNorm(out + attended)
        assert torch.allclose(adapted(IDS).last_hidden_state, hidden, atol=1e-5)


@pytest.mark.parametrize("placement", ["pfeiffer", "houlsby"])
def test_bert_base_has_the_counts_that_adapterhub_prints(placement: Literal["pfeiffer", "houlsby"]) -> None:
    """1,789,056 (houlsby) and 894,528 (pfeiffer), the head apart."""
    from transformers import BertConfig, BertModel

    with torch.device("meta"):
        model = BertModel(BertConfig())
    adapted = Adapter(placement=placement).attach(model, None)
    expected = {"pfeiffer": 894_528, "houlsby": 1_789_056}[placement]
    assert sum(weights.numel() for weights in adapted.parameters() if weights.requires_grad) == expected
