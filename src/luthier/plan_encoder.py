"""What an encoder can be asked in a study, checked before work starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from luthier.core.errors import LuthierError
from luthier.metrics.bits_per_byte import BitsPerByte
from luthier.metrics.entity_f1 import EntityF1, is_entity_tag
from luthier.metrics.nll import Nll
from luthier.models.embeddings import check_encoder
from luthier.models.load import ModelFiles
from luthier.prompting.baselines import Majority
from luthier.prompting.zero_shot import ZeroShot
from luthier.study_file import StudySpec, TaskSpec
from luthier.tasks.labels import labels_of
from luthier.tasks.task import Task


def check_encoders(spec: StudySpec, models: Mapping[str, ModelFiles], tasks: Mapping[str, Task]) -> None:
    """Refuse tasks and arms that an encoder has no answer for, and taggings where there is no encoder.

    Raises:
        LuthierError: a task of free text on an encoder, an arm that trains none, a primary measure that no class or tag
            has, or that is not one measure for arms that stand side by side, a tagging on a language model, tags that
            are no entities under `entity_f1`.
    """
    encoders = [name for name, files in models.items() if files.kind == "encoder"]
    others = [name for name in models if name not in encoders]
    for settings in spec.tasks:
        if settings.tagging is not None:
            _check_tags(settings, tasks[settings.task_name])
            if others:
                _refuse_tagging(settings.task_name, others[0])
        if encoders:
            _check_task(settings, tasks[settings.task_name], encoders[0], alone=not others)
    for encoder in encoders:
        _check_arms(spec, encoder)
        for beside in others:
            _check_likelihoods(spec, encoder, beside)


def check_encoders_of_metrics(spec: StudySpec) -> None:
    """Refuse the model of a metric that is not there, before anything is trained to be judged by it.

    Raises:
        LuthierError: there is no such model, or it is no encoder.
    """
    for task in (*spec.tasks, *spec.retain):
        for metric in task.metrics:
            if metric.encoder is not None:
                check_encoder(metric.encoder, where=f"task {task.task_name}, metrics, {metric.name}, model")


def _check_task(settings: TaskSpec, task: Task, encoder: str, alone: bool) -> None:
    """`alone`: no language model stands beside the encoder that the other metrics could be for."""
    (kind,) = settings.kinds_on("encoder")
    if not labels_of(task):
        raise LuthierError(
            f"task {task.name} asks for free text, and {encoder} is an encoder, which writes none",
            where=f"task {task.name}",
            mend="give the task its choices (or tagging, where words get tags), or take a language model",
        )
    for metric in settings.metrics if alone else settings.judges:
        if kind not in metric.kinds:
            given, fits = ("classes", "accuracy, nll") if kind == "class" else ("tags", "entity_f1, tag_accuracy")
            primary = metric in settings.judges
            raise LuthierError(
                f"{settings.primary if primary else metric.name} judges no {given}, and {encoder} gives nothing else",
                where=f"task {task.name}, {'primary' if primary else 'metrics'}",
                mend=f"a measure that does: {fits}",
            )


def _check_likelihoods(spec: StudySpec, encoder: str, other: str) -> None:
    """How probable a class is among classes, and a text among texts, are two measures of one name."""
    columns = [{arm.model or name for arm in spec.arms if not arm.baseline} for name in spec.models]
    if not any({encoder, other} <= column for column in columns):
        return
    for settings in spec.tasks:
        if any(isinstance(metric, Nll | BitsPerByte) for metric in settings.judges):
            raise LuthierError(
                f"{settings.primary} is of a class on {encoder}, and of a text on {other}: no arms compare by it",
                where=f"task {settings.task_name}, primary",
                mend="take accuracy, or give each model its own column: name both under models",
            )


def _check_arms(spec: StudySpec, encoder: str) -> None:
    arms = [arm for arm in spec.arms if encoder in ((arm.model,) if arm.model else spec.models)]
    untrained = [arm.name for arm in arms if arm.prompting.needs_model and not arm.trained]
    if untrained:
        raise LuthierError(
            f"{encoder} is an encoder, which has no answer before it is trained: {', '.join(untrained)} cannot be run",
            where="arms",
            mend="leave these arms out (majority and nearest are compared with anyway), or take a language model",
        )
    tagging = any(task.tagging is not None for task in spec.tasks)
    framed = [arm.name for arm in arms if not isinstance(arm.prompting, ZeroShot | Majority)]
    if tagging and framed:
        raise LuthierError(
            f"{', '.join(framed)}: where words are tagged there is nothing to prompt with, and no text is answered",
            where="arms",
            mend="leave the prompting of these arms out; of the baselines only majority has tags",
        )


def _check_tags(settings: TaskSpec, task: Task) -> None:
    odd = next((tag for tag in labels_of(task) if not is_entity_tag(tag)), None)
    if odd is not None and any(isinstance(metric, EntityF1) for metric in settings.metrics):
        raise LuthierError(
            f"{odd!r} is no entity's tag: entity_f1 reads O, B-person, I-person and the like",
            where=f"task {task.name}, metrics",
            mend="take tag_accuracy, or give the tags their names under tagging: {names: [O, B-person, ..]}",
        )


def _refuse_tagging(task: str, model: str) -> NoReturn:
    raise LuthierError(
        f"task {task} tags words, and {model} is no encoder",
        where=f"task {task}, tagging",
        mend="take an encoder (BERT, RoBERTa), or write the task as a prompt with a reference",
    )
