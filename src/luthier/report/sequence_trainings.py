"""Whether the cells of a matrix R speak of the same models.

An arm is judged on every task by a run of its own. Their trainings are the same ones, unless something is settled for
the judged task alone: the learning rates that `trials` choose, and the training set that `sizes` cut. A row of such
runs would be several models, and what lies between two rows more than what was learned in between.
"""

from __future__ import annotations

from collections.abc import Sequence

SETTLED_BY_TASK = (
    "Trials choose learning rates, and sizes cut training sets, for the judged task alone: "
    "give every stage its learning_rate, and leave sizes out."
)
"""Where it mostly comes from, and what mends it."""


def mixed(arms: Sequence[str], tasks: Sequence[str], trained: Sequence[Sequence[Sequence[str]]]) -> str | None:
    """Why the runs of one seed are not of one chain of trainings, in a few words; None where they are.

    Args:
        arms: of which each should go on from the one before.
        tasks: that each was judged on.
        trained: the keys of the trainings of each arm (outer) as it was judged on each task.
    """
    before: list[str] = []
    for place, (arm, row) in enumerate(zip(arms, trained, strict=True)):
        first, *others = map(list, row)
        other = next((task for task, keys in zip(tasks[1:], others, strict=True) if keys != first), None)
        if other is not None:
            return f"{arm} is not the same model judged on {tasks[0]} and on {other}"
        if first[: len(before)] != before:
            return f"{arm} does not go on from what {arms[place - 1]} came to"
        before = first
    return None
