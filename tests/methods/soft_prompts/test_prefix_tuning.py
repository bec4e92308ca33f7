"""Prefix tuning and P-tuning v2: where the prefix stands, how wide it is, and what it does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration, T5Config, T5ForConditionalGeneration

from luthier.core.errors import LuthierError
from luthier.methods.soft_prompts.layer_prefix import attention_shape
from luthier.methods.soft_prompts.p_tuning_v2 import PTuningV2
from luthier.methods.soft_prompts.prefix_tuning import PrefixTuning
from tests.families import attach_to, family_model, family_rows, logits
from tests.golden.test_lora_counts import llama

V = 3


def test_of_an_encoder_decoder_it_is_the_decoders_depth_and_heads() -> None:
    """peft would take the encoder's, and the heads to fill the model's width."""
    t5 = T5ForConditionalGeneration(
        T5Config(vocab_size=64, d_model=64, d_kv=8, d_ff=32, num_layers=1, num_decoder_layers=2, num_heads=4,
                 decoder_start_token_id=0)
    )  # fmt: skip
    assert attention_shape(t5) == {"num_layers": 2, "num_attention_heads": 4, "token_dim": 32}
    bart = BartForConditionalGeneration(
        BartConfig(vocab_size=64, d_model=64, encoder_layers=1, decoder_layers=3, encoder_attention_heads=2,
                   decoder_attention_heads=4, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=40)
    )  # fmt: skip
    assert attention_shape(bart) == {"num_layers": 3, "num_attention_heads": 4, "token_dim": 64}
    for model in (t5, bart):
        ids = torch.arange(4, 10)[None]
        before = model(input_ids=ids, decoder_input_ids=ids).logits
        adapted = PrefixTuning(virtual_tokens=V).attach(model, None).eval()
        assert not torch.allclose(adapted(input_ids=ids, decoder_input_ids=ids).logits, before, atol=1e-4)


def test_without_projection_it_is_p_tuning_v2() -> None:
    rows = family_rows("bert", 4)
    bare, deep = (
        logits(attach_to("bert", method), rows)
        for method in (PrefixTuning(virtual_tokens=V, projection=False), PTuningV2(virtual_tokens=V))
    )
    assert torch.equal(bare, deep)


def test_a_projection_makes_each_layers_prefix_of_one_embedding() -> None:
    model = attach_to("gpt2", PrefixTuning(virtual_tokens=V, hidden=5))
    encoder = model.prompt_encoder["default"]
    assert encoder.embedding.weight.shape == (V, 64)
    assert [tuple(layer.weight.shape) for layer in encoder.transform if hasattr(layer, "weight")] == [
        (5, 64),
        (2 * 2 * 64, 5),
    ]


def test_other_heads_than_those_it_was_trained_on_are_refused(tmp_path: Path) -> None:
    """Of the same depth and width: peft would load it, and fail in the first forward pass."""
    method = PTuningV2(virtual_tokens=V)
    method.save(method.attach(llama(num_key_value_heads=2), None), tmp_path)
    with pytest.raises(LuthierError, match="2 layers of 2 key-value heads, 32 wide together, not 2 layers of 4"):
        method.load(llama(), tmp_path)


@pytest.mark.parametrize("damage", ["missing", "another family"])
def test_what_does_not_fit_is_refused(damage: str, tmp_path: Path) -> None:
    method: Any = PrefixTuning(virtual_tokens=V)
    method.save(attach_to("llama", method), tmp_path)
    if damage == "missing":
        (tmp_path / "adapter_config.json").unlink()
    with pytest.raises(LuthierError, match="no such file" if damage == "missing" else "another model"):
        method.load(family_model("llama" if damage == "missing" else "mistral"), tmp_path)


@pytest.mark.parametrize("family", ["bert", "bloom", "bart"])
def test_every_key_and_value_of_every_layer_is_trained(family: str) -> None:
    method = PTuningV2(virtual_tokens=V)
    model = attach_to(family, method)
    logits_before = logits(model, family_rows(family, 2))
    assert logits_before.isfinite().all()
    from luthier.objectives.supervised import Supervised
    from tests.families import family_batch

    Supervised().loss(model, family_batch(model, family_rows(family, 4))).backward()
    (weights,) = model.prompt_encoder.parameters()
    heads = weights.grad.view(V, -1, 64)  # keys and values of each layer in turn
    assert (heads.abs().sum(dim=(0, 2)) > 0).all()
