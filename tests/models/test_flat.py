"""Flat rows equal separate sequences, in logits and in gradients; architectures that cannot take them are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy

from luthier.models import flat
from luthier.models.batch import Batch, flat_batch, padded_batch
from luthier.models.flat import flat_row, is_flat, use_flat_attention
from luthier.models.forward import scored_logits
from luthier.models.tokens import Encoded
from tests.models.decoders import VOCABULARY, WINDOW, decoder, token_rows

FAMILIES = ("llama", "mistral", "mistral-window", "gemma", "gpt2", "qwen2")
SEQUENCES = [
    Encoded(str(index), tuple(ids), prompt)
    for index, (ids, prompt) in enumerate(zip(token_rows((19, 3, 11, 11, 26)), (12, 1, 4, 9, 20), strict=True))
]


def gradients(model: Any, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    logits = scored_logits(model, batch)
    cross_entropy(logits, batch.targets).backward()
    return logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", FAMILIES)
def test_flat_equals_padded_equals_single_sequences(family: str) -> None:
    model = decoder(family).train()
    assert max(len(sequence.ids) for sequence in SEQUENCES) > WINDOW
    with torch.no_grad():
        single = torch.cat(
            [
                model(input_ids=torch.tensor([sequence.ids])).logits[0, sequence.prompt_length - 1 : -1]
                for sequence in SEQUENCES
            ]
        )
    padded, padded_gradients = gradients(model, padded_batch(SEQUENCES, pad_id=0))
    assert use_flat_attention(model)
    in_a_row, flat_gradients = gradients(model, flat_batch(SEQUENCES))
    torch.testing.assert_close(padded, single, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(in_a_row, single, atol=1e-5, rtol=1e-5)
    assert flat_gradients.keys() == padded_gradients.keys()
    for name, gradient in flat_gradients.items():
        scale = float(padded_gradients[name].abs().max())
        torch.testing.assert_close(gradient, padded_gradients[name], atol=1e-5 * scale, rtol=1e-4, msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_outside_a_flat_row_the_switched_model_is_as_before(family: str) -> None:
    model = decoder(family)
    batch = padded_batch(SEQUENCES, pad_id=0)
    with torch.no_grad():
        before = scored_logits(model, batch)
        assert use_flat_attention(model)
        torch.testing.assert_close(scored_logits(model, batch), before, atol=1e-6, rtol=1e-6)


def test_a_sequence_does_not_feel_its_neighbours() -> None:
    model = decoder("llama")
    use_flat_attention(model)
    changed = [Encoded("other", tuple(token_rows((19,), seed=9)[0]), 12), *SEQUENCES[1:]]
    with torch.no_grad():
        first, second = (scored_logits(model, flat_batch(sequences)) for sequences in (SEQUENCES, changed))
    assert torch.equal(first[7:], second[7:])
    assert not torch.allclose(first[:7], second[:7])


def test_the_switch_is_known() -> None:
    model = decoder("llama")
    assert not is_flat(model)
    assert use_flat_attention(model)
    assert is_flat(model)


def test_no_dense_mask_is_built_within_a_flat_row() -> None:
    use_flat_attention(decoder("llama"))
    with flat_row((30, 40)):
        assert transformers.AttentionMaskInterface()[flat.NAME](batch_size=1, q_length=70, kv_length=70) is None
    outside = transformers.AttentionMaskInterface()[flat.NAME](
        batch_size=1, q_length=70, kv_length=70, allow_is_causal_skip=False
    )
    assert outside.shape == (1, 1, 70, 70)


def test_flat_rows_nest_and_end() -> None:
    with flat_row((1, 2)):
        with pytest.raises(KeyError), flat_row((3,)):
            raise KeyError
        assert flat._lengths == (1, 2)
    assert flat._lengths == ()


def small(cls: str, **settings: Any) -> Any:
    config = getattr(transformers, cls)(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        **settings,
    )
    return transformers.AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: decoder("bloom"), id="ALiBi"),
        pytest.param(lambda: small("Gemma2Config"), id="soft-capping"),
        pytest.param(lambda: small("GptOssConfig", num_local_experts=2, num_experts_per_tok=1), id="sinks"),
        pytest.param(
            lambda: small(
                "Qwen3NextConfig",
                layer_types=["linear_attention", "full_attention"],
                num_experts=2,
                num_experts_per_tok=1,
                moe_intermediate_size=16,
                shared_expert_intermediate_size=16,
                linear_num_value_heads=2,
                linear_num_key_heads=2,
                linear_key_head_dim=8,
                linear_value_head_dim=8,
            ),
            id="recurrent",
        ),
    ],
)
def test_architectures_that_cannot_are_left_alone(make: Any) -> None:
    model = make()
    before = model.config._attn_implementation
    assert not use_flat_attention(model)
    assert model.config._attn_implementation == before


def test_gemma3_mixes_windows_and_full_attention() -> None:
    torch.manual_seed(0)
    model = small("Gemma3TextConfig", sliding_window=WINDOW, layer_types=["sliding_attention", "full_attention"]).eval()
    with torch.no_grad():
        single = torch.cat(
            [
                model(input_ids=torch.tensor([sequence.ids])).logits[0, sequence.prompt_length - 1 : -1]
                for sequence in SEQUENCES
            ]
        )
        assert use_flat_attention(model)
        torch.testing.assert_close(scored_logits(model, flat_batch(SEQUENCES)), single, atol=1e-5, rtol=1e-5)
