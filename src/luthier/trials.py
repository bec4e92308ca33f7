"""Trials: what an arm tries on validation before it is judged, the same number for every arm.

An arm that trains tries learning rates: the one that its method suggests, then a third of it, three times it, a ninth,
nine times, and so on, all stages of the arm by the same factor (a stage whose rate the study file gives keeps it). An
arm that prompts tries what its prompting varies (templates, draws of shots; shots are drawn anew for each seed, so each
seed has these trials for itself). The candidate with the best primary measure on the validation set is kept; the test
set is never looked at. Dodge et al. 2019, arXiv 1909.03004, on why a comparison must state this budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from luthier.study_file import Arm, Stage

FACTOR = 3.0
"""Between neighbouring learning rates: about half a decade, near enough not to step over a good one."""


@dataclass(frozen=True)
class Search:
    """What an arm can be tried as.

    Attributes:
        what: `learning rate`, `shots`, `template`; None where nothing can be chosen.
        candidates: (what a table calls it, the arm); the first is what runs without trials.
        per_seed: whether each seed chooses for itself (draws of shots), or the first seed for all.
        why_fixed: why there is but one candidate though trials were asked for.
    """

    what: str | None
    candidates: tuple[tuple[str, Arm], ...]
    per_seed: bool = False
    why_fixed: Literal["nothing to choose", "its learning rate was given"] | None = None


def search(arm: Arm, trials: int, given: Sequence[bool]) -> Search:
    """The candidates of an arm.

    Args:
        arm: with every learning rate resolved.
        trials: at most so many.
        given: of every stage, whether the study file names its learning rate: then that one is kept.
    """
    if not arm.prompting.needs_model:
        return Search(None, (("", arm),), why_fixed="nothing to choose")
    if arm.trained:
        if all(kept for stage, kept in zip(arm.stages, given, strict=True) if stage.method.trains):
            return Search("learning rate", ((_rates(arm), arm),), why_fixed="its learning rate was given")
        tried = [_scaled(arm, factor, given) for factor in factors(trials)]
        return Search("learning rate", tuple((_rates(candidate), candidate) for candidate in tried))
    if not arm.prompting.varies:
        return Search(None, (("", arm),), why_fixed="nothing to choose")
    *before, last = arm.stages
    candidates = tuple(
        (label, arm.model_copy(update={"stages": (*before, last.model_copy(update={"prompting": prompting}))}))
        for label, prompting in arm.prompting.candidates(trials)
    )
    return Search(arm.prompting.varies, candidates, per_seed=arm.prompting.seeded)


def factors(trials: int) -> list[float]:
    """1, 1/3, 3, 1/9, 9 ..: the suggestion first, then ever farther from it, the smaller one before the larger."""
    return [FACTOR ** ((-1) ** place * ((place + 1) // 2)) for place in range(trials)]


def best(scores: Sequence[float | None], lower_is_better: bool) -> int:
    """The place of the best score; the first among equals, and where none could be taken."""
    known = {place: score for place, score in enumerate(scores) if score is not None and math.isfinite(score)}
    if not known:
        return 0
    goal = min(known.values()) if lower_is_better else max(known.values())
    return next(place for place, score in known.items() if score == goal)


def at_edge(what: str | None, candidates: Sequence[Arm], chosen: int) -> bool:
    """Whether the chosen learning rate is the smallest or the largest that was tried: a better one may lie beyond."""
    if what != "learning rate" or len(candidates) < 2:
        return False
    rates = [math.prod(stage.training.learning_rate or 1.0 for stage in candidate.trained) for candidate in candidates]
    return rates[chosen] in (min(rates), max(rates))


def _scaled(arm: Arm, factor: float, given: Sequence[bool]) -> Arm:
    """The arm with the learning rates that were not given times the factor, to two digits; Muon's with them."""
    stages = []
    for stage, kept in zip(arm.stages, given, strict=True):
        training = stage.training
        if stage.method.trains and training.learning_rate is not None and factor != 1 and not kept:
            rates = {"learning_rate": training.learning_rate}
            if training.optimizer == "muon":
                rates["muon_learning_rate"] = training.muon_learning_rate
            scaled = {name: float(f"{rate * factor:.2g}") for name, rate in rates.items()}
            stage = stage.model_copy(update={"training": training.model_copy(update=scaled)})
        stages.append(stage)
    return arm.model_copy(update={"stages": tuple(stages)})


def _rates(arm: Arm) -> str:
    return " then ".join(_rate(stage) for stage in arm.trained)


def _rate(stage: Stage) -> str:
    muon = f" (muon {stage.training.muon_learning_rate:g})" if stage.training.optimizer == "muon" else ""
    return f"{stage.training.learning_rate:g}{muon}"
