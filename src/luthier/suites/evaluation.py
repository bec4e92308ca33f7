"""What a suite found of a model: a result a task and a group, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from luthier.core.durable import read_object
from luthier.core.statistics import mean_interval
from luthier.core.store import write_json
from luthier.suites.items import FILE as ITEMS
from luthier.suites.items import Item, read_items, write_items

FILE = "evaluation.json"


@dataclass(frozen=True)
class Measured:
    """A measure over the items of a task: its mean with the 95% interval of `core/statistics.py`.

    What only all items together have (Matthews' correlation, F1) has no interval: `low` and `high` are nan.
    """

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class TaskResult:
    """One task.

    Attributes:
        name, version: lm-eval's, of its definition.
        groups: the names that it was reached by, the outermost first.
        shots: worked examples in each prompt.
        wanted_shots: how many were wanted; more than `shots` where they did not fit, or there was nothing to draw from.
        items: how many were asked.
        unscored: those that have no label, or were answered by no number, and so have no score; they are in no mean.
        truncated: those of which the model did not see the beginning, longer than its context as they are.
        main: the measure that stands for the task, the first of its definition.
        measures: by name, as lm-eval has them; `<measure>,<filter>` where several filters judge.
        higher_is_better: by measure.
        majority: what the commonest right answer gets on the main measure, with nothing read; None where that means
            nothing.
        numberless: those that the model gave no number for (NaN); they are among the unscored.
    """

    name: str
    version: str
    groups: tuple[str, ...]
    shots: int
    wanted_shots: int
    items: int
    unscored: int
    truncated: int
    main: str
    measures: Mapping[str, Measured]
    higher_is_better: Mapping[str, bool]
    majority: float | None
    numberless: int = 0


@dataclass(frozen=True)
class GroupResult:
    """The main measures of a group's tasks.

    Attributes:
        name: of the group; `all` for everything that was asked.
        tasks: how many tasks are in it.
        over_tasks: the mean of their means, each task alike; nan where none was scored.
        over_items: the mean over their items, as lm-eval weighs MMLU, what shares a text drawn together; tasks whose
            main measure no item has stay out.
    """

    name: str
    tasks: int
    over_tasks: float
    over_items: Measured


@dataclass(frozen=True)
class Evaluation:
    """A model on a suite.

    Attributes:
        model: its name.
        suite: as it was asked for.
        key: digest of all that the figures depend on: the model, the tasks, their data and shots.
        tasks, groups: the results.
        notes: what a reader should know, a sentence each.
        seconds: wall-clock, of asking and scoring.
        harness: lm-eval's version.
        items: what was asked and answered; beside the file, not in it.
        quantisation: in how many bits the model's frozen matrices were; None for all of them.
        files: what the rows were read from; without a folder, the data sets' names on the hub.
        limit: the most items of a task that were asked; None for all.
        chat_template: whether prompts were written by the model's chat template.
    """

    model: str
    suite: str
    key: str
    tasks: tuple[TaskResult, ...]
    groups: tuple[GroupResult, ...]
    notes: tuple[str, ...]
    seconds: float
    harness: str
    items: tuple[Item, ...] = field(default=(), repr=False)
    quantisation: str | None = None
    files: tuple[str, ...] = ()
    limit: int | None = None
    chat_template: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain data without the items; what could not be told is null."""
        data = {name: value for name, value in vars(self).items() if name not in ("items", "tasks", "groups")}
        data["tasks"] = {one.name: asdict(one) for one in self.tasks}
        data["groups"] = {one.name: asdict(one) for one in self.groups}
        plain: dict[str, Any] = without_nan(data)
        return plain

    def of_task(self, name: str) -> TaskResult:
        """The result of one task."""
        return next(one for one in self.tasks if one.name == name)


def group_results(tasks: Sequence[TaskResult], items: Sequence[Item]) -> tuple[GroupResult, ...]:
    """A result for every group of two tasks or more, and for all tasks where no one group has them all."""
    names = dict.fromkeys(group for task in tasks for group in task.groups)
    members = {name: [task for task in tasks if name in task.groups] for name in names}
    if all(len(held) < len(tasks) for held in members.values()):
        members["all"] = list(tasks)
    scored: dict[str, list[tuple[float, str | None]]] = {task.name: [] for task in tasks}
    main = {task.name: task.main for task in tasks}
    for item in items:
        if main[item.task] in item.values:
            scored[item.task].append((item.values[main[item.task]], item.example.cluster))
    found = []
    for name, held in members.items():
        if len(held) > 1:
            means = [task.measures[task.main].mean for task in held if task.main in task.measures]
            pooled = [one for task in held for one in scored[task.name]]
            over_items = measured([value for value, _ in pooled], [cluster for _, cluster in pooled])
            found.append(GroupResult(name, len(held), float(np.mean(means)) if means else math.nan, over_items))
    return tuple(found)


def measured(values: Sequence[float], clusters: Sequence[str | None] | None = None) -> Measured:
    """The mean of items' values with its interval."""
    named = clusters if clusters is not None and any(clusters) else None
    interval = mean_interval(np.array([values], dtype=float), clusters=named)
    return Measured(interval.mean, interval.low, interval.high, interval.n)


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Put an evaluation into its folder, the items first: `evaluation.json` says that all is there."""
    (folder / FILE).unlink(missing_ok=True)
    write_items(folder, evaluation.items)
    write_json(folder / FILE, evaluation.as_json())


def read_evaluation(folder: Path, key: str | None = None) -> Evaluation | None:
    """The finished evaluation in a folder; None where there is none, none with this key, or its items are gone."""
    data = read_object(folder / FILE)
    if data is None or (key is not None and data.get("key") != key) or not (folder / ITEMS).is_file():
        return None
    tasks = tuple(task_from_json(one) for one in data["tasks"].values())
    groups = tuple(
        GroupResult(one["name"], one["tasks"], _number(one["over_tasks"]), _measured(one["over_items"]))
        for one in data["groups"].values()
    )
    rest = {name: data[name] for name in ("model", "suite", "key", "seconds", "harness")}
    return Evaluation(
        **rest,
        tasks=tasks,
        groups=groups,
        notes=tuple(data["notes"]),
        items=tuple(read_items(folder)),
        quantisation=data.get("quantisation"),
        files=tuple(data.get("files", ())),
        limit=data.get("limit"),
        chat_template=data.get("chat_template", False),
    )


def task_from_json(data: Mapping[str, Any]) -> TaskResult:
    """A task's result out of its plain data."""
    measures = {name: _measured(one) for name, one in data["measures"].items()}
    return TaskResult(**{**data, "groups": tuple(data["groups"]), "measures": measures})


def _measured(data: Mapping[str, Any]) -> Measured:
    return Measured(_number(data["mean"]), _number(data["low"]), _number(data["high"]), data["n"])


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def without_nan(value: Any) -> Any:
    """Plain data with null for every number that is none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [without_nan(one) for one in value]
    return value
