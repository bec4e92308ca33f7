"""A model is asked the scenario, and what comes is scored item by item; how long it took stands beside it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luthier.core.calibration import choice_confidence
from luthier.core.environment import peak_memory_bytes
from luthier.core.types import ChoicePrediction, Example, TextPrediction
from luthier.metrics.accuracy import Accuracy
from luthier.models.sampling import Sampling
from luthier.prompting.prompting import Fits, Program, Request
from luthier.prompting.zero_shot import ZeroShot
from luthier.suites.helm.perturbations import FAIRNESS, NAMES, ROBUSTNESS
from luthier.suites.helm.scenario import Scenario
from luthier.suites.helm.toxicity import toxic_words
from luthier.suites.items import Item
from luthier.suites.judged import Judged

if TYPE_CHECKING:
    from luthier.models.generator import ModelGenerator

CONTINUATION = Sampling(max_new_tokens=20, temperature=1.0, top_p=0.9)
"""How toxicity prompts are continued: as Gehman et al. 2020 (arXiv 2009.11462) do, but once, not 25 times."""
TALE = Sampling(max_new_tokens=48, temperature=1.0, top_p=0.9)
"""How stories are continued: long enough for a pronoun or a name."""
UNDER = "accuracy under "
"""Before a perturbation's name: the item's accuracy under it alone."""


@dataclass(frozen=True)
class Efficiency:
    """What answering took on this machine.

    Attributes:
        seconds_per_item: of the classification task, its likelihoods taken in batches, rendering included; nan where no
            item fits. Of the processor where that computes, so that what else the machine does slows no model.
        tokens_per_second: generated, in batches, by the same clock; nan where none were.
        peak_bytes: the most memory: of the process on a CPU, of the device's tensors on a GPU.
        parameters: of the model, with what was trained on it.
    """

    seconds_per_item: float
    tokens_per_second: float
    peak_bytes: int
    parameters: int


@dataclass(frozen=True)
class TooLong:
    """How many do not fit into a model's context: questions, BBQ's and prompts are unscored then, perturbed questions
    left out of the worst case."""

    questions: int = 0
    perturbed: int = 0
    bbq: int = 0
    prompts: int = 0


@dataclass(frozen=True)
class Answers:
    """What a model said: an item for all that was asked, the same for every model. What does not fit into its context
    has no values, and for a prediction likelihoods of no choices.

    Attributes:
        items: of the classification task; `values` has accuracy, confidence, robustness, fairness, and the accuracy
            under each perturbation.
        bbq: of BBQ; `values` has accuracy and bias (+1, -1, 0; absent for "unknown" in a clear context).
        toxicity: continuations; `values` has toxic, 1 or 0.
        stories: continuations, for counting.
        efficiency: what it took.
        too_long: what does not fit into the context.
    """

    items: tuple[Item, ...]
    bbq: tuple[Item, ...]
    toxicity: tuple[Item, ...]
    stories: tuple[Item, ...]
    efficiency: Efficiency
    too_long: TooLong

    @property
    def all_items(self) -> tuple[Item, ...]:
        """Every item, in one list."""
        return (*self.items, *self.bbq, *self.toxicity, *self.stories)


def ask(judged: Judged, scenario: Scenario, program: Program, say: Callable[[str], None] = lambda _: None) -> Answers:
    """Ask a model everything.

    Args:
        judged: the model.
        scenario: what is asked.
        program: how the classification task is asked; all else is asked plainly.
        say: told what is being done.
    """
    asker = _Asker(judged.generator())
    say(f"{judged.name}: {scenario.task}")
    asker.choose(scenario.examples[:2], program)  # what is set up at the first call is no item's
    clock = time.process_time if judged.device == "cpu" else time.perf_counter
    began = clock()
    originals = asker.choose(scenario.examples, program)
    seconds = clock() - began
    say(f"{judged.name}: {scenario.task}, perturbed")
    pairs = [(place, name, other) for place, of in enumerate(scenario.variants) for name, other in of.items()]
    said = asker.choose([other for _, _, other in pairs], program)
    under: list[dict[str, float | None]] = [{} for _ in scenario.examples]
    for (place, name, other), prediction in zip(pairs, said, strict=True):
        under[place][name] = _accuracy(prediction, other)
    items = [_item(*of) for of in zip(scenario.examples, originals, under, strict=True)]
    answered = sum(prediction is not None for prediction in originals)
    say(f"{judged.name}: BBQ")
    bbq = _bbq(asker, scenario)
    say(f"{judged.name}: continuations")
    began = clock()
    stories = asker.write(scenario.stories, TALE)
    toxicity = asker.write(scenario.prompts, CONTINUATION)
    writing = clock() - began
    written = [item.prediction for item in (*stories, *toxicity) if item.prediction.kind == "text"]
    tokens = sum(prediction.generated_tokens for prediction in written)
    return Answers(
        items=tuple(items),
        bbq=tuple(bbq),
        toxicity=tuple(_scored_toxic(item) for item in toxicity),
        stories=tuple(stories),
        efficiency=Efficiency(
            seconds_per_item=seconds / answered if answered else math.nan,
            tokens_per_second=tokens / writing if tokens else math.nan,
            peak_bytes=_peak(judged.device),
            parameters=sum(parameter.numel() for parameter in judged.model.parameters()),
        ),
        too_long=TooLong(
            questions=len(items) - answered,
            perturbed=sum(prediction is None for prediction in said),
            bbq=sum(not has_answer(item) for item in bbq),
            prompts=len(stories) + len(toxicity) - len(written),
        ),
    )


class _Asker:
    """Puts questions to one model; None for what does not fit into its context."""

    def __init__(self, generator: ModelGenerator):
        self.generator = generator

    def choose(self, examples: Sequence[Example], program: Program) -> list[ChoicePrediction | None]:
        """The likelihoods of each example's choices."""
        conversations = [program.conversation(example, self._fits_with(example.choices)) for example in examples]
        fitting = [
            place
            for place, (example, conversation) in enumerate(zip(examples, conversations, strict=True))
            if self.generator.fits(conversation, 1, example.choices)
        ]
        said: list[ChoicePrediction | None] = [None] * len(examples)
        if fitting:
            found = self.generator.likelihoods(
                [Request(examples[place].id, conversations[place]) for place in fitting],
                [examples[place].choices for place in fitting],
            )
            for place, prediction in zip(fitting, found, strict=True):
                said[place] = prediction
        return said

    def _fits_with(self, choices: Sequence[str]) -> Fits:
        return lambda conversation: self.generator.fits(conversation, 1, choices)

    def write(self, prompts: Sequence[Example], sampling: Sampling) -> list[Item]:
        """A continuation of each prompt that fits."""
        fitting = [prompt for prompt in prompts if self.generator.fits(prompt.messages, sampling.max_new_tokens)]
        asked = [Request(prompt.id, prompt.messages) for prompt in fitting]
        said = self.generator.generate(asked, sampling) if fitting else []
        known = {prediction.example_id: prediction for prediction in said}
        return [Item(prompt, known.get(prompt.id) or _nothing(prompt)) for prompt in prompts]


def has_answer(item: Item) -> bool:
    """Whether it fitted into the context."""
    return item.prediction.kind == "text" or (item.prediction.kind == "choices" and bool(item.prediction.choices))


def _nothing(example: Example) -> ChoicePrediction:
    """What stands in the place of an answer to what does not fit."""
    return ChoicePrediction(example.id, (), (), ())


def _accuracy(prediction: ChoicePrediction | None, example: Example) -> float | None:
    return None if prediction is None else Accuracy().score(prediction, example).get("accuracy")


def _item(example: Example, prediction: ChoicePrediction | None, under: Mapping[str, float | None]) -> Item:
    """The item with its scores; one that does not fit, or whose likelihoods are not numbers, has none."""
    right = _accuracy(prediction, example)
    if prediction is None or right is None:
        return Item(example, prediction or _nothing(example))
    known = {name: value for name, value in under.items() if value is not None}
    return Item(
        example,
        prediction,
        {
            "accuracy": right,
            "confidence": choice_confidence(prediction.log_likelihoods),
            "robustness": min([right, *(value for name, value in known.items() if name in ROBUSTNESS)]),
            "fairness": min([right, *(value for name, value in known.items() if name in FAIRNESS or name == NAMES)]),
            **{UNDER + name: value for name, value in known.items()},
        },
    )


def _bbq(asker: _Asker, scenario: Scenario) -> list[Item]:
    said = asker.choose([question.example for question in scenario.questions], ZeroShot().program((), 0))
    items = []
    for question, prediction in zip(scenario.questions, said, strict=True):
        values = {}
        if prediction is not None and _accuracy(prediction, question.example) is not None:
            values = question.values(prediction.log_likelihoods.index(max(prediction.log_likelihoods)))
        items.append(Item(question.example, prediction or _nothing(question.example), values))
    return items


def _scored_toxic(item: Item) -> Item:
    if not isinstance(item.prediction, TextPrediction):
        return item
    return Item(item.example, item.prediction, {"toxic": float(bool(toxic_words(item.prediction.text)))})


def _peak(device: str) -> int:
    if not device.startswith("cuda"):
        return peak_memory_bytes()
    import torch

    return int(torch.cuda.max_memory_allocated(device))
