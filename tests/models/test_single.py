"""The sequences of a batch, one by one."""

from __future__ import annotations

import pytest
import torch

from luthier.models.flat import use_flat_attention
from luthier.models.single import singly
from luthier.objectives.supervised import Supervised
from tests.families import family_batch, family_data, family_model, family_rows

ROWS = 4


def loss(model: object, batch: object) -> float:
    with torch.no_grad():
        return float(Supervised().loss(model, batch))  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "llama", "t5", "bart"])
def test_each_has_the_loss_that_it_has_in_a_batch_of_its_own(family: str) -> None:
    model, rows = family_model(family), family_rows(family, ROWS)
    batch = family_batch(model, rows)
    found = list(singly(batch))
    assert [one.example_ids for one in found] == [(name,) for name in batch.example_ids]
    assert sum(len(one.targets) for one in found) == len(batch.targets)
    alone = [loss(model, family_batch(model, [row])) for row in rows]
    assert [loss(model, one) for one in found] == pytest.approx(alone, abs=1e-5)
    assert sum(alone) == pytest.approx(loss(model, batch), abs=1e-4)
    assert sum(one.tokens for one in found) == sum(family_batch(model, [row]).input_ids.numel() for row in rows) + (
        sum(one.decoder_input_ids.numel() for one in found if one.decoder_input_ids is not None)
    )


@pytest.mark.parametrize("family", ["bert", "roberta", "llama", "t5", "bart"])
def test_flat_rows_too(family: str) -> None:
    model, rows = family_model(family), family_rows(family, ROWS)
    assert use_flat_attention(model)
    data = family_data(model, rows, batch_size=ROWS)
    data.flat = True
    (batch,) = data.step(0, 0)
    found = list(singly(batch))
    assert len(batch.lengths) == ROWS and [one.lengths for one in found] == [(length,) for length in batch.lengths]
    assert [one.example_ids for one in found] == [(name,) for name in batch.example_ids]
    by_name = {row.example_id: row for row in rows}
    alone = [loss(model, family_batch(model, [by_name[name]])) for name in batch.example_ids]
    assert [loss(model, one) for one in found] == pytest.approx(alone, abs=1e-5)
