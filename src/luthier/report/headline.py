"""The report's opening in plain words, which never claims more than the intervals say."""

from __future__ import annotations

from luthier.report import formats
from luthier.report.findings import ArmSummary, Comparison, Group, Summary, rank

SEEDS_FOR_A_RANKING = 3
"""Under so many seeds the spread between seeds is not known well enough to rank arms."""


def headline(summary: Summary) -> str:
    """All groups' sentences in one text, each group under its name where there are several."""
    several = len(summary.groups) > 1
    parts = [
        (f"{group.task} on {group.model}: " if several else "") + " ".join(group_headline(group))
        for group in summary.groups
    ]
    return "\n".join(parts) if parts else "No run has finished."


def group_headline(group: Group) -> list[str]:
    """One sentence each: the best arm, its difference to the reference, the runner-up, the baselines, the seeds.

    Where a trivial baseline beats every arm, that comes first: it is what a reader must know.
    """
    best = group.best
    if best is None:
        return [f"No arm was scored on {group.primary}: every run failed or is unfinished."]
    sentences = [
        *_beaten(group, best),
        _best(group, best),
        _against_reference(group, best),
        _against_runner_up(group),
        _baselines(group, best),
    ]
    return [sentence for sentence in [*sentences, _seeds(group), _failed(group)] if sentence]


def _beaten(group: Group, best: ArmSummary) -> list[str]:
    if not group.beaten:
        return []
    first, *others = rank(group.beaten, group.primary, group.primary in group.lower_is_better)
    ours, theirs = (formats.score(arm.scores[group.primary].mean) for arm in (best, first))
    text = f"{first.arm}, which asks no model, has a mean {group.primary} of {theirs}; the best arm has {ours}."
    if others:
        verb = "beat" if len(others) > 1 else "beats"
        text += f" {' and '.join(_with_mean(group, arm) for arm in others)} {verb} every arm too."
    return ["A trivial baseline beats every arm: none has learnt the task well enough to be of use.", text]


def _best(group: Group, best: ArmSummary) -> str:
    found = best.scores[group.primary]
    interval = f"95% interval {formats.bounds(found)}, " if formats.bounds(found) else ""
    kind = "lowest" if group.primary in group.lower_is_better else "highest"
    examples, seeds = _plural(found.n, "test example"), _plural(len(best.seeds), "seed")
    who = f"Of the arms, {best.arm}" if group.beaten else best.arm
    return f"{who} has the {kind} mean {group.primary}: {formats.score(found.mean)} ({interval}{examples}, {seeds})."


def _against_reference(group: Group, best: ArmSummary) -> str:
    if best.arm == group.reference:
        return "It is the reference itself: no other arm has a better mean."
    difference = group.difference(best)
    if difference is None:
        return f"It cannot be compared with the reference, {group.reference}, which has no {group.primary}."
    text = f"Its difference to the reference, {group.reference}, is {formats.signed(difference.difference)}"
    if difference.low is None:
        return f"{text}; there is no interval for it, so nothing follows."
    text += f", 95% interval {formats.comparison_bounds(difference)}, "
    if difference.better is None:
        return f"{text}which holds zero: this study does not tell them apart."
    side = "above" if difference.difference > 0 else "below"
    text += f"wholly {side} zero"
    if not difference.stands:
        text += f"; but over all arms compared (Holm) p = {formats.p_value(difference.p_holm)}, so it may be chance"
    return f"{text}."


def _against_runner_up(group: Group) -> str:
    lead = group.lead
    if lead is None or lead.other == group.reference:
        return ""
    if lead.better:
        if _seeds(group):  # that would be a ranking
            return ""
        return f"It is ahead of the next arm, {lead.other}, by {_gap(lead)}."
    return f"It is not told apart from the next arm, {lead.other}: {_gap(lead)}."


def _gap(lead: Comparison) -> str:
    bounds = formats.comparison_bounds(lead)
    return formats.signed(lead.difference) + (f", 95% interval {bounds}" if bounds else ", without an interval")


def _baselines(group: Group, best: ArmSummary) -> str:
    scored = [arm for arm in group.baselines if group.primary in arm.scores and arm not in group.beaten]
    if not scored:
        return ""
    ahead, level = [], []
    for arm in scored:
        comparison = best.against.get(arm.arm, {}).get(group.primary)
        if comparison is not None and comparison.better is False:
            ahead.append(_with_mean(group, arm))
        elif comparison is None or comparison.better is None:
            level.append(_with_mean(group, arm))
    if ahead:
        return f"A trivial baseline beats it: {', '.join(ahead)}."
    if level:
        return f"It is not told apart from a trivial baseline: {', '.join(level)}."
    others = "the other trivial baselines" if group.beaten else "every trivial baseline here"
    return f"It is better than {others}: {', '.join(arm.arm for arm in scored)}."


def _with_mean(group: Group, arm: ArmSummary) -> str:
    return f"{arm.arm} ({formats.score(arm.scores[group.primary].mean)})"


def _seeds(group: Group) -> str:
    # An arm that trains nothing may have been run once for all seeds.
    fewest = min((len(arm.seeds) for arm in group.contenders if arm.seeds and not arm.same_for_all_seeds), default=1)
    if fewest >= SEEDS_FOR_A_RANKING:
        return ""
    return f"With {_plural(fewest, 'seed')} no ranking is claimed: it takes {SEEDS_FOR_A_RANKING}."


def _failed(group: Group) -> str:
    failed = [arm.arm for arm in group.contenders if arm.status == "failed"]
    return f"Failed, and not compared: {', '.join(failed)}." if failed else ""


def _plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
