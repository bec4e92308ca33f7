"""Sequences of tasks in the Markdown report and in `results.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from luthier.report import formats
from luthier.report.markdown_tables import Table
from luthier.report.task_sequence import TaskSequence, Transfer

CHOSEN = (
    "Average forgetting takes each task's best state before the last as given: the best of several noisy means is a "
    "little above the true one, so it is stated rather too large."
)


def sequence_tables(sequences: Sequence[TaskSequence]) -> list[Table]:
    """The matrices of all ways, and what follows from them; nothing where the study has no sequence."""
    tables = []
    for tasks, model, size in dict.fromkeys((one.tasks, one.model, one.size) for one in sequences):
        here = [one for one in sequences if (one.tasks, one.model, one.size) == (tasks, model, size)]
        tables += [_matrices(here), _transfers(here)]
    return tables


def _matrices(ways: Sequence[TaskSequence]) -> Table:
    titles = ["way", "learned", *(f"{task}: {measure_of(ways[0], task)}" for task in ways[0].tasks)]
    rows = [[way.name, learned, *map(formats.estimate, row)] for way in ways for learned, row in way.rows]
    return Table(f"One task after another: {place(ways[0])}", titles, rows, turned_note(ways[0]))


def _transfers(ways: Sequence[TaskSequence]) -> Table:
    rows = [
        [way.name, *(transfer(one) for one in (way.backward_transfer, way.average_forgetting, way.forward_transfer))]
        for way in ways
    ]
    seeds = sorted({len(way.seeds) for way in ways})
    note = f"95% intervals over {' and '.join(map(str, seeds))} seeds and the test examples. {CHOSEN}"
    return Table("", ["way", "backward transfer", "average forgetting", "forward transfer"], rows, note)


def place(way: TaskSequence) -> str:
    """`A, then B, then C on house/decoder`."""
    size = "" if way.size is None else f", {way.size:,} training examples"
    return f"{', then '.join(way.tasks)} on {way.model}{size}"


def measure_of(way: TaskSequence, task: str) -> str:
    """The task's measure, with a minus where its sign is turned."""
    return f"{'-' if task in way.turned else ''}{way.measures[task]}"


def turned_note(way: TaskSequence) -> str:
    """That losses stand with a minus, where some do."""
    losses = list(dict.fromkeys(way.measures[task] for task in way.tasks if task in way.turned))
    if not losses:
        return "Higher is better."
    return f"{' and '.join(losses)} with a minus, so that higher is better."


def transfer(found: Transfer | None) -> str:
    """The mean with its interval; task by task where there is none."""
    if found is None:
        return formats.MISSING
    if found.mean is not None:
        return formats.change(found.mean.mean, found.mean.low, found.mean.high)
    return "; ".join(f"{task} {formats.change(one.mean, one.low, one.high)}" for task, one in found.by_task.items())


def sequence_entry(way: TaskSequence) -> dict[str, Any]:
    """A sequence in `results.json`; every score with its sign turned where the measure is a loss."""
    return {
        "name": way.name,
        "model": way.model,
        "size": way.size,
        "tasks": list(way.tasks),
        "measures": dict(way.measures),
        "turned": [task for task in way.tasks if task in way.turned],
        "arms": list(way.arms),
        "seeds": list(way.seeds),
        "matrix": [[asdict(cell) for cell in row] for row in way.matrix],
        "before": None if way.before is None else [asdict(cell) for cell in way.before],
        "backward_transfer": _entry(way.backward_transfer),
        "average_forgetting": {**_entry(way.average_forgetting), "best_after": dict(way.peaks)},
        "forward_transfer": None if way.forward_transfer is None else _entry(way.forward_transfer),
    }


def _entry(found: Transfer) -> dict[str, Any]:
    mean = {"mean": None, "low": None, "high": None, "n": None} if found.mean is None else asdict(found.mean)
    return {**mean, "by_task": {task: asdict(one) for task, one in found.by_task.items()}}
