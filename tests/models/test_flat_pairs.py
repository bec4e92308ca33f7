"""Flat rows of encoder-decoders: prompts in one, completions in the other, each pair as it would be by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers

from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.ia3 import IA3
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.models.batch import Batch, flat_pairs_batch, pairs_batch
from luthier.models.encoder_decoder import start_id
from luthier.models.flat import is_flat, use_flat_attention
from luthier.models.forward import scored_logits
from luthier.models.likelihood import likelihoods
from luthier.objectives.supervised import Supervised
from tests.models.decoders import VOCABULARY
from tests.models.encoder_decoders import FAMILIES, encoder_decoder
from tests.training.small import fit, sequences, supervised_data

every_family = pytest.mark.parametrize("family", FAMILIES)
ROWS = sequences(6)


def flat(model: Any, rows: Any = ROWS) -> Batch:
    return flat_pairs_batch(rows, start_id(model) or 0)


def padded(model: Any, rows: Any = ROWS) -> Batch:
    return pairs_batch(rows, 0, start_id(model) or 0)


def gradients(model: Any, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    Supervised().loss(model, batch).backward()
    found = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    with torch.no_grad():
        return scored_logits(model, batch), found


@every_family
def test_logits_and_gradients_are_those_of_padded_pairs(family: str) -> None:
    model = encoder_decoder(family, loud=False).double().train()
    expected, of_padded = gradients(model, padded(model))
    assert use_flat_attention(model)
    found, of_flat = gradients(model, flat(model))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert of_flat.keys() == of_padded.keys()
    assert family == "bart" or any("relative_attention_bias" in name for name in of_flat)
    for name, gradient in of_flat.items():
        # A bias of the keys moves all scores of a query alike: its gradient is nothing but rounding.
        scale = 1.0 if name.endswith("k_proj.bias") else float(of_padded[name].abs().max())
        torch.testing.assert_close(gradient, of_padded[name], atol=1e-7 * scale, rtol=1e-6, msg=name)


@every_family
def test_in_bf16_too(family: str) -> None:
    model = encoder_decoder(family, loud=False).bfloat16()
    with torch.no_grad():
        expected = scored_logits(model, padded(model))
        assert use_flat_attention(model)
        found = scored_logits(model, flat(model))
        torch.testing.assert_close(found, expected, atol=0.05 * float(expected.abs().max()), rtol=0.1)
        with torch.autocast("cpu", torch.bfloat16):
            assert bool(scored_logits(model, flat(model)).isfinite().all())


@every_family
def test_no_pair_feels_its_neighbours(family: str) -> None:
    model = encoder_decoder(family)
    use_flat_attention(model)
    changed = [replace(ROWS[0], ids=(*ROWS[0].ids[:-2], 15, 10)), *ROWS[1:]]
    own = len(ROWS[0].ids) - ROWS[0].prompt_length
    with torch.no_grad():
        first, second = (scored_logits(model, flat(model, rows)) for rows in (ROWS, changed))
    assert torch.equal(first[own:], second[own:]) and not torch.equal(first[:own], second[:own])


@every_family
def test_rows_that_are_laid_out_alike_are_answered_each_for_itself(family: str) -> None:
    model = encoder_decoder(family, loud=False)
    use_flat_attention(model)
    one = flat(model)
    other = replace(one, input_ids=one.input_ids.flip(1))
    both = replace(
        one,
        input_ids=torch.cat([one.input_ids, other.input_ids]),
        decoder_input_ids=torch.cat([one.decoder_input_ids, other.decoder_input_ids]),  # type: ignore[list-item]
    )
    with torch.no_grad():
        alone = torch.cat([scored_logits(model, one), scored_logits(model, other)])
        torch.testing.assert_close(scored_logits(model, both), alone, atol=1e-5, rtol=1e-5)


@every_family
@pytest.mark.parametrize("method", [LoRA(), IA3(), Adapter(), Full()], ids=lambda one: one.label())
def test_a_training_in_flat_rows_has_the_same_losses(family: str, method: Method) -> None:
    losses = []
    for in_a_row in (True, False):
        model = encoder_decoder(family, loud=False)
        assert use_flat_attention(model)
        torch.manual_seed(0)
        model = method.attach(model, None)
        data = supervised_data(sequences(16), ROWS, flat=in_a_row, start_id=start_id(model))
        assert bool(data.step(0, 0)[0].decoder_lengths) == in_a_row
        fitted = fit(model, data, method, learning_rate=1e-3, steps=4, validations=1)
        losses.append([*fitted.losses, *fitted.validation_losses.values()])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) and len(set(losses[0])) == 5


@every_family
def test_likelihoods_are_those_of_padded_pairs(family: str) -> None:
    model = encoder_decoder(family, loud=False)
    expected = likelihoods(model, ROWS, flat=False, pad_id=0)
    assert use_flat_attention(model)
    found = likelihoods(model, ROWS, flat=True, pad_id=0, most_tokens=60)
    assert [count for _, count in found] == [count for _, count in expected]
    assert [total for total, _ in found] == pytest.approx([total for total, _ in expected], abs=1e-4)


@every_family
def test_outside_of_a_flat_row_the_switched_model_is_as_before(family: str) -> None:
    model = encoder_decoder(family)
    with torch.no_grad():
        before = scored_logits(model, padded(model))
        assert use_flat_attention(model) and use_flat_attention(model)
        torch.testing.assert_close(scored_logits(model, padded(model)), before, atol=1e-5, rtol=1e-5)


@every_family
def test_models_that_share_a_configuration_are_switched_each_by_itself(family: str) -> None:
    model = encoder_decoder(family)
    other = type(model)(model.config).eval()
    assert use_flat_attention(model) and not is_flat(other)
    with pytest.raises(RuntimeError, match="use_flat_attention"):
        scored_logits(other, flat(other))
    assert use_flat_attention(other) and is_flat(LoRA().attach(other, None))
    with torch.no_grad():
        torch.testing.assert_close(
            scored_logits(other, flat(other)), scored_logits(other, padded(other)), atol=1e-5, rtol=1e-5
        )


def test_the_bias_of_distances_is_that_of_the_longest_sequence_alone() -> None:
    model = encoder_decoder("t5")
    use_flat_attention(model)
    shapes = []
    for stack in (model.get_encoder(), model.get_decoder()):
        for layer in stack.block[-1].layer[:-1]:
            layer.register_forward_hook(lambda _, __, output: shapes.append(tuple(output[1].shape)))
    with torch.no_grad():
        scored_logits(model, flat(model))
    prompt = max(row.prompt_length for row in ROWS)
    answer = max(len(row.ids) - row.prompt_length for row in ROWS)
    assert shapes == [(1, 4, prompt, prompt), (1, 4, answer, answer), (1,)]


def test_other_encoder_decoders_keep_padded_pairs() -> None:
    config = transformers.PegasusConfig(
        vocab_size=VOCABULARY, d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_attention_heads=2,
    )  # fmt: skip
    model = transformers.PegasusForConditionalGeneration(config)
    before = model.config._attn_implementation
    assert not use_flat_attention(model) and model.config._attn_implementation == before


@every_family
def test_an_empty_completion_takes_nothing_from_the_others(family: str) -> None:
    model = encoder_decoder(family, loud=False).eval()
    empty = replace(ROWS[1], ids=ROWS[1].ids[: ROWS[1].prompt_length])
    expected = scored_logits(model, padded(model, [ROWS[0], empty, ROWS[2]]))
    use_flat_attention(model)
    batch = flat(model, [ROWS[0], empty, ROWS[2]])
    torch.testing.assert_close(scored_logits(model, batch), expected, atol=1e-5, rtol=1e-5)
    assert len(batch.targets) == len(expected)
