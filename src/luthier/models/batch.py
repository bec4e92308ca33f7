"""Sequences of tokens, made into tensors: what a model sees in one forward pass, and where its loss is.

Three shapes. **Flat**: the sequences one after the other in a single row, without padding; positions restart and
attention stays within each sequence (`models/flat.py`). **Padded**: a row each, padded on the right. Both score the
same positions and give the same loss; a flat batch wastes nothing. **Pairs**, for encoder-decoders: the encoder reads
the prompts, the decoder the completions, both flat or both padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

from luthier.models.tokens import Encoded

if TYPE_CHECKING:
    import torch


FILL = 0.8
"""The least share of real tokens in a padded batch of several rows: below it, two smaller batches are quicker."""


@dataclass(frozen=True)
class Batch:
    """Tensors of one forward pass.

    Attributes:
        input_ids: `(row, position)`.
        attention_mask: `(row, position)`, 1 on real tokens; None where every token is real.
        position_ids: `(row, position)`, restarting at each sequence; None where they are 0, 1, 2, ...
        scored: `(n,)` indices into the flattened `(row * position)` whose logits are scored; None means all. In pairs,
            the positions are the decoder's.
        targets: `(n,)` the tokens that these logits should foretell: the next token, or a masked one.
        owners: `(n,)` which of `example_ids` each target belongs to.
        lengths: the sequence lengths of a flat row; of flat pairs, the encoder's. Empty for padded batches.
        example_ids: the sequences' ids, in order.
        tokens: real tokens, padding apart.
        decoder_input_ids: `(row, position)`, in pairs alone.
        decoder_attention_mask: `(row, position)`, 1 on the decoder's real tokens, in pairs alone.
        tasks: which task of a mixture each sequence comes from, in order; empty names outside of mixtures.
        decoder_lengths: of the sequences in the decoder's flat row, in flat pairs alone.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor | None
    position_ids: torch.Tensor | None
    scored: torch.Tensor | None
    targets: torch.Tensor
    owners: torch.Tensor
    lengths: tuple[int, ...]
    example_ids: tuple[str, ...]
    tokens: int
    decoder_input_ids: torch.Tensor | None = None
    decoder_attention_mask: torch.Tensor | None = None
    tasks: tuple[str, ...] = ()
    decoder_lengths: tuple[int, ...] = ()

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        import torch

        values = {item.name: getattr(self, item.name) for item in fields(self)}
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True)
            for name, value in values.items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **moved)


def flat_batch(sequences: Sequence[Encoded]) -> Batch:
    """One row of all the sequences, one after the other."""
    import torch

    ids: list[int] = []
    positions: list[int] = []
    scored: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for owner, sequence in enumerate(sequences):
        start = len(ids)
        ids += sequence.ids
        positions += range(len(sequence.ids))
        for position in _scored_positions(sequence):
            scored.append(start + position - 1)
            targets.append(sequence.ids[position])
            owners.append(owner)
    return Batch(
        input_ids=torch.tensor([ids]),
        attention_mask=None,
        position_ids=torch.tensor([positions]),
        scored=torch.tensor(scored, dtype=torch.long),
        targets=torch.tensor(targets, dtype=torch.long),
        owners=torch.tensor(owners, dtype=torch.long),
        lengths=tuple(len(sequence.ids) for sequence in sequences),
        example_ids=tuple(sequence.example_id for sequence in sequences),
        tasks=tuple(sequence.task for sequence in sequences),
        tokens=len(ids),
    )


def padded_batch(sequences: Sequence[Encoded], pad_id: int) -> Batch:
    """A row per sequence, padded on the right to the longest."""
    import torch

    input_ids, attention_mask = padded_rows([sequence.ids for sequence in sequences], pad_id)
    width = input_ids.shape[1]
    scored: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for row, sequence in enumerate(sequences):
        for position in _scored_positions(sequence):
            scored.append(row * width + position - 1)
            targets.append(sequence.ids[position])
            owners.append(row)
    return Batch(
        input_ids=input_ids,
        attention_mask=attention_mask,
        position_ids=None,
        scored=torch.tensor(scored, dtype=torch.long),
        targets=torch.tensor(targets, dtype=torch.long),
        owners=torch.tensor(owners, dtype=torch.long),
        lengths=(),
        example_ids=tuple(sequence.example_id for sequence in sequences),
        tasks=tuple(sequence.task for sequence in sequences),
        tokens=sum(len(sequence.ids) for sequence in sequences),
    )


def pairs_batch(sequences: Sequence[Encoded], pad_id: int, start_id: int) -> Batch:
    """The encoder's rows are the prompts; the decoder's are the completions moved right by one, after `start_id`.

    Every token of a completion is scored, its first one too.
    """
    import torch

    prompts = [sequence.ids[: sequence.prompt_length] for sequence in sequences]
    completions = [sequence.ids[sequence.prompt_length :] for sequence in sequences]
    input_ids, attention_mask = padded_rows(prompts, pad_id)
    decoder_input_ids, decoder_attention_mask = padded_rows([(start_id, *ids[:-1]) for ids in completions], pad_id)
    width = decoder_input_ids.shape[1]
    return Batch(
        input_ids=input_ids,
        attention_mask=attention_mask,
        position_ids=None,
        scored=torch.tensor(
            [row * width + at for row, ids in enumerate(completions) for at in range(len(ids))], dtype=torch.long
        ),
        targets=torch.tensor([token for ids in completions for token in ids], dtype=torch.long),
        owners=torch.tensor([row for row, ids in enumerate(completions) for _ in ids], dtype=torch.long),
        lengths=(),
        example_ids=tuple(sequence.example_id for sequence in sequences),
        tasks=tuple(sequence.task for sequence in sequences),
        tokens=sum(len(sequence.ids) for sequence in sequences),
        decoder_input_ids=decoder_input_ids,
        decoder_attention_mask=decoder_attention_mask,
    )


def flat_pairs_batch(sequences: Sequence[Encoded], start_id: int) -> Batch:
    """As `pairs_batch`, with the prompts one after the other in the encoder's row, the completions in the decoder's.

    All that the decoder gives is scored, but for what it makes of an empty completion.
    """
    import torch

    prompts = [sequence.ids[: sequence.prompt_length] for sequence in sequences]
    completions = [sequence.ids[sequence.prompt_length :] for sequence in sequences]
    read = [(start_id, *ids[:-1]) for ids in completions]
    answered = [bool(ids) for ids in completions for _ in (ids or (start_id,))]
    return Batch(
        input_ids=torch.tensor([[token for ids in prompts for token in ids]]),
        attention_mask=None,
        position_ids=None,
        scored=None if all(answered) else torch.tensor([place for place, yes in enumerate(answered) if yes]).long(),
        targets=torch.tensor([token for ids in completions for token in ids], dtype=torch.long),
        owners=torch.tensor([row for row, ids in enumerate(completions) for _ in ids], dtype=torch.long),
        lengths=tuple(len(ids) for ids in prompts),
        example_ids=tuple(sequence.example_id for sequence in sequences),
        tasks=tuple(sequence.task for sequence in sequences),
        tokens=sum(len(sequence.ids) for sequence in sequences),
        decoder_input_ids=torch.tensor([[token for ids in read for token in ids]]),
        decoder_lengths=tuple(len(ids) for ids in read),
    )


def padded_rows(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, both `(row, position)`, of rows padded on the right to the longest."""
    import torch

    width = max(len(row) for row in rows)
    input_ids = torch.full((len(rows), width), pad_id)
    attention_mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        input_ids[index, : len(row)] = torch.tensor(row)
        attention_mask[index, : len(row)] = 1
    return input_ids, attention_mask


def micro_batches(
    sequences: Sequence[Encoded], *, flat: bool, most_tokens: int, pad_id: int, start_id: int | None = None
) -> list[Batch]:
    """Cut sequences into batches of at most `most_tokens` (padding counted), neighbours in length together.

    A padded batch also ends where one more row would leave less than `FILL` of it real tokens. A sequence longer than
    `most_tokens` still gets a batch of its own.

    Args:
        sequences: prompts with completions.
        flat: whether the sequences of a batch stand in one row; of pairs, in one row on either side.
        most_tokens: of one batch.
        pad_id: fills padded rows.
        start_id: the first token of a decoder that has an encoder beside it; then the batches are of pairs.
    """
    groups: list[list[Encoded]] = []
    real = 0
    for sequence in sorted(sequences, key=lambda sequence: len(sequence.ids)):
        real += len(sequence.ids)
        # The prompts and the completions of pairs are padded apart, each to its longest.
        width = len(sequence.ids) if start_id is None else _pair_width([*groups[-1:], [sequence]])
        size = real if flat else (len(groups[-1]) + 1 if groups else 1) * width
        if groups and size <= most_tokens and real >= FILL * size:
            groups[-1].append(sequence)
        else:
            groups.append([sequence])
            real = len(sequence.ids)
    if start_id is not None:
        return [flat_pairs_batch(group, start_id) if flat else pairs_batch(group, pad_id, start_id) for group in groups]
    return [flat_batch(group) if flat else padded_batch(group, pad_id) for group in groups]


def _pair_width(groups: Sequence[Sequence[Encoded]]) -> int:
    """Positions that a row of pairs takes: the longest prompt and the longest completion."""
    sequences = [sequence for group in groups for sequence in group]
    longest_prompt = max(sequence.prompt_length for sequence in sequences)
    return longest_prompt + max(len(sequence.ids) - sequence.prompt_length for sequence in sequences)


def _scored_positions(sequence: Encoded) -> range:
    """Where the completion stands; nothing foretells a sequence's very first token, so that one is never scored."""
    return range(max(sequence.prompt_length, 1), len(sequence.ids))
