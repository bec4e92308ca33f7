"""Two studies side by side, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from luthier.report import formats
from luthier.report.compare import Change, Compared, ComparedArm

_LONG = 60
"""A longer value of a setting is cut."""
_WORD = {True: "better", False: "worse", None: "not told apart"}


def print_compared(found: Compared, console: Console) -> None:
    """What differs, the arms that both have, the arms that one has, both verdicts."""
    console.print(Text.assemble("A  ", (found.a, "bold")))
    console.print(Text.assemble("B  ", (found.b, "bold")))
    for title, header, rows in _tables(found):
        console.print()
        console.print(Text(title, style="bold"))
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in header:
            table.add_column(Text(name), overflow="fold", no_wrap=name == "B minus A")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
    for line in _lines(found):
        console.print()
        console.print(Text(line))


def _tables(found: Compared) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, header and rows of each table that has rows."""
    several = len({(arm.where, arm.measure) for arm in found.arms}) > 1
    tables = [
        ("What differs in the study files", ["key", "A", "B"], _changes(found.settings)),
        ("What differs around them", ["", "A", "B"], _changes(found.surroundings)),
        (
            "Arms that both have" if several or not found.arms else f"Arms that both have: {found.arms[0].measure}",
            [*(["where", "measure"] if several else []), "arm", "A", "B", "B minus A", "B is", "paired on"],
            [_arm(arm, several) for arm in found.arms],
        ),
    ]
    return [table for table in tables if table[2]]


def _changes(changes: Sequence[Change]) -> list[list[str]]:
    return [[one.key, _cut(one.before), _cut(one.after)] for one in changes]


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def _arm(arm: ComparedArm, several: bool) -> list[str]:
    return [
        *([arm.where, arm.measure] if several else []),
        arm.arm,
        formats.score(arm.a.mean),
        formats.score(arm.b.mean),
        formats.change(arm.difference, arm.low, arm.high),
        _WORD[arm.better] if arm.low is not None else formats.MISSING,
        arm.how,
    ]


def _lines(found: Compared) -> list[str]:
    lines = []
    if any(not arm.n for arm in found.arms):
        lines.append("Unpaired: the test sets share too few examples, or the runs no seed, so the interval is wider.")
    if not found.settings and not found.surroundings:
        lines.append("The study files do not differ, nor do the models, rows and versions.")
    if not found.arms:
        lines.append("No arm is in both: they are met by name, on the same task, model and size.")
    for name, only in (("A", found.only_a), ("B", found.only_b)):
        if only:
            lines.append(f"Only in {name}: {', '.join(only)}.")
    return [*lines, f"Verdict of A: {found.verdict_a}", f"Verdict of B: {found.verdict_b}"]
