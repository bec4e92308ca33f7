"""The study file: what a study is made of, and the short forms in which a user may write it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from luthier.core.settings import Settings, suggest
from luthier.core.training_settings import TrainingSettings
from luthier.core.types import PredictionKind
from luthier.methods.none import NoMethod
from luthier.metrics.calibration import Calibration
from luthier.metrics.correlation import Correlation, number_in
from luthier.metrics.f1 import F1
from luthier.metrics.metric import Metric
from luthier.metrics.nll import Nll
from luthier.metrics.rouge import Rouge
from luthier.models.kinds import Kind
from luthier.models.sampling import Sampling
from luthier.objectives.supervised import Supervised
from luthier.prompting.prompting import Prompting
from luthier.prompting.zero_shot import ZeroShot
from luthier.registry import (
    BASELINES,
    METHODS,
    PROMPTINGS,
    AnyMethod,
    AnyMetric,
    AnyObjective,
    AnyPrompting,
    AnyRegulariser,
)
from luthier.regularisers.regulariser import NoRegulariser
from luthier.tasks.generated.retention_tasks import RETENTION_TASKS
from luthier.tasks.task_settings import TaskSettings, Texts

BASE_SAMPLES, PROSE = "base samples", "generated prose"
"""The texts on which forgetting is measured in every study."""
FROM_RANDOM_WEIGHTS = " from random weights"
"""What the name of an arm's control ends with."""


def _as_several(value: Any) -> Any:
    """One metric may stand alone."""
    return [value] if isinstance(value, str | Mapping) else value


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
    task: str | None = None
    """What it is trained on: the name of a task under `tasks` or `sources`; the one that the arm is judged on where it
    is not given."""

    def fingerprint(self) -> Any:
        """Without the task's name: the data that it stands for is in the keys."""
        return {key: value for key, value in super().fingerprint().items() if key != "task"}


class Arm(Settings):
    """What is compared: one stage, or several, one after the other."""

    name: str
    """What tables call it."""
    stages: tuple[Stage, ...] = Field(min_length=1)
    """Its steps; what a stage trained is merged into the model before the next begins."""
    model: str | None = None
    """A model of its own, where the arm is to start from another one than the study's: `house/instruct` beside arms on
    `house/decoder`."""

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
    def _stages_go_together(self) -> Arm:
        for stage in self.trained:
            if not stage.prompting.needs_model:
                raise ValueError(f"{stage.prompting.name} asks no model, so training one with it has no use")
        for stage, following in pairwise(self.trained):
            if not stage.method.leads_on:
                raise ValueError(f"{stage.method.name} cannot be merged, so it can only be the last stage")
            if stage.method.belongs_to == "soft prompt" and following.method.name != stage.method.name:
                raise ValueError(
                    f"{stage.method.name} leaves a prompt that {following.method.name} would drop: only another stage "
                    f"of {stage.method.name} goes on from it"
                )
        for stage in self.stages:
            if stage.task is not None and not stage.method.trains:
                raise ValueError(
                    f"{self.name}: task: {stage.task} is what a stage is trained on, and this one trains nothing"
                )
        return self


class TaskSpec(TaskSettings):
    """A task in a study: its data and templates, and how its predictions are made and judged."""

    metrics: Annotated[tuple[AnyMetric, ...], BeforeValidator(_as_several)] = Field(
        default=(Rouge(), Nll()), min_length=1
    )
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
        """The kinds of prediction that its metrics need, text first."""
        return tuple(sorted({self.kind_for(metric) for metric in self.metrics}, reverse=True))

    def kind_for(self, metric: Metric) -> PredictionKind:
        """What to ask a language model for so that the metric can judge: its first kind, or text where it would have
        choices and the task lists none."""
        return "text" if not self.lists_choices and "text" in metric.kinds else metric.kinds[0]

    def kinds_on(self, model: Kind) -> tuple[PredictionKind, ...]:
        """The kinds of prediction that are asked of a kind of model: an encoder has a head with one."""
        if model != "encoder":
            return self.kinds
        return ("tags",) if self.tagging is not None else ("class",)

    @property
    def judges(self) -> tuple[Metric, ...]:
        """The metrics that give the primary measure: one."""
        return tuple(metric for metric in self.metrics if self.primary in metric.measures)

    @model_validator(mode="after")
    def _measures_are_clear(self) -> TaskSpec:
        named = [name for metric in self.metrics for name in metric.measures]
        every = [*named, *(name for metric in self.metrics for name in metric.of_the_whole)]
        for name in every:
            if every.count(name) > 1:
                raise ValueError(f"metrics: two of them measure {name}")
        for metric in self.metrics:
            if metric.kinds == ("tags",) and self.tagging is None:
                raise ValueError(f"metrics: {metric.name} judges tags, and the task has no tagging")
            if "tags" not in metric.kinds and self.tagging is not None:
                raise ValueError(
                    f"metrics: {metric.name} judges no tags, and a task with tagging has nothing else; "
                    "take entity_f1 or tag_accuracy"
                )
            if isinstance(metric, Correlation):
                self._refuse_words_for_numbers()
            if isinstance(metric, Calibration) and self.mixture is None and not self.lists_choices:
                raise ValueError("metrics: calibration judges how sure a choice is, and the task lists no choices")
            if isinstance(metric, F1) and metric.positive is not None:
                self._refuse_unknown_class(metric.positive)
        whole = {name for metric in self.metrics for name in metric.of_the_whole}
        if self.primary in whole:
            raise ValueError(
                f"primary: {self.primary} is of the whole test set, and arms are compared example by example; "
                f"choose one of {', '.join(named) or 'those of another metric'}: {self.primary} stands beside it"
            )
        if self.primary not in {name for metric in self.metrics for name in metric.measures}:
            raise ValueError(
                f"primary: no metric here measures {self.primary}; they measure {', '.join(self.measures[1:])}"
            )
        return self

    def _refuse_unknown_class(self, name: str) -> None:
        """Where the choices are plain words, a class that is none of them: its F1 would be 0."""
        plain = self.choices and not any("{" in choice for choice in self.choices)
        if plain and name not in self.choices:
            raise ValueError(f"f1: positive: {name} is none of the choices{suggest(name, self.choices)}")

    def _refuse_words_for_numbers(self) -> None:
        """Choices that are no numbers, where their correlation is asked for."""
        words = [choice for choice in self.choices if "{" not in choice and number_in(choice) is None]
        if words:
            raise ValueError(f"metrics: correlation wants numbers, and among the choices is {words[0]!r}")


def _as_retained(value: Any) -> Any:
    """Names of generated tasks -> their settings; what else stands in the list is left for the validator."""
    if isinstance(value, str | Mapping):
        value = [value]
    if not isinstance(value, list | tuple):
        return value
    for name in value:
        if isinstance(name, str) and name not in RETENTION_TASKS:
            raise ValueError(
                f"{name}: no such generated task{suggest(name, RETENTION_TASKS)}; there are "
                f"{', '.join(RETENTION_TASKS)}; or give a whole task"
            )
    return [RETENTION_TASKS[item] if isinstance(item, str) else item for item in value]


class StudySpec(Settings):
    """A study file: every arm on every model and task, with every seed."""

    name: str = "study"
    """What the report is called; the file's name where it is not given."""
    models: Texts = Field(min_length=1)
    """House models (`house/decoder`), folders, hub ids."""
    tasks: tuple[TaskSpec, ...] = Field(min_length=1)
    """What the models are adapted to."""
    sources: tuple[TaskSpec, ...] = ()
    """Tasks that stages are trained on (`task: NAME`) and no arm is judged on."""
    arms: tuple[Arm, ...] = Field(min_length=1)
    """The ways of adapting, each a word (`lora`), a word with settings (`lora: {rank: 8}`), or the long form (`name`,
    `prompting`, `method`, `objective`, any training setting; or `stages`)."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """One run per arm and seed; fewer than three claim no ranking."""
    sizes: tuple[int, ...] = ()
    """Sizes of the training set, for a learning curve: every arm is run with each; smaller sets are parts of larger
    ones. None given is the training set as it is."""
    trials: int = Field(default=1, ge=1, le=9)
    """Tries per arm on validation, the same for all: learning rates for an arm that trains (the method's suggestion,
    then a third of it, three times it, a ninth ..), draws of shots or templates for one that prompts. With 1 the
    suggestions are taken as they are."""
    margin: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    """What difference in the primary measure would not matter to you: the report names the cheapest arm that is not
    worse than the best by more."""
    reference: str | None = None
    """The arm that the others are compared with; the first where it is not given."""
    training: TrainingSettings = TrainingSettings()
    """The training settings of every arm that does not say otherwise."""
    baselines: bool = True
    """Whether the trivial baselines that fit the data (lead-3, copy, majority, best constant) stand beside the arms."""
    controls: bool = True
    """Whether controls say what a score is worth: the nearest training example's reference, predictions against a wrong
    reference, and the best trained arm again from random weights."""
    forgetting: bool = True
    """Whether every trained arm is measured against its base on text sampled from the base and on text that our own
    code writes."""
    retain: Annotated[tuple[TaskSpec, ...], BeforeValidator(_as_retained)] = ()
    """What else should not be lost: tasks that are measured before and after training, as `generated/sentiment`,
    `generated/entities`, `generated/arithmetic`, `generated/yes_no`, or as whole tasks."""

    @property
    def models_of_arms(self) -> tuple[str, ...]:
        """The models that arms have of their own."""
        own = (arm.model for arm in self.arms if arm.model is not None)
        return tuple(dict.fromkeys(name for name in own if name not in self.models))

    @model_validator(mode="before")
    @classmethod
    def _read_short_arms(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        for key in data:
            if key not in cls.model_fields and key in TrainingSettings.model_fields:
                raise ValueError(f"{key} belongs under training")
            if key not in cls.model_fields and key in TaskSpec.model_fields:
                raise ValueError(f"{key} belongs in a task")
        if not isinstance(data.get("arms"), list | tuple):
            return data
        shared = data.get("training") or {}
        return {**data, "arms": [_long_form(arm, shared) for arm in data["arms"]]}

    @model_validator(mode="after")
    def _names_are_clear(self) -> StudySpec:
        names = [arm.name for arm in self.arms]
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: one of {', '.join(map(str, self.seeds))} is there twice")
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two arms are called {name}: give one of them a `name`")
        if self.reference is not None and self.reference not in names:
            raise ValueError(f"reference: there is no arm {self.reference}; there are {', '.join(names)}")
        for arm in self.arms:
            if arm.name.endswith(FROM_RANDOM_WEIGHTS):
                raise ValueError(f"{arm.name}: a name that ends so is a control's: give the arm another `name`")
            for baseline in BASELINES:
                if arm.name == baseline.name and not isinstance(arm.prompting, baseline):
                    raise ValueError(f"{arm.name}: that is a baseline's name: give the arm another `name`")
        for kind, tasks in (("tasks", (*self.tasks, *self.sources)), ("retained tasks", self.retain)):
            called = [task.task_name for task in tasks]
            for name in called:
                if called.count(name) > 1:
                    raise ValueError(f"two {kind} are called {name}: give one of them a `name`")
            for name in {BASE_SAMPLES, PROSE} & set(called):
                raise ValueError(f"{kind}: {name} is the name of texts that Luthier measures: give another `name`")
        trained_on = {task.task_name for task in (*self.tasks, *self.sources)}
        for arm in self.arms:
            for stage in arm.stages:
                if stage.task is not None and stage.task not in trained_on:
                    raise ValueError(
                        f"{arm.name}: task: there is no task {stage.task}{suggest(stage.task, sorted(trained_on))}; "
                        f"there are {', '.join(sorted(trained_on))}"
                    )
        for task in self.retain:
            if task.tagging is not None:
                raise ValueError(f"retain: {task.task_name} tags words, which a language model cannot be asked")
        if any(size < 1 for size in self.sizes) or len(set(self.sizes)) < len(self.sizes):
            raise ValueError("sizes: give different numbers of training examples, each at least 1")
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
        keys = {key: value for key, value in arm.items() if key not in ("name", "model")}
        model = {"model": arm["model"]} if "model" in arm else {}
        return {"name": arm.get("name") or _name(keys), "stages": [_stage(keys, shared)], **model}
    if not isinstance(stages, list | tuple):
        return arm
    return {**arm, "stages": [_stage(_keys_of_short_form(stage), shared) for stage in stages]}


def _keys_of_short_form(short: Any) -> Any:
    """`lora`, or `lora: {rank: 8}`, as keys of the long form: `method: {lora: {rank: 8}}`."""
    if isinstance(short, str):
        short = {short: {}}
    if not isinstance(short, Mapping):
        return short
    words = [word for word in short if _kind_of(word) and _kind_of(word) not in short]
    if words:  # `lora: {rank: 8}`, perhaps with `few_shot: {shots: 2}` or training settings beside it
        rest = {key: value for key, value in short.items() if key not in words}
        return {**{_kind_of(word): {word: short[word] or {}} for word in words}, **rest}
    if len(short) != 1:
        return short
    ((word, settings),) = short.items()
    if word in _KEYS:
        return short
    nearest = difflib.get_close_matches(str(word), [*_PROMPTING_WORDS, *_METHOD_WORDS], n=1, cutoff=0.5)
    kind = "prompting" if set(nearest) & _PROMPTING_WORDS else "method"
    return {kind: {word: settings or {}}}


def _kind_of(word: Any) -> str | None:
    return "prompting" if word in _PROMPTING_WORDS else "method" if word in _METHOD_WORDS else None


def _stage(keys: Any, shared: Any) -> Any:
    """A stage with the training settings that stand directly in it moved where they belong."""
    if not isinstance(keys, Mapping):
        return keys
    lifted = {key: value for key, value in keys.items() if key in TrainingSettings.model_fields}
    given = keys.get("training") or {}
    if not isinstance(shared, Mapping) or not isinstance(given, Mapping):
        return dict(keys)
    stage = {key: value for key, value in keys.items() if key not in lifted}
    for key in stage:
        if key not in Stage.model_fields:
            owners = [cls.name for cls in (*PROMPTINGS, *METHODS) if key in cls.model_fields]
            if owners:
                raise ValueError(f"arms: {key} is a setting of {owners[0]}: indent it below that word")
            known = [*Stage.model_fields, *TrainingSettings.model_fields, *Arm.model_fields]
            raise ValueError(f"arms: {key}: no such key{suggest(str(key), known)}")
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
