"""`luthier leaks` on the terminal: what stands in the corpus, and the scores of dirty and clean items apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.core.statistics import Interval
from luthier.suites.leak_scores import Apart
from luthier.suites.leaks import Leaks

if TYPE_CHECKING:
    from rich.console import Console

_EXAMPLES = 3


def print_leaks(leaks: Leaks, console: Console) -> None:
    """A row a task and rule, the scores where something is dirty, the items that are there most, what was read."""
    from rich.table import Table

    table = Table(title="items that stand in the pretraining text", title_justify="left", box=None)
    for head in ("task", "rule", "dirty", "clean", "too short"):
        table.add_column(head, justify="left" if head in ("task", "rule") else "right", no_wrap=True)
    for one in leaks.apart:
        table.add_row(one.task, _rule(leaks, one), *map(str, one.items))
    console.print(table)
    for one in leaks.apart:
        if one.items[0]:
            console.print(_scores(leaks, one), highlight=False, soft_wrap=True)
    placed = [(found, found.longest) for found in leaks.found.items if found.longest is not None]
    for found, place in sorted(placed, key=lambda pair: -(pair[0].share_of_8 or 0))[:_EXAMPLES]:
        console.print(
            f"{found.task} {found.id}: {found.share_of_8:.0%} of its 8-grams; {place.source}, {place.document}: "
            f'"{place.text[:160]}"',
            highlight=False,
            soft_wrap=True,
        )
    read = sum(one.bytes for one in leaks.found.sources)
    names = ", ".join(f"{one.name} ({one.documents:,} documents)" for one in leaks.found.sources)
    console.print(f"read {read / 1e6:,.1f} MB in {leaks.found.seconds:.0f} s: {names}", highlight=False, soft_wrap=True)
    for note in leaks.notes:
        console.print(note, highlight=False, soft_wrap=True)


def _rule(leaks: Leaks, one: Apart) -> str:
    """The rule, with the task's own N."""
    n = next(found.n for found in leaks.found.items if found.task == one.task)
    return one.rule.replace("N-gram", f"{n}-gram")


def _scores(leaks: Leaks, one: Apart) -> str:
    """The scores of dirty and clean items, and how far they are apart, in a line."""
    dirty, clean, _ = one.items
    told = one.refused or f"dirty less clean {_interval(one.difference, '+')}, not paired"
    unscored = f"; {one.unscored} unscored" if one.unscored else ""
    return (
        f"{one.task}, {_rule(leaks, one)}: {one.measure} of {dirty} dirty items {_interval(one.dirty)}, of {clean} "
        f"clean ones {_interval(one.clean)}{unscored}; {told}"
    )


def _interval(value: Interval | None, sign: str = "") -> str:
    if value is None:
        return "–"
    low, high = (format(bound, f"{sign}.3f") for bound in (value.low, value.high))
    return f"{value.mean:{sign}.3f} [{low}, {high}]" if value.low == value.low else f"{value.mean:{sign}.3f}"
