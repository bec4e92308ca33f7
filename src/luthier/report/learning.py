"""From which size of the training set on an arm learns no more that this study could see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.report import formats
from luthier.report.comparing import compare, holds
from luthier.report.curves import Curve, LearningCurves
from luthier.report.findings import ArmSummary, Group
from luthier.report.measured import Comparison
from luthier.report.pairing import Terms


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
    against = {size: compare(arm, arms[best], terms.primary, terms) for size, arm in arms.items() if size != best}
    enough = _enough(list(arms), best, against) if len(arms) > 1 else None
    trains = any(arm.trained for arm in arms.values())
    curve = Curve(name, points, trains, best, enough, words="")
    return Curve(name, points, trains, best, enough, _words(curve, against, terms))


def _enough(sizes: Sequence[int], best: int, against: Mapping[int, Comparison | None]) -> int | None:
    """The smallest size such that it, and every larger one, is a tie with the best."""
    enough = None
    for size in reversed(sizes):
        found = against.get(size)
        if size != best and (found is None or not (found.better is None or holds(found))):
            return enough
        enough = size
    return enough


def _words(curve: Curve, against: Mapping[int, Comparison | None], terms: Terms) -> str:
    means = dict(curve.points)
    if len(means) < 2:
        return ""
    if len({point.mean for point in means.values()}) == 1:
        return f"{curve.arm} is the same at every size: {formats.score(means[curve.best].mean)}."
    top = f"its best mean {terms.primary}, {formats.score(means[curve.best].mean)} at {curve.best:,}"
    largest = max(means)
    if curve.enough is None:
        return f"{curve.arm} loses with more examples: it has {top}, and is worse at {largest:,}."
    if curve.enough == curve.best == largest:
        smaller = max(size for size in means if size != largest)
        gap = formats.comparison(against[smaller])
        return f"{curve.arm} still gains at {largest:,} examples, the most tried ({smaller:,} against it: {gap})."
    if curve.enough == curve.best:
        return f"{curve.arm} needs {curve.enough:,} examples; more gain nothing that this study can see ({top})."
    found = against[curve.enough]
    sure = "not worse by as much as the margin than" if found and holds(found) else "not told apart from"
    return (
        f"{curve.arm}: {curve.enough:,} examples are enough to be {sure} {top} "
        f"(difference {formats.comparison(found)})."
    )
