"""From a study file to the runs that it spans, with everything checked that can be before work starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from luthier.core.environment import has_fast_bf16
from luthier.core.errors import LuthierError
from luthier.core.types import SPLITS, Example, Skipped
from luthier.models.load import ModelFiles, find_model
from luthier.models.tokens import Renderer
from luthier.prompting.baselines import trivial_baselines
from luthier.run_spec import ModelRef, RunSpec
from luthier.study_file import Arm, Stage, StudySpec, TaskSpec
from luthier.tasks.task import Task, load_task

TooLong = Mapping[tuple[str, str], Sequence[Example]]
"""Examples that do not fit, by (model, task)."""


@dataclass(frozen=True)
class Plan:
    """A study, ready to run.

    Attributes:
        runs: every run, in the order of the report.
        tasks: every task, read, by name.
        models: every model's files, by the name in the study.
        skipped: by task, the rows left out, and why.
    """

    runs: tuple[RunSpec, ...]
    tasks: Mapping[str, Task]
    models: Mapping[str, ModelFiles]
    skipped: Mapping[str, tuple[Skipped, ...]]


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
    models = {name: find_model(name) for name in spec.models}
    for name, files in models.items():
        if files.kind != "decoder":
            raise LuthierError(
                f"{name} is an {files.kind} ({files.architecture}); only decoders can be studied so far",
                where=f"models: {name}",
                mend="give a causal language model",
            )
    tasks = {task.task_name: load_task(task, skip_bad_rows=skip_bad_rows) for task in spec.tasks}
    _check_training_sets(spec, tasks)
    too_long: TooLong = {}
    runs = _runs(spec, models, tasks, too_long, device)
    if check_lengths and not all(finished(run) for run in runs):
        too_long = _too_long(spec, models, tasks)
        if any(too_long.values()) and not skip_bad_rows:
            raise _refuse_too_long(too_long)
        _check_something_is_left(tasks, too_long)
        runs = _runs(spec, models, tasks, too_long, device)
    return Plan(runs, tasks, models, _skipped(tasks, too_long))


def _check_training_sets(spec: StudySpec, tasks: Mapping[str, Task]) -> None:
    needing = [arm.name for arm in spec.arms if arm.trained or arm.prompting.seeded]
    for name, task in tasks.items():
        if needing and not task.splits["train"]:
            raise LuthierError(
                f"task {name} has no training examples, and {', '.join(needing)} need some",
                where=f"task {name}, data",
                mend="give train files, or leave these arms out",
            )


def _runs(
    spec: StudySpec, models: Mapping[str, ModelFiles], tasks: Mapping[str, Task], too_long: TooLong, device: str
) -> tuple[RunSpec, ...]:
    """The grid: tasks, models, arms, seeds."""
    return tuple(
        run
        for task in spec.tasks
        for name, files in models.items()
        for arm in _arms(spec, task, tasks[task.task_name])
        for run in _seeds(spec, arm, task, tasks[task.task_name], name, files, too_long, device)
    )


def _arms(spec: StudySpec, settings: TaskSpec, task: Task) -> list[Arm]:
    """The study's arms, and the trivial baselines that fit the data."""
    if not spec.baselines or not task.splits["train"] or "text" not in settings.kinds:
        return list(spec.arms)
    taken = {arm.name for arm in spec.arms}
    extra = [
        Arm(name=baseline.name, stages=(Stage(prompting=baseline),))
        for baseline in trivial_baselines(task.splits["train"])
        if baseline.name not in taken
    ]
    return [*spec.arms, *extra]


def _seeds(
    spec: StudySpec,
    arm: Arm,
    settings: TaskSpec,
    task: Task,
    name: str,
    files: ModelFiles,
    too_long: TooLong,
    device: str,
) -> list[RunSpec]:
    """A run per seed; one alone where no seed could change it."""
    left_out = frozenset(example.id for example in too_long.get((name, task.name), ()))
    precision = _precision(arm, device)
    arm = _with_rates(arm, files.parameters)
    model = ModelRef(name=name, identity=files.digest, parameters=files.parameters, context=files.context)
    data = dict(task.without(left_out).digests)
    runs = [
        RunSpec(
            arm=arm,
            model=model,
            task=settings,
            data=data,
            left_out=tuple(sorted(left_out)),
            seed=seed,
            precision=precision,
        )
        for seed in spec.seeds
    ]
    return runs if runs[0].seeded else runs[:1]


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


def _with_rates(arm: Arm, parameters: int) -> Arm:
    """The arm with every learning rate that was not given resolved: the digest must hold it."""
    stages = []
    for stage in arm.stages:
        if stage.method.trains and stage.training.learning_rate is None:
            rate = stage.method.learning_rate(parameters)
            stage = stage.model_copy(update={"training": stage.training.model_copy(update={"learning_rate": rate})})
        stages.append(stage)
    return arm.model_copy(update={"stages": tuple(stages)})


def _too_long(spec: StudySpec, models: Mapping[str, ModelFiles], tasks: Mapping[str, Task]) -> TooLong:
    """Examples whose prompt and longest answer, with the arms' virtual tokens, are longer than a model's context."""
    from luthier.models.load import load_tokenizer

    added = max((stage.method.added_positions for arm in spec.arms for stage in arm.stages), default=0)
    found = {}
    for model, files in models.items():
        if files.context is None:
            continue
        renderer = Renderer(load_tokenizer(files), files.context)
        for name, task in tasks.items():
            found[(model, name)] = [
                example
                for split in SPLITS
                for example in task.splits[split]
                if not renderer.fits(example.messages, answers=(*example.references, *example.choices), added=added)
            ]
    return found


def _refuse_too_long(too_long: TooLong) -> LuthierError:
    (model, task), examples = next((key, examples) for key, examples in too_long.items() if examples)
    places = ", ".join(example.where for example in examples[:5])
    more = f" and {len(examples) - 5} more" if len(examples) > 5 else ""
    return LuthierError(
        f"{len(examples)} rows of task {task} are longer than the context of {model}",
        where=places + more,
        mend="shorten them, take a model with a longer context, or leave them out with --skip-bad-rows",
    )


def _check_something_is_left(tasks: Mapping[str, Task], too_long: TooLong) -> None:
    for (model, name), examples in too_long.items():
        gone = {example.id for example in examples}
        for split, there in tasks[name].splits.items():
            if there and all(example.id in gone for example in there):
                raise LuthierError(
                    f"every {split} row of task {name} is longer than the context of {model}",
                    where=f"task {name}, {split}",
                    mend="shorten them, or take a model with a longer context",
                )


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
