"""The words of the flow: row -> Example -> Prediction -> Score -> Result, each a small frozen value.

Nothing here knows torch. An `Example`'s id travels all along, so that every comparison is paired per example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["system", "user", "assistant"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Message:
    """One turn."""

    role: Role
    content: str


@dataclass(frozen=True)
class Example:
    """One row after reading.

    Attributes:
        id: sixteen hex digits, the hash of the rendered content (messages and references).
        messages: the conversation so far; its last turn is the one to answer.
        references: what a good answer says; the first is the one trained on. Empty only in a benchmark's item
            whose label is held back.
        source: the text that the answer is about (what lead-3 and copy look at), where the task names one.
        choices: the candidate answers, where the task has a fixed list of them.
        cluster: shared by rows that come from one source (one document, one author).
        where: file and line, for messages to the user.
        template: which of the task's templates rendered it.
        task: which task of a mixture it comes from; empty outside of mixtures.
        words, tags: where the task tags words, its words and the tag of each; else empty.
        as_trained: where templates of its own ask the test set, the messages that a template for training would give
            the row: what leakage goes by. Else empty.
    """

    id: str
    messages: tuple[Message, ...]
    references: tuple[str, ...]
    source: str = ""
    choices: tuple[str, ...] = ()
    cluster: str | None = None
    where: str = ""
    template: int = 0
    task: str = ""
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    as_trained: tuple[Message, ...] = ()

    @property
    def reference(self) -> str:
        """The first reference."""
        return self.references[0]


PredictionKind = Literal["text", "choices", "class", "tags"]


@dataclass(frozen=True)
class TextPrediction:
    """A generated text.

    `finish` says why it ended: `stop` (end of sequence), `stop_sequence`, or `length`.
    """

    example_id: str
    text: str
    finish: Literal["stop", "stop_sequence", "length"] = "stop"
    prompt_tokens: int = 0
    generated_tokens: int = 0
    kind: Literal["text"] = "text"


@dataclass(frozen=True)
class ChoicePrediction:
    """Log-likelihoods of candidate answers given the prompt; for a generation task the candidates are its references.

    Attributes:
        choices: the candidates.
        log_likelihoods: natural logarithms, summed over the candidate's tokens (end of sequence included).
        tokens: how many tokens each sum runs over.
    """

    example_id: str
    choices: tuple[str, ...]
    log_likelihoods: tuple[float, ...]
    tokens: tuple[int, ...]
    kind: Literal["choices"] = "choices"


@dataclass(frozen=True)
class ClassPrediction:
    """A class from a classification head.

    Attributes:
        label: the place of the most probable class in the task's choices.
        log_probabilities: natural logarithms, of every class.
        text: the class in words, as it stands among the choices.
    """

    example_id: str
    label: int
    log_probabilities: tuple[float, ...]
    text: str = ""
    kind: Literal["class"] = "class"


@dataclass(frozen=True)
class TagsPrediction:
    """A tag for every word of the example."""

    example_id: str
    tags: tuple[str, ...]
    kind: Literal["tags"] = "tags"


Prediction = TextPrediction | ChoicePrediction | ClassPrediction | TagsPrediction
_PREDICTIONS: dict[str, type[Any]] = {
    "text": TextPrediction,
    "choices": ChoicePrediction,
    "class": ClassPrediction,
    "tags": TagsPrediction,
}


def prediction_to_json(prediction: Prediction) -> dict[str, Any]:
    """Plain data of a prediction, one line of `predictions.jsonl`."""
    return asdict(prediction)


def prediction_from_json(data: Mapping[str, Any]) -> Prediction:
    """The prediction that `prediction_to_json` wrote."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    prediction: Prediction = _PREDICTIONS[data["kind"]](**values)
    return prediction


@dataclass(frozen=True)
class Score:
    """What one metric says of one prediction.

    `values` holds one number per measure (`{"rouge1": .., "rougeL": ..}`). A measure that could not be taken is
    absent: unscored is not zero.
    """

    example_id: str
    values: Mapping[str, float]


class Record(BaseModel):
    """Base of what Luthier itself writes to disk and reads back."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Cost(Record):
    """What a run took. Seconds are wall-clock; bytes are bytes."""

    trainable_parameters: int = 0
    total_parameters: int = 0
    train_seconds: float = 0.0
    predict_seconds: float = 0.0
    train_tokens: int = 0
    tokens_per_second: float = 0.0
    peak_bytes: int = 0
    adapter_bytes: int = 0
    flops: float = 0.0


class Skipped(Record):
    """A row that was left out, and why."""

    where: str
    reason: str


class Result(Record):
    """A finished or failed run: `result.json`.

    `scores` are means over examples, for a quick look; the per-example scores are in `scores.jsonl`.
    """

    arm: str
    model: str
    task: str
    seed: int
    digest: str
    prompting: str
    method: str
    objective: str
    status: Literal["finished", "failed"]
    baseline: bool = False
    seeded: bool = True
    """Whether another seed could give another result; where not, one run stands for all seeds."""
    size: int | None = None
    """Training examples, where the study varies them."""
    split: Literal["validation", "test"] = "test"
    """What was predicted: `validation` in a trial, from which settings are chosen."""
    control_of: str | None = None
    """The arm that this run repeats from random weights."""
    error: str | None = None
    scores: dict[str, float] = {}
    base: str | None = None
    """The arm's own model, where it has one that is not the study's."""
    members: dict[str, dict[str, float]] = {}
    """Of a mixture: task -> the means over its examples."""
    cost: Cost = Cost()
    train_key: str | None = None
    train_keys: list[str] = []
    """Of every trained stage, the last one's (`train_key`) too."""
    predict_key: str | None = None
    effective: dict[str, Any] = {}
    """What was resolved while running: learning rate, steps, best step, sampling values, precision."""
    warnings: list[str] = []


@dataclass(frozen=True)
class Progress:
    """One thing that happened in a run: for the live table, and for the line a step where there is no terminal.

    Attributes:
        run: the run's name (`lora-s0`).
        phase: `planned` (known to come), `load`, `train`, `validate`, `generate`, `likelihoods`, `score`, `retention`
            (what was kept of the base), `again` (its process died), `done` or `failed`.
        step, total: how far the phase is; total 0 where that is not known.
        values: what to show beside it (`loss`, `tokens_per_second`).
    """

    run: str
    phase: str
    step: int = 0
    total: int = 0
    values: Mapping[str, float] = field(default_factory=dict)


Listener = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """A listener that hears nothing."""
