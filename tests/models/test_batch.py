"""Batches by hand: what stands where, what is scored, and how sequences are cut into batches."""

from __future__ import annotations

import pytest
import torch

from luthier.models.batch import FILL, Batch, flat_batch, micro_batches, padded_batch
from luthier.models.tokens import Encoded

THREE = [
    Encoded("a", (11, 12, 13, 14), 2),
    Encoded("b", (21, 22), 1),
    Encoded("c", (31, 32, 33), 3),  # nothing to score
]


def test_a_flat_batch_by_hand() -> None:
    batch = flat_batch(THREE)
    assert batch.input_ids.tolist() == [[11, 12, 13, 14, 21, 22, 31, 32, 33]]
    assert batch.position_ids is not None and batch.position_ids.tolist() == [[0, 1, 2, 3, 0, 1, 0, 1, 2]]
    assert batch.attention_mask is None
    assert batch.scored is not None and batch.scored.tolist() == [1, 2, 4]
    assert batch.targets.tolist() == [13, 14, 22]
    assert batch.owners.tolist() == [0, 0, 1]
    assert batch.lengths == (4, 2, 3)
    assert batch.example_ids == ("a", "b", "c")
    assert batch.tokens == 9


def test_a_padded_batch_by_hand() -> None:
    batch = padded_batch(THREE, pad_id=7)
    assert batch.input_ids.tolist() == [[11, 12, 13, 14], [21, 22, 7, 7], [31, 32, 33, 7]]
    assert batch.attention_mask is not None
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert batch.position_ids is None
    assert batch.scored is not None and batch.scored.tolist() == [1, 2, 4]
    assert batch.targets.tolist() == [13, 14, 22]
    assert batch.owners.tolist() == [0, 0, 1]
    assert batch.lengths == ()
    assert batch.tokens == 9


@pytest.mark.parametrize("batch", [flat_batch(THREE), padded_batch(THREE, pad_id=11)], ids=["flat", "padded"])
def test_every_target_stands_behind_its_scored_position(batch: Batch) -> None:
    ids = batch.input_ids.flatten()
    assert batch.scored is not None
    assert torch.equal(ids[batch.scored + 1], batch.targets)


@pytest.mark.parametrize("flat", [True, False])
def test_padding_with_a_real_token_scores_the_same(flat: bool) -> None:
    """A pad token that equals the end of sequence must not take the end out of the loss."""
    sequences = [Encoded("a", (11, 12, 2), 1), Encoded("b", (11, 2), 1)]
    (batch,) = micro_batches(sequences, flat=flat, most_tokens=100, pad_id=2)
    assert sorted(batch.targets.tolist()) == [2, 2, 12]


@pytest.mark.parametrize("flat", [True, False])
def test_without_a_prompt_the_first_token_is_not_scored(flat: bool) -> None:
    (batch,) = micro_batches([Encoded("a", (1, 2), 0), Encoded("b", (3, 4, 5), 0)], flat=flat, most_tokens=9, pad_id=0)
    assert batch.targets.tolist() == [2, 4, 5]


@pytest.mark.parametrize("flat", [True, False])
def test_a_batch_with_nothing_to_score_has_index_tensors(flat: bool) -> None:
    (batch,) = micro_batches([THREE[2]], flat=flat, most_tokens=9, pad_id=0)
    assert batch.scored is not None
    for tensor in (batch.scored, batch.targets, batch.owners):
        assert tensor.dtype == torch.long and len(tensor) == 0


def sequence(name: str, length: int) -> Encoded:
    return Encoded(name, tuple(range(1, length + 1)), 1)


def test_micro_batches_keep_within_their_bound_and_lose_nothing() -> None:
    lengths = [9, 3, 14, 4, 4, 21, 8, 2, 1, 6]
    sequences = [sequence(str(index), length) for index, length in enumerate(lengths)]
    for flat in (True, False):
        batches = micro_batches(sequences, flat=flat, most_tokens=16, pad_id=0)
        sizes = [batch.input_ids.numel() for batch in batches]
        assert all(size <= 16 or len(batch.example_ids) == 1 for size, batch in zip(sizes, batches, strict=True))
        assert {name for batch in batches for name in batch.example_ids} == {str(n) for n in range(10)}
        assert sum(batch.tokens for batch in batches) == sum(lengths)
        assert sizes[-1] == 21  # too long for the bound, and alone


def test_neighbours_in_length_share_a_batch() -> None:
    sequences = [sequence("long", 10), sequence("short", 4), sequence("longer", 11), sequence("shorter", 3)]
    batches = micro_batches(sequences, flat=False, most_tokens=22, pad_id=0)
    assert [batch.example_ids for batch in batches] == [("shorter", "short"), ("long", "longer")]


def test_a_padded_batch_ends_where_it_would_be_mostly_padding() -> None:
    sequences = [sequence(f"{length}", length) for length in (30, 4, 26, 5, 12)]
    padded = micro_batches(sequences, flat=False, most_tokens=1000, pad_id=0)
    assert [batch.example_ids for batch in padded] == [("4", "5"), ("12",), ("26", "30")]
    assert all(batch.tokens >= FILL * batch.input_ids.numel() for batch in padded)
    (flat,) = micro_batches(sequences, flat=True, most_tokens=1000, pad_id=0)
    assert flat.tokens == flat.input_ids.numel() == 77


def test_a_batch_moves_as_a_whole() -> None:
    for batch in (flat_batch(THREE), padded_batch(THREE, pad_id=0)):
        moved = batch.to("meta")
        for name in ("input_ids", "attention_mask", "position_ids", "scored", "targets", "owners"):
            before, after = getattr(batch, name), getattr(moved, name)
            assert (before is None) == (after is None)
            assert after is None or (after.device.type == "meta" and after.shape == before.shape)
        assert (moved.lengths, moved.example_ids, moved.tokens) == (batch.lengths, batch.example_ids, batch.tokens)
