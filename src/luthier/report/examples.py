"""The same test examples side by side across arms: best, worst and drawn ones of the best arm."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.core.store import Store
from luthier.core.types import ChoicePrediction, ClassPrediction, Prediction, TagsPrediction, TextPrediction
from luthier.report.findings import Group, Run


@dataclass(frozen=True)
class Answer:
    """What one arm answered; `score` is of the primary measure, None where it was not scored."""

    arm: str
    text: str
    score: float | None


@dataclass(frozen=True)
class SideBySide:
    """One test example with every arm's answer; `why` it is shown: `best`, `worst` or `drawn`."""

    example_id: str
    why: str
    prompt: str
    reference: str
    answers: tuple[Answer, ...]


def side_by_side(store: Store, group: Group, examples: Mapping[str, Any], each: int = 2) -> list[SideBySide]:
    """The `each` best, the `each` worst and `each` drawn test examples of the best arm's first finished run.

    Every arm answers with its first finished run. The draw depends on the group's names alone, so a report made again
    shows the same.
    """
    best = group.best
    if best is None:
        return []
    lower = group.primary in group.lower_is_better
    scored = best.finished[0].scores.get(group.primary, {})
    ranked = sorted((item for item in scored if item in examples), key=lambda item: scored[item], reverse=not lower)
    chosen = _choose(ranked, each, seed=f"{group.task}:{group.model}")
    runs = {arm.arm: arm.finished[0] for arm in group.arms if arm.finished}
    texts = {arm: _texts(store, run) for arm, run in runs.items()}
    return [
        SideBySide(
            example_id=item,
            why=why,
            prompt=str(examples[item]["prompt"]),
            reference=str(examples[item]["reference"]),
            answers=tuple(
                Answer(arm, texts[arm][item], run.scores.get(group.primary, {}).get(item))
                for arm, run in runs.items()
                if item in texts[arm]
            ),
        )
        for item, why in chosen
    ]


def _choose(ranked: list[str], each: int, seed: str) -> list[tuple[str, str]]:
    best = ranked[:each]
    worst = ranked[len(best) :][-each:]
    middle = [item for item in ranked if item not in best and item not in worst]
    drawn = random.Random(seed).sample(middle, min(each, len(middle)))
    return [(item, why) for why, items in (("best", best), ("worst", worst), ("drawn", drawn)) for item in items]


def _texts(store: Store, run: Run) -> dict[str, str]:
    """What the run answered, by example; a generated text goes before likelihoods of the same example."""
    if run.result.predict_key is None:
        return {}
    found: dict[str, str] = {}
    for prediction in store.step("predict", run.result.predict_key).predictions():
        if prediction.kind == "text" or prediction.example_id not in found:
            found[prediction.example_id] = _text(prediction)
    return found


def _text(prediction: Prediction) -> str:
    match prediction:
        case TextPrediction(text=text):
            return text
        case ChoicePrediction(choices=choices, log_likelihoods=likelihoods):
            return choices[likelihoods.index(max(likelihoods))]
        case ClassPrediction(label=label):
            return f"class {label}"
        case TagsPrediction(tags=tags):
            return " ".join(tags)
