"""The sequences of a study, and their R matrices, from stored scores alone.

Arms whose stages each name a task (`task:`) are a sequence where one's stages are the beginning of the next one's:
full A; full A B; full A B C. The longest of them speaks for the sequence; where a beginning was not run as an arm of
its own, or was judged on only some of the tasks, there is no whole matrix, and none is shown; nor where the runs of an
arm were not trained alike (`sequence_trainings.py`), which is said. The score of a cell is the task's primary measure,
over the seeds that all of the arms have finished and the examples that all of them were scored on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from luthier.core.crossed_effects import Scores
from luthier.core.several_tasks import mean_over_tasks
from luthier.core.statistics import mean_interval, paired_difference
from luthier.report.findings import ArmSummary, Group
from luthier.report.measured import Estimate
from luthier.report.pairing import Terms, as_array, shared_items, told
from luthier.report.sequence_trainings import SETTLED_BY_TASK, mixed
from luthier.report.task_sequence import TaskSequence, Transfer

_BETWEEN = re.compile(r"then|and|to|on|after|[^\w]+")
"""What stands between the tasks in an arm's name."""


def sequences(
    study: Mapping[str, Any], groups: Sequence[Group], terms: Mapping[str, Terms]
) -> tuple[tuple[TaskSequence, ...], tuple[str, ...]]:
    """Every sequence on every model and size, in the study's order; and sentences on those whose runs were not trained
    alike.

    Args:
        study: `study.json` as it stands.
        groups: of all tasks, models and sizes.
        terms: by task.
    """
    declared = [arm for arm in study.get("spec", {}).get("arms", ()) if isinstance(arm, Mapping) and "stages" in arm]
    chains = _chains(declared)
    names = _names(chains)
    found, refused = [], []
    for model, size in dict.fromkeys((group.model, group.size) for group in groups):
        here = {group.task: group for group in groups if (group.model, group.size) == (model, size)}
        for name, chain in zip(names, chains, strict=True):
            base = _untrained(declared, chain)
            cells = _cells([arm["name"] for arm in chain], _tasks(chain[-1]), here, terms, base)
            if isinstance(cells, _Cells):
                found.append(_sequence(name, model, size, cells))
            elif cells is not None:
                place = model if size is None else f"{model}, {size:,} training examples"
                whole = chain[-1]["name"]
                refused.append(f"No matrix of {whole} on {place}, for {cells}. {SETTLED_BY_TASK}")
    return tuple(found), tuple(refused)


def _chains(arms: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Arms of which each goes on from the one before, one stage and one new task at a time, the longest alone."""
    learned = [arm for arm in arms if len(set(_tasks(arm))) == len(arm["stages"])]
    chains = []
    for last in learned:
        if len(last["stages"]) < 2 or any(_goes_on(other, last) for other in learned):
            continue
        steps = (last["stages"][:length] for length in range(1, len(last["stages"])))
        chain = [_arm_of(stages, last, learned) for stages in steps]
        if all(chain):
            chains.append([*(arm for arm in chain if arm is not None), last])
    return chains


def _tasks(arm: Mapping[str, Any]) -> list[str]:
    """The tasks that its stages name, each of them trained on."""
    return [stage["task"] for stage in arm["stages"] if stage.get("task") and "none" not in stage["method"]]


def _goes_on(arm: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether an arm begins with all the stages of another, and has more."""
    count = len(other["stages"])
    same_model = arm.get("model") == other.get("model")
    return same_model and len(arm["stages"]) > count and arm["stages"][:count] == other["stages"]


def _arm_of(stages: Any, last: Mapping[str, Any], arms: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((arm for arm in arms if arm["stages"] == stages and arm.get("model") == last.get("model")), None)


def _untrained(arms: Sequence[Mapping[str, Any]], chain: Sequence[Mapping[str, Any]]) -> str | None:
    """The arm that asks the same model in the same way, and trains nothing."""
    last = chain[-1]
    for arm in arms:
        (first, *more) = arm["stages"]
        asked = first["prompting"] == last["stages"][-1]["prompting"]
        if not more and asked and "none" in first["method"] and arm.get("model") == last.get("model"):
            return str(arm["name"])
    return None


def _names(chains: Sequence[Sequence[Mapping[str, Any]]]) -> list[str]:
    """The last arms' names without their tasks and what stands between them, or without the end that all of them share
    (`full A B C`, `lora A B C`); whole where two would be the same."""
    whole = [str(chain[-1]["name"]) for chain in chains]
    short = [_without(name, _tasks(chain[-1])) for name, chain in zip(whole, chains, strict=True)]
    if len(whole) > 1 and short == whole:
        ends = zip(*(reversed(name.split()) for name in whole), strict=False)
        shared = sum(1 for _ in takewhile(lambda words: len(set(words)) == 1, ends))
        short = [" ".join(words[: len(words) - shared]) for words in map(str.split, whole)]
    return [cut if cut and short.count(cut) == 1 else name for cut, name in zip(short, whole, strict=True)]


def _without(name: str, tasks: Sequence[str]) -> str:
    left = name
    for task in sorted(tasks, key=len, reverse=True):
        left = re.sub(rf"(?<!\w){re.escape(task)}(?!\w)", " ", left)
    if left == name:
        return name
    return " ".join(word.rstrip(",;:") for word in left.split() if not _BETWEEN.fullmatch(word))


@dataclass(frozen=True)
class _Cells:
    """The scores of a sequence: scores[i][j] of the arm i on task j, shape (seeds, items of task j), higher better.

    Attributes:
        before: the base's on each task; None where it was not judged.
        clusters: of each task, one per item.
        terms: of each task.
    """

    arms: tuple[str, ...]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    scores: tuple[tuple[Scores, ...], ...]
    before: tuple[Scores, ...] | None
    clusters: tuple[list[str | None], ...]
    terms: tuple[Terms, ...]


def _cells(
    names: Sequence[str],
    tasks: Sequence[str],
    groups: Mapping[str, Group],
    terms: Mapping[str, Terms],
    base: str | None,
) -> _Cells | str | None:
    """The scores of all cells; None where one is missing, and why where the runs of no seed were trained alike."""
    table = [[groups[task].arm(name) if task in groups else None for task in tasks] for name in names]
    by_seed = [[_columns(arm, terms[task].primary) for arm, task in zip(row, tasks, strict=True)] for row in table]
    seeds = sorted(set.intersection(*(set(cell) for row in by_seed for cell in row)))
    if not seeds:
        return None
    trained = [[_trainings(arm) for arm in row] for row in table]
    why = {seed: mixed(names, tasks, [[cell.get(seed, []) for cell in row] for row in trained]) for seed in seeds}
    if all(why.values()):
        return why[seeds[0]]
    seeds = [seed for seed in seeds if why[seed] is None]
    of_base = [_columns(groups[task].arm(base) if base else None, terms[task].primary) for task in tasks]
    bases = [[_of_seed(cell, seed) for seed in seeds] for cell in of_base]
    judged = all(column is not None for columns in bases for column in columns)
    before: list[Scores] = []
    scores: list[list[Scores]] = [[] for _ in names]
    clusters: list[list[str | None]] = []
    for place, task in enumerate(tasks):
        columns = [[row[place][seed] for seed in seeds] for row in by_seed]
        untouched = [column for column in bases[place] if column is not None] if judged else []
        items = shared_items([*(column for row in columns for column in row), *untouched])
        if not items:
            return None
        sign = -1.0 if terms[task].primary in terms[task].lower_is_better else 1.0
        for row, of_row in zip(scores, columns, strict=True):
            row.append(sign * as_array(of_row, items))
        before += [sign * as_array(untouched, items)] if judged else []
        clusters.append([terms[task].clusters.get(item) for item in items])
    return _Cells(
        tuple(names),
        tuple(tasks),
        tuple(seeds),
        tuple(map(tuple, scores)),
        tuple(before) or None,
        tuple(clusters),
        tuple(terms[task] for task in tasks),
    )


def _columns(arm: ArmSummary | None, measure: str) -> dict[int, Mapping[str, float]]:
    """Seed -> example -> score, of the finished runs."""
    runs = arm.finished if arm is not None and arm.contender else ()
    found = {run.result.seed: run.scores[measure] for run in runs if measure in run.scores}
    return {-1: next(iter(found.values()))} if found and arm is not None and arm.same_for_all_seeds else found


def _trainings(arm: ArmSummary | None) -> dict[int, list[str]]:
    """Seed -> the keys of its trainings, of the finished runs."""
    return {run.result.seed: run.result.train_keys for run in arm.finished} if arm is not None else {}


def _of_seed(columns: Mapping[int, Mapping[str, float]], seed: int) -> Mapping[str, float] | None:
    """The seed's column, or the one that stands for every seed."""
    return columns.get(seed, columns.get(-1))


def _sequence(name: str, model: str, size: int | None, cells: _Cells) -> TaskSequence:
    scores, last, earlier = cells.scores, len(cells.tasks) - 1, range(len(cells.tasks) - 1)
    best = {j: int(np.argmax([row[j].mean() for row in scores[:last]])) for j in earlier}
    forward = None
    if cells.before is not None:
        forward = _transfer(cells, {j: (scores[j - 1][j], cells.before[j]) for j in range(1, last + 1)})
    return TaskSequence(
        name=name,
        model=model,
        size=size,
        tasks=cells.tasks,
        measures={task: one.primary for task, one in zip(cells.tasks, cells.terms, strict=True)},
        turned=frozenset(
            task for task, one in zip(cells.tasks, cells.terms, strict=True) if one.primary in one.lower_is_better
        ),
        arms=cells.arms,
        seeds=cells.seeds,
        matrix=tuple(_estimates(cells, row) for row in scores),
        before=None if cells.before is None else _estimates(cells, cells.before),
        backward_transfer=_transfer(cells, {j: (scores[last][j], scores[j][j]) for j in earlier}),
        average_forgetting=_transfer(cells, {j: (scores[best[j]][j], scores[last][j]) for j in earlier}),
        peaks={cells.tasks[j]: cells.arms[i] for j, i in best.items()},
        forward_transfer=forward,
    )


def _estimates(cells: _Cells, row: Sequence[Scores]) -> tuple[Estimate, ...]:
    found = []
    for task, scores, clusters in zip(cells.terms, row, cells.clusters, strict=True):
        turned = task.primary in task.lower_is_better
        one = mean_interval(-scores if turned else scores, clusters=clusters)  # scores of 0 and 1 are cut there
        estimate = Estimate(one.mean, told(one.low), told(one.high), one.n)
        found.append(estimate.turned if turned else estimate)
    return tuple(found)


def _transfer(cells: _Cells, pairs: Mapping[int, tuple[Scores, Scores]]) -> Transfer:
    """Of each task (its number) the first scores minus the second, and the mean over the tasks."""
    by_task = {}
    for j, (ours, theirs) in pairs.items():
        one = paired_difference(ours, theirs, clusters=cells.clusters[j])
        by_task[cells.tasks[j]] = Estimate(one.difference, told(one.low), told(one.high), one.n)
    if len({task.primary for task in cells.terms}) > 1:
        return Transfer(None, by_task)
    differences = [ours - theirs for ours, theirs in pairs.values()]
    found = mean_over_tasks(differences, [cells.clusters[j] for j in pairs])
    return Transfer(Estimate(found.mean, told(found.low), told(found.high), found.n), by_task)
