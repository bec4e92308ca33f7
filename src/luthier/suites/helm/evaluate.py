"""The suite `helm`: one or several models in HELM's view, side by side, on the same items."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from luthier.core.durable import read_object
from luthier.core.environment import reset_peak_memory
from luthier.core.errors import LuthierError
from luthier.core.statistics import holm, paired_difference
from luthier.core.store import write_json
from luthier.suites import evaluation
from luthier.suites.harness import folder_name
from luthier.suites.helm.asking import Answers, ask
from luthier.suites.helm.bbq import AMBIGUOUS, CLEAR
from luthier.suites.helm.scenario import MOST, Scenario, load_scenario, program_for, task_for
from luthier.suites.helm.toxicity import LEXICON, Agreement
from luthier.suites.helm.view import BIASES, HelmView, helm_view, with_axes
from luthier.suites.items import Item, refuse_other_items, write_items
from luthier.suites.judged import Judged, load_judged
from luthier.suites.short_names import short_names
from luthier.version import __version__

FILE = "helm.json"
_PROXIES = (
    f"Toxicity is counted with a list of {len(LEXICON)} words of our own. It is a proxy: it knows no context, and "
    "names no group of people.",
    "Demographic words, names and the dialect are short lists of our own; the dialect is no linguist's work.",
    "Perturbations that change none or few of the questions say nothing of a model: the table counts what they change.",
    "Representation and associations lean upwards where few words are counted, as ECE does where items are few.",
    "Bias on the radar is the mean size of the measures of bias that all models have; efficiency is relative to the "
    "fastest model here, on this machine. These two axes are ours.",
)


@dataclass(frozen=True)
class HelmDifference:
    """One measure of a model less that of the first, over the same items.

    Attributes:
        model, against: the two.
        measure: what differs.
        difference, low, high, p, n: `core/statistics.py`; None where it cannot be told.
        p_holm: p adjusted for all the differences of the table.
    """

    model: str
    against: str
    measure: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    n: int


@dataclass(frozen=True)
class Helm:
    """Everything that the suite found; `as_json` is what `helm.json` holds."""

    task: str
    views: tuple[HelmView, ...]
    differences: tuple[HelmDifference, ...]
    lexicon: Agreement | None
    notes: tuple[str, ...]
    answers: Mapping[str, Answers]
    asked: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data, without the items."""
        return {
            "suite": "helm",
            "version": __version__,
            "task": self.task,
            "asked": dict(self.asked),
            "models": [view.as_json() for view in self.views],
            "differences": [asdict(found) for found in self.differences],
            "lexicon": None if self.lexicon is None else asdict(self.lexicon),
            "notes": list(self.notes),
        }


def evaluate_helm(
    models: Sequence[str],
    *,
    study: Path | None = None,
    task: str | None = None,
    data: Path | None = None,
    limit: int | None = None,
    out: Path | None = None,
    how: Mapping[str, str | None] | None = None,
    load: Callable[[str], Judged] = load_judged,
    say: Callable[[str], None] = lambda _: None,
) -> Helm:
    """Look at models as HELM does.

    Args:
        models: as `load_judged` takes them; the first is what the others are compared with.
        study, task: the classification task, from a study file; by default that of the first run among the models, or
            else `generated/instructions/sentiment`.
        data: a folder with BBQ and RealToxicityPrompts; without it BBQ is not asked.
        limit: the most items of each part; 1000 by default.
        out: where `helm.json` and every model's `items.jsonl` go; None for nowhere.
        how: what else `load` is told (quantisation, base, method), for the record.
        load: makes a model ready.
        say: told what is being done.

    Raises:
        LuthierError: no models or one twice, a limit below one, a task without choices, data or a model that cannot be
            had, or a view in `out` that was asked otherwise.
    """
    named = _names(models)
    if limit is not None and limit < 1:
        raise LuthierError(f"a limit of {limit} asks nothing", where="--limit", mend="give 1 or more")
    settings, about_task = task_for(models, study, task)
    asked = {
        "models": list(models),
        "task": settings.model_dump(mode="json"),
        "data": None if data is None else str(data.resolve()),
        "limit": limit or MOST,
        **{name: value for name, value in (how or {}).items() if value is not None},
    }
    _refuse_asked_otherwise(out, asked)
    scenario = load_scenario(settings, data, limit)
    views, answers = [], {}
    for model, name in named.items():
        reset_peak_memory()
        judged = load(model)
        shown = f"{name} ({judged.quantisation})" if judged.quantisation else name
        answers[shown] = ask(judged, scenario, program_for(model, scenario), say)
        if out is not None:
            write_items(out / folder_name(shown), answers[shown].all_items)
            record = {"model": model, "suite": "helm", "quantisation": judged.quantisation}
            write_json(out / folder_name(shown) / evaluation.FILE, record)
        del judged  # before the next is loaded
        views.append(helm_view(shown, answers[shown], scenario))
    found = Helm(
        task=scenario.task,
        views=tuple(with_axes(views)),
        differences=tuple(_differences(answers)),
        lexicon=scenario.lexicon,
        notes=(*about_task, *scenario.notes, *_PROXIES, *_about_lexicon(scenario)),
        answers=answers,
        asked=asked,
    )
    if out is not None:
        write_json(out / FILE, found.as_json())
    return found


def _refuse_asked_otherwise(out: Path | None, asked: Mapping[str, Any]) -> None:
    """A view that is there already is written anew only where it would be the same."""
    before = None if out is None else read_object(out / FILE)
    if before is None:
        return
    then = before.get("asked", {})
    if other := [name for name in dict.fromkeys([*asked, *then]) if asked.get(name) != then.get(name)]:
        raise LuthierError(
            f"a view with another {', '.join(other)} is stored here", where=str(out), mend="give another --out"
        )


def _names(models: Sequence[str]) -> dict[str, str]:
    """What tables call each."""
    if not models:
        raise LuthierError("no model was named", where="luthier evaluate", mend="name one")
    if len(set(models)) < len(models):
        raise LuthierError("a model is named twice", where=", ".join(models), mend="name each once")
    return short_names(models)


def _about_lexicon(scenario: Scenario) -> list[str]:
    """What the list is worth, in words."""
    if scenario.lexicon is None:
        return ["What the list of toxic words is worth was not measured: no RealToxicityPrompts were given."]
    found = scenario.lexicon

    def say(value: float | None) -> str:
        return "untold" if value is None else f"{value:.2f}"

    return [
        f"Against the toxicity that the data gives to {found.texts:,} continuations ({found.toxic:.0%} of them toxic; "
        f"{found.unscored} have none): the list's precision is {say(found.precision)}, its recall {say(found.recall)}, "
        f"the area under its ROC curve {say(found.auc)}."
    ]


def _differences(answers: Mapping[str, Answers]) -> list[HelmDifference]:
    """Every model against the first, on what both were asked."""
    refuse_other_items({name: said.items for name, said in answers.items()})
    (first, of_first), *others = answers.items()
    found = []
    for name, said in others:
        for measure, (items, key) in _compared(said).items():
            pair = _paired(items, _compared(of_first)[measure][0], key)
            if pair is None:
                continue
            mine, theirs, clusters = pair
            told = paired_difference(mine, theirs, clusters=clusters)
            found.append((name, measure, told))
    adjusted = holm([told.p for _, _, told in found])
    rows = []
    for (name, measure, told), p in zip(found, adjusted, strict=True):
        if told.n:
            low, high = (told.low, told.high) if told.low < told.high else (math.nan, math.nan)  # see view.py
            bounds = _known(low), _known(high)
            rows.append(
                HelmDifference(name, first, measure, told.difference, *bounds, _known(told.p), _known(p), told.n)
            )
    return rows


def _compared(said: Answers) -> dict[str, tuple[Sequence[Item], str]]:
    """What is a mean over items: the measure -> its items, and the key of their value."""
    ambiguous = [item for item in said.bbq if item.task == AMBIGUOUS]
    clear = [item for item in said.bbq if item.task == CLEAR]
    return {
        "accuracy": (said.items, "accuracy"),
        "mean confidence": (said.items, "confidence"),
        "robustness": (said.items, "robustness"),
        "fairness": (said.items, "fairness"),
        "BBQ accuracy, ambiguous": (ambiguous, "accuracy"),
        "BBQ accuracy, clear": (clear, "accuracy"),
        BIASES[4]: (ambiguous, "bias"),
        "toxic continuations": (said.toxicity, "toxic"),
    }


def _paired(a: Sequence[Item], b: Sequence[Item], key: str) -> tuple[Any, Any, list[str | None]] | None:
    """The scores of the items that both have, nan where one is unscored, with their clusters."""
    others = {item.id: item for item in b}
    shared = [(item, others[item.id]) for item in a if item.id in others]
    if not shared:
        return None
    mine, theirs = (
        np.array([[pair[side].values.get(key, math.nan) for pair in shared]], dtype=np.float64) for side in (0, 1)
    )
    return mine, theirs, [item.example.cluster for item, _ in shared]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
