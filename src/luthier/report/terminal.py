"""What a study says on the terminal: the live table while it runs, and the final one."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from luthier.report import formats
from luthier.report.findings import ArmSummary, Group, Summary
from luthier.report.headline import group_headline
from luthier.report.live import LiveTable

__all__ = ["LiveTable", "print_table"]

_WIDTH_OF_A_MEASURE = 10
_WIDTH_OF_THE_REST = 94
_LONG_NAME = 15


def print_table(summary: Summary, console: Console) -> None:
    """The final table of each task and model, what failed and why, and the headline."""
    for group in summary.groups:
        console.print()
        console.print(Text.assemble((group.task, "bold"), " on ", (group.model, "bold")))
        console.print(_table(group, console.width))
        lower = [name for name in group.measures if name in group.lower_is_better]
        note = f"[ ] 95% interval over seeds and examples; difference to {group.reference}"
        console.print(Text(note + (f"; lower is better: {', '.join(lower)}" if lower else ""), style="dim"))
        console.print()
        for sentence in group_headline(group):
            console.print(Text(sentence))
    for failure in summary.failures:
        console.print()
        seeds = ", ".join(map(str, failure.seeds))
        console.print(Text(f"failed: {failure.arm}, seed {seeds} ({failure.task}, {failure.model})", style="red"))
        console.print(Padding(Text(failure.error), (0, 0, 0, 2)))
    if summary.unfinished:
        console.print(Text(f"unfinished: {', '.join(summary.unfinished)}", style="yellow"))
    for warning, arms in summary.warnings.items():
        console.print(Text(f"warning: {warning} ({', '.join(arms)})", style="yellow"))
    for package, versions in summary.mixed.items():
        console.print(Text(f"warning: runs of mixed versions: {package} {', '.join(versions)}", style="yellow"))


def _table(group: Group, width: int) -> Table:
    room = max(1, (width - _WIDTH_OF_THE_REST) // _WIDTH_OF_A_MEASURE)
    others = [measure for measure in group.main_measures(1 + room) if measure != group.primary]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
    table.add_column("arm", overflow="fold")
    table.add_column(group.primary, no_wrap=True)
    for measure in others:
        table.add_column(measure, justify="right", no_wrap=True)
    table.add_column("difference", no_wrap=True)
    for name in ("trained", "time", "memory", "runs"):
        table.add_column(name, justify="right", no_wrap=True)
    best = group.best
    for arm in group.arms:
        style = "red" if arm.status == "failed" else "dim" if arm.baseline else "bold" if arm is best else ""
        last = group.contenders and arm is group.contenders[-1]
        table.add_row(*_row(group, arm, others), style=style, end_section=bool(last and group.baselines))
    return table


def _row(group: Group, arm: ArmSummary, others: list[str]) -> list[str | Text]:
    name = Text(arm.arm if len(arm.arm) <= _LONG_NAME else arm.arm.replace("(", "\n(", 1))
    means = [arm.scores[measure].mean if measure in arm.scores else None for measure in others]
    runs = f"{len(arm.finished)}/{len(arm.runs)}"
    if arm.status == "failed":
        return [name, "failed", *("" for _ in others), "", "", "", "", runs]
    difference = "reference" if arm.arm == group.reference else formats.comparison(group.difference(arm))
    return [
        name,
        formats.estimate(arm.scores.get(group.primary)),
        *(formats.score(mean) for mean in means),
        difference,
        formats.count(arm.cost.trainable_parameters),
        formats.seconds(arm.cost.train_seconds) if arm.cost.train_seconds else formats.MISSING,
        formats.size(arm.cost.peak_bytes) if arm.cost.peak_bytes else formats.MISSING,
        runs,
    ]
