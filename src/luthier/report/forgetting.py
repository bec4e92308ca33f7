"""What training cost of the base's other abilities: each retention task before and after, paired by example."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.core.statistics import holm
from luthier.report.measured import Estimate, Run
from luthier.report.pairing import Paired, Terms, difference_of, pair, told, told_apart

BASE_SAMPLES = "base samples"
"""The retention task that every study has: text sampled from the untouched base."""


@dataclass(frozen=True)
class Retention:
    """A task on which forgetting is measured, as `study.json` names it.

    Attributes:
        primary: its measure (`bits_per_byte`, `accuracy`).
        kind: `text` (a likelihood of given text) or `task`.
        what: what it is, in words.
    """

    name: str
    primary: str
    lower_is_better: bool
    kind: str
    what: str


@dataclass(frozen=True)
class Forgotten:
    """One arm on one retention task: the untouched base against the trained model as served.

    Attributes:
        before, after: means over seeds and examples.
        difference, low, high: after minus before in the measure's own sign, with its 95% interval over seeds and
            examples; the bounds are None where they cannot be told.
        n: examples.
        p, p_holm: of "no change", and after Holm's correction over the arm's retention tasks; None where untold.
        lost: True where the whole interval lies on the worse side of zero, False where it lies on the better side, None
            where it holds zero or `p_holm` is above 0.05.
    """

    task: str
    measure: str
    lower_is_better: bool
    before: float
    after: float
    difference: float
    low: float | None
    high: float | None
    n: int
    p: float | None
    p_holm: float | None
    lost: bool | None

    @property
    def nothing_to_lose(self) -> bool:
        """Whether the base scores nothing at all, so that nothing can be lost."""
        return not self.lower_is_better and self.before <= 0

    @property
    def loss(self) -> Estimate:
        """What was lost, positive where it got worse, whatever the measure's sign."""
        found = Estimate(self.difference, self.low, self.high, self.n)
        return found if self.lower_is_better else found.turned

    @property
    def share(self) -> float:
        """The loss as a part of what was there before."""
        return self.loss.mean / abs(self.before) if self.before else self.loss.mean


def retention_tasks(study: Mapping[str, Any]) -> tuple[Retention, ...]:
    """What `study.json` says is retained; nothing where the study is older than that."""
    names = Retention.__dataclass_fields__
    return tuple(Retention(**{key: entry[key] for key in names}) for entry in study.get("retain", ()))


def forgotten(runs: Sequence[Run], tasks: Sequence[Retention]) -> dict[str, Forgotten]:
    """An arm's finished runs before and after, over those seeds and examples that were measured both times.

    Whether something is lost is decided after Holm's correction over the tasks: the more tasks, the likelier that one
    of them falls by chance.
    """
    measured = [(task, paired) for task in tasks if (paired := _paired(runs, task)) is not None]
    differences = [difference_of(paired, Terms(task.primary, frozenset())) for task, paired in measured]
    adjusted = holm([difference.p for difference in differences])
    found: dict[str, Forgotten] = {}
    for (task, paired), difference, p_holm in zip(measured, differences, adjusted, strict=True):
        better = told_apart(difference, task.lower_is_better, told(p_holm))
        found[task.name] = Forgotten(
            task=task.name,
            measure=task.primary,
            lower_is_better=task.lower_is_better,
            before=float(paired.theirs.mean()),
            after=float(paired.ours.mean()),
            difference=difference.difference,
            low=told(difference.low),
            high=told(difference.high),
            n=len(paired.items),
            p=told(difference.p),
            p_holm=told(p_holm),
            lost=None if better is None else not better,
        )
    return found


def _paired(runs: Sequence[Run], task: Retention) -> Paired | None:
    rows = [run.retained[task.name] for run in runs if run.retained.get(task.name)]
    after = [{item: values[1] for item, values in row.items()} for row in rows]
    before = [{item: values[0] for item, values in row.items()} for row in rows]
    return pair(after, before)


def worst(found: Mapping[str, Forgotten]) -> Forgotten | None:
    """The worst loss that is shown; where none is, the retention task with the largest share gone.

    Losses in different measures cannot be set against each other: the measure is that of the surest loss (the lowest
    `p_holm`), and the largest loss in it is the worst. A task that the base cannot do at all comes last: it has nothing
    to lose.
    """
    lost = [one for one in found.values() if one.lost]
    if lost:
        surest = min(lost, key=lambda one: (math.inf if one.p_holm is None else one.p_holm, -one.share))
        return max((one for one in lost if one.measure == surest.measure), key=lambda one: one.loss.mean)
    return max(found.values(), key=lambda one: (not one.nothing_to_lose, one.share), default=None)
