"""A rough guess of what a run will take, from sizes alone: for `--dry-run`, without torch or a model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from luthier.core.types import Example
from luthier.plan import Plan
from luthier.run_spec import RunSpec

_EFFICIENCY = 0.35
"""The share of the machine's matrix speed that training small models reached (docs/log.md)."""
_DECODING = 4.0
"""How much dearer a generated token is than a read one: each is a forward pass of its own."""
_START_SECONDS = 8.0
"""Imports and loading, once per worker and then some."""


def seconds(run: RunSpec, plan: Plan, counted: set[str] | None = None) -> float:
    """Seconds of the whole machine that a run may take; right to a factor of two or so.

    Args:
        run: what is to be done.
        plan: which it is part of.
        counted: the keys of trainings that runs before this one do: they cost nothing here, and those of this one are
            added.
    """
    if not run.arm.prompting.needs_model:
        return 1.0
    task = plan.tasks[run.task.task_name].of_size(run.size)
    folder = plan.models[run.model.name].folder
    operations = 0.0
    counted = set() if counted is None else counted
    for stage, key in zip(run.arm.trained, run.train_keys(), strict=True):
        if key in counted:
            continue
        counted.add(key)
        name = run.trained_on(stage)
        train = (task if name == task.name else plan.read[name]).splits["train"]
        size = stage.training.batch_size
        seen = _tokens(folder, train) * (
            stage.training.steps * size / max(1, len(train)) if stage.training.steps else stage.training.epochs
        )
        operations += 5 * run.model.parameters * seen
    asked = task.splits[run.split]
    read = _tokens(folder, asked) * (1 + getattr(run.arm.prompting, "shots", 0))
    written = run.task.generation.max_new_tokens * len(asked) if "text" in run.kinds else 0
    operations += 2 * run.model.parameters * (len(run.kinds) * read + _DECODING * written)
    return operations / (_EFFICIENCY * matrix_speed()) + _START_SECONDS / 2


@cache
def matrix_speed() -> float:
    """Floating-point operations a second of the whole machine in a float32 matrix product, measured now."""
    import numpy as np

    a = np.ones((768, 768), dtype=np.float32)
    a @ a
    best = min(_timed(a) for _ in range(3))
    return 2 * 768**3 / best


def _timed(a: object) -> float:
    started = time.perf_counter()
    a @ a  # type: ignore[operator]
    return time.perf_counter() - started


def _tokens(folder: Path, examples: Sequence[Example]) -> float:
    """Tokens of prompts and references: counted on a sample, with the model's own tokenizer where it is in one file."""
    sample = examples[:: max(1, len(examples) // 50)]
    if not sample:
        return 0.0
    texts = [" ".join([*(m.content for m in example.messages), example.reference]) for example in sample]
    tokenizer = _tokenizer(folder)
    count = sum(len(tokenizer.encode(text).ids) if tokenizer else len(text) / 4 for text in texts)
    return count / len(sample) * len(examples)


@cache
def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.exists():
        return None
    try:
        return Tokenizer.from_file(str(path))
    except Exception:  # the library raises nothing narrower; the run itself names a damaged file
        return None
