"""New metrics on stored answers: a mean with its interval for each arm, and its difference from the reference.

    stored predictions + examples -> the new metrics -> `Run`s as a report has them -> intervals, differences, Holm

The machinery is the report's (`report/summary.py`, `report/comparing.py`); each new measure is taken for the primary
one in its turn, so that Holm's correction is over the arms. Nothing here asks for a model; whatever has the form of a
`Metric` can stand among the metrics, one that asks a model by itself too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from luthier.core.errors import LuthierError
from luthier.core.settings import Settings, read
from luthier.core.store import Store
from luthier.core.types import PredictionKind, Score
from luthier.evaluate import score
from luthier.metrics.metric import Metric
from luthier.registry import AnyMetric
from luthier.report.comparing import against_others, corrected
from luthier.report.measured import Comparison, Estimate, Run
from luthier.report.pairing import Terms
from luthier.report.summary import arm_summary
from luthier.rescoring.answers import Answers, answers_of_evaluations, answers_of_study

KIND_WORDS: Mapping[PredictionKind, str] = {
    "text": "texts",
    "choices": "likelihoods of choices",
    "class": "classes",
    "tags": "tags",
}


@dataclass(frozen=True)
class Rescored:
    """One arm on one measure of one metric.

    Attributes:
        task, model, size: where the arm stands, as in a report; of a benchmark `model` is the suite.
        metric: its name, with the settings that were given.
        estimate: None where no example could be scored.
        unscored: examples that have no such measure in some seed; None of a measure that only a whole test set has.
        against: the arm less the reference; None for the reference itself, and where they cannot be compared.
    """

    task: str
    model: str
    size: int | None
    arm: str
    metric: str
    measure: str
    lower_is_better: bool
    estimate: Estimate | None
    unscored: int | None
    against: Comparison | None

    def to_json(self) -> dict[str, Any]:
        """Plain data; what could not be told is null."""
        found = {**vars(self), "estimate": vars(self.estimate) if self.estimate else None, "against": None}
        if (one := self.against) is not None:
            keys = ("other", "difference", "low", "high", "p", "p_holm", "n", "better")
            found["against"] = {key: getattr(one, key) for key in keys}
        return found


@dataclass(frozen=True)
class Rescoring:
    """What came out: the rows, the arm that others are compared with, and what was left out, a sentence each."""

    rows: tuple[Rescored, ...]
    reference: str
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"reference": self.reference, "rows": [row.to_json() for row in self.rows], "notes": list(self.notes)}


class _Judges(Settings):
    metrics: tuple[AnyMetric, ...]


def read_metrics(given: Sequence[str]) -> tuple[Metric, ...]:
    """Metrics as in a study file: `rouge_w`, or `rouge: {stemmer: false}`.

    Raises:
        LuthierError: none is given, or one that cannot be.
    """
    if not given:
        raise LuthierError(
            "no metric is named", where="--metric", mend="as in --metric chrf; luthier methods lists them"
        )
    found: list[Metric] = []
    for text in given:
        try:
            data = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            raise LuthierError(
                f"{text!r} is not a YAML value", where="--metric", mend="as in --metric 'rouge: {stemmer: false}'"
            ) from None
        found += read(_Judges, {"metrics": [data]}, where=f"--metric {text!r}").metrics
    labels = [metric.label() for metric in found]
    if twice := [label for label in dict.fromkeys(labels) if labels.count(label) > 1]:
        raise LuthierError(f"{twice[0]} is named twice", where="--metric", mend="name it once")
    return tuple(found)


def rescore(out: Path, metrics: Sequence[Metric], arms: Sequence[str] = ()) -> Rescoring:
    """Judge what is stored in a folder by other metrics.

    Args:
        out: a study's output folder, or one of `luthier evaluate`, with one model or several below it.
        metrics: what judges.
        arms: only these (of evaluations: models); all where none is named.

    Raises:
        LuthierError: nothing is stored there; no such arm; data that has changed; a metric that nothing stored can be
            judged by; arms that were not asked the same, or not in the same way.
    """
    if not out.is_dir():
        raise LuthierError("no such folder", where=str(out), mend="name the --out folder of a study or an evaluation")
    study = Store(out).study() if (out / "study.json").exists() else None
    answers, notes = answers_of_evaluations(out, arms) if study is None else answers_of_study(Store(out), arms)
    if not answers:
        raise LuthierError("no finished answers are stored", where=str(out), mend=notes[0] if notes else "run it first")
    for metric in metrics:
        _refuse_unfit(metric, answers, out)
    reference = str(study["reference"]) if study is not None else answers[0].result.arm
    rows: list[Rescored] = []
    for group in _groups(answers):
        _refuse_other_items(group)
        _refuse_asked_otherwise(group)
        for metric in metrics:
            fit = [one for one in group if one.kinds & set(metric.kinds)]
            if not fit:
                kept = _words(kind for one in group for kind in one.kinds)
                notes.append(f"{group[0].result.task} has no {metric.label()}: it kept {kept}")
                continue
            unfit = [one for one in group if one not in fit]
            notes += [f"{one.result.arm} has no {metric.label()}: it kept {_words(one.kinds)}" for one in unfit]
            rows += _rescored(metric, fit, reference, study or {})
    if reference not in {row.arm for row in rows}:
        notes.append(f"no differences: the reference {reference} is not among the arms")
    return Rescoring(tuple(rows), reference, tuple(dict.fromkeys(notes)))


def _groups(answers: Sequence[Answers]) -> list[list[Answers]]:
    """The answers that can be compared: of one task, model and size; what has no size stands in every one."""
    sizes: list[int | None] = [*sorted({one.result.size for one in answers if one.result.size is not None})] or [None]
    groups: dict[tuple[str, str, int | None], list[Answers]] = defaultdict(list)
    for one in answers:
        for size in sizes if one.result.size is None else [one.result.size]:
            groups[one.result.task, one.result.model, size].append(one)
    return list(groups.values())


def _refuse_unfit(metric: Metric, answers: Sequence[Answers], out: Path) -> None:
    kinds = {kind for one in answers for kind in one.kinds}
    if not kinds & set(metric.kinds):
        wanted = " or ".join(KIND_WORDS[kind] for kind in metric.kinds)
        raise LuthierError(
            f"{_words(kinds)} are stored, and no {wanted}; {metric.name} judges {wanted}",
            where=str(out),
            mend="name a metric that judges what is stored, or ask the model again with this one",
        )


def _words(kinds: Iterable[PredictionKind]) -> str:
    kept = set(kinds)
    return " and ".join(words for kind, words in KIND_WORDS.items() if kind in kept)


def _refuse_other_items(group: Sequence[Answers]) -> None:
    """Refuse to compare arms that were not asked the same."""
    first, *others = group
    ids = {example.id for example in first.examples}
    for other in others:
        theirs = {example.id for example in other.examples}
        if ids != theirs:
            only = sorted(ids ^ theirs)
            raise LuthierError(
                f"{first.result.arm} and {other.result.arm} were not asked the same: {len(only)} items are of one "
                f"alone ({', '.join(only[:5])}{', ...' if len(only) > 5 else ''})",
                where=f"{first.name}, {other.name}",
                mend="name arms that were asked the same with --arm, or ask all of them the same",
            )


def _refuse_asked_otherwise(group: Sequence[Answers]) -> None:
    """Refuse to compare models that were shown the same items with other shots, or in another template."""
    first, *others = group
    for other in others:
        for name, mine in first.asked.items():
            if (theirs := other.asked.get(name, mine)) != mine:
                raise LuthierError(
                    f"{first.result.arm} and {other.result.arm} were asked {first.result.task} with other {name}: "
                    f"{_plain(mine)} and {_plain(theirs)}",
                    where=f"{first.name}, {other.name}",
                    mend="name arms that were asked the same way with --arm, or ask all of them the same way",
                )


def _plain(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _rescored(metric: Metric, group: Sequence[Answers], reference: str, study: Mapping[str, Any]) -> list[Rescored]:
    """Every arm of a group on every measure of a metric."""
    by_arm: dict[str, list[Run]] = defaultdict(list)
    for one in group:
        scores, means = score([metric], one.predictions, one.examples)
        result = one.result.model_copy(update={"scores": means})
        by_arm[one.result.arm].append(Run(one.name, result, _by_measure(scores), {}, {}))
    clusters = {example.id: example.cluster for example in group[0].examples if example.cluster is not None}
    first = group[0].result
    size = next((one.result.size for one in group if one.result.size is not None), None)
    met = [name for runs in by_arm.values() for run in runs for name in (*run.scores, *run.result.scores)]
    rows = []
    for measure in dict.fromkeys([*metric.measures, *metric.of_the_whole, *met]):
        lower = frozenset(name for name in met if metric.lower_is_better(name))
        terms = Terms(measure, lower, study.get("margin", 0.0), clusters)
        arms = [arm_summary(runs, terms) for runs in by_arm.values()]
        arms = corrected([against_others(arm, arms, reference, terms) for arm in arms], reference, terms)
        rows += [
            Rescored(
                task=first.task,
                model=first.model,
                size=size,
                arm=arm.arm,
                metric=metric.label(),
                measure=measure,
                lower_is_better=metric.lower_is_better(measure),
                estimate=arm.scores.get(measure),
                unscored=_unscored(by_arm[arm.arm], measure, group[0]) if measure in metric.measures else None,
                against=arm.against.get(reference, {}).get(measure),
            )
            for arm in arms
        ]
    return rows


def _by_measure(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for one in scores:
        for measure, value in one.values.items():
            found.setdefault(measure, {})[one.example_id] = value
    return found


def _unscored(runs: Sequence[Run], measure: str, asked: Answers) -> int:
    """How many examples some seed has no such score of."""
    return sum(any(example.id not in run.scores.get(measure, {}) for run in runs) for example in asked.examples)
