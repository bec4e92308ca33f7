"""Training the head alone: what the model knows stays as it is, and only how it is read out moves.

logits = W h(x) + b        W and b trained, h frozen

Of an encoder, the classification head: linear probing (Alain & Bengio 2016, arXiv 1610.01644), but for heads of two
layers (RoBERTa's) and for a pooler that the checkpoint lacks, which belong to the head. Of a language model, the output
embedding. **Where that is tied to the input embedding** (GPT-2, BLOOM, Gemma, T5 before 1.1, BART), the two are one
matrix and stay so: the inputs move with the outputs, and the gradient passes through all layers to reach them. Untying
them would give a model of another shape, with a matrix more.
"""

from __future__ import annotations

from typing import Any, ClassVar

from luthier.methods.selective.selective import Selective
from luthier.models.head import head_parts, head_weights


class HeadOnly(Selective):
    """Train the head: an encoder's classifier, or a language model's output embedding."""

    name: ClassVar[str] = "head_only"
    moves: ClassVar[str] = "the classification head, or the output embedding"
    paper: ClassVar[str] = "Alain & Bengio 2016, arXiv 1610.01644"

    def learning_rate(self, parameters: int) -> float:
        """3e-3 for every size (measured: 24 steps of eight examples of generated/entities took 22, 37 and 38% of the
        house decoder's held-out loss away with 1e-3, 3e-3 and 1e-2; in 36 steps the head of a BERT of two layers went
        from 1.09 nats to 1.09, 0.96 and 0.92 with the same): what is frozen needs no care, whatever its size."""
        return 3e-3

    def chosen(self, model: Any) -> list[str]:
        if head_parts(model):
            return list(head_weights(model))
        head = model.get_output_embeddings()
        own = {id(parameter) for parameter in head.parameters()} if head is not None else set()
        return [name for name, parameter in model.named_parameters() if id(parameter) in own]
