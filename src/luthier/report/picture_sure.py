"""How sure: every arm's mean with its interval and its seeds, and every arm against the best with the margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from luthier.report import formats
from luthier.report.drawing import Picture, render
from luthier.report.findings import ArmSummary, Estimate, Group, rank
from luthier.report.palette import BASELINE, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONG_NAME = 24
"""A longer name is broken over lines."""
_DASHES = (0, (4, 3))
_BELOW = 0.24
"""The seeds stand so far below their interval, in rows."""


def forest(group: Group, measure: str) -> Picture:
    """Every arm's mean of a measure with its interval, best on top, each seed's mean as a small ring beneath.

    Controls and trivial baselines stand below; a trivial baseline is a line through all rows too.
    """
    lower = measure in group.lower_is_better
    kinds = (group.contenders, group.controls, group.baselines)
    arms = [arm for kind in kinds for arm in rank(kind, measure, lower)]
    drawn = looks(group)

    def draw(axes: Axes) -> None:
        for row, arm in enumerate(arms):
            found, look = arm.scores[measure], drawn[arm.arm]
            if arm.baseline:
                axes.axvline(found.mean, color=BASELINE, linewidth=0.9, linestyle=_DASHES, alpha=0.6)
            _interval(axes, found, row, look.colour)
            axes.plot([found.mean], [row], "|" if arm.baseline else look.marker, color=look.colour, markersize=7)
            seeds = _by_seed(arm, measure)
            if len(seeds) > 1:
                axes.plot(
                    seeds, [row + _BELOW] * len(seeds), "o", color=look.colour, markerfacecolor="none", markersize=3.4
                )
        _rows(axes, group, arms)

    name = f"{measure}, mean and 95% interval" + (" (lower is better)" if lower else "")
    said = "; ".join(f"{arm.arm} {formats.estimate(arm.scores[measure])}{_seeds_said(arm, measure)}" for arm in arms)
    return Picture(name, render(draw, 4.8, _height(group, arms, 0.38), said=f"{name}: {said}"))


def against_best(group: Group) -> Picture | None:
    """Every other contender minus the best one, with the margin that would not matter; None where there is one arm."""
    lower = group.primary in group.lower_is_better
    arms = [arm for arm in rank(group.contenders, group.primary, lower) if arm.against_best is not None]
    if not arms or group.best is None:
        return None
    drawn = looks(group)
    edge = group.margin if lower else -group.margin

    def draw(axes: Axes) -> None:
        axes.axvspan(min(0, edge), max(0, edge), color=BASELINE, alpha=0.16, linewidth=0)
        axes.axvline(0, color=BASELINE, linewidth=1)
        if edge:
            axes.axvline(edge, color=BASELINE, linewidth=1, linestyle=_DASHES)
        for row, arm in enumerate(arms):
            found, look = arm.against_best, drawn[arm.arm]
            assert found is not None
            _interval(axes, Estimate(found.difference, found.low, found.high, found.n), row, look.colour)
            axes.plot([found.difference], [row], look.marker, color=look.colour, markersize=7)
        _rows(axes, group, arms)

    name = f"{group.primary}: difference to the best, {group.best.arm}"
    said = "; ".join(f"{arm.arm} {formats.comparison(arm.against_best)}" for arm in arms)
    return Picture(name, render(draw, 4.8, _height(group, arms, 0.34), said=f"{name}: {said}"))


def _interval(axes: Axes, found: Estimate, row: int, colour: str) -> None:
    if found.low is not None and found.high is not None:
        axes.plot([found.low, found.high], [row, row], color=colour, linewidth=2.4)


def _rows(axes: Axes, group: Group, arms: Sequence[ArmSummary]) -> None:
    axes.set_yticks(range(len(arms)), ["\n".join(lines) for lines in _labels(group, arms)])
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)


def _labels(group: Group, arms: Sequence[ArmSummary]) -> list[list[str]]:
    names = [arm.arm + (" (reference)" if arm.arm == group.reference else "") for arm in arms]
    return [formats.broken(name, _LONG_NAME) for name in names]


def _height(group: Group, arms: Sequence[ArmSummary], row: float) -> float:
    return 0.45 + sum(max(row, 0.17 * len(lines)) for lines in _labels(group, arms))


def _by_seed(arm: ArmSummary, measure: str) -> list[float]:
    scored = [run.scores[measure] for run in arm.finished if run.scores.get(measure)]
    return [] if arm.same_for_all_seeds else [sum(values.values()) / len(values) for values in scored]


def _seeds_said(arm: ArmSummary, measure: str) -> str:
    seeds = _by_seed(arm, measure)
    return f" (seeds {', '.join(map(formats.score, seeds))})" if len(seeds) > 1 else ""
