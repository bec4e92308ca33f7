"""A radar: several models on several axes from 0 in the middle to 1 at the rim, higher being better.

The area means nothing (it depends on the order of the axes), so it is hardly tinted; the table has the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import cos, pi, sin
from typing import TYPE_CHECKING

from luthier.report import formats
from luthier.report.drawing import INK, LINE, Picture, render
from luthier.report.palette import BASELINE, LIGHT, MARKERS, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = Callable[[str, float], tuple[float, float]]
"""An axis and a radius -> where that is."""
_RINGS = (0.25, 0.5, 0.75, 1.0)
_NAMES_AT = 1.13


def looks_of(models: Sequence[str]) -> dict[str, Look]:
    """A colour and a marker for each model, in their order."""
    return {
        name: Look(
            LIGHT[place % len(LIGHT)],
            f"var(--arm-{place % len(LIGHT)})",
            MARKERS[(place + place // len(LIGHT)) % len(MARKERS)],
        )
        for place, name in enumerate(models)
    }


def radar(title: str, axes: Sequence[str], values: Mapping[str, Mapping[str, float | None]]) -> Picture:
    """One outline a model.

    Args:
        title: stands above it.
        axes: their names, clockwise from the top; three at least make a shape.
        values: model -> axis -> from 0 to 1; None where it was not measured, and the outline then leaves a gap.
    """
    looks = looks_of(list(values))
    angles = {axis: pi / 2 - 2 * pi * place / len(axes) for place, axis in enumerate(axes)}

    def point(axis: str, radius: float) -> tuple[float, float]:
        return radius * cos(angles[axis]), radius * sin(angles[axis])

    def draw(drawn: Axes) -> None:
        drawn.set_axis_off()
        drawn.set_aspect("equal")
        drawn.set_xlim(-1.75, 1.75)
        drawn.set_ylim(-1.28, 1.28)
        for ring in _RINGS:
            corners = [point(axis, ring) for axis in (*axes, axes[0])]
            drawn.plot(
                [x for x, _ in corners],
                [y for _, y in corners],
                color=LINE,
                linewidth=1.0 if ring == 1 else 0.6,
                zorder=1,
            )
        for axis in axes:
            x, y = point(axis, 1)
            drawn.plot([0, x], [0, y], color=LINE, linewidth=0.6, zorder=1)
            measured = any(of.get(axis) is not None for of in values.values())
            x, y = point(axis, _NAMES_AT)
            side = "center" if abs(x) < 0.2 else "left" if x > 0 else "right"
            level = "bottom" if y > 0.9 else "top" if y < -0.9 else "center"
            name = axis if measured else f"{axis}\n(unscored)"
            drawn.text(x, y, name, ha=side, va=level, color=INK if measured else BASELINE)
        for name, of in values.items():
            _outline(drawn, [(axis, of.get(axis)) for axis in axes], point, looks[name])
        for ring in _RINGS:  # beside the first spoke, over the outlines
            drawn.text(0.03, ring, f"{ring:g}", fontsize=8, ha="left", va="top", color=BASELINE, zorder=4)

    said = "; ".join(
        f"{name}: " + ", ".join(f"{axis} {formats.score(of.get(axis))}" for axis in axes) for name, of in values.items()
    )
    return Picture(title, render(draw, 4.4, 3.3, said=f"{title}: {said}"))


def _outline(drawn: Axes, values: Sequence[tuple[str, float | None]], point: Point, look: Look) -> None:
    """Lines between neighbouring axes that both have a value, and a marker on each."""
    places = [None if value is None else point(axis, min(max(value, 0.0), 1.0)) for axis, value in values]
    for here, there in zip(places, [*places[1:], *places[:1]], strict=True):
        if here is not None and there is not None:
            drawn.plot([here[0], there[0]], [here[1], there[1]], color=look.colour, linewidth=1.8, zorder=3)
    known = [place for place in places if place is not None]
    if len(known) == len(places):
        drawn.fill([x for x, _ in known], [y for _, y in known], color=look.colour, alpha=0.07, linewidth=0, zorder=2)
    for x, y in known:
        drawn.plot([x], [y], look.marker, color=look.colour, markersize=6, zorder=3)
