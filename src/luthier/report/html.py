"""The report as one page that needs nothing else: no script, no font, no request."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from luthier.core.store import Store, write_text
from luthier.report import formats
from luthier.report.answers import measure_name
from luthier.report.findings import Group, Summary
from luthier.report.page_templates import style_sheet, template_environment
from luthier.report.palette import DARK, LIGHT
from luthier.report.sequence_view import sequence_views
from luthier.report.standing import intervals_over
from luthier.report.verdict import not_finished, overall
from luthier.report.views import curve_view, group_view

_SHOWN_ROWS = 100
"""So many skipped rows, and so many leaked pairs, are named; the rest are counted."""


def write_html(summary: Summary, store: Store, path: Path) -> None:
    """Write the page, atomically.

    Raises:
        LuthierError: it cannot be written.
    """
    environment = template_environment()
    environment.globals["formats"] = formats
    environment.globals["quote"] = shlex.quote
    environment.globals["measure_name"] = measure_name
    page = environment.get_template("page.html").render(
        summary=summary,
        study=summary.study,
        when=_date(summary.study.get("date")),
        css=style_sheet(),
        light=LIGHT,
        dark=DARK,
        main=_main(summary),
        overall=overall(summary.groups),
        unfinished=not_finished(summary),
        over=intervals_over(summary.groups),
        groups=[group_view(summary, store, group) for group in summary.groups],
        curves=[curve_view(summary, found) for found in summary.curves],
        sequences=sequence_views(summary),
        skipped=_skipped(summary),
        shown_rows=_SHOWN_ROWS,
        root=str(store.root),
        settings=_yaml(summary.study.get("spec", {})),
        resolved=_yaml(_resolved(summary)),
        machine=_yaml(summary.study.get("environment", {})),
    )
    write_text(path, page)


def _main(summary: Summary) -> Group | None:
    """The group that speaks for the study: the only one, or that of the largest training set; None in a wider grid."""
    places = {(group.task, group.model) for group in summary.groups}
    return max(summary.groups, key=lambda group: group.size or 0) if len(places) == 1 else None


def _skipped(summary: Summary) -> list[tuple[str, str]]:
    """Where and why rows were left out, each once."""
    rows = [(row["where"], row["reason"]) for task in summary.study["tasks"] for row in task.get("skipped", ())]
    return list(dict.fromkeys(rows))


def _resolved(summary: Summary) -> dict[str, Any]:
    """What each finished run resolved while it ran (learning rate, steps), by the run's name."""
    runs = [run for group in summary.groups for arm in group.arms for run in arm.finished]
    return {run.name: run.result.effective for run in runs if run.result.effective}


def _yaml(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def _date(text: str | None) -> str:
    try:
        return datetime.fromisoformat(text or "").strftime("%-d %B %Y, %H:%M")
    except ValueError:
        return text or formats.MISSING
