"""Each arm set against its controls, and the measures on which a control nearly reaches the best arm.

The controls of an arm: the trivial baselines (a constant, the nearest training reference, the source copied), its own
texts scored against the references of other examples (what the format alone earns), and the same arm trained from
random weights (what pretraining earned).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from luthier.report import formats
from luthier.report.comparing import paired_runs
from luthier.report.controls import AboveControl, ControlKind, Flag
from luthier.report.findings import ArmSummary, is_side, rank
from luthier.report.pairing import Paired, Terms, difference_of, pair, told, told_apart

WRONG_REFERENCE = "wrong reference"
NEARLY = 0.9
"""A control with so much of the best arm's score nearly reaches it."""


def above_controls(arm: ArmSummary, arms: Sequence[ArmSummary], terms: Terms) -> dict[str, tuple[AboveControl, ...]]:
    """Measure -> a contender against each of its controls, the strongest control first."""
    found = {}
    for measure in arm.scores if arm.contender else ():
        controls = [
            _above(paired, control, kind, measure, terms)
            for control, kind, paired in _controls(arm, arms, measure)
            if paired is not None
        ]
        if controls:
            sign = 1 if measure in terms.lower_is_better else -1
            found[measure] = tuple(sorted(controls, key=lambda one: sign * one.control_mean))
    return found


def _controls(
    arm: ArmSummary, arms: Sequence[ArmSummary], measure: str
) -> list[tuple[str, ControlKind, Paired | None]]:
    found: list[tuple[str, ControlKind, Paired | None]] = []
    for other in arms:
        if other.baseline:
            found.append((other.arm, "baseline", paired_runs(arm, other, measure)))
        elif other.control_of == arm.arm:
            found.append((other.arm, "random weights", paired_runs(arm, other, measure)))
    runs = [run for run in arm.finished if measure in run.scores and measure in run.wrong_reference]
    wrong = pair([run.scores[measure] for run in runs], [run.wrong_reference[measure] for run in runs])
    return [*found, (WRONG_REFERENCE, "wrong reference", wrong)]


def _above(paired: Paired, control: str, kind: ControlKind, measure: str, terms: Terms) -> AboveControl:
    difference = difference_of(paired, terms)
    lower = measure in terms.lower_is_better
    ours, theirs = float(paired.ours.mean()), float(paired.theirs.mean())
    better, worse = (theirs, ours) if lower else (ours, theirs)
    return AboveControl(
        control=control,
        kind=kind,
        measure=measure,
        arm_mean=ours,
        control_mean=theirs,
        difference=difference.difference,
        low=told(difference.low),
        high=told(difference.high),
        above=told_apart(difference, lower),
        share=worse / better if better > 0 and worse >= 0 else None,
    )


def flags(arms: Sequence[ArmSummary], measures: Sequence[str], terms: Terms) -> tuple[Flag, ...]:
    """The measures that a control nearly reaches, at most one flag each: the strongest control that does."""
    contenders = [arm for arm in arms if arm.contender]
    found = []
    for measure in measures:
        ranked = rank(contenders, measure, measure in terms.lower_is_better)
        if not ranked or is_side(measure):
            continue
        for one in ranked[0].above_control.get(measure, ()):
            why = _why(one, terms)
            if why:
                found.append(Flag(measure, ranked[0].arm, one, why, _words(ranked[0].arm, one)))
                break
    return tuple(found)


def _why(one: AboveControl, terms: Terms) -> Literal["not above", "share"] | None:
    ahead = one.low if one.measure not in terms.lower_is_better else None if one.high is None else -one.high
    if ahead is not None and ahead <= (terms.margin if one.measure == terms.primary else 0):
        return "not above"
    return "share" if one.share is not None and one.share >= NEARLY else None


def _words(arm: str, one: AboveControl) -> str:
    ours, theirs = formats.score(one.arm_mean), formats.score(one.control_mean)
    match one.kind:
        case "baseline":
            return (
                f"{one.measure}: {one.control}, which asks no model, has {theirs} where {arm} has {ours}: "
                "this measure hardly tells an answer from none."
            )
        case "wrong reference":
            return (
                f"{one.measure}: scored against the wrong references, {arm} still has {theirs} of its {ours}: "
                "this measure rewards the form more than what is said."
            )
        case "random weights":
            return (
                f"{one.measure}: {one.control} has {theirs} where {arm} has {ours}: "
                "on this measure pretraining has earned next to nothing."
            )
