"""Learning against forgetting: what each arm gained on the task, and what it lost elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from luthier.report import formats
from luthier.report.drawing import INK, Picture, render
from luthier.report.findings import Estimate, Group, Tradeoff
from luthier.report.palette import BASELINE, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONG_NAME = 18


def learning_against_forgetting(group: Group) -> Picture | None:
    """The gain on the primary measure over the loss on text sampled from the base, intervals both ways.

    Up is more learnt, left is less lost. None where forgetting was not measured.
    """
    points = group.tradeoffs
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
    return Picture(title, render(draw, 4.8, 3.5, said=f"{title}: {said}"))


def _ends(value: Estimate) -> list[float]:
    return [value.mean if value.low is None else value.low, value.mean if value.high is None else value.high]


def _names(axes: Axes, points: Sequence[Tradeoff]) -> None:
    """Each arm's name beside its point, towards the middle; where points nearly meet, the lower ones' line by line."""
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    middle = (left + right) / 2
    placed: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda one: -one.gain.mean):
        x, y = point.loss.mean, point.gain.mean
        near = sum(abs(y - other) < 0.09 * (high - low) and abs(x - at) < 0.4 * (right - left) for at, other in placed)
        placed.append((x, y))
        axes.annotate(
            "\n".join(formats.broken(point.arm, _LONG_NAME)),
            (x, y),
            xytext=(8 if x < middle else -8, 6 if not near else 6 - 12 * near),
            textcoords="offset points",
            ha="left" if x < middle else "right",
            va="top" if near else "bottom",
            color=INK,
        )


def _said(value: Estimate) -> str:
    return f"{formats.signed(value.mean)} {formats.bounds(value)}".strip()
