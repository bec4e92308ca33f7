"""The report's opening in plain words: which arm, how sure, what it costs, what is lost, what next.

It never claims more than the intervals say.
"""

from __future__ import annotations

from luthier.report import formats
from luthier.report.comparing import cost_order, holds
from luthier.report.findings import ArmSummary, Group, Summary, rank
from luthier.report.forgetting import worst

SEEDS_FOR_A_RANKING = 3
"""Under so many seeds the spread between seeds is not known well enough to rank arms."""


def verdict(summary: Summary, timed: bool = False) -> str:
    """All that is to be said in one text, a paragraph a task and model, each under its name where there are several.

    Args:
        timed: whether training times are among the costs. They differ from machine to machine, and from day to day;
            without them two runs of a study have the same verdict.
    """
    parts = verdict_parts(summary, timed)
    if not parts:
        return "No run has finished."
    opening = [_overall(summary)] if _overall(summary) else []
    if len(parts) == 1:
        return " ".join(parts[0][1])
    return "\n".join([*opening, *(f"{title}: {' '.join(sentences)}" for title, sentences in parts)])


def verdict_parts(summary: Summary, timed: bool = True) -> list[tuple[str, list[str]]]:
    """Title and sentences of each task and model: of its largest training set, and of the curve over the sizes."""
    parts = []
    for group in _largest(summary):
        curves = [one for one in summary.curves if (one.task, one.model) == (group.task, group.model)]
        said = [curve.words for one in curves for curve in one.curves if curve.words]
        parts.append((group.title, [*group_verdict(group, timed), *said]))
    return parts


def _largest(summary: Summary) -> list[Group]:
    """Of each task and model, the group with the largest training set."""
    found = {(group.task, group.model): group for group in summary.groups}  # sizes go upwards, so the last one stays
    return list(found.values())


def _overall(summary: Summary) -> str:
    """In how many of several places which arm is the one to take."""
    groups = [group for group in _largest(summary) if group.cheapest and recommends(group)]
    if len(groups) < 2:
        return ""
    names = [group.cheapest.arm for group in groups if group.cheapest]
    counts = sorted({name: names.count(name) for name in names}.items(), key=lambda entry: -entry[1])
    told = ", ".join(f"{name} in {count}" for name, count in counts)
    return f"Over {len(groups)} pairs of task and model, the arm to take is {told}."


def group_verdict(group: Group, timed: bool = True) -> list[str]:
    """One sentence each; what undoes all the rest (a trivial baseline that is as good) comes first."""
    best = group.best
    if best is None:
        return [f"No arm was scored on {group.primary}: every run failed or is unfinished."]
    arm = taken(group) or best
    sentences = [
        *_of_no_use(group, best),
        few_seeds(group),
        _which(group, best, arm),
        _how_sure(group, best),
        _against_reference(group, arm),
        _above_controls(group, arm),
        _costs(arm, timed),
        _lost(group, arm),
        _leaks(group, arm),
        _failed(group),
        _next(group),
    ]
    return [sentence for sentence in sentences if sentence]


def taken(group: Group) -> ArmSummary | None:
    """The arm that the verdict speaks of: the cheapest that will do, or the best where nothing can be claimed."""
    return group.cheapest if group.cheapest is not None and recommends(group) else group.best


def _of_no_use(group: Group, best: ArmSummary) -> list[str]:
    if group.beaten:
        first, *others = rank(group.beaten, group.primary, group.primary in group.lower_is_better)
        ours, theirs = (formats.score(arm.scores[group.primary].mean) for arm in (best, first))
        text = f"{first.arm}, which asks no model, has a mean {group.primary} of {theirs}; the best arm has {ours}."
        if others:
            verb = "beat" if len(others) > 1 else "beats"
            text += f" {' and '.join(_with_mean(group, arm) for arm in others)} {verb} every arm too."
        return ["A trivial baseline beats every arm: none has learnt the task well enough to be of use.", text]
    level = [
        arm
        for arm in group.baselines
        if (found := best.against.get(arm.arm, {}).get(group.primary)) is not None and not found.better
    ]
    if not level:
        return []
    names = " and ".join(_with_mean(group, arm) for arm in level)
    return [f"No arm is shown to be of use: the best is not told apart from a trivial baseline, {names}, or is worse."]


def few_seeds(group: Group) -> str:
    """Why no ranking is claimed; empty where there are seeds enough."""
    # An arm that trains nothing may have been run once for all seeds.
    fewest = min((len(arm.seeds) for arm in group.contenders if arm.seeds and not arm.same_for_all_seeds), default=3)
    if fewest >= SEEDS_FOR_A_RANKING:
        return ""
    return f"With {_plural(fewest, 'seed')} no ranking is claimed: it takes {SEEDS_FOR_A_RANKING}."


def recommends(group: Group) -> bool:
    """Whether an arm is recommended: there are seeds enough, and the best is better than the trivial baselines."""
    return group.best is not None and not few_seeds(group) and not _of_no_use(group, group.best)


def _which(group: Group, best: ArmSummary, taken: ArmSummary) -> str:
    found = taken.scores[group.primary]
    interval = f"95% interval {formats.bounds(found)}; " if formats.bounds(found) else "without an interval; "
    mean = f"{formats.score(found.mean)} ({interval}{_ground(taken, found.n)})"
    kind = "lowest" if group.primary in group.lower_is_better else "highest"
    if few_seeds(group) or _of_no_use(group, best):
        return f"Of the arms, {best.arm} has the {kind} mean {group.primary}: {mean}."
    if taken is not best:
        gap = f", {formats.comparison(taken.against_best)}" if taken.against_best else ""
        return (
            f"Take {taken.arm}: it is the cheapest arm that is not worse than the best, {best.arm}, by as much as "
            f"{formats.score(group.margin)}{gap}. Its mean {group.primary} is {mean}."
        )
    text = f"Take {best.arm}: it has the {kind} mean {group.primary}, {mean}"
    cheaper = [arm for arm in group.contenders if arm.scores and cost_order(arm) < cost_order(best)]
    if len(group.contenders) < 2:
        return f"{text}; there is no other arm."
    if not cheaper:
        return f"{text}, and no arm is cheaper."
    close = f"come within {formats.score(group.margin)} of it" if group.margin else "be as good"
    return f"{text}, and no cheaper arm is shown to {close}."


def _ground(arm: ArmSummary, items: int) -> str:
    seeds = "the same for every seed" if arm.same_for_all_seeds else _plural(len(arm.seeds), "seed")
    return f"{_plural(items, 'test example')}, {seeds}"


def _how_sure(group: Group, best: ArmSummary) -> str:
    """How many of the other arms are told apart from the best."""
    others = [arm for arm in group.contenders if arm.against_best is not None]
    if few_seeds(group) or not others:
        return ""
    worse = [arm.arm for arm in others if arm.against_best and arm.against_best.better is False]
    level = [arm.arm for arm in others if arm.arm not in worse]
    if not level:
        return f"Every other arm is worse than {best.arm}: {_listed(worse)}."
    if not worse:
        return f"{best.arm} is not told apart from any other arm: {_listed(level)}."
    return (
        f"Of the other {len(others)} arms, {len(worse)} {_is(worse)} worse than {best.arm} ({_listed(worse)}) and "
        f"{len(level)} {_is(level)} not told apart from it ({_listed(level)})."
    )


def _against_reference(group: Group, taken: ArmSummary) -> str:
    if taken.arm == group.reference:
        return "It is the reference itself." if len(group.contenders) > 1 else ""
    found = group.difference(taken)
    if found is None:
        return f"It cannot be compared with the reference, {group.reference}, which has no {group.primary}."
    text = f"Against the reference, {group.reference}: {formats.comparison(found)}"
    if found.low is None:
        return f"{text}; there is no interval for it, so nothing follows."
    if found.better is None:
        seen = ""
        if found.smallest_visible is not None:
            seen = f"; this study would have seen a difference of {formats.score(found.smallest_visible)}"
        level = "not worse by as much as the margin" if holds(found) else "not told apart"
        return f"{text}, {level}{seen}."
    holm = "" if found.p_holm is None else f" (p after Holm {formats.p_value(found.p_holm)})"
    if not found.stands:
        return f"{text}, but over all arms compared{holm} it may be chance."
    return f"{text}, {'better' if found.better else 'worse'}{holm}."


def _above_controls(group: Group, taken: ArmSummary) -> str:
    flagged = next((flag for flag in group.flags if flag.measure == group.primary), None)
    if flagged is not None:
        told = flagged.found.kind == "baseline" and group.best is not None and _of_no_use(group, group.best)
        return "" if told else flagged.words
    controls = taken.above_control.get(group.primary, ())
    if not controls or any(not one.above for one in controls):
        return ""
    first = controls[0]
    return (
        f"It is better than every trivial baseline and control here; the strongest, {first.control}, has "
        f"{formats.score(first.control_mean)}."
    )


def _costs(arm: ArmSummary, timed: bool) -> str:
    if not arm.cost.trainable_parameters:
        return "It trains nothing."
    time = f" in {formats.training_time(arm)}" if timed and arm.cost.train_seconds else ""
    kept = f"; what it keeps takes {formats.size(arm.cost.adapter_bytes)}" if arm.cost.adapter_bytes else ""
    return f"It trains {formats.count(arm.cost.trainable_parameters)} parameters{time}{kept}."


def _lost(group: Group, arm: ArmSummary) -> str:
    if not arm.trained:
        return "It forgets nothing: the base is untouched."
    found = worst(arm.forgetting)
    if found is None:
        return "What it forgets was not measured."
    change = f"{formats.score(found.before)} to {formats.score(found.after)} {found.measure}"
    by = formats.change(found.difference, found.low, found.high)
    if found.lost:
        return f"What it loses of the base, at worst: {found.task}, {change} ({by})."
    return f"It is not seen to forget anything; the nearest to it is {found.task}, {change} ({by})."


def _leaks(group: Group, taken: ArmSummary) -> str:
    if group.leakage is None or not group.leakage.words:
        return ""
    text = group.leakage.words
    if taken.without_leaks is not None:
        scored = formats.estimate(taken.without_leaks)
        text += f" Without those of the test set, {taken.arm} has {scored} {group.primary}."
    return text


def _failed(group: Group) -> str:
    failed = [arm.arm for arm in group.contenders if arm.status == "failed"]
    return f"Failed, and not compared: {', '.join(failed)}." if failed else ""


def _next(group: Group) -> str:
    """What to do now: what is undecided, or where a better arm may lie."""
    if few_seeds(group):
        return f"Next: run {SEEDS_FOR_A_RANKING} seeds."
    if group.settles:
        return f"Next: {' '.join(group.settles[:2])}"
    edge = next((one for one in group.choices if one.edge), None)
    if edge is not None:
        return f"Next: more trials for {edge.arm}: its {edge.what}, {edge.label}, is at the edge of what was tried."
    if len(group.contenders) > 1 and group.margin:
        return f"Nothing is left undecided at a margin of {formats.score(group.margin)}."
    return ""


def _with_mean(group: Group, arm: ArmSummary) -> str:
    return f"{arm.arm} ({formats.score(arm.scores[group.primary].mean)})"


def _listed(names: list[str]) -> str:
    return ", ".join(names)


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
