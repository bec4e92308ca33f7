"""What prompting is: a small program over a generator, which makes predictions without touching a weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

from luthier.core.settings import Named
from luthier.core.types import (
    ChoicePrediction,
    ClassPrediction,
    Example,
    Message,
    Prediction,
    PredictionKind,
    TagsPrediction,
    TextPrediction,
)
from luthier.models.sampling import Sampling

Conversation = tuple[Message, ...]
Fits = Callable[[Conversation], bool]
"""Whether a conversation, with room for its answer, fits into the model's context."""


@dataclass(frozen=True)
class Request:
    """One thing to ask a model: a conversation, and the example that it is for (its id seeds the sampling).

    `words` are what a tagger tags; it reads nothing else.
    """

    example_id: str
    conversation: Conversation
    words: tuple[str, ...] = ()


class Generator(Protocol):
    """What a prompting program may ask of a model. Answers come in the order of the requests."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[TextPrediction]: ...

    def likelihoods(
        self, requests: Sequence[Request], choices: Sequence[tuple[str, ...]]
    ) -> list[ChoicePrediction]: ...

    def fits(self, conversation: Conversation, answer_tokens: int, answers: Sequence[str] = ()) -> bool: ...


class Classifier(Protocol):
    """What a prompting program may ask of an encoder with a head. Answers come in the order of the requests."""

    def classify(self, requests: Sequence[Request]) -> list[ClassPrediction]: ...

    def tag(self, requests: Sequence[Request]) -> list[TagsPrediction]: ...

    def fits(self, conversation: Conversation, answer_tokens: int, answers: Sequence[str] = ()) -> bool: ...


class Program(ABC):
    """A prompting made ready: shots drawn, constants chosen."""

    @abstractmethod
    def conversation(self, example: Example, fits: Fits) -> Conversation:
        """The messages that ask for this example's answer (also what training renders)."""

    def predict(
        self,
        examples: Sequence[Example],
        generator: Generator | Classifier | None,
        sampling: Sampling,
        kinds: Sequence[PredictionKind],
    ) -> list[Prediction]:
        """One prediction per example and kind. One call a kind here; programs such as self-consistency make several.

        `generator` is None only for promptings that need no model; a classifier where a class or tags are asked for.
        """
        assert generator is not None

        asked = generator

        def request(example: Example) -> Request:
            # Room for both, whatever is asked: every kind of prediction answers the same prompt.
            answers = example.choices or example.references
            return Request(
                example.id,
                self.conversation(example, lambda messages: asked.fits(messages, sampling.max_new_tokens, answers)),
                example.words,
            )

        requests = [request(example) for example in examples]
        predictions: list[Prediction] = []
        if "text" in kinds:
            predictions += cast(Generator, asked).generate(requests, sampling)
        if "choices" in kinds:
            predictions += cast(Generator, asked).likelihoods(
                requests, [example.choices or example.references for example in examples]
            )
        if "class" in kinds:
            predictions += cast(Classifier, asked).classify(requests)
        if "tags" in kinds:
            predictions += cast(Classifier, asked).tag(requests)
        return predictions

    def record(self) -> dict[str, object]:
        """What was drawn or chosen (ids of shots, the constant), for `result.json`."""
        return {}


class Prompting(Named):
    """Base of every prompting. A subclass is one file here and one word in `registry.py`."""

    needs_model: ClassVar[bool] = True
    """False for the trivial baselines, which answer from the data alone."""
    seeded: ClassVar[bool] = False
    """Whether the seed changes what the program does (shots are drawn): it then enters the prediction's key."""

    reads_training_set: ClassVar[bool] = False
    """Whether the training examples change what the program does: they then enter the prediction's key."""
    varies: ClassVar[str] = ""
    """What trials on validation choose for it (`template`, `shots`); empty where there is nothing to choose."""

    @property
    def frame(self) -> str:
        """The longest text that it puts around a prompt, for which the context must have room too."""
        return ""

    def program(self, train: Sequence[Example], seed: int) -> Program:
        """Make the program ready from the training examples (never from the test set)."""
        raise NotImplementedError

    def candidates(self, count: int) -> list[tuple[str, Prompting]]:
        """At most `count` variants to try on validation, each with the words that a table names it by."""
        return [(self.label(), self)]
