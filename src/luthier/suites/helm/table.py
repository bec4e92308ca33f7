"""The suite `helm` on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.suites.helm.evaluate import Helm
from luthier.suites.helm.view import Measure

if TYPE_CHECKING:
    from rich.console import Console

_ARROWS = {"higher": "↑", "lower": "↓", "0": "→0", "": ""}


def print_helm(found: Helm, console: Console) -> None:
    """A row a measure and a column a model; what differs from the first; the notes."""
    from rich.table import Table

    table = Table(title=f"HELM's view on {found.task}", title_justify="left", box=None)
    for head in ("", "measure", "", *(view.model for view in found.views)):
        table.add_column(head, justify="left" if head in ("", "measure") else "right", overflow="fold")
    names = dict.fromkeys((measure.axis, measure.name) for view in found.views for measure in view.measures)
    before = ""
    for axis, name in names:
        of = [next((one for one in view.measures if one.name == name), None) for view in found.views]
        first = next(one for one in of if one is not None)
        said = f"{name} ({first.said})" if axis in ("robustness", "fairness") else name
        table.add_row("" if axis == before else axis, said, _ARROWS[first.better], *(_cell(one) for one in of))
        before = axis
    console.print(table)
    if found.differences:
        console.print(_differences(found))
    for note in [*(f"{view.model}: {note}" for view in found.views for note in view.notes), *found.notes]:
        console.print(note, highlight=False)


def _differences(found: Helm) -> object:
    from rich.table import Table

    table = Table(title=f"less {found.views[0].model}, item by item", title_justify="left", box=None)
    for head in ("model", "measure", "difference", "p (Holm)", "n"):
        table.add_column(head, justify="left" if head in ("model", "measure") else "right")
    for one in found.differences:
        bounds = "" if one.low is None or one.high is None else f" [{one.low:+.3f}, {one.high:+.3f}]"
        p = "" if one.p_holm is None else f"{one.p_holm:.3f}"
        table.add_row(one.model, one.measure, f"{one.difference:+.3f}{bounds}", p, str(one.n))
    return table


def _cell(measure: Measure | None) -> str:
    if measure is None or measure.value is None:
        return "–"
    if abs(measure.value) >= 1000:
        return f"{measure.value:,.0f}"
    text = f"{measure.value:.1f}" if abs(measure.value) >= 10 else f"{measure.value:.3f}"
    if measure.name == "seconds per item":
        text = f"{measure.value:.4f}"
    bounds = "" if measure.low is None or measure.high is None else f" [{measure.low:.3f}, {measure.high:.3f}]"
    return text + bounds
