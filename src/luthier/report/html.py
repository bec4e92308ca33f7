"""The report as one page that needs nothing else: no script, no font, no request."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from luthier.core.store import Store, write_text
from luthier.report import formats, pictures
from luthier.report.examples import side_by_side
from luthier.report.findings import Group, Summary
from luthier.report.headline import group_headline
from luthier.report.palette import DARK, LIGHT, looks

_TEMPLATES = Path(__file__).parent / "templates"
_SHOWN_MEASURES = 3
"""So many measures stand in the main table; all of them in the one beneath."""
_SHOWN_ROWS = 100
"""So many skipped rows are named; the rest are counted."""


def write_html(summary: Summary, store: Store, path: Path) -> None:
    """Write the page, atomically.

    Raises:
        LuthierError: it cannot be written.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["formats"] = formats
    environment.globals["quote"] = shlex.quote
    page = environment.get_template("page.html").render(
        summary=summary,
        study=summary.study,
        when=_date(summary.study.get("date")),
        css=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
        light=LIGHT,
        dark=DARK,
        groups=[_group(summary, store, group) for group in summary.groups],
        skipped=_skipped(summary),
        shown_rows=_SHOWN_ROWS,
        root=str(store.root),
        settings=_yaml(summary.study.get("spec", {})),
        resolved=_yaml(_resolved(summary)),
        machine=_yaml(summary.study.get("environment", {})),
    )
    write_text(path, page)


def _group(summary: Summary, store: Store, group: Group) -> dict[str, Any]:
    """What the template shows of one task and model, pictures drawn."""
    task = next(task for task in summary.study["tasks"] if task["name"] == group.task)
    return {
        "group": group,
        "task": task,
        "headline": group_headline(group),
        "shown": group.main_measures(_SHOWN_MEASURES),
        "marks": {arm: Markup(pictures.mark(look)) for arm, look in looks(group).items()},
        "forests": [
            pictures.forest(group, measure)
            for measure in dict.fromkeys((group.primary, "nll"))
            if any(measure in arm.scores for arm in group.arms)
        ],
        "scored": [arm.arm for arm in group.contenders if group.primary in arm.scores],
        **_costs(group),
        "trained": [arm.arm for arm in group.contenders if any(run.result.train_key for run in arm.finished)],
        **_curves(store, group),
        "examples": side_by_side(store, group, task.get("examples", {})),
    }


def _costs(group: Group) -> dict[str, Any]:
    """The primary measure against each cost, and why a picture is left out."""
    scored = [arm for arm in group.contenders if group.primary in arm.scores]
    drawn, missing = [], []
    for cost, why in (
        ("trainable_parameters", "no arm here trains any"),
        ("train_seconds", "no arm here trains"),
        ("peak_bytes", "it was not measured"),
    ):
        if any(getattr(arm.cost, cost) for arm in scored):
            drawn.append(pictures.quality_against(group, cost))
        elif scored:
            missing.append(f"{group.primary} against {pictures.cost_name(cost)}: {why}")
    return {"costs": drawn, "costs_left_out": missing}


def _curves(store: Store, group: Group) -> dict[str, Any]:
    """Training and validation losses over the steps, and why a picture is left out."""
    logs = {
        arm.arm: [
            store.step("train", run.result.train_key).training_log() for run in arm.finished if run.result.train_key
        ]
        for arm in group.contenders
    }
    drawn, missing = [], []
    for key, name in (("loss", "Training loss"), ("validation_loss", "Validation loss")):
        curves = {arm.arm: found for arm in group.contenders if (found := pictures.curves_of(logs[arm.arm], key))}
        if any(len(curve) > 1 for found in curves.values() for curve in found):
            drawn.append(pictures.training_curve(group, curves, name))
        elif any(logs.values()):
            missing.append(f"{name}: it was taken at fewer than two steps")
    return {"curves": drawn, "curves_left_out": missing}


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
