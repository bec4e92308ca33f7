"""What a reader sees first: one line, and five questions answered in a few words.

Which arm, how sure, what it costs, what is lost, what next: `verdict.py` says the same at length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luthier.report import formats
from luthier.report.comparing import cost_order
from luthier.report.findings import ArmSummary, Comparison, Forgotten, Group, rank
from luthier.report.forgetting import worst
from luthier.report.verdict import SEEDS_FOR_A_RANKING, few_seeds, recommends, taken


@dataclass(frozen=True)
class Answered:
    """One question: `short` is read at a glance, `more` says what it rests on."""

    question: str
    short: str
    more: str


def headline(group: Group) -> str:
    """The verdict in one line."""
    best = group.best
    if best is None:
        return f"No arm was scored on {group.primary}."
    if group.beaten:
        return f"No arm is of use yet: {group.beaten[0].arm}, which asks no model, beats them all."
    if rivals := _rivals(group):
        return f"No arm is shown to be of use: {rivals[0]}, which asks no model, may do as well."
    if few_seeds(group):
        return f"Too few seeds for a ranking; so far {best.arm} scores best."
    if group.cheapest is None or group.cheapest.arm == best.arm:
        cheaper = group.margin and any(cost_order(arm) < cost_order(best) for arm in group.contenders if arm.finished)
        return f"Take {best.arm}: it scores best" + (
            f", and no cheaper arm is shown to come within {group.margin:g} of it." if cheaper else "."
        )
    return f"Take {group.cheapest.arm}: it is cheaper than {best.arm}, and not worse by {group.margin:g}."


def _rivals(group: Group) -> list[str]:
    """The trivial baselines that the best arm is not shown to be better than, best first."""
    best, lower = group.best, group.primary in group.lower_is_better
    found = {} if best is None else best.against
    level = [arm for arm in group.baselines if (one := found.get(arm.arm, {}).get(group.primary)) and not one.better]
    return [arm.arm for arm in rank(level, group.primary, lower)]


def recommended(group: Group) -> ArmSummary | None:
    """The arm that the study says to take; None where it claims no ranking, or a trivial baseline may do as well."""
    return group.cheapest if recommends(group) else None


def answers(group: Group) -> tuple[Answered, ...]:
    """The five; none where no arm was scored."""
    arm = taken(group)
    if arm is None:
        return ()
    return (_which(group, arm), _sure(group, arm), _price(arm), _lost(group, arm), _next(group))


def overall(groups: Sequence[Group]) -> str:
    """Several places in one line: which arm is the one to take, and in how many of them."""
    named = [arm.arm for group in groups if (arm := recommended(group))]
    if not named:
        return f"{len(groups)} comparisons, and none says which arm to take."
    counts = sorted({name: named.count(name) for name in named}.items(), key=lambda entry: -entry[1])
    first, *others = [f"{name} in {count}" for name, count in counts]
    rest = f", {', '.join(others)}" if others else ""
    undecided = len(groups) - len(named)
    open_ones = f"; {undecided} {'claims' if undecided == 1 else 'claim'} no ranking" if undecided else ""
    return f"Of {len(groups)} comparisons, take {first}{rest}{open_ones}."


def _which(group: Group, arm: ArmSummary) -> Answered:
    mean = f"{group.primary} {formats.estimate(arm.scores[group.primary])}"
    best = group.best
    if rivals := _rivals(group):
        more = f"{arm.arm} scores best of the arms ({mean}), but may do no better than {', '.join(rivals)}"
        return Answered("Which arm?", "none yet", more)
    if best is None or best.arm == arm.arm:
        short = f"{arm.arm}, so far" if few_seeds(group) else arm.arm
        return Answered("Which arm?", short, f"{mean}, the best")
    more = f"{mean}; cheaper than {best.arm} ({formats.score(best.scores[group.primary].mean)}), and not worse by "
    return Answered("Which arm?", arm.arm, f"{more}{group.margin:g}")


def _sure(group: Group, arm: ArmSummary) -> Answered:
    found = group.difference(arm)
    resting = [f"{arm.scores[group.primary].n} examples"]
    seeds = len(arm.seeds)
    if not arm.same_for_all_seeds:
        resting.append(f"{seeds} seed{'' if seeds == 1 else 's'}")
    said = [formats.comparison(found)] if found else []
    others = [one for one in group.contenders if group.primary in one.scores and one.arm != arm.arm]
    tied = [one.arm for one in others if one.tied_with_best]
    if tied:
        said.append(f"level with {', '.join(tied)}")
    elif len(others) > 1:
        said.append("every other arm is worse")
    return Answered("How sure?", _outcome(group, arm, found), "; ".join([*said, ", ".join(resting)]))


def _outcome(group: Group, arm: ArmSummary, found: Comparison | None) -> str:
    if arm.arm == group.reference:
        return "nothing is surely better"
    if found is None or found.low is None:
        return "cannot be told"
    if found.better and not found.stands:
        return f"perhaps better than {group.reference}"
    word = found.outcome or ("undecided" if found.better is None else "better" if found.better else "worse")
    return f"undecided against {group.reference}" if word == "undecided" else f"{word} than {group.reference}"


def _price(arm: ArmSummary) -> Answered:
    if not arm.trained:
        more = "no weight is trained"
        if arm.cost.predict_seconds:
            more += f"; answering the test set took {formats.seconds(arm.cost.predict_seconds)}"
        return Answered("What does it cost?", "no training", more)
    parts = [f"{formats.count(arm.cost.trainable_parameters)} parameters trained"]
    if arm.cost.total_parameters:
        parts[0] += f" of {formats.count(arm.cost.total_parameters)}"
    if arm.cost.peak_bytes:
        parts.append(f"{formats.size(arm.cost.peak_bytes)} at the peak")
    if arm.cost.adapter_bytes:
        parts.append(f"{formats.size(arm.cost.adapter_bytes)} to keep")
    return Answered("What does it cost?", f"{formats.training_time(arm)} of training", "; ".join(parts))


def _lost(group: Group, arm: ArmSummary) -> Answered:
    question = "What is lost?"
    if not arm.trained:
        return Answered(question, "nothing", "no weight moves, so the base stays as it was")
    found = worst(arm.forgetting)
    if found is None:
        return Answered(question, "not measured", "set forgetting: true, and name tasks under retain")
    others = [one for one in arm.forgetting.values() if one is not found]
    more = "; ".join(map(_before_after, [found, *others]))
    if not found.lost:
        return Answered(question, "nothing seen", more)
    return Answered(question, f"{formats.signed(found.difference)} {measure_name(found.measure)}", more)


def _before_after(found: Forgotten) -> str:
    return f"{found.task} {formats.score(found.before)} → {formats.score(found.after)}"


def _next(group: Group) -> Answered:
    edges = [choice.arm for choice in group.choices if choice.edge]
    steps = [f"Run {SEEDS_FOR_A_RANKING} seeds."] if few_seeds(group) else list(group.settles)
    if edges:
        steps.append(
            f"The choice of {', '.join(dict.fromkeys(edges))} lies at the edge of what was tried: try further."
        )
    failed = [arm.arm for arm in group.contenders if arm.status == "failed"]
    if failed:
        steps.append(f"Mend {', '.join(failed)}, which failed.")
    if rivals := _rivals(group):
        steps.insert(0, f"More training data, more steps or a stronger model: first an arm must beat {rivals[0]}.")
    first, *others = steps or ["Nothing that more examples or seeds would settle."]
    return Answered("What next?", first, " ".join(others))


def measure_name(measure: str) -> str:
    """A measure's name in words: `bits per byte`."""
    return measure.replace("_", " ")
