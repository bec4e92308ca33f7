"""How much is lost of what was learned before, and what it gives to what comes after: backward transfer, average
forgetting, forward transfer.

They read the matrix R of scores: R[i, j] is the score on task j after learning tasks 0 .. i, higher being better. They
are for tasks learned one after another. The report's forgetting (a retention task before and after one training) is the
case of two tasks, the first being what the base already could: its change is then the backward transfer, and the
average forgetting with the other sign.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def backward_transfer(scores: ArrayLike) -> float:
    """The mean change on earlier tasks by what was learned after them; below zero is forgetting.

    Lopez-Paz & Ranzato 2017, "Gradient episodic memory for continual learning", arXiv 1706.08840: with T tasks,

        BWT = 1 / (T - 1) sum over j < T - 1 of (R[T - 1, j] - R[j, j])

    Args:
        scores: R, shape (tasks, tasks).

    Returns:
        nan for a single task.

    Raises:
        ValueError: R is not square.
    """
    matrix = _square(scores)
    if len(matrix) < 2:
        return math.nan
    return float((matrix[-1] - np.diag(matrix))[:-1].mean())


def average_forgetting(scores: ArrayLike) -> float:
    """The mean fall from the best score that an earlier task ever had before the last was learned.

    Chaudhry et al. 2018, "Riemannian walk for incremental learning", arXiv 1801.10112: with T tasks,

        F = 1 / (T - 1) sum over j < T - 1 of (max over i < T - 1 of R[i, j] - R[T - 1, j])

    Their maximum runs over every earlier state, those before task j was learned included.

    Args:
        scores: R, shape (tasks, tasks).

    Returns:
        nan for a single task.

    Raises:
        ValueError: R is not square.
    """
    matrix = _square(scores)
    if len(matrix) < 2:
        return math.nan
    return float((matrix[:-1].max(axis=0) - matrix[-1])[:-1].mean())


def forward_transfer(scores: ArrayLike, before: ArrayLike) -> float:
    """The mean change on a task by what was learned before it was its turn; above zero, the earlier tasks helped.

    Lopez-Paz & Ranzato 2017, arXiv 1706.08840: with T tasks, and b[j] the score on task j before any was learned
    (theirs of random weights, here of the untouched base),

        FWT = 1 / (T - 1) sum over j > 0 of (R[j - 1, j] - b[j])

    Args:
        scores: R, shape (tasks, tasks).
        before: b, shape (tasks,).

    Returns:
        nan for a single task.

    Raises:
        ValueError: R is not square, or b is not one a task.
    """
    matrix, base = _square(scores), np.asarray(before, dtype=np.float64)
    if base.shape != matrix.shape[:1]:
        raise ValueError(f"scores of {len(matrix)} tasks, and before them of shape {base.shape}")
    if len(matrix) < 2:
        return math.nan
    return float((np.diag(matrix, k=1) - base[1:]).mean())


def _square(scores: ArrayLike) -> NDArray[np.float64]:
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"scores of shape {matrix.shape}: give (tasks, tasks)")
    return matrix
