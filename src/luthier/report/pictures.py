"""The score against what it costs, and how training went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luthier.report import formats
from luthier.report.drawing import Picture, render
from luthier.report.findings import Group
from luthier.report.palette import BASELINE, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = list[tuple[float, float]]
_POINTS = 250
"""A longer curve is thinned to about so many points: more than a screen shows."""


def quality_against(group: Group, cost: str) -> Picture:
    """The primary measure against a field of `Cost`; trainable parameters on a logarithmic axis, with a place for 0."""
    arms = [arm for arm in group.contenders if group.primary in arm.scores]
    drawn = looks(group)
    label, write, units = _COSTS[cost]
    values = [float(getattr(arm.cost, cost)) for arm in arms]
    logarithmic = cost == "trainable_parameters" and max(values, default=0) > 0

    def draw(axes: Axes) -> None:
        places = values
        if logarithmic:
            least = min(value for value in values if value > 0)
            nothing = least / 10
            places = [value or nothing for value in values]
            axes.set_xscale("log")
            # With one arm that trains, a decade on either side; else what the arms need.
            axes.set_xlim(min(places) / 2.5, max(places) * 2.5)
            powers = 10.0 ** np.arange(np.floor(np.log10(least)), np.log10(max(places) * 2.5))
            ticks = [power for power in powers if power > nothing * 2]
            step = 1 + len(ticks) // 5
            ticks = ticks[::step]
            zero = [nothing] if 0 in values else []
            axes.set_xticks([*zero, *ticks], [*(["0"] if zero else []), *(formats.count(tick) for tick in ticks)])
            axes.minorticks_off()
        else:
            most = max(values, default=0.0)
            size, unit = max((one for one in units if most >= 2 * one[0]), default=units[0])
            places = [value / size for value in values]
            axes.set_xlim(-0.06 * max(most / size, 1), 1.12 * max(most / size, 1))
            axes.locator_params(axis="x", nbins=4)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} {unit}".strip() if value >= 0 else "")
        for baseline in group.baselines:
            if group.primary in baseline.scores:
                axes.axhline(baseline.scores[group.primary].mean, color=BASELINE, linewidth=1, linestyle=(0, (4, 3)))
        for arm, place in zip(arms, places, strict=True):
            found, look = arm.scores[group.primary], drawn[arm.arm]
            if found.low is not None and found.high is not None:
                axes.plot([place, place], [found.low, found.high], color=look.colour, linewidth=1.6)
            axes.plot([place], [found.mean], look.marker, color=look.colour, markersize=7)
        axes.margins(y=0.12)
        axes.locator_params(axis="y", nbins=6)

    title = f"{group.primary} against {label}"
    said = "; ".join(
        f"{arm.arm} {formats.score(arm.scores[group.primary].mean)} at {write(value)}"
        for arm, value in zip(arms, values, strict=True)
    )
    return Picture(title, render(draw, 3.6, 2.6, said=f"{title}: {said}"))


def cost_name(cost: str) -> str:
    """What a field of `Cost` is called on the page."""
    return _COSTS[cost][0]


def training_curve(group: Group, curves: dict[str, list[Curve]], name: str) -> Picture:
    """A loss over the steps: every seed faint, the mean over the seeds (smoothed where it is noisy) bold."""
    drawn = looks(group)

    def draw(axes: Axes) -> None:
        for arm, seeds in curves.items():
            look = drawn[arm]
            for curve in seeds:
                steps, losses = np.array(_thinned(curve)).T
                axes.plot(steps, losses, color=look.colour, linewidth=0.9, alpha=0.3 if len(curves) <= 4 else 0.12)
            steps, losses = _mean_curve(seeds)
            marker = look.marker if len(steps) <= 30 else ""
            axes.plot(steps, losses, color=look.colour, linewidth=2, marker=marker, markersize=4)
        axes.set_xlabel("optimizer step")
        axes.locator_params(axis="x", nbins=6, integer=True)
        axes.locator_params(axis="y", nbins=6)

    last = {arm: float(_mean_curve(seeds)[1][-1]) for arm, seeds in curves.items()}
    ends = "; ".join(f"{arm} ends at {formats.score(value)}" for arm, value in last.items())
    title = f"{name} over the steps"
    return Picture(title, render(draw, 4.8, 2.9, said=f"{title}: {ends}"))


def curves_of(logs: Sequence[list[dict[str, Any]]], key: str) -> list[Curve]:
    """The (step, value) pairs of a key in each training log; logs without it are left out."""
    curves = [[(line["step"], line[key]) for line in log if isinstance(line.get(key), int | float)] for log in logs]
    finite = [[(step, value) for step, value in curve if np.isfinite(value)] for curve in curves]
    return [curve for curve in finite if curve]


_COSTS: dict[str, tuple[str, Callable[[float], str], list[tuple[float, str]]]] = {
    "trainable_parameters": ("trainable parameters", formats.count, [(1, "")]),
    "train_seconds": ("training time", formats.seconds, [(1, "s"), (60, "min"), (3600, "h")]),
    "peak_bytes": ("peak memory", formats.size, [(1e6, "MB"), (1e9, "GB")]),
}
"""Field of `Cost` -> what it is called, how a value is written, and the units of an axis, smallest first."""


def _mean_curve(seeds: Sequence[Curve]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean over the seeds at the steps that all have, under a running mean of a twentieth of a long curve."""
    common = sorted(set.intersection(*({step for step, _ in curve} for curve in seeds)))
    if not common:
        seeds, common = seeds[:1], [step for step, _ in seeds[0]]
    by_step = [dict(curve) for curve in seeds]
    losses = np.mean([[values[step] for step in common] for values in by_step], axis=0)
    window = len(common) // 20
    if window > 1:
        kernel = np.ones(2 * (window // 2) + 1)
        losses = np.convolve(losses, kernel, "same") / np.convolve(np.ones_like(losses), kernel, "same")
    thinned = _thinned(list(zip(common, losses.tolist(), strict=True)))
    steps, values = np.array(thinned, dtype=np.float64).T
    return steps, values


def _thinned(curve: Curve) -> Curve:
    kept = curve[:: 1 + len(curve) // _POINTS]
    return kept if kept[-1] == curve[-1] else [*kept, curve[-1]]
