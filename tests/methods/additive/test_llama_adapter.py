"""LLaMA-Adapter: cut to the model's depth, the same with a cache as without, and position by position."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from luthier.methods.additive.llama_adapter import LlamaAdapter
from luthier.methods.method import trainable
from luthier.models.families import FAMILIES
from luthier.models.flat import use_flat_attention
from luthier.models.forward import inference, scored_logits
from luthier.models.generate import generate
from luthier.models.sampling import Sampling
from tests.families import attach_to, family_model
from tests.models.decoders import decoder, token_rows
from tests.training.small import sequences

WORKING = ("gpt2", "llama", "mistral")
PROMPTS = token_rows((5, 23, 11, 2, 30, 23))
NEW = 8


def moved(family: str, method: LlamaAdapter | None = None) -> Any:
    """With open gates, so that the prompts change what the model says."""
    model = (method or LlamaAdapter()).attach(decoder(family), None)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in trainable(model):
            weight.normal_(0, 1.5)
    return model.eval()


def without_cache(model: Any, prompt: list[int]) -> tuple[int, ...]:
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(NEW):
            ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return tuple(ids[len(prompt) :])


@pytest.mark.parametrize("family", WORKING)
def test_greedy_generation_over_the_cache_is_that_without_one(family: str) -> None:
    model = moved(family)
    answers = generate(
        model, PROMPTS, sampling=Sampling(max_new_tokens=NEW), request_ids=[str(n) for n in range(len(PROMPTS))],
        stop_ids=frozenset(), pad_id=0, decode=str,
    )  # fmt: skip
    expected = [without_cache(model, prompt) for prompt in PROMPTS]
    assert [answer.ids for answer in answers] == expected
    assert expected != [without_cache(decoder(family), prompt) for prompt in PROMPTS]


def test_a_flat_row_answers_as_the_rows_do() -> None:
    from luthier.models.batch import flat_batch, padded_batch

    model, rows = moved("llama"), sequences(4)
    padded = padded_batch(rows, pad_id=0)
    with inference(model):
        expected = scored_logits(model, padded)
        assert use_flat_attention(model.get_base_model())
        torch.testing.assert_close(scored_logits(model, flat_batch(rows)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", WORKING)
def test_the_layers_are_cut_to_the_depth(family: str) -> None:
    width = family_model(family).config.hidden_size
    for layers, expected in ((30, 2), (1, 1)):
        model = attach_to(family, LlamaAdapter(layers=layers, prompts=6))
        assert sum(weight.numel() for weight in trainable(model)) == expected * (6 * width + 1)
    (top,) = {name.split("adaption")[0] for name, weight in model.named_parameters() if weight.requires_grad}
    assert ".1." in top, "the upper of two layers"


def test_the_prompts_have_no_gradient_before_the_gates_have_moved() -> None:
    model = attach_to("llama", LlamaAdapter())
    ids = torch.arange(20, 30)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    gradients = {
        name.rpartition(".")[2]: weight.grad for name, weight in model.named_parameters() if weight.requires_grad
    }
    assert gradients["adaption_gate"].abs().sum() > 0
    assert not gradients["adaption_prompt"].any()


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in WORKING])
def test_what_is_refused_cannot_be_attached(family: str) -> None:
    assert LlamaAdapter().refusal(FAMILIES[family], family)
    with pytest.raises(Exception, match=r"Unsupported model type|does not fit"):
        LlamaAdapter().attach(family_model(family), None)
