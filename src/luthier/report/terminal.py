"""What a study says on the terminal: the live table while it runs, and the final one."""

from __future__ import annotations

from collections.abc import Sequence

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

_MEASURES = 6
_GAP = 2
"""Between columns: the table's own divider and a blank."""
_LONG_NAME = 20
"""Columns are left out before a name of so many characters is broken; a longer one is broken first."""
_SHORTEST_NAME = 8
_MARK = " !"
_LEFT = ("arm", "difference")
Columns = dict[str, list[str]]
"""Title -> a cell for each arm, in the order to show."""


def print_table(summary: Summary, console: Console) -> None:
    """The final table of each task and model, what its runs warned of, the headline, and what failed and why."""
    for group in summary.groups:
        console.print()
        console.print(Text.assemble((group.task, "bold"), " on ", (group.model, "bold")))
        columns = _fitting(_columns(group), _savings(group), console.width)
        console.print(_table(group, columns))
        lower = [name for name in columns if name in group.lower_is_better]
        note = f"[ ] 95% interval over seeds and examples; difference to {group.reference}"
        console.print(Text(note + (f"; lower is better: {', '.join(lower)}" if lower else ""), style="dim"))
        for warned in group.warnings:
            console.print(Text(f"! {warned.words}", style="yellow"))
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
    for package, versions in summary.mixed.items():
        console.print(Text(f"warning: runs of mixed versions: {package} {', '.join(versions)}", style="yellow"))


def _columns(group: Group) -> Columns:
    """Every column that there could be."""
    arms = group.arms
    measures = [measure for measure in group.main_measures(_MEASURES) if measure != group.primary]
    columns = {"arm": [arm.arm + (_MARK if group.marks(arm) else "") for arm in arms]}
    columns[group.primary] = [_primary(group, arm) for arm in arms]
    for measure in measures:
        columns[measure] = [_finished(arm, formats.score(_mean(arm, measure))) for arm in arms]
    columns["difference"] = [_difference(group, arm) for arm in arms]
    columns["trained"] = [_finished(arm, formats.count(arm.cost.trainable_parameters)) for arm in arms]
    columns["time"] = [_finished(arm, formats.training_time(arm)) for arm in arms]
    columns["memory"] = [_finished(arm, formats.peak_memory(arm)) for arm in arms]
    columns["runs"] = [f"{len(arm.finished)}/{len(arm.runs)}" for arm in arms]
    return columns


def _savings(group: Group) -> list[tuple[str, str]]:
    """What a narrow terminal does without, least important first: whole columns, and the intervals in others."""
    measures = [measure for measure in group.main_measures(_MEASURES) if measure not in (group.primary, "nll")]
    least = [*reversed(measures), "memory", "runs", "trained", "nll"]
    return [
        *(("column", name) for name in least if name != group.primary),
        ("intervals", "difference"),
        ("column", "time"),
        ("intervals", group.primary),
        ("column", "difference"),
    ]


def _fitting(columns: Columns, savings: Sequence[tuple[str, str]], width: int) -> Columns:
    """The columns that fit, names of arms broken to the room that is left; the arm itself always stands."""
    needed = min(_LONG_NAME, max(map(len, columns["arm"])))
    shown = dict(columns)
    for what, name in savings:
        if _room(shown, width) >= needed:
            break
        if what == "intervals":
            shown[name] = [cell.partition(" [")[0] for cell in shown[name]]
        else:
            shown.pop(name, None)
    room = max(_SHORTEST_NAME, _room(shown, width))
    return shown | {"arm": [_in_lines(name, room) for name in columns["arm"]]}


def _room(columns: Columns, width: int) -> int:
    """What is left for the arms' names."""
    others = [max(len(text) for text in (title, *cells)) for title, cells in columns.items() if title != "arm"]
    return width - sum(others) - _GAP * len(others)


def _in_lines(name: str, room: int) -> str:
    """The name broken over lines; the mark of a warning stays on the first."""
    plain = name.removesuffix(_MARK)
    first, *others = formats.broken(plain, room - len(name) + len(plain))
    return "\n".join([first + name[len(plain) :], *others])


def _table(group: Group, columns: Columns) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for title in columns:
        left = title in (*_LEFT, group.primary)
        table.add_column(Text(title), justify="left" if left else "right", no_wrap=True)
    best = group.best
    for arm, cells in zip(group.arms, zip(*columns.values(), strict=True), strict=True):
        style = "red" if arm.status == "failed" else "dim" if arm.baseline else "bold" if arm is best else ""
        last = group.contenders and arm is group.contenders[-1]
        table.add_row(*map(Text, cells), style=style, end_section=bool(last and group.baselines))
    return table


def _primary(group: Group, arm: ArmSummary) -> str:
    return "failed" if arm.status == "failed" else formats.estimate(arm.scores.get(group.primary))


def _difference(group: Group, arm: ArmSummary) -> str:
    return "reference" if arm.arm == group.reference else _finished(arm, formats.comparison(group.difference(arm)))


def _mean(arm: ArmSummary, measure: str) -> float | None:
    return arm.scores[measure].mean if measure in arm.scores else None


def _finished(arm: ArmSummary, text: str) -> str:
    return text if arm.finished else ""
