"""A model that answers prompting programs: requests in, predictions out, with what was in force while it did so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from luthier.core.errors import LuthierError
from luthier.core.types import ChoicePrediction, Listener, Message, Progress, TextPrediction, ignore
from luthier.models import generate as generation
from luthier.models import likelihood
from luthier.models.sampling import Sampling
from luthier.models.tokens import Encoded, Renderer
from luthier.models.virtual_tokens import virtual_tokens


class Request(Protocol):
    """What a prompting program asks: a conversation, and the example that it is for."""

    @property
    def example_id(self) -> str: ...

    @property
    def conversation(self) -> tuple[Message, ...]: ...


class ModelGenerator:
    """The generator of `prompting/prompting.py`, over one model on the device that it is on.

    Args:
        model: a transformers decoder or encoder-decoder, plain or within peft.
        renderer: the tokenizer's side.
        flat: whether prompts and completions are read in flat rows (the model was switched by `use_flat_attention`).
        run: the run's name, for progress.
        listener: told of progress, in the phases `generate` and `likelihoods`.
        most_rows, most_tokens: bounds of a batch; see `generate.py` and `likelihood.py`.
    """

    def __init__(
        self,
        model: Any,
        renderer: Renderer,
        *,
        flat: bool,
        run: str = "",
        listener: Listener = ignore,
        most_rows: int = generation.MOST_ROWS,
        most_tokens: int | None = None,
    ):
        self.model = model
        self.renderer = renderer
        self.flat = flat
        self.run = run
        self.listener = listener
        self.most_rows = most_rows
        self.most_tokens = most_tokens
        self._record: dict[str, Any] = {}

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, *, adapters: Sequence[str] | None = None
    ) -> list[TextPrediction]:
        """An answer to each request; `adapters` names the one that gives it, as in `generate.py`."""
        prompts = [self.renderer.prompt(request.conversation) for request in requests]
        answers = self._continue(prompts, [request.example_id for request in requests], sampling, "generate", adapters)
        self._record["sampling"] = {
            **sampling.model_dump(mode="json"),
            "decoding": "sampled" if sampling.temperature else "greedy",
            "stop_ids": sorted(self.renderer.stop_ids),
        }
        shortened = sum(answer.limit < sampling.max_new_tokens for answer in answers)
        self._record["answers_shortened_by_context"] = self._record.get("answers_shortened_by_context", 0) + shortened
        return [
            TextPrediction(
                example_id=request.example_id,
                text=answer.text,
                finish=answer.finish,
                prompt_tokens=answer.prompt_tokens,
                generated_tokens=len(answer.ids),
            )
            for request, answer in zip(requests, answers, strict=True)
        ]

    def likelihoods(
        self,
        requests: Sequence[Request],
        choices: Sequence[tuple[str, ...]],
        *,
        adapters: Sequence[str] | None = None,
    ) -> list[ChoicePrediction]:
        """The log-likelihood of each request's choices; `adapters` names the one that rates them, as in
        `likelihood.py`.

        Raises:
            LuthierError: a prompt with its answer is longer than the context.
        """
        encoded = [
            self._encode(request, choice)
            for request, of_request in zip(requests, choices, strict=True)
            for choice in of_request
        ]
        named = None
        if adapters is not None:  # one a choice
            named = [name for name, of_request in zip(adapters, choices, strict=True) for _ in of_request]
        scored = iter(
            likelihood.likelihoods(
                self.model,
                encoded,
                flat=self.flat,
                pad_id=self.renderer.pad_id,
                adapters=named,
                most_tokens=self.most_tokens or likelihood.MOST_TOKENS,
                on_progress=lambda done, total: self.listener(Progress(self.run, "likelihoods", done, total)),
            )
        )
        predictions = []
        for request, of_request in zip(requests, choices, strict=True):
            sums, counts = zip(*(next(scored) for _ in of_request), strict=True)
            predictions.append(ChoicePrediction(request.example_id, tuple(of_request), sums, counts))
        return predictions

    def samples(self, names: Sequence[str], sampling: Sampling) -> list[str]:
        """A text for each name, written from nothing; the name seeds its draws."""
        answers = self._continue([self.renderer.start] * len(names), names, sampling, "sample")
        return [answer.text for answer in answers]

    def documents(
        self, names: Sequence[str], texts: Sequence[str], before: Sequence[str] = ()
    ) -> list[ChoicePrediction]:
        """The log-likelihood of each text: one choice of its own, no end of sequence counted.

        A text that is longer than three quarters of the context is cut there: what is left is for virtual tokens, so
        that a model sees the same text with them and without.

        Args:
            names: stand as example ids.
            texts: what is scored.
            before: for an encoder-decoder, what its encoder reads of each; to a decoder, every text stands by itself.
        """
        scored = likelihood.likelihoods(
            self.model,
            self.as_documents(names, texts, before),
            flat=self.flat,
            pad_id=self.renderer.pad_id,
            most_tokens=self.most_tokens or likelihood.MOST_TOKENS,
            on_progress=lambda done, total: self.listener(Progress(self.run, "retention", done, total)),
        )
        return [
            ChoicePrediction(name, (text,), (total,), (count,))
            for name, text, (total, count) in zip(names, texts, scored, strict=True)
        ]

    def as_documents(self, names: Sequence[str], texts: Sequence[str], before: Sequence[str] = ()) -> list[Encoded]:
        """The tokens of texts as `documents` reads them; its arguments."""
        room = None if self.renderer.context is None else 3 * self.renderer.context // 4
        return [
            self.renderer.continuation(name, before[place], text, room)
            if self.renderer.pairs
            else self.renderer.document(name, text, room)
            for place, (name, text) in enumerate(zip(names, texts, strict=True))
        ]

    def fits(self, conversation: tuple[Message, ...], answer_tokens: int, answers: Sequence[str] = ()) -> bool:
        """Whether the prompt fits into the context with this many tokens of answer, and with each of these answers;
        virtual tokens are counted."""
        return self.renderer.fits(conversation, answer_tokens, answers=answers, added=virtual_tokens(self.model))

    def record(self) -> dict[str, Any]:
        """What was in force: the sampling values, and how many answers had to be shorter than `max_new_tokens`."""
        return dict(self._record)

    def _continue(
        self,
        prompts: Sequence[Sequence[int]],
        names: Sequence[str],
        sampling: Sampling,
        phase: str,
        adapters: Sequence[str] | None = None,
    ) -> list[generation.Generated]:
        """What the model writes after each prompt, told as progress of that phase."""
        return generation.generate(
            self.model,
            prompts,
            request_ids=names,
            sampling=sampling,
            stop_ids=self.renderer.stop_ids,
            pad_id=self.renderer.pad_id,
            decode=self.renderer.text,
            context=self.renderer.context,
            adapters=adapters,
            flat=self.flat,
            most_rows=self.most_rows,
            most_tokens=self.most_tokens or generation.MOST_TOKENS,
            on_progress=lambda done, total: self.listener(Progress(self.run, phase, done, total)),
        )

    def _encode(self, request: Request, answer: str) -> Encoded:
        encoded = self.renderer.encode(request.example_id, request.conversation, answer)
        prompt, context = encoded.prompt_length + virtual_tokens(self.model), self.renderer.context
        length = self.renderer.positions(prompt, len(encoded.ids) - encoded.prompt_length)
        if context is not None and length > context:
            raise LuthierError(
                f"prompt and reference take {length} positions, and the model's context is {context}",
                where=f"example {request.example_id}",
                mend="shorten or leave out this example, use fewer shots, or take a model with a longer context",
            )
        return encoded
