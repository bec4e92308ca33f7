"""Shared beginnings, computed once: the same likelihoods and answers as without, and fewer tokens through the model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from luthier.models.branches import branches, common_beginning, families
from luthier.models.flat import use_flat_attention
from luthier.models.flat_prefill import read_beginning
from luthier.models.forward import inference
from luthier.models.generate import generate
from luthier.models.likelihood import likelihoods
from luthier.models.sampling import Sampling
from luthier.models.tokens import Encoded
from tests.models.decoders import decoder, token_rows
from tests.models.encoder_decoders import encoder_decoder
from tests.models.test_generate import answers, ids_of, rows_seen, theirs, with_adapter

TEMPLATE, *RESTS = token_rows((20, 5, 23, 11, 2, 30, 23))
PROMPTS = [[*TEMPLATE, *rest] for rest in RESTS]
CHOICES = token_rows((3, 1, 6, 0), seed=2)
ASKED = [Encoded("a", (*prompt, *choice), len(prompt)) for prompt in PROMPTS for choice in CHOICES]
DECODERS = ("llama", "gemma", "mistral", "mistral-window", "gpt2")
GREEDY = Sampling(max_new_tokens=8)
STOPS = frozenset(range(0, 320, 9))


def flat_model(family: str) -> Any:
    model = encoder_decoder(family, loud=False) if family in ("t5", "bart") else decoder(family)
    assert use_flat_attention(model)
    return model


@pytest.mark.parametrize("family", [*DECODERS, "t5", "bart"])
@pytest.mark.parametrize("most_tokens", [8192, 60])
def test_likelihoods_are_those_of_padded_rows(family: str, most_tokens: int) -> None:
    model = flat_model(family)
    asked = [row for row in ASKED if family in DECODERS or len(row.ids) > row.prompt_length]
    plain = likelihoods(model, asked, flat=False, pad_id=0)
    shared = likelihoods(model, asked, flat=True, pad_id=0, most_tokens=most_tokens)
    assert [count for _, count in shared] == [count for _, count in plain]
    torch.testing.assert_close(
        torch.tensor([total for total, _ in shared]), torch.tensor([total for total, _ in plain]), atol=1e-5, rtol=1e-5
    )


def test_every_shared_token_is_read_once() -> None:
    found = branches(ASKED, most_tokens=8192)
    assert found is not None
    ((batch, parents),) = found
    assert batch.tokens == 20 + sum(map(len, RESTS)) + len(RESTS) * (2 + 0 + 5)  # a choice's last token foretells none
    assert parents[:4] == (-1, 0, 1, 1)
    ((pairs, whose),) = branches(ASKED, most_tokens=8192, start_id=0) or ()
    assert pairs.lengths == tuple(sorted(len(prompt) for prompt in PROMPTS))
    assert whose == tuple(place for place in range(6) for _ in CHOICES)


def test_what_shares_little_stands_by_itself() -> None:
    ((batch, parents),) = branches([Encoded("a", tuple(row), 4) for row in RESTS], most_tokens=8192) or ()
    assert set(parents) == {-1} and sorted(batch.lengths) == sorted(max(len(row) - 1, 2) for row in RESTS)
    assert branches([], most_tokens=8192) == []
    assert branches(ASKED[:1], most_tokens=8192, start_id=0) is None
    assert branches([], most_tokens=8192, start_id=0) is None


def test_beginnings_are_a_tree() -> None:
    one, two = ([*TEMPLATE, *shots] for shots in token_rows((18, 17), seed=3))
    rows = [[*shots, *rest] for shots in (one, two) for rest in RESTS[:3]]
    asked = [Encoded("a", (*row, *CHOICES[0]), len(row)) for row in [*rows, RESTS[3]]]
    ((batch, parents),) = branches(asked, most_tokens=8192) or ()
    assert batch.tokens == 20 + 18 + 17 + sum(2 * (len(rest) + 2) for rest in RESTS[:3]) + len(RESTS[3]) + 2
    assert sorted(parents).count(-1) == 2
    model = flat_model("llama")
    plain = likelihoods(model, asked, flat=False, pad_id=0)
    for most_tokens in (8192, 100):
        shared = likelihoods(model, asked, flat=True, pad_id=0, most_tokens=most_tokens)
        for (found, _), (expected, _) in zip(shared, plain, strict=True):
            assert found == pytest.approx(expected, abs=1e-5, rel=1e-5)


def test_rows_that_begin_alike_are_families() -> None:
    alike = [[*TEMPLATE, place] for place in range(9)]
    assert families([RESTS[0], *alike, RESTS[1]]) == [list(range(1, 10)), [0, 10]]
    assert families(alike[:3]) == [[0, 1, 2]]
    assert families([]) == []


def test_a_soft_prompt_stands_before_whole_rows_alone() -> None:
    model = with_adapter("prompt", "llama")
    plain = likelihoods(model, ASKED[:8], flat=False, pad_id=0)
    assert use_flat_attention(model.get_base_model())
    for (one, _), (other, _) in zip(likelihoods(model, ASKED[:8], flat=True, pad_id=0), plain, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    before = answers(model, PROMPTS, GREEDY)
    assert answers(model, PROMPTS, GREEDY, flat=True) == before


def test_a_beginning_leaves_a_token_to_every_prompt() -> None:
    assert common_beginning(PROMPTS) == 20
    assert common_beginning([TEMPLATE, PROMPTS[0]]) == 19
    assert common_beginning([TEMPLATE, TEMPLATE]) == 19
    assert common_beginning([TEMPLATE[:16], PROMPTS[0]]) == 0  # 15 do not pay
    assert common_beginning(PROMPTS[:1]) == common_beginning([]) == 0


@pytest.mark.parametrize("family", DECODERS)
def test_greedy_answers_are_transformers_own(family: str) -> None:
    model = flat_model(family)
    found = ids_of(answers(model, PROMPTS, GREEDY, flat=True))
    assert found == [theirs(model, prompt, 8) for prompt in PROMPTS]
    assert len(set(found)) > 3
    sampled = Sampling(max_new_tokens=8, temperature=0.9, top_k=60, repetition_penalty=1.2, seed=4)
    together = answers(model, PROMPTS, sampled, stop_ids=STOPS)
    assert answers(model, PROMPTS, sampled, stop_ids=STOPS, flat=True) == together
    assert answers(model, PROMPTS, sampled, stop_ids=STOPS, flat=True, most_rows=4) == together


def test_the_beginning_is_read_once_for_all_batches() -> None:
    model = flat_model("llama")
    seen = rows_seen(model)
    answers(model, PROMPTS, Sampling(max_new_tokens=1), flat=True, most_rows=3)
    assert seen == [(1, 20), (1, 30 + 23 + 23), (1, 11 + 5 + 2)]


def test_rotations_that_grow_with_the_row_are_read_whole() -> None:
    model = flat_model("llama")
    model.config.rope_parameters = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    with inference(model):
        assert read_beginning(model, TEMPLATE) is None


def test_with_lora_and_with_an_adapter_for_each_row() -> None:
    model = with_adapter("lora", "llama")
    before = answers(model, PROMPTS, GREEDY)
    assert use_flat_attention(model.get_base_model())
    assert answers(model, PROMPTS, GREEDY, flat=True) == before
    mixed = generate(
        model, PROMPTS, request_ids=[str(place) for place in range(6)], sampling=GREEDY, stop_ids=frozenset(),
        pad_id=0, decode=str, adapters=["default"] * 6, flat=True,
    )  # fmt: skip
    assert ids_of(mixed) == ids_of(before)
