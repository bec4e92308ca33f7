"""What may be claimed of a group, decided once: whether arms are ranked, which one to take, where the others stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from luthier.report.comparing import holds
from luthier.report.findings import ArmSummary, Group, rank

SEEDS_FOR_A_RANKING = 3
"""Under so many seeds the spread between seeds is not known well enough to rank arms."""


def fewest_seeds(arms: Iterable[ArmSummary]) -> int:
    """Of the contenders that ran; one that trains nothing may have been run once for all seeds, and does not count."""
    counts = (len(arm.seeds) for arm in arms if arm.contender and arm.seeds and not arm.same_for_all_seeds)
    return min(counts, default=SEEDS_FOR_A_RANKING)


def few_seeds(group: Group) -> bool:
    """Whether there are too few seeds for a ranking."""
    return fewest_seeds(group.arms) < SEEDS_FOR_A_RANKING


def rivals(group: Group) -> list[ArmSummary]:
    """The trivial baselines that the best arm is not shown to be better than, best first."""
    found = {} if group.best is None else group.best.against
    level = [arm for arm in group.baselines if (one := found.get(arm.arm, {}).get(group.primary)) and not one.better]
    return rank(level, group.primary, group.primary in group.lower_is_better)


def recommended(group: Group) -> ArmSummary | None:
    """The arm to take: the cheapest that will do; None where no ranking is claimed, or a baseline may do as well."""
    return None if few_seeds(group) or rivals(group) or alone(group) else group.cheapest


def alone(group: Group) -> bool:
    """Whether there are other arms, and not one of them can be compared with the best."""
    found = standing(group)
    return found is not None and bool(found.untold) and not (found.worse or found.within or found.level)


def taken(group: Group) -> ArmSummary | None:
    """The arm that the report speaks of: the recommended one, or the best where none is recommended."""
    return recommended(group) or group.best


def to_beat(group: Group) -> str:
    """What to do where a trivial baseline may do as well as the best arm; empty where none does."""
    level = rivals(group)
    if not level:
        return ""
    return f"more training data, more steps or a stronger model: first an arm must beat {level[0].arm}."


@dataclass(frozen=True)
class Standing:
    """Where the other contenders stand against the best one, Holm over all of them; names, the best mean first.

    Attributes:
        worse: shown to be worse.
        within: shown to be worse, but by less than the margin.
        level: not told apart from the best.
        untold: those that cannot be compared with it, each with the reason; never a tie.
        undecided: those of `level` that may yet be worse by as much as the margin.
    """

    best: str
    margin: float
    worse: tuple[str, ...]
    within: tuple[str, ...]
    level: tuple[str, ...]
    untold: tuple[tuple[str, str], ...]
    undecided: tuple[str, ...]

    @property
    def words(self) -> str:
        """One sentence; empty where there is no other arm."""
        compared = self._compared()
        if not compared or not self.untold:
            return f"{compared}." if compared else self.not_compared
        return f"{compared}; not compared: {self._untold()}."

    @property
    def brief(self) -> str:
        """The same in fewer words: the arms that are worse are counted, the others named; empty as above."""
        named = (
            (self.within, f"worse by less than {self.margin:g}"),
            (self.level, "not told apart"),
            (tuple(name for name, _ in self.untold), "not compared"),
        )
        parts = [f"{len(self.worse)} worse"] if self.worse else []
        parts += [f"{len(names)} {what} ({', '.join(names)})" for names, what in named if names]
        return f"Against {self.best}: {', '.join(parts)}." if parts else ""

    @property
    def not_compared(self) -> str:
        """A sentence on the arms that cannot be compared, and why; empty where there is none."""
        return f"Not compared: {self._untold()}." if self.untold else ""

    def _untold(self) -> str:
        return ", ".join(f"{name} ({why})" for name, why in self.untold)

    def _compared(self) -> str:
        if self.worse and not (self.within or self.level or self.untold):
            return f"Every other arm is worse than {self.best}: {', '.join(self.worse)}"
        if self.level and not (self.within or self.worse or self.untold):
            return f"{self.best} is not told apart from any other arm: {', '.join(self.level)}"
        parts = [
            f"{_are(names)} {what}"
            for names, what in (
                (self.worse, "worse"),
                (self.within, f"worse by less than {self.margin:g}"),
                (self.level, "not told apart from it"),
            )
            if names
        ]
        return f"Against {self.best}, {', '.join(parts)}" if parts else ""


def standing(group: Group) -> Standing | None:
    """Where the contenders stand; None where none was scored."""
    best = group.best
    if best is None:
        return None
    ranked = rank(group.contenders, group.primary, group.primary in group.lower_is_better)
    found = {arm.arm: arm.against_best for arm in ranked[1:] if arm.against_best and arm.against_best.low is not None}
    others = [arm for arm in group.contenders if arm is not best and arm.arm not in found]
    return Standing(
        best=best.arm,
        margin=group.margin,
        worse=tuple(name for name, one in found.items() if one.better is False and not holds(one)),
        within=tuple(name for name, one in found.items() if one.better is False and holds(one)),
        level=tuple(name for name, one in found.items() if one.better is not False),
        untold=tuple((arm.arm, _why_not(arm, group.primary)) for arm in others),
        undecided=tuple(name for name, one in found.items() if one.better is None and not holds(one)),
    )


def _why_not(arm: ArmSummary, primary: str) -> str:
    if arm.status == "failed":
        return "failed"
    if primary not in arm.scores:
        return f"no {primary}"
    return "no interval" if arm.against_best else "no seed or example in common"


def _are(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last} are" if others else f"{last} is"


def intervals_over(groups: Iterable[Group]) -> str:
    """What the intervals speak for, as a caption says it."""
    trained = [arm for group in groups for arm in group.contenders if arm.seeds and not arm.same_for_all_seeds]
    counts = [len(arm.seeds) for arm in trained]
    if max(counts, default=1) < 2:
        return "over test examples alone: no arm has more than one seed"
    alone = "; over examples alone where an arm has one seed" if min(counts) < 2 else ""
    return f"over seeds and test examples together (approximate with few seeds{alone})"
