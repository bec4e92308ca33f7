"""Tasks learned one after another: the matrix R as a heat map, and each task's score over the stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from luthier.report import formats
from luthier.report.drawing import INK, Picture, render
from luthier.report.palette import LIGHT, MARKERS, Look
from luthier.report.sequence_tables import measure_of
from luthier.report.task_sequence import TaskSequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FAINTEST, _FULLEST = 0.04, 0.58
"""How much of the palette's colour the worst and the best cell take: text in the page's ink is read on both, light or
dark."""
_LONG_NAME = 14


def ways_looks(ways: Sequence[TaskSequence]) -> dict[str, Look]:
    """A colour and a marker for each way, by name."""
    turns = [(way.name, turn % len(LIGHT)) for turn, way in enumerate(ways)]
    return {name: Look(LIGHT[turn], f"var(--arm-{turn})", MARKERS[turn]) for name, turn in turns}


def heat_map(way: TaskSequence, ways: Sequence[TaskSequence]) -> Picture:
    """The scores on every task (columns) after each was learned (rows), and before.

    The fuller a cell, the better within its column, from the worst to the best of all ways: the same colour is the same
    score in each of their pictures. A frame marks the cell of the task that was just learned.
    """
    rows, count = way.rows, len(way.tasks)
    bounds = [_range(ways, column) for column in range(count)]

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        for place, (_, row) in enumerate(rows):
            for column, cell in enumerate(row):
                low, high = bounds[column]
                share = (cell.mean - low) / (high - low) if high > low else 1.0
                fullness = _FAINTEST + (_FULLEST - _FAINTEST) * share
                axes.add_patch(Rectangle((column, place), 0.96, 0.94, facecolor=LIGHT[0], alpha=fullness, lw=0))
                axes.text(column + 0.48, place + 0.47, formats.score(cell.mean), ha="center", va="center", color=INK)
        for step in range(count):
            place = step + len(rows) - count
            axes.add_patch(Rectangle((step, place), 0.96, 0.94, fill=False, edgecolor=INK, lw=1.1))
        axes.set_xlim(0, count)
        axes.set_ylim(len(rows), 0)
        names = ["\n".join(formats.broken(measure_of_column(way, task), _LONG_NAME)) for task in way.tasks]
        axes.set_xticks([column + 0.48 for column in range(count)], names)
        learned = ["\n".join(formats.broken(name, _LONG_NAME)) for name, _ in rows]
        axes.set_yticks([place + 0.47 for place in range(len(rows))], learned)
        axes.tick_params(length=0)
        axes.xaxis.tick_top()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    said = "; ".join(f"{learned}: {', '.join(formats.score(cell.mean) for cell in row)}" for learned, row in rows)
    said = f"{way.name}, on {', '.join(way.tasks)}: {said}"
    return Picture(way.name, render(draw, 1.1 + 0.85 * count, 0.5 + 0.42 * len(rows), said=said))


def measure_of_column(way: TaskSequence, task: str) -> str:
    """The task, and its measure where the tasks have different ones."""
    return task if way.one_measure else f"{task} {measure_of(way, task)}"


def over_stages(ways: Sequence[TaskSequence], task: str) -> Picture:
    """One task's score before and after each stage, a line a way with its 95% intervals; a bar of ink stands where the
    task itself was learned. A way that was not judged before begins with its first stage."""
    first = max(ways, key=lambda way: len(way.rows))
    column, drawn = first.tasks.index(task), ways_looks(ways)
    rows = [name for name, _ in first.rows]
    learned = [name.removeprefix("after ") for name in rows]

    def draw(axes: Axes) -> None:
        turn = column + len(learned) - len(first.tasks)
        axes.axvspan(turn - 0.25, turn + 0.25, color=INK, alpha=0.07, lw=0)
        for number, way in enumerate(ways):
            look, cells = drawn[way.name], [row[column] for _, row in way.rows]
            shift = 0.09 * (number - (len(ways) - 1) / 2)
            places, means = [rows.index(name) + shift for name, _ in way.rows], [cell.mean for cell in cells]
            axes.plot(places, means, color=look.colour, marker=look.marker, markersize=6, lw=1.8)
            for place, cell in zip(places, cells, strict=True):
                if cell.low is not None and cell.high is not None:
                    axes.plot([place, place], [cell.low, cell.high], color=look.colour, lw=1.4)
        axes.set_xticks(range(len(learned)), ["\n".join(formats.broken(name, _LONG_NAME)) for name in learned])
        axes.locator_params(axis="y", nbins=6)
        axes.margins(y=0.08)

    title = f"{task}: {measure_of(first, task)}"
    said = "; ".join(f"{way.name} {', '.join(_said(way, rows, column))}" for way in ways)
    return Picture(title, render(draw, 3.6, 2.5, said=f"{title} {' then '.join(learned)}: {said}"))


def _said(way: TaskSequence, rows: Sequence[str], column: int) -> list[str]:
    """The score in each of these rows, `–` in one that the way has not."""
    told = {name: formats.score(row[column].mean) for name, row in way.rows}
    return [told.get(name, formats.MISSING) for name in rows]


def _range(ways: Sequence[TaskSequence], column: int) -> tuple[float, float]:
    means = [row[column].mean for way in ways for _, row in way.rows]
    return min(means), max(means)
