"""Training some of the layers (Lee et al. 2019, arXiv 1911.03090): the top ones, or the bottom ones, whole.

h_l = f_l(h_(l-1); theta_l)        theta_l trained for l > L - count (top) or l <= count (bottom), L layers in all

Of an encoder-decoder, so many of the encoder and so many of the decoder. Nothing below the lowest trained layer needs a
gradient, so the backward pass ends there: with the top quarter, three quarters of it are skipped. (A decoder that reads
an encoder with trained layers is passed through to reach them.) Embeddings, the last norm and a language model's head
stay frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.methods.method import rate_between
from luthier.methods.selective.selective import Selective
from luthier.models.anatomy import anatomy_of


class Layers(Selective):
    """Train the top layers, or the bottom ones."""

    name: ClassVar[str] = "layers"
    moves: ClassVar[str] = "the top layers, or the bottom ones"
    paper: ClassVar[str] = "Lee et al. 2019, arXiv 1911.03090"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"which": "bottom"})

    which: Literal["top", "bottom"] = "top"
    """Those next to the output, or those next to the embeddings."""
    count: int | None = Field(default=None, ge=1)
    """How many of each stack; a quarter of it, rounded up, where it is not given (at a quarter of the layers, the
    paper's models kept nine tenths of what full fine-tuning reached)."""

    def learning_rate(self, parameters: int) -> float:
        """3e-3 at 5M parameters (measured: 24 steps of eight examples of generated/entities took 19, 35 and 52% of the
        house decoder's held-out loss away with 3e-4, 1e-3 and 3e-3), 1e-5 at 7B, as for full fine-tuning, on a log-log
        line between."""
        return rate_between(parameters, (5e6, 3e-3), (7e9, 1e-5))

    def encoder_learning_rate(self, parameters: int) -> float:
        """1e-3 up to 5M parameters (measured: in 36 steps a BERT of two layers went from 1.09 nats to 1.01, 0.79 and
        0.83 with 3e-4, 1e-3 and 3e-3), 5e-5 from 110M on (the highest rate of Devlin et al. 2018, arXiv 1810.04805)."""
        return rate_between(parameters, (5e6, 1e-3), (110e6, 5e-5))

    def chosen(self, model: Any) -> list[str]:
        moved = tuple(f"{layer}." for stack in anatomy_of(model).stacks for layer in self._of(stack))
        return [name for name, _ in model.named_parameters() if name.startswith(moved)]

    def _of(self, stack: tuple[str, ...]) -> tuple[str, ...]:
        count = self.count or -(-len(stack) // 4)
        if count > len(stack):
            raise LuthierError(
                f"{self.label()} asks for {count} layers, and {stack[0].rpartition('.')[0]} has {len(stack)}",
                where=self.name,
                mend=f"count: {len(stack)} at most",
            )
        return stack[-count:] if self.which == "top" else stack[:count]
