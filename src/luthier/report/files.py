"""The report's files: `report.html`, `report.md`, `results.csv`, `results.json`."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from luthier.core.store import Store, write_json, write_text
from luthier.core.types import Cost
from luthier.report.findings import ArmSummary, Group, Summary
from luthier.report.headline import headline
from luthier.report.html import write_html
from luthier.report.markdown import markdown
from luthier.report.summary import summarise


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
    """What stands in `results.json`. A measure without an interval has null bounds; one not taken is absent."""
    return {
        "study": summary.name,
        "version": summary.study["version"],
        "verdict": headline(summary),
        "arms": [_entry(group, arm) for group in summary.groups for arm in group.arms],
    }


def _entry(group: Group, arm: ArmSummary) -> dict[str, Any]:
    return {
        "arm": arm.arm,
        "model": arm.model,
        "task": arm.task,
        "prompting": arm.prompting,
        "method": arm.method,
        "objective": arm.objective,
        "baseline": arm.baseline,
        "status": arm.status,
        "error": arm.error,
        "seeds": list(arm.seeds),
        "scores": {measure: asdict(arm.scores[measure]) for measure in group.measures if measure in arm.scores},
        "against": {
            other: {
                measure: {
                    "difference": found.difference,
                    "low": found.low,
                    "high": found.high,
                    "p": found.p,
                    "p_holm": found.p_holm,
                }
                for measure, found in comparisons.items()
            }
            for other, comparisons in arm.against.items()
        },
        "forgetting": {},
        "cost": arm.cost.model_dump(),
    }


def _csv(summary: Summary) -> str:
    """One row a run: who, how it went, its mean scores (empty where not scored), its costs."""
    measures = list(dict.fromkeys(measure for group in summary.groups for measure in group.measures))
    named = ["arm", "model", "task", "seed", "status", "baseline", "prompting", "method", "objective"]
    file = io.StringIO()
    writer = csv.DictWriter(file, [*named, *measures, *Cost.model_fields, "run", "error"], lineterminator="\n")
    writer.writeheader()
    for group in summary.groups:
        for arm in group.arms:
            for run in arm.runs:
                result = run.result
                row = {name: getattr(result, name) for name in (*named, "error")}
                writer.writerow(row | result.scores | result.cost.model_dump() | {"run": run.name})
    return file.getvalue()
