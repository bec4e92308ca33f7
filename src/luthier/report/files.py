"""The report's files: `report.html`, `report.md`, `results.csv`, `results.json`."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from luthier.core.store import Store, write_json, write_text
from luthier.core.types import Cost
from luthier.report.drift_view import drift_entry
from luthier.report.findings import ArmSummary, Comparison, Flag, Group, Summary
from luthier.report.html import write_html
from luthier.report.markdown import markdown
from luthier.report.sequence_tables import sequence_entry
from luthier.report.summary import summarise
from luthier.report.verdict import verdict


def write_report(store: Store) -> Path:
    """Write all four files into the store's folder, from what it holds, and give the page's path.

    Raises:
        LuthierError: no study was run in the folder, or a file cannot be written.
    """
    summary = summarise(store)
    write_results(summary, store)
    path = store.root / "report.html"
    write_html(summary, store, path)
    return path


def write_results(summary: Summary, store: Store) -> None:
    """`report.md`, `results.csv` (one row a run) and `results.json` (one entry an arm), each atomically."""
    write_text(store.root / "report.md", markdown(summary))
    write_text(store.root / "results.csv", _csv(summary))
    write_json(store.root / "results.json", results(summary))


def results(summary: Summary) -> dict[str, Any]:
    """What stands in `results.json`. A measure without an interval has null bounds; one not taken is absent.

    Two runs of a study differ in nothing but what is measured in seconds and bytes of memory.
    """
    study = summary.study
    return {
        "study": summary.name,
        "version": study["version"],
        "verdict": verdict(summary),
        "margin": study.get("margin"),
        "sizes": list(study.get("sizes", ())),
        "leakage": {task["name"]: task["leakage"] for task in study["tasks"] if "leakage" in task},
        "choices": list(study.get("choices", ())),
        "flags": [
            {"task": group.task, "model": group.model, "size": group.size, **_flag(flag)}
            for group in summary.groups
            for flag in group.flags
        ],
        "sequences": [sequence_entry(one) for one in summary.sequences],
        "no_sequences": list(summary.no_sequences),
        "arms": [_entry(group, arm) for group in summary.groups for arm in group.arms],
    }


def _entry(group: Group, arm: ArmSummary) -> dict[str, Any]:
    against_reference = group.difference(arm) if arm.contender else None
    return {
        "arm": arm.arm,
        "model": arm.model,
        "task": arm.task,
        "size": group.size,
        "prompting": arm.prompting,
        "method": arm.method,
        "objective": arm.objective,
        "baseline": arm.baseline,
        "control_of": arm.control_of,
        "base": arm.base,
        "status": arm.status,
        "error": arm.error,
        "seeds": list(arm.seeds),
        "scores": {measure: asdict(arm.scores[measure]) for measure in group.measures if measure in arm.scores},
        "by_seed": {str(seed): mean for seed, mean in arm.by_seed.items()},
        "against": {
            other: {measure: _comparison(found) for measure, found in comparisons.items()}
            for other, comparisons in arm.against.items()
        },
        "outcome": against_reference.outcome if against_reference else None,
        "smallest_visible": against_reference.smallest_visible if against_reference else None,
        "tied_with_best": arm.tied_with_best,
        "cheapest": arm is group.cheapest,
        "against_best": _comparison(arm.against_best) if arm.against_best else None,
        "above_control": {
            measure: [_plain(asdict(one), "measure") for one in found] for measure, found in arm.above_control.items()
        },
        "without_leaks": asdict(arm.without_leaks) if arm.without_leaks else None,
        "forgetting": {task: _plain(asdict(found), "task") for task, found in arm.forgetting.items()},
        "drift": drift_entry(arm),
        "cost": arm.cost.model_dump(),
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "p_holm": found.p_holm,
    }


def _flag(flag: Flag) -> dict[str, Any]:
    return {
        "measure": flag.measure,
        "arm": flag.arm,
        "control": flag.found.control,
        "why": flag.why,
        "words": flag.words,
    }


def _plain(data: dict[str, Any], without: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != without}


def _csv(summary: Summary) -> str:
    """One row a run: who, how it went, its mean scores (empty where not scored), its costs."""
    # What is the same at every size stands in the groups of all of them.
    runs = {run.name: run for group in summary.groups for arm in group.arms for run in arm.runs}
    shown = [measure for group in summary.groups for measure in group.measures]
    measures = dict.fromkeys([*shown, *(measure for run in runs.values() for measure in run.result.scores)])
    named = ["arm", "model", "task", "size", "seed", "status", "baseline", "control_of"]
    named += ["prompting", "method", "objective"]
    file = io.StringIO()
    writer = csv.DictWriter(file, [*named, *measures, *Cost.model_fields, "run", "error"], lineterminator="\n")
    writer.writeheader()
    for name, run in runs.items():
        row = {column: getattr(run.result, column) for column in (*named, "error")}
        writer.writerow(row | run.result.scores | run.result.cost.model_dump() | {"run": name})
    return file.getvalue()
