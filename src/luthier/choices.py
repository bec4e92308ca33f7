"""Between the phases of a study: what the trials chose, and which arm is run again from random weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from luthier.core.types import Result
from luthier.plan import Plan, Point
from luthier.run_spec import RunSpec
from luthier.study_file import FROM_RANDOM_WEIGHTS, TaskSpec
from luthier.trials import at_edge, best

Lookup = Callable[[RunSpec], Result | None]
"""The result of a run, where there is one."""


@dataclass(frozen=True)
class Choice:
    """What one search came to.

    Attributes:
        point: whose search it was.
        seeds: for which seeds it chose.
        trials: the runs on validation, in the order of the candidates; none where there was nothing to choose from.
        results: of the trials.
        chosen: the place of the candidate that is judged.
    """

    point: Point
    seeds: tuple[int, ...]
    trials: tuple[RunSpec, ...]
    results: tuple[Result | None, ...]
    chosen: int

    def record(self) -> dict[str, Any]:
        """As it stands in `study.json`."""
        first, search = self.point.first, self.point.search
        return {
            "arm": first.arm.name,
            "model": first.model.column,
            "task": first.task.task_name,
            "size": first.size,
            "seed": self.seeds[0] if search.per_seed and self.trials else None,
            "what": search.what,
            "tried": [
                {
                    "label": label,
                    "run": run.folder,
                    "score": _score(result, first.task),
                    "status": result.status if result else None,
                }
                for (label, _), run, result in zip(search.candidates, self.trials, self.results, strict=False)
            ],
            "chosen": self.chosen,
            "edge": at_edge(search.what, [arm for _, arm in search.candidates], self.chosen),
            "why_fixed": search.why_fixed,
        }


def choose(planned: Plan, result_of: Lookup) -> tuple[Plan, list[Choice]]:
    """The plan with the runs that the trials chose, and what they chose.

    A trial that failed counts as not taken; where all of an arm's did, its first candidate is run, and fails by itself.
    """
    runs: list[RunSpec] = []
    choices: list[Choice] = []
    for point in planned.points:
        for seeds in point.groups:
            trials = tuple(point.trials(seeds[0]))
            results = tuple(result_of(run) for run in trials)
            task = point.first.task
            chosen = best([_score(result, task) for result in results], lower_is_better(task)) if trials else 0
            choices.append(Choice(point, seeds, trials, results, chosen))
            runs += point.runs(seeds, chosen)
    return replace(planned, runs=tuple(runs)), choices


def random_controls(planned: Plan, results: Sequence[Result]) -> tuple[RunSpec, ...]:
    """For each model and task, the best trained arm again, from random weights: what pretraining earned.

    The best is that of the largest training set, by the mean of its finished runs (on the test set: it decides only
    which arm is controlled); an arm that lost a seed stands behind those that lost none. Each finished run is repeated.
    """
    controls: list[RunSpec] = []
    by_folder = {run.folder: result for run, result in zip(planned.runs, results, strict=True)}
    places = dict.fromkeys((run.task.task_name, run.model.column) for run in planned.runs)
    for task, model in places:
        here = [run for run in planned.runs if (run.task.task_name, run.model.column) == (task, model)]
        largest = max((run.size or 0 for run in here), default=0)
        arms: dict[str, list[RunSpec]] = {}
        for run in here:
            finished = _score(by_folder[run.folder], run.task) is not None
            if run.arm.trained and (run.size or 0) == largest and finished:
                arms.setdefault(run.arm.name, []).append(run)
        if not arms:
            continue
        most = max(map(len, arms.values()))
        names = [name for name, finished in arms.items() if len(finished) == most]
        means = [_mean_score([by_folder[run.folder] for run in arms[name]], here[0].task) for name in names]
        winner = names[best(means, lower_is_better(here[0].task))]
        controls += [_from_random_weights(run) for run in arms[winner]]
    return tuple(controls)


def lower_is_better(task: TaskSpec) -> bool:
    """Whether a smaller primary measure is the better one."""
    return not all(metric.higher_is_better for metric in task.judges)


def _from_random_weights(run: RunSpec) -> RunSpec:
    arm = run.arm.model_copy(update={"name": run.arm.name + FROM_RANDOM_WEIGHTS})
    model = run.model.model_copy(update={"random": True})
    alone = {"documents": False, "probed": False, "retain": (), "retain_data": {}}
    return run.model_copy(update={"arm": arm, "model": model, "control_of": run.arm.name, **alone})


def _score(result: Result | None, task: TaskSpec) -> float | None:
    if result is None or result.status != "finished":
        return None
    value = result.scores.get(task.primary)
    return value if value is not None and math.isfinite(value) else None


def _mean_score(results: Sequence[Result], task: TaskSpec) -> float | None:
    scores = [score for result in results if (score := _score(result, task)) is not None]
    return sum(scores) / len(scores) if scores else None
