"""Learning curves: the primary measure over the size of the training set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.report import formats
from luthier.report.drawing import Picture, render
from luthier.report.findings import Curve, Group, LearningCurves
from luthier.report.palette import looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEVEL = (0, (5, 3))
_APART = 0.045
"""Bars of arms at one size stand side by side: so many powers of e apart."""


def learning_curve(found: LearningCurves, group: Group) -> Picture:
    """One line an arm, sizes on a logarithmic axis, intervals as bars; what trains nothing is a level line.

    Args:
        found: the curves of one task and model.
        group: with the arms of all its sizes, for their colours.
    """
    drawn = looks(group)
    curves = [curve for curve in found.curves if curve.points]
    sizes = sorted({size for curve in curves for size, _ in curve.points})

    def draw(axes: Axes) -> None:
        axes.set_xscale("log")
        for index, curve in enumerate(curves):
            look = drawn[curve.arm]
            if not curve.trains:
                axes.axhline(curve.points[-1][1].mean, color=look.colour, linewidth=1.4, linestyle=_LEVEL)
                continue
            shift = 1 + _APART * (index - (len(curves) - 1) / 2)
            places = [size * shift for size, _ in curve.points]
            for place, (_, one) in zip(places, curve.points, strict=True):
                if one.low is not None and one.high is not None:
                    axes.plot([place, place], [one.low, one.high], color=look.colour, linewidth=1.3, alpha=0.7)
            means = [one.mean for _, one in curve.points]
            axes.plot(places, means, color=look.colour, linewidth=1.8, marker=look.marker, markersize=6)
        axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.margins(y=0.1)
        axes.set_xlabel("training examples")
        axes.locator_params(axis="y", nbins=6)

    title = f"{found.primary} over the size of the training set" + (" (lower is better)" * found.lower_is_better)
    return Picture(title, render(draw, 4.8, 3.1, said=f"{title}: {'; '.join(map(_said, curves))}"))


def _said(curve: Curve) -> str:
    if not curve.trains:
        return f"{curve.arm} {formats.score(curve.points[-1][1].mean)} at every size"
    return f"{curve.arm} " + ", ".join(f"{formats.score(one.mean)} at {size:,}" for size, one in curve.points)
