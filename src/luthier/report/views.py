"""What the page shows of one task, model and size: its findings with pictures drawn and tables laid out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from markupsafe import Markup

from luthier.core.store import Store
from luthier.report import formats, pictures
from luthier.report.answers import answers, headline
from luthier.report.drawing import mark
from luthier.report.drift_view import drift_view
from luthier.report.examples import side_by_side
from luthier.report.findings import AboveControl, Group, LearningCurves, Summary
from luthier.report.palette import looks
from luthier.report.picture_forgetting import learning_against_forgetting
from luthier.report.picture_sizes import learning_curve
from luthier.report.picture_sure import against_best, forest
from luthier.report.standing import intervals_over, recommended
from luthier.report.verdict import group_verdict

_SHOWN_MEASURES = 3
"""So many measures stand in the main table; all of them in the one beneath."""


def group_view(summary: Summary, store: Store, group: Group) -> dict[str, Any]:
    """Everything that the template asks of a group, pictures drawn."""
    task = next(task for task in summary.study["tasks"] if task["name"] == group.task)
    return {
        "group": group,
        "task": task,
        "place": _place(summary, group),
        "headline": headline(group),
        "verdict": group_verdict(group),
        "take": recommended(group),
        "answers": answers(group),
        "shown": group.main_measures(_SHOWN_MEASURES),
        "marks": {arm: Markup(mark(look)) for arm, look in looks(group).items()},
        "visible": _visible(group),
        "over": intervals_over([group]),
        "several_seeds": any(len(arm.by_seed) > 1 and not arm.same_for_all_seeds for arm in group.arms),
        "controlled": [
            measure for measure in group.measures if any(measure in arm.above_control for arm in group.arms)
        ],
        "sure": _sure(group),
        "controls": _controls(group),
        "forgetting": learning_against_forgetting(group),
        "drift": drift_view(store, group),
        "scored": [arm.arm for arm in group.contenders if group.primary in arm.scores],
        **_costs(group),
        "trained": [arm.arm for arm in group.contenders if arm.trained],
        **_curves(store, group),
        "examples": side_by_side(store, group, task.get("examples", {})),
    }


def curve_view(summary: Summary, found: LearningCurves) -> dict[str, Any]:
    """A learning curve's picture, its key, and what follows from it."""
    groups = [one for one in summary.groups if (one.task, one.model) == (found.task, found.model)]
    # An interrupted study may lack an arm at some of its sizes.
    arms = {arm.arm: arm for group in groups for arm in group.arms}
    group = replace(groups[-1], arms=tuple(arms.values()))
    drawn = looks(group)
    return {
        "found": found,
        "picture": learning_curve(found, group),
        "marks": {curve.arm: Markup(mark(drawn[curve.arm])) for curve in found.curves},
        "over": intervals_over(groups),
    }


def _place(summary: Summary, group: Group) -> str:
    """The group's name where it stands among the others: what is the same in all of them is left out."""
    several = [len({getattr(one, kind) for one in summary.groups}) > 1 for kind in ("task", "model")]
    named = " on ".join(name for name, varies in zip((group.task, group.model), several, strict=True) if varies)
    size = "" if group.size is None else f"{group.size:,} training examples"
    return ", ".join(part for part in (named, size) if part) or group.title


def _visible(group: Group) -> str:
    """The smallest difference to the reference that each comparison would have found: `lora 0.012, full 0.014`."""
    found = {
        arm.arm: formats.visible(one.smallest_visible) for arm in group.contenders if (one := group.difference(arm))
    }
    return ", ".join(f"{arm} {visible}" for arm, visible in found.items() if visible != formats.MISSING)


def _sure(group: Group) -> dict[str, Any]:
    """The forests: the primary measure, the arms against the best, and the likelihood where it is not the primary."""
    means = [
        forest(group, measure)
        for measure in dict.fromkeys((group.primary, "nll"))
        if any(measure in arm.scores for arm in group.arms)
    ]
    return {"means": means, "against_best": against_best(group)}


def _controls(group: Group) -> dict[str, Any]:
    """The table of controls: its columns, and by arm the control met in each."""
    rows = {arm.arm: arm.above_control.get(group.primary, ()) for arm in group.contenders}
    names = dict.fromkeys(_column(found) for row in rows.values() for found in row)
    last = ("wrong reference", "random weights")
    columns = [*(name for name in names if name not in last), *(name for name in last if name in names)]
    return {
        "columns": columns,
        "rows": {
            arm: {"strongest": row[0], "met": {_column(found): found for found in row}}
            for arm, row in rows.items()
            if row
        },
    }


def _column(found: AboveControl) -> str:
    return found.control if found.kind == "baseline" else found.kind


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
