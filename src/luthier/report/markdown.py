"""The report as Markdown: the headline, one table a group, what failed, how to run it again."""

from __future__ import annotations

from luthier.report import formats
from luthier.report.findings import ArmSummary, Group, Summary
from luthier.report.headline import group_headline

_SHOWN_MEASURES = 4


def markdown(summary: Summary) -> str:
    """The whole text; everything that a user or a model wrote is escaped."""
    study = summary.study
    models = ", ".join(model["name"] for model in study["models"])
    facts = f"{_escape(models)}; {study.get('date', '')}; pictures in `report.html`."
    lines = [f"# {_escape(summary.name)}", "", facts, ""]
    for group in summary.groups:
        opening = _escape(" ".join(group_headline(group)))
        lines += [f"## {_escape(group.task)} on {_escape(group.model)}", "", opening, ""]
        measures = group.main_measures(_SHOWN_MEASURES)
        lines += [*_table(group, measures), ""]
        lower = [measure for measure in measures if measure in group.lower_is_better]
        note = f"In brackets: 95% intervals over seeds and test examples. Differences are to {group.reference}."
        note += f" Lower is better: {', '.join(lower)}." if lower else ""
        note += f" All {len(group.measures)} measures: results.json." if len(measures) < len(group.measures) else ""
        lines += [_escape(note), ""]
        lines += [*(f"- {_escape(f'Warning: {warned.words}')}" for warned in group.warnings), ""] * bool(group.warnings)
    if summary.failures:
        lines += ["## Failed", ""]
        for failure in summary.failures:
            seeds = ", ".join(map(str, failure.seeds))
            lines.append(f"- {_escape(failure.arm)} (seed {seeds}): {_escape(failure.error)}")
        lines.append("")
    warnings = [f"runs of mixed versions: {name} {', '.join(versions)}" for name, versions in summary.mixed.items()]
    warnings += [f"unfinished: {name}" for name in summary.unfinished]
    if warnings:
        lines += ["## Warnings", "", *(f"- {_escape(text)}" for text in warnings), ""]
    return "\n".join([*lines, "## Run it again", "", f"    {study['command']}", ""])


def _table(group: Group, measures: list[str]) -> list[str]:
    titles = ["arm", *measures, "difference", "p (Holm)", "trained", "training time", "peak memory", "runs"]
    rows = [_row(group, arm, measures) for arm in group.arms]
    return ["| " + " | ".join(map(_escape, cells)) + " |" for cells in (titles, ["---"] * len(titles), *rows)]


def _row(group: Group, arm: ArmSummary, measures: list[str]) -> list[str]:
    difference = group.difference(arm)
    return [
        arm.arm + (" (baseline)" if arm.baseline else ""),
        *(formats.estimate(arm.scores.get(measure)) for measure in measures),
        "reference" if arm.arm == group.reference else formats.comparison(difference),
        formats.p_value(difference.p_holm if difference else None),
        formats.count(arm.cost.trainable_parameters) if arm.finished else formats.MISSING,
        formats.training_time(arm),
        formats.peak_memory(arm),
        f"{len(arm.finished)} of {len(arm.runs)}",
    ]


def _escape(text: str) -> str:
    """On one line, with nothing that Markdown or HTML would take for its own."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    for character in "\\|*_`[]":
        text = text.replace(character, "\\" + character)
    return text
