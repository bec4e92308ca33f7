"""A study's findings, computed from the store alone: arms with intervals, differences, costs, failures.

No model is loaded. Scores of an arm form an array (seed, item); an arm is compared with another on the items that both
were scored on, paired by example id. The statistics themselves are `luthier.core.statistics`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from luthier.core.store import RunFolder, Store
from luthier.core.types import Cost, Score
from luthier.report.above_controls import above_controls, flags
from luthier.report.again import commands
from luthier.report.choices import budget_notes, choices
from luthier.report.comparing import against_best, against_others, cheapest, corrected
from luthier.report.findings import ArmSummary, Failure, Group, Summary
from luthier.report.forgetting import forgotten, retention_tasks
from luthier.report.gather_warnings import gather_warnings
from luthier.report.leaks import leakage
from luthier.report.learning import learning_curves
from luthier.report.measured import Estimate, Run
from luthier.report.pairing import Terms, estimate_of
from luthier.report.sequences import sequences
from luthier.report.settling import settles

_NO_REASON = "no reason was recorded"


def summarise(store: Store) -> Summary:
    """Group the study's runs by task, model and size, and their scores by arm.

    Raises:
        LuthierError: no study was run in the store's folder.
    """
    study = store.study()
    folders = [store.run(name) for name in study["runs"]]
    loaded = [(folder, _load(folder)) for folder in folders]
    runs = [run for _, run in loaded if run is not None and run.result.split == "test"]
    models = list(dict.fromkeys(run.result.model for run in runs))
    sizes = sorted(study.get("sizes", ())) or [None]
    terms = {task["name"]: _terms(study, task) for task in study["tasks"]}
    groups = [
        _group(study, task, model, size, runs, terms[task["name"]])
        for task in study["tasks"]
        for model in models
        for size in sizes
    ]
    shown, refused = sequences(study, groups, terms)
    return Summary(
        study=study,
        groups=tuple(group for group in groups if group.arms),
        failures=_failures(runs),
        unfinished=tuple(folder.name for folder, run in loaded if run is None),
        mixed=_mixed([folder for folder, run in loaded if run is not None]),
        curves=learning_curves(groups, terms),
        retain=retention_tasks(study),
        again=commands(study, str(store.root)),
        sequences=shown,
        no_sequences=refused,
    )


def _load(folder: RunFolder) -> Run | None:
    result = folder.result()
    if result is None:
        return None
    if result.status == "failed":
        return Run(folder.name, result, {}, {}, {})
    retained: dict[str, dict[str, tuple[float, float]]] = {}
    for row in folder.retained():
        if all(value is not None and math.isfinite(value) for value in (row["before"], row["after"])):
            retained.setdefault(row["task"], {})[row["example_id"]] = (row["before"], row["after"])
    scores = folder.scores()
    asked = frozenset(score.example_id for score in scores)
    wrong = _by_measure(folder.wrong_reference())
    return Run(folder.name, result, _by_measure(scores), wrong, retained, asked, folder.drift())


def _by_measure(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for score in scores:
        for measure, value in score.values.items():
            if value is not None and math.isfinite(value):
                found.setdefault(measure, {})[score.example_id] = value
    return found


def _terms(study: Mapping[str, Any], task: Mapping[str, Any]) -> Terms:
    lower = frozenset(name for lower in task.get("lower_is_better", ()) for name in (lower, f"corpus_{lower}"))
    return Terms(task["primary"], lower, study.get("margin", 0.0), task.get("clusters", {}))


def _group(
    study: Mapping[str, Any], task: Mapping[str, Any], model: str, size: int | None, runs: Sequence[Run], terms: Terms
) -> Group:
    by_arm: dict[str, list[Run]] = {}
    for run in runs:
        # What has no size in a study of several is the same for all of them.
        if (run.result.task, run.result.model) == (task["name"], model) and run.result.size in (size, None):
            by_arm.setdefault(run.result.arm, []).append(run)
    leaks, retain = leakage(task), retention_tasks(study)
    arms = [arm_summary(group, terms) for group in by_arm.values()]
    arms.sort(key=lambda arm: (arm.baseline, arm.control_of is not None))
    arms = [replace(arm, forgetting=forgotten(arm.finished, retain)) for arm in arms]
    if leaks and leaks.ids("test"):
        arms = [_without(arm, frozenset(leaks.ids("test")), terms) for arm in arms]
    primary, reference = terms.primary, study["reference"]
    arms = corrected([against_others(arm, arms, reference, terms) for arm in arms], reference, terms)
    arms = [replace(arm, above_control=above_controls(arm, arms, terms)) for arm in against_best(arms, terms)]
    order = list(dict.fromkeys([primary, *task["measures"], *(name for arm in arms for name in arm.scores)]))
    measures = tuple(name for name in order if name == primary or any(name in arm.scores for arm in arms))
    names = {arm.arm for arm in arms if arm.contender}
    found = tuple(one for one in choices(study, task["name"], model, size) if one.arm in names)
    return Group(
        task=task["name"],
        model=model,
        primary=primary,
        measures=measures,
        lower_is_better=terms.lower_is_better,
        reference=reference,
        arms=tuple(arms),
        warnings=gather_warnings(arms),
        size=size,
        margin=terms.margin,
        cheapest=cheapest(arms, terms),
        flags=flags(arms, [name for name in measures if name not in task.get("signs", ())], terms),
        leakage=leaks,
        choices=found,
        budget_notes=budget_notes(found, study["trials"]) if "trials" in study else (),
        retain=tuple(one for one in retain if any(one.name in arm.forgetting for arm in arms)),
        settles=settles(arms, terms),
        clusters=terms.clusters,
    )


def arm_summary(runs: Sequence[Run], terms: Terms) -> ArmSummary:
    """One arm over its runs: status, costs, and every measure with its interval."""
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
        scores=_estimates(finished, terms),
        cost=_cost([run.result.cost for run in finished]),
        runs=tuple(runs),
        size=first.size,
        control_of=first.control_of,
        base=first.base,
        by_seed={
            run.result.seed: float(np.mean(list(run.scores[terms.primary].values())))
            for run in finished
            if terms.primary in run.scores
        },
    )


def _estimates(runs: Sequence[Run], terms: Terms) -> dict[str, Estimate]:
    estimates = {}
    for measure in dict.fromkeys(name for run in runs for name in (*run.scores, *run.result.scores)):
        scored = [run.scores[measure] for run in runs if measure in run.scores]
        found = estimate_of(scored, terms)
        if found is not None:
            estimates[measure] = found
        elif not scored:
            whole = [run.result.scores[measure] for run in runs if measure in run.result.scores]
            whole = [value for value in whole if math.isfinite(value)]
            if not whole:
                continue
            size = max((len(values) for run in runs for values in run.scores.values()), default=0)
            estimates[measure] = Estimate(float(np.mean(whole)), None, None, size)
    return estimates


def _without(arm: ArmSummary, leaked: frozenset[str], terms: Terms) -> ArmSummary:
    """The arm with the primary measure over the test examples that did not leak."""
    scored = [run.scores[terms.primary] for run in arm.finished if terms.primary in run.scores]
    kept = [{item: value for item, value in column.items() if item not in leaked} for column in scored]
    return replace(arm, without_leaks=estimate_of(kept, terms))


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
    seeds: dict[tuple[str, str, str, int | None, str], list[int]] = {}
    for result in (run.result for run in runs):
        if result.status == "failed":
            error = result.error or _NO_REASON
            seeds.setdefault((result.arm, result.model, result.task, result.size, error), []).append(result.seed)
    return tuple(
        Failure(arm, model, task, tuple(failed), error, size)
        for (arm, model, task, size, error), failed in seeds.items()
    )


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
