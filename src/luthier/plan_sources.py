"""Tasks that an arm's trainings read beside the one that it is judged on: those of its stages, and what it retains."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from luthier.core.errors import LuthierError
from luthier.models.load import ModelFiles
from luthier.run_spec import Source
from luthier.study_file import Arm, StudySpec, TaskSpec
from luthier.tasks.labels import labels_of
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


def check_sources(spec: StudySpec, models: Mapping[str, ModelFiles], tasks: Mapping[str, Task]) -> None:
    """Refuse what no stage could be trained with.

    Args:
        spec: the study.
        models: by name.
        tasks: every task that is judged on or read by a stage, by name.

    Raises:
        LuthierError: a stage names a task without training examples, or one whose labels an encoder's head has not; a
            regulariser has nothing to retain.
    """
    kept = [task.task_name for task in spec.retain]
    for arm in spec.arms:
        encoder = any(models[name].kind == "encoder" for name in ((arm.model,) if arm.model else spec.models))
        for position, stage in enumerate(arm.trained):
            if stage.task is not None:
                _check_task(arm, tasks[stage.task], [tasks[one.task_name] for one in spec.tasks] if encoder else [])
            before = [one.task for one in arm.trained[:position] if one.task != stage.task]
            if stage.regulariser.retains and not (before or kept):
                raise LuthierError(
                    f"{stage.regulariser.name} has nothing that is not to be forgotten",
                    where=f"arm {arm.name}",
                    mend="name tasks under retain, or give the arm an earlier stage with a task of its own",
                )
            if stage.regulariser.retains and encoder and kept:
                raise LuthierError(
                    f"{stage.regulariser.name} reads the tasks under retain, which an encoder's head has no output for",
                    where=f"arm {arm.name}",
                    mend="leave retain out, and give the arm an earlier stage with a task of its own",
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
