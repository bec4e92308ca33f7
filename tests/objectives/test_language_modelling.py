"""Language modelling: every next token, and packed rows that only the seed and the step decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from luthier.models.batch import Batch
from luthier.objectives.language_modelling import LanguageModelling, PackedData
from tests.models.decoders import decoder

SOURCES = {"low": np.arange(100, dtype=np.uint16), "high": np.arange(100, 300, dtype=np.uint16)}


def packed(**changes: Any) -> PackedData:
    settings: dict[str, Any] = {
        "weights": {"low": 1.0, "high": 3.0},
        "context": 16,
        "short_context": 4,
        "short_share": 0.0,
        "step_tokens": 64,
        "micro_tokens": 32,
        "steps": 10,
        "seed": 0,
        "held_out": {"low": np.arange(50), "high": np.arange(100, 133)},
    } | changes
    return PackedData(SOURCES, settings.pop("weights"), **settings)


def tokens(batches: list[Batch]) -> list[list[int]]:
    return [row for batch in batches for row in batch.input_ids.tolist()]


def test_the_loss_is_that_of_every_next_token() -> None:
    model = decoder("llama")
    (batch, *_) = packed().step(0, 0)
    loss = LanguageModelling().loss(model, batch)
    logits = model(input_ids=batch.input_ids).logits
    expected = cross_entropy(logits.reshape(-1, logits.shape[-1]), batch.targets, reduction="sum")
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-4)
    assert LanguageModelling().units(batch) == batch.input_ids.numel() == batch.tokens == 32
    # In these sources the next token is the next number: targets are the inputs moved by one.
    assert torch.equal(batch.targets.reshape(batch.input_ids.shape), batch.input_ids + 1)


def test_any_step_can_be_had_without_those_before_it() -> None:
    one, other = packed(), packed()
    forwards = [tokens(one.step(0, index)) for index in range(10)]
    backwards = [tokens(other.step(0, index)) for index in reversed(range(10))]
    assert forwards == backwards[::-1]
    assert len({str(step) for step in forwards}) == 10
    assert tokens(packed(seed=1).step(0, 0)) != forwards[0]
    assert tokens(one.step(1, 0)) != forwards[0]


def test_a_step_has_its_tokens_in_micro_batches() -> None:
    batches = packed().step(0, 0)
    assert [tuple(batch.input_ids.shape) for batch in batches] == [(2, 16), (2, 16)]
    assert [len(row) for row in packed().rows(0, 0)] == [17] * 4


def test_short_rows_come_first_and_make_up_the_same_step() -> None:
    data = packed(short_share=0.3)
    shapes = [{batch.input_ids.shape[1] for batch in data.step(0, index)} for index in range(10)]
    assert shapes == [{4}] * 3 + [{16}] * 7
    assert {sum(batch.tokens for batch in data.step(0, index)) for index in range(10)} == {64}
    assert len(data.step(0, 0)) == 2  # eight rows of four tokens to a forward pass


def test_sources_are_drawn_by_weight() -> None:
    data = packed(step_tokens=16 * 2000)
    rows = data.rows(0, 0)
    assert sum(int(row[0]) >= 100 for row in rows) / len(rows) == pytest.approx(0.75, abs=0.03)
    assert all(int(row[0]) >= 100 for row in packed(weights={"low": 0.0, "high": 0.1}).rows(0, 0))


def test_every_place_of_a_source_can_be_drawn_even_in_one_of_a_single_row() -> None:
    rows = packed(step_tokens=16 * 3000, weights={"low": 1.0, "high": 0.0}).rows(0, 0)
    assert {int(row[0]) for row in rows} == set(range(84))  # the last row ends at the last token, 99
    single = PackedData(
        {"one": np.arange(17)}, {"one": 1.0}, context=16, short_context=4, short_share=0, step_tokens=32,
        micro_tokens=32, steps=1, seed=0, held_out={},
    )  # fmt: skip
    assert [row.tolist() for row in single.rows(0, 0)] == [list(range(17))] * 2
    assert single.validation() == []


def test_the_validation_reads_what_is_held_out_in_order_and_once() -> None:
    held_out = packed().validation()
    assert tokens(held_out) == [
        list(range(0, 16)), list(range(16, 32)), list(range(32, 48)),
        list(range(100, 116)), list(range(116, 132)),
    ]  # fmt: skip
    assert sum(LanguageModelling().units(batch) for batch in held_out) == 5 * 16
