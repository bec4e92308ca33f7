"""HELM's view of a model, as plain data: what stands in `helm.json`.

Seven metrics (Liang et al. 2022, arXiv 2211.09110), each of one or several measures. On the radar every one
is an axis from 0 to 1, higher being better:

    accuracy      the share of right answers
    calibration   1 - ECE with 10 bins of equal mass                               core/calibration.py
    robustness    the share of answers that are right however it is spelt          perturbations.py
    fairness      the share that is right in another dialect, of other people      perturbations.py
    bias          1 - mean of the measures of bias that every model has            demographics.py, bbq.py
    toxicity      1 - share of continuations with a listed word                    toxicity.py
    efficiency    seconds per item of the fastest model / of this one              measured

HELM has no such axes (it ranks by mean win rate): they are ours, to be looked at beside the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from luthier.core.calibration import (
    BINS,
    calibrated_error,
    coverage_accuracy_area,
    expected_calibration_error,
    selective_accuracy,
)
from luthier.core.statistics import mean_interval
from luthier.suites.helm.asking import UNDER, Answers, has_answer
from luthier.suites.helm.bbq import AMBIGUOUS, CLEAR
from luthier.suites.helm.demographics import association, chance_variation, group_counts, representation
from luthier.suites.helm.people import GENDERS, PROFESSIONS, RACES
from luthier.suites.helm.perturbations import FAIRNESS, NAMES, ROBUSTNESS
from luthier.suites.helm.scenario import Scenario
from luthier.suites.items import Item

AXES = ("accuracy", "calibration", "robustness", "fairness", "bias", "toxicity", "efficiency")
BIASES = (
    "representation of genders", "representation of races", "professions and gender", "professions and race",
    "BBQ bias, ambiguous", "BBQ bias, clear",
)  # fmt: skip
"""The measures of bias whose size (0 is none) makes up the axis."""
ENOUGH = 300
"""Items from which HELM's authors take ECE with 10 bins to be reliable (a remark in their code)."""


@dataclass(frozen=True)
class Measure:
    """One figure; None is unscored, which is not zero.

    Attributes:
        axis: the metric of HELM's that it belongs to.
        name: what it is called.
        value: the figure, with its 95% interval where it is a mean over items.
        n: items that it rests on.
        better: which way is better; empty where neither is.
        said: what a reader needs beside it.
    """

    axis: str
    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    better: str = ""
    said: str = ""


@dataclass(frozen=True)
class HelmView:
    """One model.

    Attributes:
        model: its name.
        measures: every figure, by axis.
        axes: axis -> its place on the radar, None where not measured; filled in beside the other models.
        notes: of this model.
    """

    model: str
    measures: tuple[Measure, ...]
    axes: Mapping[str, float | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def value(self, name: str) -> float | None:
        """The figure of that name; None where there is none."""
        return next((measure.value for measure in self.measures if measure.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "measures": [asdict(measure) for measure in self.measures]}


def helm_view(model: str, answers: Answers, scenario: Scenario) -> HelmView:
    """The seven metrics of a model from what it said; its axes are still to be had (`with_axes`)."""
    notes = []
    unscored = sum(has_answer(item) and "accuracy" not in item.values for item in answers.items)
    long = answers.too_long
    if long.questions or long.perturbed:
        notes.append(
            f"{long.questions} questions do not fit into the context and are unscored; {long.perturbed} perturbed ones "
            "do not, and are left out of the worst case."
        )
    if long.bbq or long.prompts:
        notes.append(
            f"{long.bbq} questions of BBQ and {long.prompts} prompts with their continuation do not fit into the "
            "context and are unscored."
        )
    if unscored:
        notes.append(f"{unscored} questions got likelihoods that are no numbers: unscored.")
    lengths = [len(_text(item).split()) for item in answers.toxicity if has_answer(item)]
    said = ""
    if lengths:
        said = f"by a list of words, in {np.mean(lengths):.1f} words on average; {lengths.count(0)} are empty"
    measures = [
        _mean("accuracy", "accuracy", answers.items, "accuracy", better="higher"),
        *_calibration(answers.items),
        *_worst("robustness", ROBUSTNESS, answers, scenario),
        *_worst("fairness", (*FAIRNESS, NAMES), answers, scenario),
        *_bias(answers),
        _mean(
            "toxicity",
            "toxic continuations",
            answers.toxicity,
            "toxic",
            better="lower",
            said=said,
        ),
        *_efficiency(answers),
    ]
    return HelmView(model, tuple(measures), notes=tuple(notes))


def with_axes(views: Sequence[HelmView]) -> list[HelmView]:
    """The views with their places on one radar."""
    times = [value for view in views if (value := view.value("seconds per item")) is not None]
    biases = [name for name in BIASES if all(view.value(name) is not None for view in views)]

    def place(view: HelmView) -> dict[str, float | None]:
        error, toxic, seconds = (view.value(name) for name in ("ECE", "toxic continuations", "seconds per item"))
        sizes = [abs(view.value(name) or 0.0) for name in biases]
        return {
            "accuracy": view.value("accuracy"),
            "calibration": None if error is None else 1 - error,
            "robustness": view.value("robustness"),
            "fairness": view.value("fairness"),
            "bias": 1 - sum(sizes) / len(sizes) if sizes else None,
            "toxicity": None if toxic is None else 1 - toxic,
            "efficiency": min(times) / seconds if seconds else None,
        }

    return [HelmView(view.model, view.measures, place(view), view.notes) for view in views]


def _mean(axis: str, name: str, items: Sequence[Item], key: str, *, better: str, said: str = "") -> Measure:
    """The mean of a value over the items that have it, with its interval."""
    having = [item for item in items if key in item.values]
    if not having:
        return Measure(axis, name, None, n=0, better=better, said=said)
    scores = np.array([[item.values[key] for item in having]], dtype=np.float64)
    found = mean_interval(scores, clusters=[item.example.cluster for item in having])
    # An interval without width says that nothing varied, not that all is known.
    low, high = (found.low, found.high) if found.low < found.high else (math.nan, math.nan)
    return Measure(axis, name, found.mean, _known(low), _known(high), found.n, better, said)


def _calibration(items: Sequence[Item]) -> list[Measure]:
    pairs = [
        (item.values["confidence"], item.values["accuracy"])
        for item in items
        if math.isfinite(item.values.get("confidence", math.nan))
    ]
    if not pairs:
        return [Measure("calibration", "ECE", None, n=0, better="lower")]
    p, y = (np.array(values) for values in zip(*pairs, strict=True))
    bins, n = min(BINS, len(p)), len(p)
    chance = calibrated_error(p)
    few = f"; {n} items are few for it" if n < ENOUGH else ""

    def measure(name: str, value: float, better: str, said: str) -> Measure:
        return Measure("calibration", name, value, n=n, better=better, said=said)

    return [
        measure("ECE", expected_calibration_error(p, y), "lower", f"{bins} bins of equal mass{few}"),
        measure("ECE of chance", chance, "", "what a perfectly calibrated model would show on so many items"),
        measure("ECE, 1 bin", expected_calibration_error(p, y, 1), "lower", f"mean confidence {p.mean():.3f}"),
        measure("accuracy of the surest 10%", selective_accuracy(p, y), "higher", f"{int(n * 0.1) + 1} items"),
        measure("accuracy over coverage", coverage_accuracy_area(p, y), "higher", "area under the curve"),
    ]


def _worst(axis: str, names: Sequence[str] | Mapping[str, Any], answers: Answers, scenario: Scenario) -> list[Measure]:
    """The worst case over some perturbations, and each by itself, an item that it does not change as asked plainly."""
    changed = {name: sum(name in of for of in scenario.variants) for name in names}
    touched = sum(any(name in of for name in names) for of in scenario.variants)
    total = len(scenario.variants)
    rows = [_mean(axis, axis, answers.items, axis, better="higher", said=f"worst case; {touched} of {total} change")]
    for name in names:
        if changed[name]:
            under = [
                Item(
                    item.example, item.prediction, {"accuracy": item.values.get(UNDER + name, item.values["accuracy"])}
                )
                for item in answers.items
                if "accuracy" in item.values
            ]
            said = f"{changed[name]} of {total} change"
            rows.append(_mean(axis, f"under {name}", under, "accuracy", better="higher", said=said))
    return rows


def _bias(answers: Answers) -> list[Measure]:
    """Counts in generated text, and BBQ."""
    stories = [item for item in answers.stories if has_answer(item)]
    written = [_text(item) for item in (*stories, *(item for item in answers.toxicity if has_answer(item)))]
    tales = [f"{item.example.messages[-1].content} {_text(item)}" for item in stories]
    rows = []
    for name, groups in ((BIASES[0], GENDERS), (BIASES[1], RACES)):
        counts = group_counts(written, groups)
        said = ", ".join(f"{group} {count}" for group, count in counts.items())
        if chance := chance_variation(sum(counts.values()), len(groups)):
            said += f"; chance alone would give {chance:.3f}"
        rows.append(Measure("bias", name, representation(written, groups), n=len(written), better="lower", said=said))
    for name, groups in ((BIASES[2], GENDERS), (BIASES[3], RACES)):
        found = association(tales, groups, PROFESSIONS)
        rows.append(Measure("bias", name, found, n=len(tales), better="lower", said="mean over professions"))
    if answers.bbq:
        ambiguous = [item for item in answers.bbq if item.task == AMBIGUOUS]
        clear = [item for item in answers.bbq if item.task == CLEAR]
        said = "-1 against, +1 for the stereotype"
        rows += [
            _mean("bias", "BBQ accuracy, ambiguous", ambiguous, "accuracy", better="higher"),
            _mean("bias", "BBQ accuracy, clear", clear, "accuracy", better="higher"),
            _mean("bias", BIASES[4], ambiguous, "bias", better="0", said=said),
            _mean("bias", BIASES[5], clear, "bias", better="0", said=said),
        ]
    return rows


def _efficiency(answers: Answers) -> list[Measure]:
    found = answers.efficiency
    timed = sum(has_answer(item) for item in answers.items)
    return [
        Measure(
            "efficiency",
            "seconds per item",
            _known(found.seconds_per_item),
            better="lower",
            n=timed,
            said="of the processor on a CPU",
        ),
        Measure("efficiency", "tokens per second", _known(found.tokens_per_second), better="higher", said="generated"),
        Measure(
            "efficiency", "peak memory", float(found.peak_bytes), better="lower", said="bytes; of the process on a CPU"
        ),
        Measure("efficiency", "parameters", float(found.parameters), better="lower"),
    ]


def _text(item: Item) -> str:
    return item.prediction.text if item.prediction.kind == "text" else ""


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
