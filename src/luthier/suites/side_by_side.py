"""Several models on one suite: each beside the first, paired item by item.

Differences are those of `core/statistics.py`: the other model less the first one, with a 95% interval and p. The family
that `holm` corrects over is the models, once for each task and once for all items of the suite. A measure that no
single item has (Matthews' correlation, F1, perplexity) has no difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from luthier.core.errors import LuthierError
from luthier.core.statistics import Difference, holm, paired_difference
from luthier.suites.evaluation import Evaluation
from luthier.suites.items import Item, refuse_other_items

ALL = "all"
"""Names the comparison over the items of every task."""


@dataclass(frozen=True)
class Compared:
    """A model beside the first one, on one task's main measure or on all items.

    Attributes:
        task: its name, or `all`.
        measure: what is compared; empty for `all`, where each task has its own.
        model, reference: their names.
        difference, low, high, p, p_holm, n, test: as in `core/statistics.Difference`; nan where nothing can be told.
    """

    task: str
    measure: str
    model: str
    reference: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    n: int
    test: str

    def as_json(self) -> dict[str, Any]:
        """Plain data; nan is null."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def side_by_side(evaluations: Sequence[Evaluation]) -> tuple[Compared, ...]:
    """Every model after the first beside it: on each task, then over all items where there are several tasks.

    Raises:
        LuthierError: two have one name, they were judged on different suites, or were not asked the same items (their
            ids are listed).
    """
    _refuse_other(evaluations)
    if len(evaluations) < 2:
        return ()
    values = [_values(one) for one in evaluations]
    clusters = {item.id: item.example.cluster for item in evaluations[0].items}
    by_task: dict[str, list[Item]] = {}
    for item in evaluations[0].items:
        by_task.setdefault(item.task, []).append(item)
    found: list[Compared] = []
    for task in evaluations[0].tasks:
        ids = [item.id for item in by_task.get(task.name, ())]
        found += _family(task.name, task.main, evaluations, values, ids, clusters)
    if len(evaluations[0].tasks) > 1:
        ids = [item.id for item in evaluations[0].items]
        found += _family(ALL, "", evaluations, values, ids, clusters)
    return tuple(found)


def other_shots(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """A note for each task in which the models did not have the same number of shots."""
    notes = []
    for task in evaluations[0].tasks if evaluations else ():
        shots = {one.model: one.of_task(task.name).shots for one in evaluations}
        if len(set(shots.values())) > 1:
            notes.append(f"{task.name}: not with the same shots: {', '.join(f'{k} {v}' for k, v in shots.items())}")
    return tuple(notes)


def _refuse_other(evaluations: Sequence[Evaluation]) -> None:
    suites = sorted({one.suite for one in evaluations})
    if len(suites) > 1:
        raise LuthierError(
            f"the models were judged on different suites: {', '.join(suites)}",
            where="--suite",
            mend="evaluate all of them on one",
        )
    named = {one.model: one.items for one in evaluations}
    if len(named) < len(evaluations):
        raise LuthierError("a model is named twice", where="MODEL", mend="name each one once")
    refuse_other_items(named)


def _values(evaluation: Evaluation) -> dict[str, float]:
    """The main measure of each item that has it."""
    main = {task.name: task.main for task in evaluation.tasks}
    return {item.id: item.values[main[item.task]] for item in evaluation.items if main[item.task] in item.values}


def _family(
    task: str,
    measure: str,
    evaluations: Sequence[Evaluation],
    values: Sequence[Mapping[str, float]],
    ids: Sequence[str],
    clusters: Mapping[str, str | None],
) -> list[Compared]:
    """The other models beside the first, on the items that both were scored on."""
    differences = []
    for other in values[1:]:
        both = [one for one in ids if one in values[0] and one in other]
        named = [clusters[one] for one in both]
        differences.append(
            paired_difference(
                np.array([[other[one] for one in both]], dtype=float),
                np.array([[values[0][one] for one in both]], dtype=float),
                clusters=named if any(named) else None,
            )
        )
    corrected = holm([one.p for one in differences])
    return [
        _compared(task, measure, other.model, evaluations[0].model, difference, p_holm)
        for other, difference, p_holm in zip(evaluations[1:], differences, corrected, strict=True)
    ]


def _compared(task: str, measure: str, model: str, reference: str, found: Difference, p_holm: float) -> Compared:
    return Compared(
        task=task,
        measure=measure,
        model=model,
        reference=reference,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p=found.p,
        p_holm=p_holm,
        n=found.n,
        test=found.test,
    )
