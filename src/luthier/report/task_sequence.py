"""Tasks learned one after another, as plain values: the matrix R of scores, and what it says was forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from luthier.report.measured import Estimate


@dataclass(frozen=True)
class Transfer:
    """A change by what else was learned, higher being better: of each task, and its mean over them.

    Attributes:
        mean: with its 95% interval over seeds and items (`core/several_tasks.py`); None where the tasks are judged by
            different measures, whose units cannot be averaged.
        by_task: of each task that the mean runs over.
    """

    mean: Estimate | None
    by_task: Mapping[str, Estimate]


@dataclass(frozen=True)
class TaskSequence:
    """One way of learning the tasks one after another: the arms of a study of which each goes on from the one before.

    Attributes:
        name: what the way is called: the last arm's name without the tasks in it.
        tasks: in the order learned.
        measures: task -> its primary measure.
        turned: the tasks whose measure is better where lower: its sign is turned here, so that higher is better in
            every number of the sequence.
        arms: one a task: the arm that ends with learning it.
        seeds: those that every arm has finished.
        matrix: R, matrix[i][j] the score on task j after learning tasks 0 .. i.
        before: the score on each task before any was learned; None where no arm asks the untouched base alike.
        backward_transfer: `core/forgetting.py` has the formulas; of all tasks but the last.
        average_forgetting: the same tasks, a fall being above zero. The best state before the last is chosen by its
            mean and taken as given: the best of several noisy means lies above the true best on the average, so the
            fall is stated rather too large, and the interval speaks for that state alone.
        peaks: task -> the arm in which it was best before the last.
        forward_transfer: of all tasks but the first; None where there is no `before`.
    """

    name: str
    model: str
    size: int | None
    tasks: tuple[str, ...]
    measures: Mapping[str, str]
    turned: frozenset[str]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    matrix: tuple[tuple[Estimate, ...], ...]
    before: tuple[Estimate, ...] | None
    backward_transfer: Transfer
    average_forgetting: Transfer
    peaks: Mapping[str, str] = field(default_factory=dict)
    forward_transfer: Transfer | None = None

    @property
    def rows(self) -> tuple[tuple[str, tuple[Estimate, ...]], ...]:
        """What was learned last -> the scores on every task; the untouched base first, where it was judged."""
        learned = [(f"after {task}", row) for task, row in zip(self.tasks, self.matrix, strict=True)]
        return (*([("before", self.before)] if self.before else []), *learned)

    @property
    def one_measure(self) -> bool:
        """Whether all tasks are judged by the same measure, so that means over tasks have a unit."""
        return len(set(self.measures.values())) == 1
