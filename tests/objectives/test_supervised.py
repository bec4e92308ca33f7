"""The supervised objective: only the answer costs, and only it is given logits."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from luthier.methods.full import Full
from luthier.models.batch import flat_batch, padded_batch
from luthier.models.tokens import Encoded
from luthier.objectives.supervised import Supervised
from tests.training.small import attached, sequences, supervised_data

ROWS = sequences(5)
ANSWER_TOKENS = sum(len(row.ids) - row.prompt_length for row in ROWS)


@pytest.fixture(scope="module")
def model() -> Any:
    return attached(Full())


@pytest.mark.parametrize("make", [flat_batch, lambda rows: padded_batch(rows, pad_id=0)], ids=["flat", "padded"])
class TestLoss:
    def test_is_the_sum_over_the_answers_end_included(self, model: Any, make: Any) -> None:
        expected = 0.0
        for row in ROWS:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1)
            expected -= sum(float(logits[at - 1, row.ids[at]]) for at in range(row.prompt_length, len(row.ids)))
        batch = make(ROWS)
        assert Supervised().loss(model, batch).item() == pytest.approx(expected, rel=1e-5)
        assert Supervised().units(batch) == ANSWER_TOKENS
        assert (batch.targets == 10).sum() == len(ROWS)  # every answer's end is trained

    def test_logits_are_made_only_where_the_loss_is(self, model: Any, make: Any) -> None:
        rows: list[int] = []
        hook = model.get_output_embeddings().register_forward_hook(
            lambda module, args, output: rows.append(output.numel() // output.shape[-1])
        )
        try:
            Supervised().loss(model, make(ROWS))
        finally:
            hook.remove()
        assert rows == [ANSWER_TOKENS]

    def test_the_prompt_is_read_and_costs_nothing(self, model: Any, make: Any) -> None:
        batch = make(ROWS)
        scored = set(batch.scored.tolist())
        width = batch.input_ids.shape[1]
        starts = [0]
        for length in batch.lengths[:-1]:
            starts.append(starts[-1] + length)
        for index, row in enumerate(ROWS):
            start = starts[index] if batch.lengths else index * width
            foretells_the_prompt = set(range(start, start + row.prompt_length - 1))
            assert not scored & foretells_the_prompt
        # Where the loss falls is decided by the boundary alone: with other tokens in the prompts it scores as many.
        other = [dataclasses.replace(row, ids=(30, *row.ids[1:])) for row in ROWS]
        assert torch.equal(make(other).targets, batch.targets)
        assert Supervised().loss(model, make(other)).item() != Supervised().loss(model, batch).item()


def test_tokens_that_stand_only_in_prompts_get_no_pull_from_the_head(model: Any) -> None:
    """The gradient of the head is that of the scored rows: with every prompt's targets scored it would be another."""
    model.zero_grad()
    Supervised().loss(model, flat_batch(ROWS)).backward()
    some = model.get_output_embeddings().weight.grad.clone()
    model.zero_grad()
    Supervised().loss(model, flat_batch([dataclasses.replace(row, prompt_length=1) for row in ROWS])).backward()
    every = model.get_output_embeddings().weight.grad.clone()
    model.zero_grad()
    assert not torch.allclose(some, every)


class TestData:
    data = supervised_data(sequences(20), batch_size=8, seed=3)

    def ids(self, epoch: int, index: int) -> list[str]:
        return [name for batch in self.data.step(epoch, index) for name in batch.example_ids]

    def test_an_epoch_has_every_example_once_and_a_short_last_step(self) -> None:
        assert self.data.steps_per_epoch == 3
        steps = [self.ids(0, index) for index in range(3)]
        assert [len(step) for step in steps] == [8, 8, 4]
        assert sorted(name for step in steps for name in step) == sorted(f"0-{index}" for index in range(20))

    def test_epochs_are_shuffled_anew_and_any_step_can_be_had_at_once(self) -> None:
        first, second = self.ids(0, 1), self.ids(1, 1)
        assert first != second
        assert self.ids(0, 1) == first
        fresh = supervised_data(sequences(20), batch_size=8, seed=3)
        assert [name for batch in fresh.step(1, 1) for name in batch.example_ids] == second

    def test_another_seed_is_another_order_of_the_same(self) -> None:
        other = supervised_data(sequences(20), batch_size=8, seed=4)
        assert [name for batch in other.step(0, 0) for name in batch.example_ids] != self.ids(0, 0)

    def test_the_shape_of_batches_does_not_change_who_is_in_a_step(self) -> None:
        padded = supervised_data(sequences(20), batch_size=8, seed=3, flat=False, most_tokens=50)
        batches = padded.step(0, 0)
        assert len(batches) > 1 and all(not batch.lengths for batch in batches)
        assert sorted(name for batch in batches for name in batch.example_ids) == sorted(self.ids(0, 0))

    def test_the_validation_set_is_whole_and_in_one_order(self) -> None:
        data = supervised_data(sequences(3), sequences(7, seed=1), most_tokens=40)
        names = [name for batch in data.validation() for name in batch.example_ids]
        assert sorted(names) == sorted(f"1-{index}" for index in range(7))
        assert not supervised_data(sequences(3)).validation()


def test_an_answer_without_a_prompt_is_scored_from_its_second_token(model: Any) -> None:
    batch = flat_batch([Encoded("bare", (20, 21, 22), 0)])
    assert Supervised().units(batch) == 2
    assert batch.targets.tolist() == [21, 22]
