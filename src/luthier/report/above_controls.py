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
        share=theirs / ours if not lower and ours > 0 and theirs >= 0 else None,
    )


def flags(arms: Sequence[ArmSummary], measures: Sequence[str], terms: Terms) -> tuple[Flag, ...]:
    """The measures that a control nearly reaches, one flag each: the strongest control that does.

    The primary measure has a second one where the wrong references nearly reach it too: what the form alone earns is
    the measure's own fault, whatever another control has.
    """
    contenders = [arm for arm in arms if arm.contender]
    found = []
    for measure in measures:
        ranked = rank(contenders, measure, measure in terms.lower_is_better)
        if not ranked or is_side(measure):
            continue
        best = ranked[0]
        near = [(one, why) for one in best.above_control.get(measure, ()) if (why := _why(one, terms))]
        also = [pair for pair in near[1:] if pair[0].kind == "wrong reference" and measure == terms.primary]
        found += [Flag(measure, best.arm, one, why, _words(best.arm, one, why, terms)) for one, why in near[:1] + also]
    return tuple(found)


def _why(one: AboveControl, terms: Terms) -> Literal["not above", "share"] | None:
    ahead = one.low if one.measure not in terms.lower_is_better else None if one.high is None else -one.high
    if ahead is not None and ahead <= (terms.margin if one.measure == terms.primary else 0):
        return "not above"
    return "share" if one.share is not None and one.share >= NEARLY else None


def _words(arm: str, one: AboveControl, why: Literal["not above", "share"], terms: Terms) -> str:
    ours, theirs = formats.score(one.arm_mean), formats.score(one.control_mean)
    match one.kind:
        case "baseline":
            met = f"{one.control}, which asks no model, has {theirs} where {arm} has {ours}"
            follows = "this measure hardly tells an answer from none"
        case "wrong reference":
            met = f"scored against the wrong references, {arm} still has {theirs} of its {ours}"
            follows = "this measure rewards the form more than what is said"
        case "random weights":
            met = f"{one.control} has {theirs} where {arm} has {ours}"
            follows = "on this measure pretraining has earned little"
    if why == "not above":
        by = f" by the margin, {terms.margin:g}" if one.measure == terms.primary and terms.margin else ""
        shown = f"{arm} is not shown to be above it{by}"
        # The share is of the same texts twice: it says something of the measure whatever the interval is.
        both = one.kind == "wrong reference" and one.share is not None and one.share >= NEARLY
        follows = f"{follows}, and {shown}" if both else shown
    return f"{one.measure}: {met}: {follows}."
