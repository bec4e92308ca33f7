"""An encoder with a head that answers prompting programs: requests in, classes or tags out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from luthier.core.errors import LuthierError
from luthier.core.types import ClassPrediction, Listener, Message, Progress, TagsPrediction, ignore
from luthier.models.encoder_tokens import EncoderRenderer
from luthier.models.forward import inference, scored_logits
from luthier.models.head import Head
from luthier.models.labelled import Labelled, labelled_batches
from luthier.models.virtual_tokens import virtual_tokens

MOST_TOKENS = 8_192
"""Tokens in a batch, padding counted."""


class Request(Protocol):
    """What a prompting program asks: a conversation, or words to tag, and the example that it is for."""

    @property
    def example_id(self) -> str: ...

    @property
    def conversation(self) -> tuple[Message, ...]: ...

    @property
    def words(self) -> tuple[str, ...]: ...


class ModelClassifier:
    """The classifier of `prompting/prompting.py`, over one model on the device that it is on.

    Args:
        model: a transformers encoder with a head, plain or within peft.
        renderer: the tokenizer's side.
        head: what its outputs are called.
        flat: whether texts may share a row (the model was switched by `use_flat_attention`).
        run: the run's name, for progress.
        listener: told of progress, in the phase `likelihoods`.
        most_tokens: bounds a batch, padding counted.
    """

    def __init__(
        self,
        model: Any,
        renderer: EncoderRenderer,
        head: Head,
        *,
        flat: bool = False,
        run: str = "",
        listener: Listener = ignore,
        most_tokens: int = MOST_TOKENS,
    ):
        self.model = model
        self.renderer = renderer
        self.head = head
        self.flat = flat
        self.run = run
        self.listener = listener
        self.most_tokens = most_tokens

    def classify(self, requests: Sequence[Request]) -> list[ClassPrediction]:
        """The most probable class of each request, with the log-probability of every class.

        Raises:
            LuthierError: a text is longer than the context.
        """
        texts = [
            self.renderer.classified(str(place), request.conversation, None) for place, request in enumerate(requests)
        ]
        predictions = []
        for request, rows in zip(requests, self._log_probabilities(requests, texts), strict=True):
            (row,) = rows
            label = row.index(max(row))
            predictions.append(ClassPrediction(request.example_id, label, tuple(row), self.head.labels[label]))
        return predictions

    def tag(self, requests: Sequence[Request]) -> list[TagsPrediction]:
        """The most probable tag of every word; the first label (`O`) for a word without a token.

        Raises:
            LuthierError: a sentence is longer than the context.
        """
        texts = [self.renderer.tagged(str(place), request.words, None) for place, request in enumerate(requests)]
        predictions = []
        for request, rows in zip(requests, self._log_probabilities(requests, texts), strict=True):
            tags = [self.head.labels[0]] * len(request.words)
            for place, row in zip(self.renderer.tagged_words(request.words), rows, strict=True):
                tags[place] = self.head.labels[row.index(max(row))]
            predictions.append(TagsPrediction(request.example_id, tuple(tags)))
        return predictions

    def fits(self, conversation: tuple[Message, ...], answer_tokens: int, answers: Sequence[str] = ()) -> bool:
        """Whether what is asked fits into the context; virtual tokens are counted."""
        return self.renderer.fits(conversation, added=virtual_tokens(self.model))

    def record(self) -> dict[str, Any]:
        """What was in force: the labels, in the order of the head's outputs."""
        return {"labels": list(self.head.labels)}

    def _log_probabilities(self, requests: Sequence[Request], texts: Sequence[Labelled]) -> list[list[list[float]]]:
        """Of every text, a row of log-probabilities for each of its targets; a text is called by its place."""
        for request, text in zip(requests, texts, strict=True):
            self._refuse_too_long(request.example_id, text)
        found: list[list[list[float]]] = [[] for _ in texts]
        done = 0
        with inference(self.model):
            device = next(self.model.parameters()).device
            batches = labelled_batches(texts, flat=self.flat, most_tokens=self.most_tokens, pad_id=self.renderer.pad_id)
            for batch in batches:
                rows = scored_logits(self.model, batch.to(device)).log_softmax(-1).cpu().tolist()
                for owner, row in zip(batch.owners.tolist(), rows, strict=True):
                    found[int(batch.example_ids[owner])].append(row)
                done += len(batch.example_ids)
                self.listener(Progress(self.run, "likelihoods", done, len(texts)))
        return found

    def _refuse_too_long(self, example_id: str, text: Labelled) -> None:
        length, context = len(text.ids) + virtual_tokens(self.model), self.renderer.context
        if context is not None and length > context:
            raise LuthierError(
                f"the text has {length} tokens, and the model's context is {context}",
                where=f"example {example_id}",
                mend="shorten or leave out this example, or take a model with a longer context",
            )
