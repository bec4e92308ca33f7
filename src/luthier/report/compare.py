"""Two studies side by side: what differs in their files and surroundings, and each arm that both have, B minus A."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from luthier.core.store import Store
from luthier.report.comparing import compare, paired_runs
from luthier.report.findings import ArmSummary, Estimate, Group, Summary
from luthier.report.pairing import Terms
from luthier.report.summary import summarise
from luthier.report.verdict import verdict

_ABSENT = "–"
_ENOUGH_SHARED = 0.5
"""Test sets are taken for the same where they share this part of the smaller one; else arms are compared unpaired."""
_NOT_SETTINGS = {"name"}
"""Keys of a study that change nothing that is measured."""


@dataclass(frozen=True)
class Change:
    """One thing that differs; `before` is of A, `after` of B, a dash where it is not there."""

    key: str
    before: str
    after: str


@dataclass(frozen=True)
class ComparedArm:
    """One arm that both studies have.

    Attributes:
        where: the task, model and size, as B's report calls them.
        measure: A's primary measure.
        a, b: its mean in either study, with the interval.
        difference, low, high: B minus A; the bounds are None where untold.
        better: True where the whole interval lies on the better side of zero, False where it lies on the worse side.
        n: examples that were paired; 0 where it is unpaired.
        how: on what the difference rests: `20 examples`, `20 examples, the same runs`, `unpaired`.
    """

    arm: str
    where: str
    measure: str
    a: Estimate
    b: Estimate
    difference: float
    low: float | None
    high: float | None
    better: bool | None
    n: int
    how: str


@dataclass(frozen=True)
class Compared:
    """Everything that is said of two studies.

    Attributes:
        a, b: the folders.
        settings: keys of the study files that differ.
        surroundings: models, data and library versions that differ.
        arms: those that both have a score of.
        only_a, only_b: arms with their place that only one study has a score of.
        verdict_a, verdict_b: either report's opening.
    """

    a: str
    b: str
    settings: tuple[Change, ...]
    surroundings: tuple[Change, ...]
    arms: tuple[ComparedArm, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    verdict_a: str
    verdict_b: str

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def compare_studies(a: Store, b: Store) -> Compared:
    """Two output folders, from what they hold.

    An arm is met again by its name, on the same task, model and size; a model or a task that is the only one of its
    study is met by the only one of the other, whatever they are called.

    Raises:
        LuthierError: no study was run in one of the folders.
    """
    before, after = summarise(a), summarise(b)
    ours, theirs = _arms(before), _arms(after)
    met = {key: (*ours[key], *theirs[key]) for key in ours if key in theirs}
    return Compared(
        a=str(a.root),
        b=str(b.root),
        settings=tuple(_settings(before.study, after.study)),
        surroundings=tuple(_surroundings(before.study, after.study)),
        arms=tuple(_difference(*sides, measure) for sides in met.values() if (measure := _measure(*sides))),
        only_a=tuple(_called(*ours[key]) for key in ours if key not in theirs),
        only_b=tuple(_called(*theirs[key]) for key in theirs if key not in ours),
        verdict_a=verdict(before),
        verdict_b=verdict(after),
    )


def _arms(summary: Summary) -> dict[tuple[str, str, int | None, str], tuple[Group, ArmSummary]]:
    """Every arm with a primary score, by task, model, size and name; an only task or model counts as nameless."""
    tasks, models = ({getattr(group, kind) for group in summary.groups} for kind in ("task", "model"))
    return {
        (
            group.task if len(tasks) > 1 else "",
            group.model if len(models) > 1 else "",
            group.size,
            arm.arm,
        ): (group, arm)
        for group in summary.groups
        for arm in group.arms
        if group.primary in arm.scores
    }


def _called(group: Group, arm: ArmSummary) -> str:
    return f"{arm.arm} ({group.title})"


def _measure(old_group: Group, old: ArmSummary, group: Group, new: ArmSummary) -> str | None:
    """A's primary measure, or B's, whichever both arms have."""
    both = [one for one in (old_group.primary, group.primary) if one in old.scores and one in new.scores]
    return both[0] if both else None


def _difference(old_group: Group, old: ArmSummary, group: Group, new: ArmSummary, measure: str) -> ComparedArm:
    """B minus A, paired by example where the test sets are the same ones, else from the two intervals."""
    a, b = old.scores[measure], new.scores[measure]
    paired = paired_runs(new, old, measure)
    shared = len(paired.items) if paired else 0
    found = None
    if shared and shared >= _ENOUGH_SHARED * min(a.n, b.n):
        found = compare(new, old, measure, Terms(measure, group.lower_is_better, clusters=group.clusters))
    if found is not None:
        same = {run.result.digest for run in old.runs} == {run.result.digest for run in new.runs}
        how = f"{shared} examples{', the same runs' if same else ''}"
        difference, low, high, better = found.difference, found.low, found.high, found.better
    else:
        shared, how = 0, "unpaired"
        difference, (low, high) = b.mean - a.mean, _unpaired(a, b)
        apart = low is not None and high is not None and not low <= 0 <= high
        better = ((difference > 0) != (measure in group.lower_is_better)) if apart else None
    return ComparedArm(
        arm=new.arm,
        where=group.title,
        measure=measure,
        a=a,
        b=b,
        difference=difference,
        low=low,
        high=high,
        better=better,
        n=shared,
        how=how,
    )


def _unpaired(a: Estimate, b: Estimate) -> tuple[float | None, float | None]:
    """The interval of b - a for independent a and b, from their own intervals.

    Zou & Donner 2008, "Construction of confidence limits about effect measures: a general approach", Statistics in
    Medicine 27: with the difference d,

        L = d - sqrt((b - l_b)^2 + (u_a - a)^2),    U = d + sqrt((u_b - b)^2 + (a - l_a)^2).
    """
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return None, None
    difference = b.mean - a.mean
    low = difference - math.hypot(b.mean - b.low, a.high - a.mean)
    return low, difference + math.hypot(b.high - b.mean, a.mean - a.low)


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """The keys of the resolved study files that differ; arms, tasks and their stages are met by their names."""
    specs = [
        {key: value for key, value in study.get("spec", {}).items() if key not in _NOT_SETTINGS}
        for study in (before, after)
    ]
    yield from _changes(*(dict(_flat(spec)) for spec in specs))


def _surroundings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """Models, data and versions that differ."""

    def facts(study: Mapping[str, Any]) -> dict[str, str]:
        environment = study.get("environment", {})
        found = {f"model {model['name']}": f"digest {model['digest']}" for model in study["models"]}
        for task in study["tasks"]:
            digests = task.get("digests", {})
            for split, rows in task.get("rows", {}).items():
                found[f"{task['name']}: {split} rows"] = f"{rows}, digest {digests.get(split, _ABSENT)}"
        found["luthier"] = str(study.get("version", _ABSENT))
        found["python"] = str(environment.get("python", _ABSENT))
        return found | {name: str(version) for name, version in environment.get("libraries", {}).items()}

    yield from _changes(facts(before), facts(after))
    tests = [{task["name"]: set(task.get("examples", {})) for task in study["tasks"]} for study in (before, after)]
    for name in tests[0]:
        ours, theirs = tests[0][name], tests[1].get(name)
        if theirs is not None and ours != theirs:
            shared = f"{len(ours & theirs)} shared"
            yield Change(f"{name}: test examples", f"{len(ours)}, {shared}", f"{len(theirs)}, {shared}")


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Plain data as dotted keys with their values; entries of a list are met by their name, where all have one."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        names = [item.get("name") if isinstance(item, Mapping) else None for item in value]
        for index, (name, item) in enumerate(zip(names, value, strict=True)):
            yield from _flat(item, f"{path}.{name or index}")
    else:
        yield path, str(value)


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key, _ABSENT), after.get(key, _ABSENT)
        if old != new:
            yield Change(key, old, new)
