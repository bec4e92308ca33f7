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
from luthier.report.live import LiveTable
from luthier.report.overview import TIE, overview, tie_mark
from luthier.report.standing import intervals_over, recommended
from luthier.report.verdict import verdict_parts

__all__ = ["LiveTable", "print_table"]

_MEASURES = 6
_COLUMN = 14
"""A group's column in the overview."""
_GAP = 2
"""Between columns: the table's own divider and a blank."""
_LONG_NAME = 20
"""Columns are left out before a name of so many characters is broken; a longer one is broken first."""
_SHORTEST_NAME = 8
_MARK = " !"
_TIE = f" {TIE}"
_AGAINST = "difference"
_FORGETS = "forgets"
_LEFT = ("arm", _AGAINST, "outcome")
Columns = dict[str, list[str]]
"""Title -> a cell for each arm, in the order to show."""


def print_table(summary: Summary, console: Console) -> None:
    """The verdict, then the table of each task, model and size, what its runs warned of, and what failed and why."""
    parts = verdict_parts(summary)
    for title, sentences in parts:
        console.print()
        console.print(Text(title, style="bold"))
        for sentence in sentences:
            console.print(Text(sentence))
    if not parts:
        console.print(Text("No run has finished."))
    several = len(summary.groups) > 1
    if several:
        _print_overview(summary, console)
    for group in summary.groups:
        console.print()
        if several:
            console.print(Text(group.title, style="bold"))
        _print_group(group, console)
    for failure in summary.failures:
        console.print()
        seeds = ", ".join(map(str, failure.seeds))
        size = "" if failure.size is None else f", {failure.size:,} training examples"
        console.print(Text(f"failed: {failure.arm}, seed {seeds} ({failure.task}, {failure.model}{size})", style="red"))
        console.print(Padding(Text(failure.error), (0, 0, 0, 2)))
    if summary.unfinished:
        console.print(Text(f"unfinished: {', '.join(summary.unfinished)}", style="yellow"))
    for package, versions in summary.mixed.items():
        console.print(Text(f"warning: runs of mixed versions: {package} {', '.join(versions)}", style="yellow"))


def _print_overview(summary: Summary, console: Console) -> None:
    """Every arm in every group, as many groups beside each other as fit."""
    found = overview(summary)
    titles = ["\n".join(line for part in column for line in formats.broken(part, _COLUMN)) for column in found.columns]
    names = ["\n".join(formats.broken(name, _LONG_NAME)) for name, _ in found.rows]
    at_once = max(1, (console.width - _LONG_NAME - _GAP) // (_COLUMN + _GAP))
    for start in range(0, len(titles), at_once):
        table = Table(box=SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False)
        table.add_column(Text(summary.groups[0].primary if len(_primaries(summary)) == 1 else "arm"), no_wrap=True)
        for title in titles[start : start + at_once]:
            table.add_column(Text(title), justify="right", no_wrap=True)
        for name, (_, cells) in zip(names, found.rows, strict=True):
            table.add_row(*map(Text, (name, *cells[start : start + at_once])))
        console.print()
        console.print(table)


def _primaries(summary: Summary) -> set[str]:
    return {group.primary for group in summary.groups}


def _print_group(group: Group, console: Console) -> None:
    columns = _fitting(_columns(group), _savings(group), console.width)
    console.print(_table(group, columns))
    notes = [f"[ ] 95% interval {intervals_over([group])}"]
    if any(_TIE in cell for cell in columns[group.primary]):
        within = f", or within {formats.score(group.margin)} of it" if group.margin else ""
        notes.append(f"= tied with the best: not told apart from it{within}")
    if _AGAINST in columns:
        notes.append(f"{_AGAINST}: the difference to {group.reference}")
    if _FORGETS in columns:
        unit = _forgets(group)[1]
        notes.append(f"{_FORGETS}: the worst loss that is shown on a retention task{unit}")
    lower = [name for name in columns if name in group.lower_is_better]
    notes += [f"lower is better: {', '.join(lower)}"] if lower else []
    console.print(Text("; ".join(notes), style="dim"))
    first = [flag.words for flag in group.flags if flag.measure == group.primary]
    others = [f"{flag.measure} ({flag.found.control})" for flag in group.flags if flag.measure != group.primary]
    also = [f"a control nearly reaches the best arm on {', '.join(others)}"] if others else []
    for text in (*(warned.words for warned in group.warnings), *first, *also):
        console.print(Text(f"! {text}", style="yellow"))


def _columns(group: Group) -> Columns:
    """Every column that there could be."""
    arms = group.arms
    measures = [measure for measure in group.main_measures(_MEASURES) if measure != group.primary]
    columns = {"arm": [arm.arm + (_MARK if group.marks(arm) else "") for arm in arms]}
    columns[group.primary] = [_primary(group, arm) for arm in arms]
    for measure in measures:
        columns[measure] = [_finished(arm, formats.score(_mean(arm, measure))) for arm in arms]
    columns[_AGAINST] = [_difference(group, arm) for arm in arms]
    outcomes = [_outcome(group, arm) for arm in arms]
    if any(outcomes):
        columns["outcome"] = outcomes
    columns["trained"] = [_finished(arm, formats.count(arm.cost.trainable_parameters)) for arm in arms]
    if any(arm.forgetting for arm in arms):
        columns[_FORGETS] = _forgets(group)[0]
    columns["time"] = [_finished(arm, formats.training_time(arm)) for arm in arms]
    columns["memory"] = [_finished(arm, formats.peak_memory(arm)) for arm in arms]
    columns["runs"] = [f"{len(arm.finished)}/{len(arm.runs)}" for arm in arms]
    return columns


def _savings(group: Group) -> list[tuple[str, str]]:
    """What a narrow terminal does without, least important first: whole columns, and the intervals in others."""
    measures = [measure for measure in group.main_measures(_MEASURES) if measure not in (group.primary, "nll")]
    least = [*reversed(measures), "memory", "runs", "nll", "time"]
    return [
        *(("column", name) for name in least if name != group.primary),
        ("intervals", _AGAINST),
        ("column", "trained"),
        ("column", _FORGETS),
        ("intervals", group.primary),
        ("column", "outcome"),
        ("column", _AGAINST),
    ]


def _fitting(columns: Columns, savings: Sequence[tuple[str, str]], width: int) -> Columns:
    """The columns that fit, names of arms broken to the room that is left; the arm itself always stands."""
    needed = min(_LONG_NAME, max(map(len, columns["arm"])))
    shown = dict(columns)
    for what, name in savings:
        if _room(shown, width) >= needed:
            break
        if what == "intervals":
            shown[name] = [_without_interval(cell) for cell in shown.get(name, [])]
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
    separated = [arms[-1] for arms in (group.contenders, group.controls) if arms]
    for arm, cells in zip(group.arms, zip(*columns.values(), strict=True), strict=True):
        style = "red" if arm.status == "failed" else "" if arm.contender else "dim"
        style = "bold" if arm is (recommended(group) or group.best) else style
        table.add_row(*map(Text, cells), style=style, end_section=arm in separated)
    return table


def _primary(group: Group, arm: ArmSummary) -> str:
    if arm.status == "failed":
        return "failed"
    return formats.estimate(arm.scores.get(group.primary)) + tie_mark(group, arm)


def _without_interval(cell: str) -> str:
    return cell.partition(" [")[0] + (_TIE if cell.endswith(_TIE) else "")


def _difference(group: Group, arm: ArmSummary) -> str:
    if arm.control_of is not None:
        return _finished(arm, "control")
    return "reference" if arm.arm == group.reference else _finished(arm, formats.comparison(group.difference(arm)))


def _outcome(group: Group, arm: ArmSummary) -> str:
    found = group.difference(arm) if arm.contender else None
    return found.outcome or "" if found else ""


def _forgets(group: Group) -> tuple[list[str], str]:
    """A cell for each arm, and the unit where all changes have the same: it is then said once, beneath."""
    cells = [_finished(arm, formats.forgets(arm)) if arm.contender else "" for arm in group.arms]
    units = {cell.partition(" ")[2] for cell in cells if cell.startswith(("+", "-"))}
    if len(units) != 1:
        return cells, ""
    unit = f" {units.pop()}"
    return [cell.removesuffix(unit) for cell in cells], f", in{unit}"


def _mean(arm: ArmSummary, measure: str) -> float | None:
    return arm.scores[measure].mean if measure in arm.scores else None


def _finished(arm: ArmSummary, text: str) -> str:
    return text if arm.finished else ""
