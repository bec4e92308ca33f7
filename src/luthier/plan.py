"""From a study file to the runs that it spans, with everything checked that can be before work starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from luthier.core.environment import has_fast_bf16
from luthier.core.errors import LuthierError
from luthier.core.types import Skipped
from luthier.methods.method import refuse_misfit
from luthier.models.families import family_of
from luthier.models.load import ModelFiles, find_model
from luthier.plan_encoder import check_encoders, check_encoders_of_metrics
from luthier.plan_lengths import TooLong, check_lengths_of
from luthier.plan_sources import check_sources, leaks_of, read_by_stages, sources_of
from luthier.prompting.baselines import trivial_baselines
from luthier.prompting.nearest import Nearest
from luthier.prompting.prompting import Prompting
from luthier.run_spec import ModelRef, RunSpec
from luthier.study_file import Arm, Stage, StudySpec, TaskSpec
from luthier.tasks.leakage import Leakage
from luthier.tasks.task import Task, load_task
from luthier.trials import Search, search


@dataclass(frozen=True)
class Point:
    """A place in the grid: an arm on a model, a task and a size of the training set.

    Attributes:
        first: its run as its first candidate, with the first seed.
        search: what it can be tried as.
        seeds: of its runs; one alone where no seed could change it.
    """

    first: RunSpec
    search: Search
    seeds: tuple[int, ...]

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """Seeds that choose together: each for itself where shots are drawn, else the first for all."""
        return [(seed,) for seed in self.seeds] if self.search.per_seed else [self.seeds]

    def trials(self, seed: int) -> list[RunSpec]:
        """The candidates' runs on the validation set; none where there is nothing to choose from."""
        if len(self.search.candidates) < 2:
            return []
        alone = {"seed": seed, "split": "validation", "documents": False, "retain": (), "retain_data": {}}
        return [self.first.model_copy(update={**alone, "arm": arm}) for _, arm in self.search.candidates]

    def runs(self, seeds: Sequence[int], candidate: int) -> list[RunSpec]:
        """The runs on the test set, as that candidate."""
        arm = self.search.candidates[candidate][1]
        return [self.first.model_copy(update={"arm": arm, "seed": seed}) for seed in seeds]


@dataclass(frozen=True)
class Plan:
    """A study, ready to run.

    Attributes:
        points: the grid.
        trials: runs on the validation set, from which settings are chosen; none where each arm has one trial.
        runs: every run on the test set, in the order of the report; before the trials are done, as if each arm's first
            candidate had been chosen (`luthier.choices` then puts in what was).
        tasks: every task, read, by name, with all of its training set.
        read: these, and the tasks that stages alone read.
        models: every model's files, by the name in the study.
        skipped: by task, the rows left out, and why.
        leaks: by task, what of the held-out rows stands in the training set too (in the largest that is used), or in
            that of another task which an arm's stages read.
    """

    points: tuple[Point, ...]
    trials: tuple[RunSpec, ...]
    runs: tuple[RunSpec, ...]
    tasks: Mapping[str, Task]
    read: Mapping[str, Task]
    models: Mapping[str, ModelFiles]
    skipped: Mapping[str, tuple[Skipped, ...]]
    leaks: Mapping[str, Leakage]


def plan(
    spec: StudySpec,
    *,
    device: str = "cpu",
    skip_bad_rows: bool = False,
    check_lengths: bool = True,
    finished: Callable[[RunSpec], bool] = lambda run: False,
) -> Plan:
    """Find the models, read the tasks, check both, and list the runs.

    Args:
        spec: the study.
        device: `cpu` or `cuda`; it decides what precision `auto` means.
        skip_bad_rows: leave out rows that are bad or too long, and name them, instead of refusing.
        check_lengths: look for examples longer than a model's context; needs its tokenizer (and seconds of imports).
        finished: whether a run is done already; where all are, their lengths were checked then.

    Raises:
        LuthierError: anything that is wrong with the study, its models or its data.
    """
    models = {name: find_model(name) for name in (*spec.models, *spec.models_of_arms)}
    tasks = {task.task_name: load_task(task, skip_bad_rows=skip_bad_rows) for task in spec.tasks}
    retained = {task.task_name: load_task(task, skip_bad_rows=skip_bad_rows) for task in spec.retain}
    sources = {task.task_name: load_task(task, skip_bad_rows=skip_bad_rows) for task in spec.sources}
    read = {name: {**retained, **sources}[name] for name in read_by_stages(spec)} | tasks
    _check_training_sets(spec, tasks)
    _check_methods(spec, models)
    check_encoders(spec, models, tasks)
    check_encoders_of_metrics(spec)
    check_sources(spec, models, read)
    grid = _Grid(spec, models, tasks, retained, read, device)
    too_long: TooLong = {}
    points = grid.points(too_long)
    if check_lengths and not all(finished(run) for run in _runs(points)):
        too_long = check_lengths_of(spec, models, read, retained, skip=skip_bad_rows)
        points = grid.points(too_long)
    trials = tuple(run for point in points for group in point.groups for run in point.trials(group[0]))
    _check_validation_sets(trials, tasks)
    return Plan(
        points=points,
        trials=trials,
        runs=_runs(points),
        tasks=tasks,
        read=read,
        models=models,
        skipped=_skipped(read, too_long),
        leaks={name: leaks_of(task.of_size(max(spec.sizes, default=None)), spec, read) for name, task in tasks.items()},
    )


def _runs(points: Sequence[Point]) -> tuple[RunSpec, ...]:
    return tuple(run for point in points for run in point.runs(point.seeds, 0))


def _check_validation_sets(trials: Sequence[RunSpec], tasks: Mapping[str, Task]) -> None:
    for run in trials:
        if not tasks[run.task.task_name].splits["validation"]:
            raise LuthierError(
                f"task {run.task.task_name} has no validation examples, and trials choose on them",
                where="trials",
                mend="give validation files, or trials: 1",
            )


def _check_training_sets(spec: StudySpec, tasks: Mapping[str, Task]) -> None:
    for name, task in tasks.items():
        needing = [
            arm.name
            for arm in spec.arms
            if arm.prompting.reads_training_set or any((stage.task or name) == name for stage in arm.trained)
        ]
        if needing and not task.splits["train"]:
            raise LuthierError(
                f"task {name} has no training examples, and {', '.join(needing)} need some",
                where=f"task {name}, data",
                mend="give train files, or leave these arms out",
            )


def _check_methods(spec: StudySpec, models: Mapping[str, ModelFiles]) -> None:
    """Every method must be able to work on its model, and be merged where another stage follows."""
    for arm in spec.arms:
        for name in (arm.model,) if arm.model else spec.models:
            files = models[name]
            for stage in arm.trained:
                refuse_misfit(stage.method, files.kind, files.model_type, f"arm {arm.name} on {name}")
            for stage in arm.trained[:-1]:
                why = stage.method.merge_refusal(files.kind, family_of(files.model_type))
                if stage.method.mergeable and why:
                    raise LuthierError(
                        f"{stage.method.label()} cannot be merged before the next stage: {why}",
                        where=f"arm {arm.name} on {name}",
                        mend="make it the last stage, or take another method",
                    )


@dataclass(frozen=True)
class _Grid:
    """What the points of a study are made from."""

    spec: StudySpec
    models: Mapping[str, ModelFiles]
    tasks: Mapping[str, Task]
    retained: Mapping[str, Task]
    read: Mapping[str, Task]
    device: str

    def points(self, too_long: TooLong) -> tuple[Point, ...]:
        """Tasks, models, sizes, arms."""
        return tuple(
            self._point(settings, name, size, arm, too_long)
            for settings in self.spec.tasks
            for name in self.spec.models
            for size in self.spec.sizes or (None,)
            for arm in self._arms(settings)
        )

    def _arms(self, settings: TaskSpec) -> list[Arm]:
        """The study's arms, and the trivial baselines and controls that fit the data."""
        train = self.tasks[settings.task_name].splits["train"]
        judged = any("text" in metric.kinds or "tags" in metric.kinds for metric in settings.metrics)
        if not train or not judged:
            return list(self.spec.arms)
        extra: list[Prompting] = trivial_baselines(train) if self.spec.baselines else []
        if self.spec.controls and settings.tagging is None:  # another sentence's tags are not this one's
            extra.append(Nearest())
        taken = {arm.name for arm in self.spec.arms}
        return [
            *self.spec.arms,
            *(Arm(name=one.name, stages=(Stage(prompting=one),)) for one in extra if one.name not in taken),
        ]

    def _point(self, settings: TaskSpec, name: str, size: int | None, arm: Arm, too_long: TooLong) -> Point:
        own, task = arm.model or name, self.tasks[settings.task_name]
        files = self.models[own]
        compared = {name, *(other.model or name for other in self.spec.arms)}  # arms are compared on the same examples
        too_long_here = {
            name: frozenset(example.id for one in compared for example in too_long.get((one, name), ()))
            for name in self.read
        }
        left_out = too_long_here[task.name]
        given = [stage.training.learning_rate is not None for stage in arm.stages]
        # What is retained is measured by writing and by likelihoods: an encoder has neither.
        measured = bool(arm.trained) and files.kind != "encoder"
        retain = [kept for kept in self.spec.retain if measured and kept.task_name != settings.task_name]
        found = search(_with_rates(arm, files), self.spec.trials, given)
        first = RunSpec(
            arm=found.candidates[0][1],
            model=ModelRef(
                name=own,
                beside=name if own != name else None,
                identity=files.digest,
                parameters=files.parameters,
                context=files.context,
                kind=files.kind,
            ),
            task=settings,
            data=dict(task.without(left_out).of_size(size).digests),
            left_out=tuple(sorted(left_out)),
            sources=sources_of(arm, task.name, self.spec, self.read, too_long_here),
            size=size,
            documents=measured and self.spec.forgetting,
            probed=measured and self.spec.forgetting,
            retain=tuple(retain),
            retain_data={kept.task_name: self.retained[kept.task_name].digests["test"] for kept in retain},
            seed=self.spec.seeds[0],
            precision=_precision(arm, self.device),
        )
        return Point(first, found, self.spec.seeds if first.seeded else self.spec.seeds[:1])


def _precision(arm: Arm, device: str) -> Literal["fp32", "bf16"]:
    """What the arm's stages ask for; where they leave it open, what the device is fast at."""
    asked: set[Literal["fp32", "bf16"]] = {
        stage.training.precision for stage in arm.stages if stage.training.precision != "auto"
    }
    if len(asked) > 1:
        raise LuthierError(
            f"the stages of {arm.name} disagree about precision", where=f"arm {arm.name}", mend="give one precision"
        )
    return asked.pop() if asked else "bf16" if has_fast_bf16(device) else "fp32"


def _with_rates(arm: Arm, files: ModelFiles) -> Arm:
    """The arm with every learning rate that was not given resolved: the digest must hold it."""
    stages = []
    for stage in arm.stages:
        if stage.method.trains and stage.training.learning_rate is None:
            suggested = stage.method.encoder_learning_rate if files.kind == "encoder" else stage.method.learning_rate
            rate = suggested(files.parameters)
            stage = stage.model_copy(update={"training": stage.training.model_copy(update={"learning_rate": rate})})
        stages.append(stage)
    return arm.model_copy(update={"stages": tuple(stages)})


def _skipped(tasks: Mapping[str, Task], too_long: TooLong) -> dict[str, tuple[Skipped, ...]]:
    return {
        name: (
            *task.skipped,
            *(
                Skipped(where=example.where, reason=f"longer than the context of {model}")
                for (model, of_task), examples in too_long.items()
                if of_task == name
                for example in examples
            ),
        )
        for name, task in tasks.items()
    }
