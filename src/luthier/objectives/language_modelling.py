"""Causal language modelling: every next token of a stream of documents.

    L = - sum_t log p(x_t | x_<t)

Documents stand one after the other, each closed by the end-of-sequence token, cut into rows of `context` tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from luthier.models.batch import Batch
from luthier.objectives.next_token import NextToken

if TYPE_CHECKING:
    import numpy as np


class LanguageModelling(NextToken):
    """Cross-entropy of every token of a packed row but its first."""

    name: ClassVar[str] = "language_modelling"


class PackedData:
    """Rows of `context + 1` tokens drawn from several sources by weight.

    Each source is one long array of token ids. A row is drawn by choosing a source with its weight and a random
    position in it, from a stream that only the seed, the step and the row decide: any step can be had without those
    before it, which makes resuming exact.

    Args:
        sources: token ids per source, `(token,)`, any integer dtype (memory-mapped arrays are fine).
        weights: the share of rows per source; normalised here.
        context: tokens per row at the end of the training.
        short_context, short_share: tokens per row over the first share of the steps (attention to short rows is
            cheaper, and most of what is learnt early is local).
        step_tokens: tokens per optimizer step, whatever the length of its rows.
        micro_tokens: tokens per forward pass.
        steps: the length of the one "epoch".
        seed: of the draw.
        held_out: token ids per source, for the validation loss, read in order.
    """

    def __init__(
        self,
        sources: Mapping[str, np.ndarray],
        weights: Mapping[str, float],
        *,
        context: int,
        short_context: int,
        short_share: float,
        step_tokens: int,
        micro_tokens: int,
        steps: int,
        seed: int,
        held_out: Mapping[str, np.ndarray],
    ):
        self.sources = list(sources.values())
        total = sum(weights[name] for name in sources)
        self.weights = [weights[name] / total for name in sources]
        self.context, self.short_context, self.short_steps = context, short_context, round(short_share * steps)
        self.step_tokens, self.micro_tokens, self.seed = step_tokens, micro_tokens, seed
        self.steps_per_epoch = steps
        self.held_out = list(held_out.values())

    def step(self, epoch: int, index: int) -> list[Batch]:
        return self._batches(self.rows(epoch, index))

    def rows(self, epoch: int, index: int) -> list[np.ndarray]:
        """The rows of one step, each of `context + 1` tokens: what the model sees, for those who want to know."""
        import numpy as np

        context = self.short_context if index < self.short_steps else self.context
        draw = np.random.default_rng((self.seed, epoch, index))
        rows = []
        for source in draw.choice(len(self.sources), size=max(1, self.step_tokens // context), p=self.weights):
            tokens = self.sources[source]
            start = int(draw.integers(0, max(1, len(tokens) - context)))
            rows.append(np.asarray(tokens[start : start + context + 1], dtype=np.int64))
        return rows

    def validation(self) -> list[Batch]:
        import numpy as np

        rows = [
            np.asarray(tokens[start : start + self.context + 1], dtype=np.int64)
            for tokens in self.held_out
            for start in range(0, len(tokens) - self.context, self.context)
        ]
        return self._batches(rows)

    def _batches(self, rows: list[np.ndarray]) -> list[Batch]:
        size = max(1, self.micro_tokens // (len(rows[0]) - 1)) if rows else 1
        return [_packed(rows[first : first + size]) for first in range(0, len(rows), size)]


def _packed(rows: list[np.ndarray]) -> Batch:
    import numpy as np
    import torch

    tokens = torch.from_numpy(np.stack(rows))
    return Batch(
        input_ids=tokens[:, :-1].contiguous(),
        attention_mask=None,
        position_ids=None,
        scored=None,
        targets=tokens[:, 1:].reshape(-1),
        owners=torch.arange(len(rows)).repeat_interleave(tokens.shape[1] - 1),
        lengths=(),
        example_ids=tuple(f"row {row}" for row in range(len(rows))),
        tokens=tokens[:, 1:].numel(),
    )
