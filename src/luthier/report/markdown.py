"""The report as Markdown: the headline, one table a group, what failed, how to run it again."""

from __future__ import annotations

from luthier.report import formats
from luthier.report.findings import ArmSummary, Group, Summary
from luthier.report.headline import group_headline


def markdown(summary: Summary) -> str:
    """The whole text; everything that a user or a model wrote is escaped."""
    study = summary.study
    models = ", ".join(model["name"] for model in study["models"])
    facts = f"{_escape(models)}; {study.get('date', '')}; pictures in `report.html`."
    lines = [f"# {_escape(summary.name)}", "", facts, ""]
    for group in summary.groups:
        opening = _escape(" ".join(group_headline(group)))
        lines += [f"## {_escape(group.task)} on {_escape(group.model)}", "", opening, ""]
        lines += [*_table(group), ""]
        lower = [measure for measure in group.measures if measure in group.lower_is_better]
        note = f"In brackets: 95% intervals over seeds and test examples. Differences are to {group.reference}."
        lines += [_escape(note + (f" Lower is better: {', '.join(lower)}." if lower else "")), ""]
    if summary.failures:
        lines += ["## Failed", ""]
        for failure in summary.failures:
            seeds = ", ".join(map(str, failure.seeds))
            lines.append(f"- {_escape(failure.arm)} (seed {seeds}): {_escape(failure.error)}")
        lines.append("")
    warnings = [f"{text} ({', '.join(arms)})" for text, arms in summary.warnings.items()]
    warnings += [f"runs of mixed versions: {name} {', '.join(versions)}" for name, versions in summary.mixed.items()]
    warnings += [f"unfinished: {name}" for name in summary.unfinished]
    if warnings:
        lines += ["## Warnings", "", *(f"- {_escape(text)}" for text in warnings), ""]
    return "\n".join([*lines, "## Run it again", "", f"    {study['command']}", ""])


def _table(group: Group) -> list[str]:
    titles = ["arm", *group.measures, "difference", "p (Holm)", "trained", "training time", "peak memory", "runs"]
    rows = [_row(group, arm) for arm in group.arms]
    return ["| " + " | ".join(map(_escape, cells)) + " |" for cells in (titles, ["---"] * len(titles), *rows)]


def _row(group: Group, arm: ArmSummary) -> list[str]:
    difference, cost = group.difference(arm), arm.cost
    return [
        arm.arm + (" (baseline)" if arm.baseline else ""),
        *(formats.estimate(arm.scores.get(measure)) for measure in group.measures),
        "reference" if arm.arm == group.reference else formats.comparison(difference),
        formats.p_value(difference.p_holm if difference else None),
        formats.count(cost.trainable_parameters) if arm.finished else formats.MISSING,
        formats.seconds(cost.train_seconds or None),
        formats.size(cost.peak_bytes) if cost.peak_bytes else formats.MISSING,
        f"{len(arm.finished)} of {len(arm.runs)}",
    ]


def _escape(text: str) -> str:
    """On one line, with nothing that Markdown or HTML would take for its own."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    for character in "\\|*_`[]":
        text = text.replace(character, "\\" + character)
    return text
