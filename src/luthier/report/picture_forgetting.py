"""Learning against forgetting: what each arm gained on the task, and what it lost elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from luthier.report import formats
from luthier.report.drawing import INK, Picture, render
from luthier.report.findings import Estimate, Group
from luthier.report.palette import BASELINE, looks
from luthier.report.tradeoff import Tradeoff, tradeoffs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

_LONG_NAME = 18
_MARK, _NEAR = 7, 10
"""Half the width of a mark, in pixels; how far from it a name stands without a line, in points."""
_AROUND = tuple(
    (x * far, y * far) for far in (8, 16, 28, 42, 58) for x, y in ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))
)
"""Where a name may stand, in points from its mark: near first."""


def learning_against_forgetting(group: Group) -> Picture | None:
    """The gain on the primary measure over the loss on text sampled from the base, intervals both ways.

    Up is more learnt, left is less lost. None where forgetting was not measured.
    """
    points = tradeoffs(group)
    if not points:
        return None
    drawn = looks(group)
    measure = points[0].measure.replace("_", " ")

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=BASELINE, linewidth=1)
        axes.axvline(0, color=BASELINE, linewidth=1)
        for point in points:
            gain, loss, look = point.gain, point.loss, drawn[point.arm]
            axes.plot(_ends(loss), [gain.mean] * 2, color=look.colour, linewidth=1.6)
            axes.plot([loss.mean] * 2, _ends(gain), color=look.colour, linewidth=1.6)
            axes.plot([loss.mean], [gain.mean], look.marker, color=look.colour, markersize=8)
        axes.margins(x=0.16, y=0.16)
        _names(axes, points)
        axes.set_xlabel(f"lost on {points[0].task}, {measure}")
        axes.set_ylabel(f"gained on {group.primary}")
        axes.locator_params(axis="both", nbins=6)

    title = "Learning against forgetting"
    said = "; ".join(f"{one.arm} gained {_said(one.gain)}, lost {_said(one.loss)} {measure}" for one in points)
    return Picture(title, render(draw, 4.8, 3.5 + 0.12 * max(0, len(points) - 8), said=f"{title}: {said}"))


def _ends(value: Estimate) -> list[float]:
    return [value.mean if value.low is None else value.low, value.mean if value.high is None else value.high]


def _names(axes: Axes, points: Sequence[Tradeoff]) -> None:
    """Each arm's name near its point: the first place around it where it covers neither a name nor another point."""
    from matplotlib.transforms import Bbox

    axes.autoscale_view()  # what is drawn so far decides where points are; matplotlib puts that off otherwise
    axes.figure.canvas.draw()
    pixels = axes.transData.transform([(point.loss.mean, point.gain.mean) for point in points])
    taken = [Bbox.from_extents(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in pixels]
    for point in sorted(points, key=lambda one: -one.gain.mean):
        for place in _AROUND:
            text = _named(axes, point, place)
            box = text.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken):
                break
            text.remove()
        else:  # there is room nowhere
            box = _named(axes, point, _AROUND[0]).get_window_extent()
        taken.append(box)


def _named(axes: Axes, point: Tradeoff, place: tuple[int, int]) -> Annotation:
    """The name at so many points from its mark, with a thin line to it where that is far."""
    x, y = place
    far = max(abs(x), abs(y)) > _NEAR
    return axes.annotate(
        "\n".join(formats.broken(point.arm, _LONG_NAME)),
        (point.loss.mean, point.gain.mean),
        xytext=place,
        textcoords="offset points",
        ha="left" if x > 0 else "right" if x < 0 else "center",
        va="bottom" if y > 0 else "top" if y < 0 else "center",
        color=INK,
        arrowprops={"arrowstyle": "-", "color": INK, "lw": 0.4, "alpha": 0.6} if far else None,
    )


def _said(value: Estimate) -> str:
    return f"{formats.signed(value.mean)} {formats.bounds(value)}".strip()
