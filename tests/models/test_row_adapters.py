"""Rows of one batch, each with its own adapter: the same as one run for each adapter."""

from __future__ import annotations

from functools import cache
from typing import Any

import peft
import pytest
import torch

from luthier.models.batch import padded_batch
from luthier.models.flat import use_flat_attention
from luthier.models.forward import inference, scored_logits
from luthier.models.generate import generate
from luthier.models.likelihood import likelihoods
from luthier.models.row_adapters import BASE, answered_by, current_rows, mixes_rows
from luthier.models.sampling import Sampling
from tests.families import family_model
from tests.models.decoders import token_rows
from tests.training.small import base, sequences

RANKS = (1, 2, 3, 4, 5, 8, 13, 16)
NAMES = tuple(f"rank{rank}" for rank in RANKS)
ASKED = sequences(len(RANKS) + 1, seed=3)
ORDER = ["rank5", BASE, "rank1", "rank16", "rank3", "rank2", "rank13", "rank4", "rank8"]
FAMILIES = ("llama", "gpt2", "t5", "bart")


@cache
def shared(family: str) -> Any:
    """One such model for all tests that leave it as it was."""
    return with_adapters(family)


def with_adapters(family: str) -> Any:
    """A model with an adapter of each rank, none of which is without effect."""
    model = None
    for rank, name in zip(RANKS, NAMES, strict=True):
        config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
        if model is None:
            model = peft.get_peft_model(base(family), config, adapter_name=name)
        else:
            model.add_adapter(name, config)
    assert model is not None
    stream = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_" in name:
                weights.copy_(0.1 * torch.randn(weights.shape, generator=stream))
    return model.eval()


def one_by_one(model: Any, ask: Any) -> list[Any]:
    """What `ask(place)` gives, with the adapter of each place alone in force."""
    found = []
    for place, name in enumerate(ORDER):
        if name == BASE:
            with model.disable_adapter():
                found.append(ask(place))
        else:
            model.set_adapter(name)
            found.append(ask(place))
    return found


def of_model(model: Any, places: list[int], adapters: list[str] | None = None) -> list[tuple[float, int]]:
    return likelihoods(model, [ASKED[place] for place in places], flat=False, pad_id=0, adapters=adapters)


@pytest.mark.parametrize("family", FAMILIES)
def test_eight_adapters_and_the_base_in_one_batch_equal_nine_runs(family: str) -> None:
    model = shared(family)
    mixed = of_model(model, list(range(len(ORDER))), ORDER)
    alone = one_by_one(model, lambda place: of_model(model, [place])[0])
    assert [count for _, count in mixed] == [count for _, count in alone]
    torch.testing.assert_close(
        torch.tensor([total for total, _ in mixed]), torch.tensor([total for total, _ in alone]), atol=1e-5, rtol=1e-5
    )
    assert len({round(total, 2) for total, _ in alone}) == len(ORDER)  # no two of them answer alike


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_answers_are_those_of_separate_runs_though_rows_leave_the_batch(family: str) -> None:
    model = shared(family)
    prompts = token_rows((5, 23, 11, 2, 30, 23, 7, 9, 14))

    def ask(places: list[int], adapters: list[str] | None = None) -> list[tuple[int, ...]]:
        answers = generate(
            model,
            [prompts[place] for place in places],
            request_ids=[str(place) for place in places],
            sampling=Sampling(max_new_tokens=12),
            stop_ids=frozenset(range(0, 320, 5)),  # a fifth of all tokens: rows end at different steps
            pad_id=0,
            decode=str,
            adapters=adapters,
        )
        return [answer.ids for answer in answers]

    mixed = ask(list(range(len(ORDER))), ORDER)
    assert mixed == one_by_one(model, lambda place: ask([place])[0])
    assert len({len(ids) for ids in mixed}) > 1


def test_rows_of_the_base_are_the_base_bit_for_bit() -> None:
    batch = padded_batch(ASKED[:3], pad_id=0)
    plain, model = base("llama"), shared("llama")
    with inference(plain), inference(model):
        expected = scored_logits(plain, batch)
        with answered_by(model, ["rank4", BASE, "rank8"]):
            mixed = scored_logits(model, batch)
    of_base = batch.owners == 1
    assert torch.equal(mixed[of_base], expected[of_base])
    assert not torch.allclose(mixed[~of_base], expected[~of_base], atol=1e-2)


def test_a_flat_model_is_asked_in_padded_rows() -> None:
    model = with_adapters("llama")
    assert use_flat_attention(model.get_base_model())
    flat = likelihoods(model, ASKED, flat=True, pad_id=0, adapters=ORDER)
    padded = of_model(shared("llama"), list(range(len(ORDER))), ORDER)
    for one, other in zip(flat, padded, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_what_failed_leaves_no_names_behind() -> None:
    model = shared("llama")
    batch = padded_batch(ASKED[:2], pad_id=0)
    model.set_adapter("rank4")
    with inference(model):
        before = scored_logits(model, batch)
        with pytest.raises(ZeroDivisionError), answered_by(model, ["rank8", "rank8"]):
            assert 1 / (current_rows() != ["rank8", "rank8"])
        assert current_rows() is None
        assert torch.equal(scored_logits(model, batch), before)
        with pytest.raises(ValueError, match="Length of `adapter_names`"), answered_by(model, ["rank8"]):
            scored_logits(model, batch)
        with pytest.raises(ValueError, match="non-existing"), answered_by(model, ["rank7", "rank8"]):
            scored_logits(model, batch)
        assert torch.equal(scored_logits(model, batch), before)


def test_the_list_is_the_truth_and_is_not_copied() -> None:
    model = shared("llama")
    names = ["rank1", "rank8"]
    batch, last = padded_batch(ASKED[:2], pad_id=0), padded_batch(ASKED[1:2], pad_id=0)
    with inference(model), answered_by(model, names):
        both = scored_logits(model, batch)[batch.owners == 1]
        del names[0]
        torch.testing.assert_close(scored_logits(model, last), both, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        peft.LoraConfig(use_dora=True, target_modules="all-linear"),
        peft.IA3Config(target_modules=["q_proj"], feedforward_modules=[]),
        peft.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
    ],
    ids=["dora", "ia3", "prompt_tuning"],
)
def test_what_peft_cannot_mix_is_refused_rather_than_answered_by_the_active_one(config: Any) -> None:
    model = peft.get_peft_model(base("llama"), config).eval()
    assert not mixes_rows(model)
    with pytest.raises(RuntimeError, match="batch by batch"), answered_by(model, ["default"]):
        pass
    assert current_rows() is None  # else the next model in this process would be asked for adapters that it has not


def test_heads_that_are_more_than_a_linear_layer_are_not_mixed() -> None:
    model = family_model("roberta")
    assert not mixes_rows(peft.get_peft_model(model, peft.LoraConfig(task_type="SEQ_CLS", target_modules="all-linear")))


def test_one_name_a_prompt() -> None:
    model = shared("llama")
    with pytest.raises(ValueError, match="zip"):
        of_model(model, [0, 1], ["rank1"])
