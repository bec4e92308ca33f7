"""What an arm has learnt against what it has forgotten: a point an arm."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.report.findings import ArmSummary, Group
from luthier.report.forgetting import BASE_SAMPLES
from luthier.report.measured import Estimate


@dataclass(frozen=True)
class Tradeoff:
    """One arm's point in the picture of learning against forgetting.

    Attributes:
        gain: against the reference arm on the primary measure, positive where better; zero for the reference itself.
        loss: on `task`, positive where worse; zero for an arm that trains nothing.
    """

    arm: str
    task: str
    measure: str
    gain: Estimate
    loss: Estimate


def tradeoffs(group: Group) -> tuple[Tradeoff, ...]:
    """A point a contender; empty where forgetting was not measured.

    The loss is on text sampled from the base, or on the first retention task where there is none of that.
    """
    measured = [task for task in group.retain if any(task.name in arm.forgetting for arm in group.contenders)]
    if not measured:
        return ()
    task = next((task for task in measured if task.name == BASE_SAMPLES), measured[0])
    n = max(arm.forgetting[task.name].n for arm in group.contenders if task.name in arm.forgetting)
    found = []
    for arm in group.contenders:
        gain, lost = _gain(group, arm), arm.forgetting.get(task.name)
        if gain is not None and (lost is not None or not arm.trained):
            loss = lost.loss if lost else Estimate(0.0, 0.0, 0.0, n)
            found.append(Tradeoff(arm.arm, task.name, task.primary, gain, loss))
    return tuple(found)


def _gain(group: Group, arm: ArmSummary) -> Estimate | None:
    if arm.arm == group.reference and group.primary in arm.scores:
        return Estimate(0.0, 0.0, 0.0, arm.scores[group.primary].n)
    found = group.difference(arm)
    if found is None:
        return None
    gain = Estimate(found.difference, found.low, found.high, found.n)
    return gain.turned if group.primary in group.lower_is_better else gain
