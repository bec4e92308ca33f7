"""`luthier rescore` on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.report.formats import comparison, estimate, p_value
from luthier.rescoring.rescore import Rescored, Rescoring

if TYPE_CHECKING:
    from rich.console import Console


def print_rescored(found: Rescoring, console: Console) -> None:
    """A table a task and model: a row an arm and measure, with the difference from the reference."""
    from rich.table import Table

    for place in dict.fromkeys((row.task, row.model, row.size) for row in found.rows):
        rows = [row for row in found.rows if (row.task, row.model, row.size) == place]
        task, model, size = place
        title = f"{task} on {model}" + (f", {size:,} training examples" if size else "")
        table = Table(title=title, title_justify="left", box=None)
        heads = ["arm", "measure", "mean [95%]", "unscored"]
        compared = any(row.against for row in rows)
        for head in [*heads, f"less {found.reference}", "p (Holm)"] if compared else heads:
            table.add_column(head, justify="right" if head == "unscored" else "left")
        for row in rows:
            table.add_row(*_cells(row)[: 6 if compared else 4])
        console.print(table)
    if lower := dict.fromkeys(row.measure for row in found.rows if row.lower_is_better):
        console.print(f"lower is better: {', '.join(lower)}", highlight=False, soft_wrap=True)
    for note in found.notes:
        console.print(note, highlight=False, soft_wrap=True)


def _cells(row: Rescored) -> tuple[str, ...]:
    one = row.against
    p = None if one is None else one.p if one.p_holm is None else one.p_holm
    unscored = "" if row.unscored is None else str(row.unscored)
    return row.arm, row.measure, estimate(row.estimate), unscored, comparison(one), p_value(p)
