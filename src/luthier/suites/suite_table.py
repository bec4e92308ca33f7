"""Evaluations on the terminal: a row a task and model; then what differs; then notes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from luthier.suites.evaluation import Evaluation, Measured, TaskResult
from luthier.suites.short_names import short_names
from luthier.suites.side_by_side import Compared

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 20
"""Characters of a name on a line, with which a row has its place in 80."""
_LISTED = 3
"""Files in a line."""


def print_suite(
    evaluations: Sequence[Evaluation], compared: Sequence[Compared], notes: Sequence[str], console: Console
) -> None:
    """Print them.

    Args:
        evaluations: of one suite, at least one.
        compared: as `side_by_side` gives them.
        notes: what is to be said of all of them; each evaluation's own are printed too, once.
        console: where.
    """
    short = short_names([one.model for one in evaluations])
    called = {one.model: _called(short[one.model], one.quantisation) for one in evaluations}
    _print_scores(evaluations, called, console)
    for other in dict.fromkeys(one.model for one in compared):
        _print_differences([one for one in compared if one.model == other], called, console)
    said = dict.fromkeys([*notes, *(note for one in evaluations for note in one.notes)])
    for note in said:
        console.print(note, highlight=False, soft_wrap=True)
    console.print(_asked(evaluations[0]), highlight=False, soft_wrap=True)
    seconds = ", ".join(f"{called[one.model]} {one.seconds:.0f} s" for one in evaluations)
    legend = "means with 95% intervals; majority: what the commonest right answer gets with nothing read"
    console.print(f"{evaluations[0].harness}; {legend}; {seconds}", highlight=False, soft_wrap=True)


def _print_scores(evaluations: Sequence[Evaluation], called: Mapping[str, str], console: Console) -> None:
    from rich.table import Table

    first = evaluations[0]
    table = Table(title=first.suite if len(first.suite) < 60 else None, title_justify="left", box=None)
    for head in ("task", "measure", "scored", "model", "mean"):
        right, whole = head in ("scored", "mean"), head in ("measure", "scored", "mean")
        table.add_column(head, justify="right" if right else "left", overflow="fold", no_wrap=whole)

    def add(begin: Sequence[str], cells: Sequence[tuple[str, str]]) -> None:
        """A row a model; what they have in common stands in the first."""
        for place, cell in enumerate(cells):
            (model, mean), common = cell, begin if place == 0 else [""] * len(begin)
            table.add_row(*(folded(text) for text in (*common, model)), mean)

    for task in first.tasks:
        others = [one.of_task(task.name) for one in evaluations]
        shots = "/".join(dict.fromkeys(str(other.shots) for other in others))
        name = f"{task.name}, {shots} {'shot' if shots == '1' else 'shots'}"
        for measure in list(task.measures) or [task.main]:
            cells = [
                (called[one.model], _cell(of.measures.get(measure)))
                for one, of in zip(evaluations, others, strict=True)
            ]
            if measure != task.main:
                add(["", measure, ""], cells)
                continue
            guess = [] if task.majority is None else [("majority", f"{task.majority:.3f}")]
            add([name, measure, _scored(task)], [*guess, *cells])
    for group in first.groups:
        held = [next((of for of in one.groups if of.name == group.name), None) for one in evaluations]
        models = [called[one.model] for one in evaluations]
        over_items = [_cell(one.over_items if one else None) for one in held]
        over_tasks = ["" if one is None or math.isnan(one.over_tasks) else f"{one.over_tasks:.3f}" for one in held]
        name = f"{group.name}, {group.tasks} tasks"
        add([name, "over items", str(group.over_items.n)], list(zip(models, over_items, strict=True)))
        add(["", "over tasks", ""], list(zip(models, over_tasks, strict=True)))
    console.print(table)


def _print_differences(compared: Sequence[Compared], called: Mapping[str, str], console: Console) -> None:
    """Of one model."""
    from rich.markup import escape
    from rich.table import Table

    title = f"\n{called[compared[0].model]} beside {called[compared[0].reference]}"
    table = Table(title=escape(title), title_justify="left", box=None)
    for head in ("task", "measure", "difference", "n", "p", "p, Holm"):
        left = head in ("task", "measure")
        table.add_column(head, justify="left" if left else "right", overflow="fold", no_wrap=not left)
    for one in compared:
        difference = "" if math.isnan(one.difference) else f"{one.difference:+.3f} {_bounds(one.low, one.high, '+')}"
        ps = ("" if math.isnan(p) else f"{p:.3f}" for p in (one.p, one.p_holm))
        table.add_row(folded(one.task), folded(one.measure), difference, str(one.n), *ps)
    console.print(table)


def folded(name: str) -> str:
    """A name on lines of 20 characters, broken behind what stands between its words; a longer word has its own line."""
    lines = [""]
    for word in re.findall(r"[^ _,/-]*[ _,/-]*", name):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > _WIDTH:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def _called(short: str, quantisation: str | None) -> str:
    return f"{short} ({quantisation})" if quantisation else short


def _asked(evaluation: Evaluation) -> str:
    """What was asked and how, which is one for all models."""
    files = evaluation.files
    more = f" and {len(files) - _LISTED} more" if len(files) > _LISTED else ""
    parts = [f"read: {', '.join(files[:_LISTED])}{more}"] if files else []
    parts += [f"the first {evaluation.limit:,} items of each task"] if evaluation.limit else []
    parts += ["prompts by the model's chat template" if evaluation.chat_template else "prompts in plain text"]
    return "; ".join(parts)


def _cell(measured: Measured | None) -> str:
    if measured is None or math.isnan(measured.mean):
        return ""
    return f"{measured.mean:.3f} {_bounds(measured.low, measured.high)}".strip()


def _scored(task: TaskResult) -> str:
    """How many items have a score, of how many that were asked."""
    return f"{task.items - task.unscored} of {task.items}" if task.unscored else str(task.items)


def _bounds(low: float, high: float, sign: str = "") -> str:
    return "" if math.isnan(low) else f"\\[{low:{sign}.3f}, {high:{sign}.3f}]"
