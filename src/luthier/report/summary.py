"""A study's findings, computed from the store alone: arms with intervals, differences, costs, failures.

No model is loaded. Scores of an arm form an array (seed, item); an arm is compared with another on the items that both
were scored on, paired by example id. The statistics themselves are `luthier.core.statistics`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.core.statistics import holm, mean_interval, paired_difference
from luthier.core.store import RunFolder, Store
from luthier.core.types import Cost
from luthier.report.findings import ArmSummary, Comparison, Estimate, Failure, Group, Run, Summary, Warned, rank

_NO_REASON = "no reason was recorded"


def summarise(store: Store) -> Summary:
    """Group the study's runs by task and model, and their scores by arm.

    Raises:
        LuthierError: no study was run in the store's folder.
    """
    study = store.study()
    folders = [store.run(name) for name in study["runs"]]
    loaded = [(folder, _load(folder)) for folder in folders]
    runs = [run for _, run in loaded if run is not None]
    models = list(dict.fromkeys(run.result.model for run in runs))
    groups = [_group(study, task, model, runs) for task in study["tasks"] for model in models]
    return Summary(
        study=study,
        groups=tuple(group for group in groups if group.arms),
        failures=_failures(runs),
        unfinished=tuple(folder.name for folder, run in loaded if run is None),
        mixed=_mixed([folder for folder, run in loaded if run is not None]),
    )


def _load(folder: RunFolder) -> Run | None:
    result = folder.result()
    if result is None:
        return None
    scores: dict[str, dict[str, float]] = {}
    if result.status == "finished":
        for score in folder.scores():
            for measure, value in score.values.items():
                if value is not None and math.isfinite(value):
                    scores.setdefault(measure, {})[score.example_id] = value
    return Run(folder.name, result, scores)


def _group(study: Mapping[str, Any], task: Mapping[str, Any], model: str, runs: Sequence[Run]) -> Group:
    by_arm: dict[str, list[Run]] = {}
    for run in runs:
        if (run.result.task, run.result.model) == (task["name"], model):
            by_arm.setdefault(run.result.arm, []).append(run)
    arms = [_arm(group) for group in by_arm.values()]
    arms.sort(key=lambda arm: arm.baseline)
    primary, reference = task["primary"], study["reference"]
    lower = frozenset(name for lower in task.get("lower_is_better", ()) for name in (lower, f"corpus_{lower}"))
    arms = _correct([_compared(arm, arms, reference, primary, lower) for arm in arms], reference, primary)
    ranked = rank([arm for arm in arms if not arm.baseline], primary, primary in lower)
    lead = _compare(ranked[0], ranked[1], primary, lower) if len(ranked) > 1 else None
    order = list(dict.fromkeys([primary, *task["measures"], *(name for arm in arms for name in arm.scores)]))
    measures = tuple(name for name in order if name == primary or any(name in arm.scores for arm in arms))
    return Group(task["name"], model, primary, measures, lower, reference, tuple(arms), lead, _warnings(arms))


def _arm(runs: Sequence[Run]) -> ArmSummary:
    first = runs[0].result
    finished = [run for run in runs if run.result.status == "finished"]
    failed = [run for run in runs if run.result.status == "failed"]
    return ArmSummary(
        arm=first.arm,
        model=first.model,
        task=first.task,
        prompting=first.prompting,
        method=first.method,
        objective=first.objective,
        baseline=first.baseline,
        status="failed" if not finished else "partial" if failed else "finished",
        seeds=tuple(run.result.seed for run in finished),
        error=next((run.result.error or _NO_REASON for run in failed), None),
        scores=_estimates(finished),
        cost=_cost([run.result.cost for run in finished]),
        runs=tuple(runs),
    )


def _estimates(runs: Sequence[Run]) -> dict[str, Estimate]:
    estimates = {}
    for measure in dict.fromkeys(name for run in runs for name in (*run.scores, *run.result.scores)):
        scored = [run for run in runs if measure in run.scores]
        items = _items(scored, measure)
        if items:
            interval = mean_interval(_array(scored, measure, items))
            estimates[measure] = Estimate(interval.mean, _told(interval.low), _told(interval.high), len(items))
        elif not scored:
            whole = [run.result.scores[measure] for run in runs if measure in run.result.scores]
            size = max((len(values) for run in runs for values in run.scores.values()), default=0)
            estimates[measure] = Estimate(float(np.mean(whole)), None, None, size)
    return estimates


def _told(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _items(runs: Sequence[Run], measure: str) -> list[str]:
    """The examples that every one of the runs was scored on, in test-set order."""
    if not runs:
        return []
    first, *others = (run.scores[measure] for run in runs)
    return [item for item in first if all(item in other for other in others)]


def _array(runs: Sequence[Run], measure: str, items: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[run.scores[measure][item] for item in items] for run in runs], dtype=np.float64)


def _compared(
    arm: ArmSummary, arms: Sequence[ArmSummary], reference: str, primary: str, lower: frozenset[str]
) -> ArmSummary:
    against: dict[str, dict[str, Comparison]] = {}
    for other in arms:
        if other.arm == arm.arm or not (other.arm == reference or other.baseline):
            continue
        for measure in arm.scores if other.arm == reference else (primary,):
            comparison = _compare(arm, other, measure, lower)
            if comparison:
                against.setdefault(other.arm, {})[measure] = comparison
    return replace(arm, against=against)


def _compare(arm: ArmSummary, other: ArmSummary, measure: str, lower: frozenset[str]) -> Comparison | None:
    ours, theirs = _paired_runs(arm, other, measure)
    items = _items([*ours, *theirs], measure)
    if not items:
        return None
    found = paired_difference(_array(ours, measure, items), _array(theirs, measure, items))
    better = None
    if found.low > 0 or found.high < 0:
        better = (found.low > 0) != (measure in lower)
    low, high, p = _told(found.low), _told(found.high), _told(found.p)
    return Comparison(other.arm, measure, found.difference, low, high, p, n=len(items), better=better)


def _paired_runs(arm: ArmSummary, other: ArmSummary, measure: str) -> tuple[list[Run], list[Run]]:
    """Both arms' runs that have the measure, seed by seed.

    An arm that trains nothing and was run once stands for every seed: its answers do not change.
    """
    ours = {run.result.seed: run for run in arm.finished if measure in run.scores}
    theirs = {run.result.seed: run for run in other.finished if measure in run.scores}
    if arm.same_for_all_seeds and ours:
        ours = dict.fromkeys(theirs, next(iter(ours.values())))
    elif other.same_for_all_seeds and theirs:
        theirs = dict.fromkeys(ours, next(iter(theirs.values())))
    seeds = [seed for seed in ours if seed in theirs]
    return [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]


def _correct(arms: Sequence[ArmSummary], reference: str, primary: str) -> list[ArmSummary]:
    """Holm's correction over the declared family: each arm against the reference on the primary measure."""

    def in_family(arm: ArmSummary) -> bool:
        return not arm.baseline and primary in arm.against.get(reference, {})

    family = [arm.against[reference][primary].p for arm in arms if in_family(arm)]
    corrected = iter(holm([math.nan if p is None else p for p in family]))
    done = []
    for arm in arms:
        if in_family(arm):
            comparisons = dict(arm.against[reference])
            comparisons[primary] = replace(comparisons[primary], p_holm=_told(next(corrected)))
            arm = replace(arm, against={**arm.against, reference: comparisons})
        done.append(arm)
    return done


def _cost(costs: Sequence[Cost]) -> Cost:
    if not costs:
        return Cost()
    values: dict[str, Any] = {}
    for name, info in Cost.model_fields.items():
        column = [getattr(cost, name) for cost in costs]
        mean = max(column) if name == "peak_bytes" else sum(column) / len(column)
        values[name] = round(mean) if info.annotation is int else mean
    return Cost(**values)


def _failures(runs: Sequence[Run]) -> tuple[Failure, ...]:
    seeds: dict[tuple[str, str, str, str], list[int]] = {}
    for result in (run.result for run in runs):
        if result.status == "failed":
            error = result.error or _NO_REASON
            seeds.setdefault((result.arm, result.model, result.task, error), []).append(result.seed)
    return tuple(Failure(arm, model, task, tuple(failed), error) for (arm, model, task, error), failed in seeds.items())


def _warnings(arms: Sequence[ArmSummary]) -> tuple[Warned, ...]:
    """What the arms' runs warned of, and what was left unscored: seeds that differ in numbers alone said once."""
    found: list[Warned] = []
    for arm in arms:
        alike: dict[str, Warned] = {}
        for run in arm.runs:
            for text in run.result.warnings:
                key = re.sub(r"[\d.]+", "0", text)
                first = alike.get(key) or Warned(text, (arm.arm,), ())
                seeds = tuple(dict.fromkeys((*first.seeds, run.result.seed)))
                alike[key] = replace(first, seeds=seeds, alike=first.alike or text != first.text)
        unscored = (Warned(text, (arm.arm,), arm.seeds, marked=False) for text in _unscored(arm))
        for one in (*alike.values(), *unscored):
            same = next((at for at, other in enumerate(found) if replace(other, arms=one.arms) == one), None)
            if same is None:
                found.append(one)
            else:
                found[same] = replace(one, arms=(*found[same].arms, arm.arm))
    return tuple(found)


def _unscored(arm: ArmSummary) -> list[str]:
    """Examples that measures left out in some run: their absence is named, never counted as zero."""
    every = {item for run in arm.finished for values in run.scores.values() for item in values}
    missing: dict[int, list[str]] = {}
    for measure, estimate in arm.scores.items():
        if estimate.low is not None and estimate.n < len(every):
            missing.setdefault(len(every) - estimate.n, []).append(measure)
    return [
        f"{number} of {len(every)} examples have no {', '.join(measures)}, and were left out of it"
        for number, measures in missing.items()
    ]


def _mixed(folders: Sequence[RunFolder]) -> dict[str, tuple[str, ...]]:
    """The versions that differ between runs; the environment's own fields that vary by nature are not looked at."""
    met: dict[str, list[str]] = {}
    for folder in folders:
        try:
            environment = folder.environment()
        except FileNotFoundError:
            continue
        versions = {name: environment.get(name) for name in ("luthier", "python")} | environment.get("libraries", {})
        for name, value in versions.items():
            if value is not None and str(value) not in met.setdefault(name, []):
                met[name].append(str(value))
    return {name: tuple(values) for name, values in met.items() if len(values) > 1}
