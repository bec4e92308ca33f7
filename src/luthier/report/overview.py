"""Everything in one table: every arm in every group, by the primary measure."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.report import formats
from luthier.report.findings import ArmSummary, Group, Summary

TIE = "="
"""Stands behind the score of an arm that is tied with the best of its group."""


@dataclass(frozen=True)
class Overview:
    """Rows are arms, columns are groups.

    Attributes:
        columns: of each group what tells it from the others: task, model, size of the training set.
        rows: arm and a cell for each group: the mean, marked where tied with the best; a dash where there is none.
    """

    columns: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def overview(summary: Summary) -> Overview:
    """The table. What all groups share is not in the columns' titles."""
    facts = [(group.task, group.model, _size(group)) for group in summary.groups]
    varies = [len({fact[place] for fact in facts}) > 1 for place in range(3)]
    columns = [tuple(part for part, told in zip(fact, varies, strict=True) if told and part) for fact in facts]
    rows = tuple((name, tuple(cell(group, group.arm(name)) for group in summary.groups)) for name in summary.arm_names)
    return Overview(tuple(columns), rows)


def cell(group: Group, arm: ArmSummary | None) -> str:
    """`0.312 =`."""
    if arm is None or group.primary not in arm.scores:
        return "failed" if arm is not None and arm.status == "failed" else formats.MISSING
    return formats.score(arm.scores[group.primary].mean) + tie_mark(group, arm)


def tie_mark(group: Group, arm: ArmSummary) -> str:
    """The mark behind a score; nothing where the best stands alone."""
    several = sum(other.tied_with_best for other in group.arms) > 1
    return f" {TIE}" if arm.tied_with_best and several else ""


def _size(group: Group) -> str:
    return "" if group.size is None else f"{group.size:,} examples"
