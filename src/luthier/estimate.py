"""A rough guess of what a run will take, from sizes alone: for `--dry-run`, and for the order of runs side by side.

Neither torch nor a model is needed for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from luthier.core.types import Example, Split
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
    own, folder = run.task.task_name, plan.models[run.model.name].folder
    operations = 0.0
    counted = set() if counted is None else counted
    for stage, key in zip(run.arm.trained, run.train_keys(), strict=True):
        if key in counted:
            continue
        counted.add(key)
        name = run.trained_on(stage)
        tokens, rows = _size(folder, run.data_of(name)["train"], partial(_examples, plan, name, "train", run.size))
        training = stage.training
        epochs = training.steps * training.batch_size / max(1, rows) if training.steps else training.epochs
        operations += 5 * run.model.parameters * tokens * epochs
    tokens, rows = _size(folder, run.data[run.split], partial(_examples, plan, own, run.split, run.size))
    read = tokens * (1 + getattr(run.arm.prompting, "shots", 0))
    written = run.task.generation.max_new_tokens * rows if "text" in run.kinds else 0
    operations += 2 * run.model.parameters * (len(run.kinds) * read + _DECODING * written)
    return operations / (_EFFICIENCY * matrix_speed()) + _START_SECONDS / 2


def longest_first(runs: Sequence[RunSpec], plan: Plan) -> list[RunSpec]:
    """The order in which several workers are done soonest: a long run that begins last is waited for by all.

    No order by length of independent runs ends later than 4/3 of the best one (Graham 1969, "Bounds on multiprocessing
    timing anomalies"). Runs of equal length stay in the order given.
    """
    counted: set[str] = set()
    expected = {run.folder: seconds(run, plan, counted) for run in runs}
    return sorted(runs, key=lambda run: -expected[run.folder])


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


_SIZES: dict[tuple[Path, str], tuple[float, int]] = {}


def _size(folder: Path, digest: str, examples: Callable[[], Sequence[Example]]) -> tuple[float, int]:
    """Tokens and number of the examples of that digest; counted once, however many runs read them."""
    if (folder, digest) not in _SIZES:
        found = examples()
        _SIZES[folder, digest] = _tokens(folder, found), len(found)
    return _SIZES[folder, digest]


def _examples(plan: Plan, task: str, split: Split, size: int | None) -> Sequence[Example]:
    """Those of a task of the study in the size that is studied, or of one that stages alone read."""
    return (plan.tasks[task].of_size(size) if task in plan.tasks else plan.read[task]).splits[split]


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
