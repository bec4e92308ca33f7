"""From which size of the training set on an arm learns no more that this study could see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.report import formats
from luthier.report.comparing import compare, holds, in_family
from luthier.report.curves import Curve, LearningCurves
from luthier.report.findings import ArmSummary, Group
from luthier.report.measured import Comparison
from luthier.report.pairing import Terms
from luthier.report.standing import SEEDS_FOR_A_RANKING, fewest_seeds


def learning_curves(groups: Sequence[Group], terms: Mapping[str, Terms]) -> tuple[LearningCurves, ...]:
    """One a task and model that has several sizes.

    Args:
        groups: of all sizes.
        terms: by task.
    """
    found = []
    for task, model in dict.fromkeys((group.task, group.model) for group in groups):
        here = [group for group in groups if (group.task, group.model) == (task, model) and group.size is not None]
        if len(here) < 2:
            continue
        names = dict.fromkeys(arm.arm for group in here for arm in group.contenders)
        drawn = [_curve(here, name, terms[task]) for name in names]
        primary, lower = here[0].primary, here[0].primary in here[0].lower_is_better
        curves = tuple(curve for curve in drawn if curve is not None)
        found.append(LearningCurves(task, model, primary, lower, curves))
    return tuple(found)


def _curve(groups: Sequence[Group], name: str, terms: Terms) -> Curve | None:
    arms: dict[int, ArmSummary] = {}
    for group in sorted(groups, key=lambda group: group.size or 0):
        arm = group.arm(name)
        if arm is not None and terms.primary in arm.scores and group.size is not None:
            arms[group.size] = arm
    if not arms:
        return None
    points = tuple((size, arm.scores[terms.primary]) for size, arm in arms.items())
    sign = -1 if terms.primary in terms.lower_is_better else 1
    best = max(points, key=lambda point: sign * point[1].mean)[0]
    seeds = fewest_seeds(arms.values())
    against = _against(arms, best, terms)
    enough = _enough(list(arms), best, against) if len(arms) > 1 and seeds >= SEEDS_FOR_A_RANKING else None
    trains = any(arm.trained for arm in arms.values())
    curve = Curve(name, points, trains, best, enough, words="")
    return Curve(name, points, trains, best, enough, _words(curve, against, seeds, terms))


def _against(arms: Mapping[int, ArmSummary], best: int, terms: Terms) -> dict[int, Comparison]:
    """Each size against the best one, Holm over all of them; a size that cannot be compared is left out."""
    met = {
        size: found
        for size, arm in arms.items()
        if size != best and (found := compare(arm, arms[best], terms.primary, terms)) and found.low is not None
    }
    return dict(zip(met, in_family(list(met.values()), terms), strict=True))


def _enough(sizes: Sequence[int], best: int, against: Mapping[int, Comparison]) -> int:
    """The smallest size such that it, and every larger one up to the best, is a tie with the best."""
    enough = best
    for size in sorted((size for size in sizes if size < best), reverse=True):
        if size not in against or _worse(against[size]):
            break
        enough = size
    return enough


def _worse(found: Comparison) -> bool:
    return found.better is False and not holds(found)


def _words(curve: Curve, against: Mapping[int, Comparison], seeds: int, terms: Terms) -> str:
    means = dict(curve.points)
    if len(means) < 2:
        return ""
    if len({point.mean for point in means.values()}) == 1:
        return f"{curve.arm} is the same at every size: {formats.score(means[curve.best].mean)}."
    top = f"its best mean {terms.primary}, {formats.score(means[curve.best].mean)} at {curve.best:,}"
    if curve.enough is None:
        few = formats.counted(seeds, "seed")
        return f"{curve.arm} has {top}, so far: with {few} nothing is said of how many examples are enough."
    lost = [size for size in means if size > curve.best and size in against and _worse(against[size])]
    falls = f" With more it loses: it is worse at {', '.join(f'{size:,}' for size in lost)}." if lost else ""
    return _reached(curve, against, top, bool(lost)) + falls


def _reached(curve: Curve, against: Mapping[int, Comparison], top: str, falls: bool) -> str:
    """Up to the best size: whether the arm still gains there, and whether fewer examples would have done."""
    assert curve.enough is not None
    sizes = [size for size, _ in curve.points]
    if curve.enough < curve.best:
        found = against[curve.enough]
        gap = f"(difference {formats.comparison(found)})"
        if holds(found):
            enough = f"{curve.enough:,} examples are enough"
            return f"{curve.arm}: {enough} to be not worse by as much as the margin than {top} {gap}."
        held = [size for size in sizes if curve.enough < size < curve.best and holds(against[size])]
        shown = f"{held[0]:,} are shown to be" if held else "no smaller number is shown to be"
        return (
            f"{curve.arm} is not told apart from {top}, from {curve.enough:,} examples on {gap}; that is not to say "
            f"enough: {shown} not worse by as much as the margin."
        )
    smaller = max((size for size in sizes if size < curve.best), default=None)
    if smaller is not None and smaller not in against:
        return f"{curve.arm} has {top}; it cannot be compared with {smaller:,}."
    if smaller is not None and curve.best == max(sizes):
        gap = formats.comparison(against[smaller])
        return f"{curve.arm} still gains at {curve.best:,} examples, the most tried ({smaller:,} against it: {gap})."
    more = "" if falls else "; more gain nothing that this study can see"
    needs = (
        f"{curve.best:,} examples, the fewest tried, are enough"
        if smaller is None
        else f"needs {curve.best:,} examples"
    )
    return f"{curve.arm}{':' * (smaller is None)} {needs}{more} ({top})."
