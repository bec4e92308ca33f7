"""The suite `helm` on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from luthier.suites.helm.evaluate import Helm, HelmDifference
from luthier.suites.helm.view import Measure

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_ARROWS = {"higher": "↑", "lower": "↓", "0": "→0", "": ""}


def print_helm(found: Helm, console: Console) -> None:
    """A row a measure and model; what differs from the first; the notes."""
    from rich.table import Table

    table = Table(title=f"HELM's view on {found.task}", title_justify="left", box=None)
    for head in ("measure", "", "model"):
        table.add_column(head, overflow="fold")
    table.add_column("value, 95% interval", no_wrap=True)
    by_axis: dict[str, dict[str, None]] = {}
    for measure in (measure for view in found.views for measure in view.measures):
        by_axis.setdefault(measure.axis, {})[measure.name] = None
    for axis, names in by_axis.items():
        table.add_row(f"[bold]{axis}[/bold]")
        for name in names:
            for row in _rows(found, axis, name):
                table.add_row(*row)
    console.print(table)
    for model, differences in groupby(found.differences, key=attrgetter("model")):
        console.print(_differences(model, found.views[0].model, list(differences)))
    for note in [*(f"{view.model}: {note}" for view in found.views for note in view.notes), *found.notes]:
        console.print(note, highlight=False)


def _rows(found: Helm, axis: str, name: str) -> Iterator[tuple[str, str, str, str]]:
    """What a measure is in every model; before the first its name, before the second what a reader needs beside it."""
    of = [next((one for one in view.measures if one.name == name), None) for view in found.views]
    first = next(one for one in of if one is not None)
    said = f"({first.said})" if axis in ("robustness", "fairness") else ""
    called = [f"{name} {said}".strip()] if len(of) == 1 else [name, said, *("" for _ in of[2:])]
    for place, (view, measure) in enumerate(zip(found.views, of, strict=True)):
        yield called[place], "" if place else _ARROWS[first.better], view.model, _cell(measure)


def _differences(model: str, first: str, differences: Sequence[HelmDifference]) -> Table:
    from rich.table import Table

    table = Table(title=f"{model} less {first}, item by item", title_justify="left", box=None)
    table.add_column("measure", overflow="fold")
    for head in ("difference", "p (Holm)", "n"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in differences:
        bounds = "" if one.low is None or one.high is None else f" [{one.low:+.3f}, {one.high:+.3f}]"
        p = "" if one.p_holm is None else f"{one.p_holm:.3f}"
        table.add_row(one.measure, f"{one.difference:+.3f}{bounds}", p, str(one.n))
    return table


def _cell(measure: Measure | None) -> str:
    if measure is None or measure.value is None:
        return "–"
    if measure.name == "peak memory":
        return f"{measure.value / 1e6:,.0f} MB"
    if abs(measure.value) >= 1000:
        return f"{measure.value:,.0f}"
    text = f"{measure.value:.1f}" if abs(measure.value) >= 10 else f"{measure.value:.3f}"
    if measure.name == "seconds per item":
        text = f"{measure.value:.4f}"
    bounds = "" if measure.low is None or measure.high is None else f" [{measure.low:.3f}, {measure.high:.3f}]"
    return text + bounds
