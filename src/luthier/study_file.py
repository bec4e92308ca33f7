"""The study file: the unions of everything that can be named in it, and the grid that it spans.

**Adding a method, a prompting, an objective, a metric: write its file, and add its class to the tuple here.** It can
then be named in a study file, enters the JSON schema, the table of methods and the contract tests.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from luthier.core.settings import OneOf, Settings, digest
from luthier.core.training_settings import TrainingSettings
from luthier.core.types import PredictionKind
from luthier.methods.full import Full
from luthier.methods.lora import LoRA
from luthier.methods.method import Method
from luthier.methods.none import NoMethod
from luthier.methods.prompt_tuning import PromptTuning
from luthier.metrics.bits_per_byte import BitsPerByte
from luthier.metrics.bleu import Bleu
from luthier.metrics.chrf import Chrf
from luthier.metrics.exact_match import ExactMatch
from luthier.metrics.metric import Metric
from luthier.metrics.nll import Nll
from luthier.metrics.rouge import Rouge
from luthier.metrics.token_f1 import TokenF1
from luthier.models.sampling import Sampling
from luthier.objectives.objective import Objective
from luthier.objectives.supervised import Supervised
from luthier.prompting.baselines import BestConstant, Copy, Lead, Majority
from luthier.prompting.few_shot import FewShot
from luthier.prompting.prompting import Prompting
from luthier.prompting.zero_shot import ZeroShot
from luthier.regularisers.regulariser import NoRegulariser, Regulariser
from luthier.tasks.task_settings import TaskSettings

METHODS: tuple[type[Method], ...] = (NoMethod, PromptTuning, LoRA, Full)
PROMPTINGS: tuple[type[Prompting], ...] = (ZeroShot, FewShot, Lead, Copy, Majority, BestConstant)
REGULARISERS: tuple[type[Regulariser], ...] = (NoRegulariser,)
OBJECTIVES: tuple[type[Objective], ...] = (Supervised,)
METRICS: tuple[type[Metric], ...] = (Rouge, Bleu, Chrf, ExactMatch, TokenF1, Nll, BitsPerByte)

AnyMethod = Annotated[Method, OneOf(*METHODS)]
AnyPrompting = Annotated[Prompting, OneOf(*PROMPTINGS)]
AnyRegulariser = Annotated[Regulariser, OneOf(*REGULARISERS)]
AnyObjective = Annotated[Objective, OneOf(*OBJECTIVES)]
AnyMetric = Annotated[Metric, OneOf(*METRICS)]


class Stage(Settings):
    """One step of an arm: how the task is asked, which weights move, what holds them back, and by which loss."""

    prompting: AnyPrompting = ZeroShot()
    """How an example is asked, in training and in evaluation."""
    method: AnyMethod = NoMethod()
    """Which weights move."""
    regulariser: AnyRegulariser = NoRegulariser()
    """What holds them back."""
    objective: AnyObjective = Supervised()
    """Which loss moves them."""
    training: TrainingSettings = TrainingSettings()
    """How long and how fast."""


class Arm(Settings):
    """What is compared: one stage, or several, one after the other."""

    name: str
    """What tables call it."""
    stages: tuple[Stage, ...] = Field(min_length=1)
    """Its steps; what a stage trained is merged into the model before the next begins."""

    @property
    def prompting(self) -> Prompting:
        """How the finished model is asked: the last stage's prompting."""
        return self.stages[-1].prompting

    @property
    def trained(self) -> tuple[Stage, ...]:
        """The stages that move weights."""
        return tuple(stage for stage in self.stages if stage.method.trains)

    @property
    def baseline(self) -> bool:
        """Whether it answers without a model."""
        return not self.prompting.needs_model

    @model_validator(mode="after")
    def _only_the_last_stage_may_stay_unmerged(self) -> Arm:
        for stage in self.trained[:-1]:
            if not stage.method.mergeable:
                raise ValueError(f"{stage.method.name} cannot be merged, so it can only be the last stage")
        return self


class TaskSpec(TaskSettings):
    """A task in a study: its data and templates, and how its predictions are made and judged."""

    metrics: tuple[AnyMetric, ...] = Field(default=(Rouge(), Nll()), min_length=1)
    """What judges a prediction."""
    primary: str = "rougeL"
    """The measure that arms are compared by."""
    generation: Sampling = Sampling()
    """How answers are generated; greedy by default."""

    @property
    def measures(self) -> tuple[str, ...]:
        """Every measure, the primary one first."""
        named = [name for metric in self.metrics for name in metric.measures]
        return (self.primary, *(name for name in named if name != self.primary))

    @property
    def kinds(self) -> tuple[PredictionKind, ...]:
        """The kinds of prediction that its metrics need."""
        return tuple(dict.fromkeys(metric.kinds[0] for metric in self.metrics))

    @model_validator(mode="after")
    def _primary_is_measured(self) -> TaskSpec:
        if self.primary not in {name for metric in self.metrics for name in metric.measures}:
            raise ValueError(
                f"primary: no metric here measures {self.primary}; they measure {', '.join(self.measures[1:])}"
            )
        return self


class ModelRef(Settings):
    """A model as a run sees it: its name, and what identifies and sizes it."""

    name: str
    """A house model, a folder, or a hub id."""
    identity: str
    """The digest of its configuration, tokenizer and weights."""
    parameters: int
    """Weights in all."""
    context: int | None
    """The longest input, in tokens; none where there is no limit."""


class RunSpec(Settings):
    """One run: an arm on a model, a task and a seed, everything resolved."""

    arm: Arm
    """What is run."""
    model: ModelRef
    """On which model."""
    task: TaskSpec
    """On which task."""
    data: dict[str, str]
    """Digests of the task's splits, as they are used."""
    left_out: tuple[str, ...] = ()
    """Examples that are too long for the model, and were left out on request."""
    seed: int
    """Seeds initialisation, order, shots and sampling."""
    precision: Literal["fp32", "bf16"]
    """What it is computed in."""

    def train_keys(self) -> list[str]:
        """A key per trained stage: the digest of all that its weights depend on, the stage before included."""
        keys: list[str] = []
        for stage in self.arm.trained:
            keys.append(
                digest(
                    {
                        "stage": stage.fingerprint(),
                        "before": keys[-1] if keys else self.model.identity,
                        "train": self.data["train"],
                        "validation": self.data["validation"],
                        "seed": self.seed,
                        "precision": self.precision,
                    }
                )
            )
        return keys

    def predict_key(self) -> str:
        """The digest of all that the predictions depend on; the seed only where it changes them."""
        prompting = self.arm.prompting
        depends_on_seed = prompting.seeded or self.task.generation.temperature > 0
        return digest(
            {
                "weights": [*self.train_keys(), self.model.identity if prompting.needs_model else None],
                "prompting": prompting.fingerprint(),
                "kinds": self.task.kinds,
                "generation": self.task.generation.fingerprint(),
                "train": self.data["train"],
                "test": self.data["test"],
                "seed": self.seed if depends_on_seed else None,
                "precision": self.precision,
            }
        )

    def score_key(self) -> str:
        """The digest of all that the scores depend on, and of the point in the grid that they belong to: a baseline's
        predictions are those of every model."""
        metrics = [metric.fingerprint() for metric in self.task.metrics]
        return digest([self.predict_key(), metrics, self.model.identity, self.task.task_name])

    @property
    def seeded(self) -> bool:
        """Whether another seed could give another result."""
        return bool(self.arm.trained) or self.arm.prompting.seeded or self.task.generation.temperature > 0

    @property
    def folder(self) -> str:
        """The run's folder: its arm, digest and seed."""
        word = re.sub(r"[^A-Za-z0-9.-]+", "_", self.arm.name).strip("_") or "arm"
        return f"{word}-{self.score_key()}-s{self.seed}"


class StudySpec(Settings):
    """A study file: every arm on every model and task, with every seed."""

    name: str = "study"
    """What the report is called; the file's name where it is not given."""
    models: tuple[str, ...] = Field(min_length=1)
    """House models (`house/decoder`), folders, hub ids."""
    tasks: tuple[TaskSpec, ...] = Field(min_length=1)
    """What the models are adapted to."""
    arms: tuple[Arm, ...] = Field(min_length=1)
    """The ways of adapting, each a word (`lora`), a word with settings (`lora: {rank: 8}`), or the long form (`name`,
    `prompting`, `method`, `objective`, any training setting; or `stages`)."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """One run per arm and seed; fewer than three claim no ranking."""
    reference: str | None = None
    """The arm that the others are compared with; the first where it is not given."""
    training: TrainingSettings = TrainingSettings()
    """The training settings of every arm that does not say otherwise."""
    baselines: bool = True
    """Whether the trivial baselines that fit the data (lead-3, copy, majority, best constant) stand beside the arms."""

    @model_validator(mode="before")
    @classmethod
    def _read_short_arms(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("arms"), list | tuple):
            return data
        shared = data.get("training") or {}
        return {**data, "arms": [_long_form(arm, shared) for arm in data["arms"]]}

    @model_validator(mode="after")
    def _names_are_clear(self) -> StudySpec:
        names = [arm.name for arm in self.arms]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two arms are called {name}: give one of them a `name`")
        if self.reference is not None and self.reference not in names:
            raise ValueError(f"reference: there is no arm {self.reference}; there are {', '.join(names)}")
        tasks = [task.task_name for task in self.tasks]
        for name in tasks:
            if tasks.count(name) > 1:
                raise ValueError(f"two tasks are called {name}: give one of them a `name`")
        return self


_PROMPTING_WORDS = {cls.name for cls in PROMPTINGS}
_METHOD_WORDS = {cls.name for cls in METHODS}
_KEYS = {*Stage.model_fields, *Arm.model_fields, *TrainingSettings.model_fields}


def _long_form(arm: Any, shared: Any) -> Any:
    """An arm as a user writes it -> its name and stages; what cannot be read is left for the validator to name."""
    arm = _keys_of_short_form(arm)
    if not isinstance(arm, Mapping):
        return arm
    stages = arm.get("stages")
    if stages is None:
        keys = {key: value for key, value in arm.items() if key != "name"}
        return {"name": arm.get("name") or _name(keys), "stages": [_stage(keys, shared)]}
    if not isinstance(stages, list | tuple):
        return arm
    return {**arm, "stages": [_stage(_keys_of_short_form(stage), shared) for stage in stages]}


def _keys_of_short_form(short: Any) -> Any:
    """`lora`, or `lora: {rank: 8}`, as keys of the long form: `method: {lora: {rank: 8}}`."""
    if isinstance(short, str):
        short = {short: {}}
    if not isinstance(short, Mapping) or len(short) != 1:
        return short
    ((word, settings),) = short.items()
    if word in _KEYS:
        return short
    nearest = difflib.get_close_matches(str(word), [*_PROMPTING_WORDS, *_METHOD_WORDS], n=1, cutoff=0.5)
    kind = "prompting" if set(nearest) & _PROMPTING_WORDS else "method"
    return {kind: {word: settings or {}}}


def _stage(keys: Any, shared: Any) -> Any:
    """A stage with the training settings that stand directly in it moved where they belong."""
    if not isinstance(keys, Mapping):
        return keys
    lifted = {key: value for key, value in keys.items() if key in TrainingSettings.model_fields}
    given = keys.get("training") or {}
    if not isinstance(shared, Mapping) or not isinstance(given, Mapping):
        return dict(keys)
    stage = {key: value for key, value in keys.items() if key not in lifted}
    return {**stage, "training": {**shared, **given, **lifted}}


def _name(keys: Mapping[str, Any]) -> str:
    """`few_shot+lora` for an arm that gives itself no name."""
    words = []
    for key in ("prompting", "method"):
        value = keys.get(key)
        words += (
            [value] if isinstance(value, str) else [str(word) for word in value] if isinstance(value, Mapping) else []
        )
    return "+".join(words) or "arm"


def registry() -> dict[str, tuple[type[Any], ...]]:
    """Every class that a study file can name, by what it is."""
    return {
        "method": METHODS,
        "prompting": PROMPTINGS,
        "objective": OBJECTIVES,
        "regulariser": REGULARISERS,
        "metric": METRICS,
    }
