"""The report as Markdown: the verdict, the tables of each group, what failed, how to run it again."""

from __future__ import annotations

from luthier.report.drift_view import drift_table
from luthier.report.findings import Group, Summary
from luthier.report.markdown_tables import (
    Table,
    arms_table,
    best_table,
    choices_table,
    controls_table,
    curves_table,
    forgetting_table,
    leaks_table,
    overview_table,
    seeds_table,
)
from luthier.report.sequence_tables import sequence_tables
from luthier.report.verdict import verdict

_FOLDED = ("Leaked rows",)
"""Tables that may be long: they open when they are asked for."""


def markdown(summary: Summary) -> str:
    """The whole text; everything that a user or a model wrote is escaped."""
    study = summary.study
    models = ", ".join(model["name"] for model in study["models"])
    facts = f"{_escape(models)}; {study.get('date', '')}; pictures in `report.html`."
    lines = [f"# {_escape(summary.name)}", "", facts, "", "## Verdict", ""]
    for paragraph in verdict(summary, timed=True).split("\n"):
        lines += [_escape(paragraph), ""]
    if len(summary.groups) > 1:
        lines += _laid_out(overview_table(summary))
    for curves in summary.curves:
        lines += _laid_out(curves_table(curves))
    for table in sequence_tables(summary.sequences):
        lines += _laid_out(table)
    for sentence in summary.no_sequences:
        lines += [_escape(sentence), ""]
    for group in summary.groups:
        lines += _group(group)
    return "\n".join([*lines, *_failed(summary), *_warnings(summary), *_again(summary)])


def _group(group: Group) -> list[str]:
    tables = [
        arms_table(group),
        best_table(group),
        controls_table(group),
        forgetting_table(group),
        drift_table(group),
        seeds_table(group),
        choices_table(group),
        leaks_table(group),
    ]
    main, *others = [_laid_out(table) for table in tables if table is not None]
    warned = [f"- {_escape(f'Warning: {warned.words}')}" for warned in group.warnings]
    lines = [f"## {_escape(group.title)}", "", *main, *warned, *[""] * bool(warned)]
    return [*lines, *(line for other in others for line in other)]


def _laid_out(table: Table) -> list[str]:
    rows = ["| " + " | ".join(map(_escape, cells)) + " |" for cells in (table.titles, *table.rows)]
    rows.insert(1, "|" + " --- |" * len(table.titles))
    body = [*(rows if table.rows else []), "", *([_escape(table.note), ""] if table.note else [])]
    if table.heading in _FOLDED:
        opening = f"<details><summary>{_escape(table.heading)} ({len(table.rows)})</summary>"
        return [opening, "", *body, "</details>", ""]
    return [*([f"### {_escape(table.heading)}", ""] if table.heading else []), *body]


def _failed(summary: Summary) -> list[str]:
    if not summary.failures:
        return []
    lines = ["## Failed", ""]
    for failure in summary.failures:
        seeds = ", ".join(map(str, failure.seeds))
        size = "" if failure.size is None else f", {failure.size:,} training examples"
        lines.append(f"- {_escape(failure.arm)} (seed {seeds}{size}): {_escape(failure.error)}")
    return [*lines, ""]


def _warnings(summary: Summary) -> list[str]:
    warnings = [f"runs of mixed versions: {name} {', '.join(versions)}" for name, versions in summary.mixed.items()]
    warnings += [f"unfinished: {name}" for name in summary.unfinished]
    return ["## Warnings", "", *(f"- {_escape(text)}" for text in warnings), ""] if warnings else []


def _again(summary: Summary) -> list[str]:
    lines = ["## Run it again", ""]
    for again in summary.again:
        lines += [f"{_escape(again.what)}:", "", f"    {again.command}", ""]
    runs = [run for group in summary.groups for arm in group.arms for run in arm.runs]
    folders = dict.fromkeys((run.result.digest, run.name) for run in runs)
    listed = [f"- `{digest}` runs/{_escape(name)}" for digest, name in folders]
    return [*lines, "<details><summary>Every run: its digest and folder</summary>", "", *listed, "", "</details>", ""]


def _escape(text: str) -> str:
    """On one line, with nothing that Markdown or HTML would take for its own."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    for character in "\\|*_`[]":
        text = text.replace(character, "\\" + character)
    return text
