"""Several models on one suite, one after the other, and beside each other: what `luthier evaluate` does."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.suites.benchmarks import find_tasks
from luthier.suites.evaluation import Evaluation
from luthier.suites.folders.read import refuse_no_folder
from luthier.suites.harness import evaluate_suite, refuse_numbers
from luthier.suites.judged import Quantisation, load_judged
from luthier.suites.out_folder import ready
from luthier.suites.side_by_side import Compared, other_shots, side_by_side


@dataclass(frozen=True)
class Evaluated:
    """What came of it.

    Attributes:
        evaluations: a model each, in the order named.
        compared: each model after the first beside it.
        notes: of all of them together.
    """

    evaluations: tuple[Evaluation, ...]
    compared: tuple[Compared, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "models": [one.as_json() for one in self.evaluations],
            "compared": [one.as_json() for one in self.compared],
            "notes": list(self.notes),
        }

    def refuse_unscored(self) -> None:
        """Refuse figures that there are none of.

        Raises:
            LuthierError: no item of a model has a score (exit code 1).
        """
        if without := [one.model for one in self.evaluations if not any(task.measures for task in one.tasks)]:
            raise LuthierError(
                "nothing was scored: no item has a label, or the model gave no number",
                where=without[0],
                mend="the notes say why; give --data with labelled rows",
                exit_code=1,
            )


def evaluate_models(
    models: Sequence[str],
    suite: str,
    *,
    data: Path | None = None,
    shots: int | None = None,
    limit: int | None = None,
    out: Path | None = None,
    chat_template: bool = False,
    quantise: str | None = None,
    base: str | None = None,
    method: str | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = lambda _: None,
) -> Evaluated:
    """Evaluate each model, freeing it before the next is loaded.

    Args:
        models: whatever `load_judged` takes.
        suite, data, shots, limit, out, chat_template: as in `evaluate_suite`.
        quantise: the frozen matrices in `nf4` or `int8`; None leaves them as they are.
        base, method, device: as in `load_judged`, for all of them.
        say: told what is being done.

    Raises:
        LuthierError: as those two, `out` cannot be written, and where models cannot be set side by side.
    """
    quantisation = quantisation_named(quantise)
    if len(set(models)) < len(models):
        raise LuthierError("a model is named twice", where="MODEL", mend="name each one once")
    # What is wrong in the question is told before a model is loaded.
    refuse_numbers(shots, limit)
    if data is not None:
        refuse_no_folder(data)
    find_tasks(suite, say)
    ready(out)
    evaluations = []
    for name in models:
        judged = load_judged(name, model=base, method=method, quantisation=quantisation, device=device, say=say)
        found = evaluate_suite(
            judged, suite, data=data, shots=shots, limit=limit, out=out, chat_template=chat_template, say=say
        )
        evaluations.append(found)
        del judged
        gc.collect()  # libraries' models are parts of cycles
    return Evaluated(tuple(evaluations), side_by_side(evaluations), other_shots(evaluations))


def quantisation_named(name: str | None) -> Quantisation | None:
    """What `--quantise` asks for.

    Raises:
        LuthierError: there is no such quantisation.
    """
    if name not in (None, "nf4", "int8"):
        raise LuthierError(f"{name}: no such quantisation", where="--quantise", mend="say nf4 or int8")
    return name  # type: ignore[return-value]
