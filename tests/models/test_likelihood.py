"""Log-likelihoods of completions equal a plain computation, sequence by sequence and token by token."""

from __future__ import annotations

import math
from typing import Any

import peft
import pytest
import torch

from luthier.models import likelihood
from luthier.models.flat import use_flat_attention
from luthier.models.likelihood import likelihoods
from luthier.models.tokens import Encoded
from tests.models.decoders import decoder, token_rows

SEQUENCES = [
    Encoded(name, tuple(ids), prompt)
    for name, ids, prompt in zip("abacd", token_rows((19, 3, 11, 11, 26)), (12, 1, 4, 11, 20), strict=True)
]
"""Two completions of one example, and one that is empty."""


def by_hand(model: Any, sequence: Encoded) -> tuple[float, int]:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([sequence.ids])).logits[0, -len(sequence.ids) :].double()
    total = 0.0
    for position in range(sequence.prompt_length, len(sequence.ids)):
        row = logits[position - 1].tolist()
        highest = max(row)
        total += row[sequence.ids[position]] - highest - math.log(sum(math.exp(value - highest) for value in row))
    return total, len(sequence.ids) - sequence.prompt_length


def check(found: list[tuple[float, int]], expected: list[tuple[float, int]]) -> None:
    assert [count for _, count in found] == [count for _, count in expected] == [7, 2, 7, 0, 6]
    for (total, _), (by_hand_total, count) in zip(found, expected, strict=True):
        assert total == pytest.approx(by_hand_total, abs=1e-5 * max(count, 1))


@pytest.mark.parametrize("family", ["llama", "gemma", "mistral-window", "gpt2", "bloom"])
def test_likelihoods_equal_a_plain_computation(family: str) -> None:
    model = decoder(family)
    expected = [by_hand(model, sequence) for sequence in SEQUENCES]
    check(likelihoods(model, SEQUENCES, flat=False, pad_id=0), expected)
    check(likelihoods(model, SEQUENCES, flat=False, pad_id=0, most_tokens=24), expected)
    if use_flat_attention(model):
        check(likelihoods(model, SEQUENCES, flat=True, pad_id=0), expected)
        check(likelihoods(model, SEQUENCES, flat=True, pad_id=0, most_tokens=24), expected)
    else:
        assert family == "bloom"


def test_logits_are_taken_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    model = decoder("llama")
    expected = likelihoods(model, SEQUENCES, flat=False, pad_id=0)
    monkeypatch.setattr(likelihood, "_LOGITS_AT_ONCE", 3 * model.config.vocab_size)
    assert likelihoods(model, SEQUENCES, flat=False, pad_id=0) == expected


def test_likelihoods_behind_a_soft_prompt() -> None:
    model = peft.get_peft_model(
        decoder("llama"), peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    ).eval()
    expected = [by_hand(model, sequence) for sequence in SEQUENCES]
    check(likelihoods(model, SEQUENCES, flat=False, pad_id=0), expected)
    with model.disable_adapter():
        assert by_hand(model, SEQUENCES[0])[0] != pytest.approx(expected[0][0], abs=1e-2)


def test_probabilities_of_all_next_tokens_sum_to_one() -> None:
    model = decoder("gpt2")
    prompt = token_rows((6,))[0]
    every = [Encoded("a", (*prompt, token), len(prompt)) for token in range(320)]
    total = sum(math.exp(log) for log, _ in likelihoods(model, every, flat=False, pad_id=0))
    assert total == pytest.approx(1, abs=1e-5)


def test_dropout_is_off_and_training_goes_on() -> None:
    model = decoder("gpt2")
    expected = likelihoods(model, SEQUENCES, flat=False, pad_id=0)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    model.train()
    assert likelihoods(model, SEQUENCES, flat=False, pad_id=0) == expected
    assert model.training


def test_progress_and_nothing_at_all() -> None:
    heard: list[tuple[int, int]] = []
    likelihoods(
        decoder("llama"),
        SEQUENCES,
        flat=False,
        pad_id=0,
        most_tokens=24,
        on_progress=lambda done, total: heard.append((done, total)),
    )
    assert heard == [(1, 5), (3, 5), (4, 5), (5, 5)]
    assert likelihoods(decoder("llama"), [], flat=False, pad_id=0) == []
