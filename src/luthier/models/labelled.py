"""Texts with the labels that a classification head should give them, made into tensors.

Two sorts. A **class** belongs to a whole text: its row of logits is the target's. **Tags** belong to words: the first
token of a word carries its tag, the others are not scored (Devlin et al. 2018, arXiv 1810.04805, section 5.3).

Texts stand one after the other in one **flat** row, or in rows of their own, **padded** on the right with the token
that the model takes for padding: RoBERTa counts its positions by it. Of a flat row only what is scored leaves the
layers, each token as a row of its own, so that a head that reads the first token of every row reads the right one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from luthier.models.batch import FILL, Batch, padded_rows
from luthier.models.flat import first_position, flat_row

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Labelled:
    """One text as ids, with its labels as numbers.

    Attributes:
        example_id: whose text it is.
        ids: the tokens, CLS and SEP (or what the tokenizer has for them) among them.
        targets: one class; or a tag for each of `positions`.
        positions: where the first tokens of the scored words stand; None where the whole text has one class.
        task: which task of a mixture it comes from; empty outside of mixtures.
    """

    example_id: str
    ids: tuple[int, ...]
    targets: tuple[int, ...]
    positions: tuple[int, ...] | None = None
    task: str = ""


@dataclass(frozen=True)
class LabelledBatch(Batch):
    """A batch for a classification head.

    Attributes:
        scored: `(n,)` indices into the flattened `(row * position)`: the tokens whose words are tagged. Of classes, the
            first token of every text in a flat row, and None where texts have rows of their own.
        targets: `(n,)` numbers of labels.
    """


def flat_labelled_batch(texts: Sequence[Labelled]) -> LabelledBatch:
    """One row of all the texts, one after the other."""
    import torch

    lengths = tuple(len(text.ids) for text in texts)
    begins = [0, *accumulate(lengths)]
    places = [
        begin + place
        for begin, text in zip(begins, texts, strict=False)
        for place in ((0,) if text.positions is None else text.positions)
    ]
    return LabelledBatch(
        input_ids=torch.tensor([[token for text in texts for token in text.ids]]),
        attention_mask=None,
        position_ids=torch.tensor([[place for length in lengths for place in range(length)]]),
        scored=torch.tensor(places, dtype=torch.long),
        **_labels(texts),
        lengths=lengths,
    )


def labelled_batch(texts: Sequence[Labelled], pad_id: int) -> LabelledBatch:
    """A row per text, padded on the right to the longest."""
    import torch

    input_ids, attention_mask = padded_rows([text.ids for text in texts], pad_id)
    width = input_ids.shape[1]
    places = [row * width + place for row, text in enumerate(texts) for place in text.positions or ()]
    tagged = any(text.positions is not None for text in texts)
    return LabelledBatch(
        input_ids=input_ids,
        attention_mask=attention_mask,
        position_ids=None,
        scored=torch.tensor(places, dtype=torch.long) if tagged else None,
        **_labels(texts),
        lengths=(),
    )


def _labels(texts: Sequence[Labelled]) -> dict[str, Any]:
    """What a batch says of its texts, however they are laid out."""
    import torch

    return {
        "targets": torch.tensor([target for text in texts for target in text.targets], dtype=torch.long),
        "owners": torch.tensor([row for row, text in enumerate(texts) for _ in text.targets], dtype=torch.long),
        "example_ids": tuple(text.example_id for text in texts),
        "tokens": sum(len(text.ids) for text in texts),
        "tasks": tuple(text.task for text in texts),
    }


def labelled_batches(
    texts: Sequence[Labelled], *, flat: bool = False, most_tokens: int, pad_id: int
) -> list[LabelledBatch]:
    """Texts cut into batches of at most `most_tokens` (padding counted), neighbours in length together.

    A padded batch also ends where one more row would leave less than `FILL` of it real tokens. A text longer than
    `most_tokens` still gets a batch of its own.

    Args:
        texts: with their labels.
        flat: whether the texts of a batch stand in one row (the model was switched by `use_flat_attention`).
        most_tokens: of one batch.
        pad_id: fills padded rows.
    """
    groups: list[list[Labelled]] = []
    for text in sorted(texts, key=lambda text: len(text.ids)):
        group = groups[-1] if groups else []
        real = sum(len(other.ids) for other in group) + len(text.ids)
        size = real if flat else (len(group) + 1) * len(text.ids)  # the longest so far, since they come sorted
        if group and size <= most_tokens and real >= FILL * size:
            group.append(text)
        else:
            groups.append([text])
    return [flat_labelled_batch(group) if flat else labelled_batch(group, pad_id) for group in groups]


def head_logits(model: Any, batch: LabelledBatch) -> torch.Tensor:
    """The head's logits of everything that is scored, fp32, `(n, label)`.

    In padded rows, virtual tokens only lengthen a row on its left, so the last positions are the text's.
    """
    if batch.lengths:
        return _flat_logits(model, batch)
    logits: torch.Tensor = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    if batch.scored is not None:
        own = logits[:, -batch.input_ids.shape[1] :]
        logits = own.reshape(-1, own.shape[-1])[batch.scored]
    return logits.float()


def _flat_logits(model: Any, batch: LabelledBatch) -> torch.Tensor:
    assert batch.position_ids is not None and batch.scored is not None
    positions = batch.position_ids + first_position(model)
    with flat_row(batch.lengths), _only_at(model, batch.scored):
        logits: torch.Tensor = model(input_ids=batch.input_ids, position_ids=positions).logits
    return logits.reshape(-1, logits.shape[-1]).float()


@contextmanager
def _only_at(model: Any, places: torch.Tensor) -> Iterator[None]:
    """Within it, `(row, position, d_model)` leave the layers as `(row * place, 1, d_model)`.

    BERT's pooler and RoBERTa's classifier read the first position of each row, a head of tags reads all: both come out
    right, as no head looks from one position to another.
    """

    def select(_: Any, args: Any, output: Any) -> None:
        hidden = output.last_hidden_state
        output.last_hidden_state = hidden[:, places].reshape(-1, 1, hidden.shape[-1])

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    hook = getattr(base, base.base_model_prefix).encoder.register_forward_hook(select)
    try:
        yield
    finally:
        hook.remove()
