"""Tasks that an arm's trainings read beside the one that it is judged on: those of its stages, and what it retains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from luthier.core.errors import LuthierError
from luthier.core.types import SPLITS, Example, Split
from luthier.models.load import ModelFiles
from luthier.run_spec import Source
from luthier.study_file import Arm, Stage, StudySpec, TaskSpec
from luthier.tasks.labels import labels_of
from luthier.tasks.leakage import Leakage, find_leaks
from luthier.tasks.task import Task


def read_by_stages(spec: StudySpec) -> dict[str, TaskSpec]:
    """The tasks, beside those that arms are judged on, that some stage reads; by name."""
    own = {task.task_name for task in spec.tasks}
    kept = spec.retain if any(stage.regulariser.retains for arm in spec.arms for stage in arm.trained) else ()
    return {task.task_name: task for task in (*kept, *spec.sources) if task.task_name not in own}


def sources_of(
    arm: Arm, own: str, spec: StudySpec, tasks: Mapping[str, Task], left_out: Mapping[str, AbstractSet[str]]
) -> tuple[Source, ...]:
    """What the trainings of an arm read beside the task that it is judged on.

    Args:
        arm: with its stages.
        own: the name of that task.
        spec: the study.
        tasks: every task that stages read, by name.
        left_out: by task, examples that are too long for the model.
    """
    settings = {task.task_name: task for task in (*spec.retain, *spec.sources, *spec.tasks)}
    retained = {task.task_name for task in spec.retain} if any(one.regulariser.retains for one in arm.trained) else ()
    named = [*retained, *(stage.task for stage in arm.trained if stage.task is not None)]
    return tuple(
        Source(
            task=settings[name],
            data=dict(tasks[name].without(left_out.get(name, frozenset())).digests),
            left_out=tuple(sorted(left_out.get(name, ()))),
            retained=name in retained,
        )
        for name in sorted(set(named) - {own} | set(retained))
    )


def leaks_of(task: Task, spec: StudySpec, tasks: Mapping[str, Task]) -> Leakage:
    """What of a task's held-out rows stands in its training set, or in another that an arm's stages read.

    Args:
        task: with the training set that is used.
        spec: the study.
        tasks: every task that stages read, by name.
    """
    held_out: dict[Split, Sequence[Example]] = {
        split: examples for split, examples in task.splits.items() if split != "train"
    }
    others = {source.task.task_name for arm in spec.arms for source in sources_of(arm, task.name, spec, tasks, {})}
    trained_on = [task, *(tasks[name] for name in sorted(others - {task.name}))]
    found = [find_leaks(one.splits["train"], held_out) for one in trained_on]
    nearest = {(pair.split, pair.id): pair for leaks in reversed(found) for pair in leaks.pairs}
    order = [(split, example.id) for split in SPLITS for example in held_out.get(split, ())]
    return Leakage(found[0].checked, tuple(nearest[place] for place in order if place in nearest))


def check_sources(spec: StudySpec, models: Mapping[str, ModelFiles], tasks: Mapping[str, Task]) -> None:
    """Refuse what no stage could be trained with.

    Args:
        spec: the study.
        models: by name.
        tasks: every task that is judged on or read by a stage, by name.

    Raises:
        LuthierError: a stage names a task without training examples, one that tags words on a language model, or one
            whose labels an encoder's head has not; a regulariser has nothing to retain, or cannot work on the model.
    """
    judged = [tasks[task.task_name].of_size(min(spec.sizes, default=None)) for task in spec.tasks]
    tagging = {task.task_name for task in spec.sources if task.tagging is not None}
    for arm in spec.arms:
        of_arm = (arm.model,) if arm.model else spec.models
        encoders = [name for name in of_arm if models[name].kind == "encoder"]
        for position, stage in enumerate(arm.trained):
            if stage.task is not None:
                _check_task(arm, tasks[stage.task], judged if encoders else [])
            if stage.task in tagging and len(encoders) < len(of_arm):
                raise LuthierError(
                    f"task {stage.task} tags words, and {arm.name} trains a language model on it",
                    where=f"task {stage.task}, tagging",
                    mend="take an encoder (BERT, RoBERTa), or write the task as a prompt with a reference",
                )
            _check_regulariser(arm, stage, [models[name] for name in of_arm])
            if stage.regulariser.retains:
                _check_retained(arm, position, spec, tasks, bool(encoders))


def _check_regulariser(arm: Arm, stage: Stage, models: Sequence[ModelFiles]) -> None:
    for files in models:
        if why := stage.regulariser.refusal(files.kind):
            raise LuthierError(
                f"{stage.regulariser.label()} cannot be used on {files.name}: {why}",
                where=f"arm {arm.name}",
                mend="take another regulariser, or another model",
            )


def _check_retained(arm: Arm, position: int, spec: StudySpec, tasks: Mapping[str, Task], encoder: bool) -> None:
    """Whichever task the arm is judged on, there must be something to retain, with training examples."""
    stage, kept = arm.trained[position], {task.task_name for task in spec.retain}
    if encoder and kept:
        raise LuthierError(
            f"{stage.regulariser.name} reads the tasks under retain, which an encoder's head has no output for",
            where=f"arm {arm.name}",
            mend="leave retain out, and give the arm an earlier stage with a task of its own",
        )
    for own in (task.task_name for task in spec.tasks):
        before = {one.task or own for one in arm.trained[:position]}
        retained = (before | kept) - {stage.task or own}
        if not retained:
            raise LuthierError(
                f"{stage.regulariser.name} has nothing that is not to be forgotten",
                where=f"arm {arm.name} on {own}",
                mend="name other tasks under retain, or give the arm an earlier stage with a task of its own",
            )
        for name in sorted(retained):
            if not tasks[name].splits["train"]:
                raise LuthierError(
                    f"{stage.regulariser.name} reads the training set of {name}, which has no examples",
                    where=f"task {name}, data",
                    mend="give train files",
                )


def _check_task(arm: Arm, task: Task, judged: list[Task]) -> None:
    if not task.splits["train"]:
        raise LuthierError(
            f"task {task.name} has no training examples, and a stage of {arm.name} is to be trained on it",
            where=f"task {task.name}, data",
            mend="give train files",
        )
    for other in judged:
        if labels_of(task) != labels_of(other):
            raise LuthierError(
                f"an encoder's head has an output for each label, and those of {task.name} are not those of "
                f"{other.name}: {arm.name} cannot be trained on one and judged on the other",
                where=f"arm {arm.name}",
                mend="take tasks with the same choices, or a language model",
            )
