"""What the arms' runs warned of, gathered so that each thing is said once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from luthier.report.findings import ArmSummary
from luthier.report.warned import Warned


def gather_warnings(arms: Sequence[ArmSummary]) -> tuple[Warned, ...]:
    """What the arms' runs warned of, and what was left unscored: seeds that differ in numbers alone said once."""
    found: list[Warned] = []
    for arm in arms:
        alike: dict[str, Warned] = {}
        for run in arm.runs:
            for text in run.result.warnings:
                key = re.sub(r"[\d.]+", "0", text)
                first = alike.get(key) or Warned(text, (arm.arm,), ())
                seeds = tuple(dict.fromkeys((*first.seeds, run.result.seed)))
                alike[key] = replace(first, seeds=seeds, alike=first.alike or text != first.text)
        unscored = (Warned(text, (arm.arm,), arm.seeds, marked=False) for text in _unscored(arm))
        for one in (*alike.values(), *unscored):
            same = next((at for at, other in enumerate(found) if replace(other, arms=one.arms) == one), None)
            if same is None:
                found.append(one)
            else:
                found[same] = replace(one, arms=(*found[same].arms, arm.arm))
    return tuple(found)


def _unscored(arm: ArmSummary) -> list[str]:
    """Examples that measures left out in some run: their absence is named, never counted as zero."""
    every = {item for run in arm.finished for values in (run.asked, *run.scores.values()) for item in values}
    missing: dict[int, list[str]] = {}
    for measure, estimate in arm.scores.items():
        if estimate.low is not None and estimate.n < len(every):
            missing.setdefault(len(every) - estimate.n, []).append(measure)
    return [
        f"{number} of {len(every)} examples have no {', '.join(measures)}, and were left out of it"
        for number, measures in missing.items()
    ]
