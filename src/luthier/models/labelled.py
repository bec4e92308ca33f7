"""Texts with the labels that a classification head should give them, made into tensors.

Two sorts. A **class** belongs to a whole text: its row of logits is the target's. **Tags** belong to words: the first
token of a word carries its tag, the others are not scored (Devlin et al. 2018, arXiv 1810.04805, section 5.3). Rows are
padded on the right, with the token that the model takes for padding: RoBERTa counts its positions by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from luthier.models.batch import FILL, Batch, padded_rows

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
    """A batch for a classification head; `scored` is None for classes: every row has a logit for each.

    Attributes:
        scored: `(n,)` indices into the flattened `(row * position)`: the tokens whose words are tagged.
        targets: `(n,)` numbers of labels.
    """

    def to(self, device: torch.device | str) -> LabelledBatch:
        """The same batch on another device."""
        assert self.attention_mask is not None
        return replace(
            self,
            input_ids=self.input_ids.to(device, non_blocking=True),
            attention_mask=self.attention_mask.to(device, non_blocking=True),
            scored=None if self.scored is None else self.scored.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
            owners=self.owners.to(device, non_blocking=True),
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
        targets=torch.tensor([target for text in texts for target in text.targets], dtype=torch.long),
        owners=torch.tensor([row for row, text in enumerate(texts) for _ in text.targets], dtype=torch.long),
        lengths=(),
        example_ids=tuple(text.example_id for text in texts),
        tokens=sum(len(text.ids) for text in texts),
        tasks=tuple(text.task for text in texts),
    )


def labelled_batches(texts: Sequence[Labelled], *, most_tokens: int, pad_id: int) -> list[LabelledBatch]:
    """Texts cut into batches of at most `most_tokens` (padding counted), neighbours in length together.

    A batch also ends where one more row would leave less than `FILL` of it real tokens. A text longer than
    `most_tokens` still gets a batch of its own.
    """
    groups: list[list[Labelled]] = []
    for text in sorted(texts, key=lambda text: len(text.ids)):
        group = groups[-1] if groups else []
        size = (len(group) + 1) * len(text.ids)  # the longest so far, since they come sorted
        real = sum(len(other.ids) for other in group) + len(text.ids)
        if group and size <= most_tokens and real >= FILL * size:
            group.append(text)
        else:
            groups.append([text])
    return [labelled_batch(group, pad_id) for group in groups]


def head_logits(model: Any, batch: LabelledBatch) -> torch.Tensor:
    """The head's logits of everything that is scored, fp32, `(n, label)`.

    Virtual tokens only lengthen a row on its left, so the last positions are the text's.
    """
    logits: torch.Tensor = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    if batch.scored is not None:
        own = logits[:, -batch.input_ids.shape[1] :]
        logits = own.reshape(-1, own.shape[-1])[batch.scored]
    return logits.float()
