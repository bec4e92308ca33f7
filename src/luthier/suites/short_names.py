"""What tables call models: a run by its arm, a folder by its last part, as short as tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luthier.suites.helm.scenario import run_of


def short_names(models: Sequence[str]) -> dict[str, str]:
    """A name for each model, no two alike: a run's arm, or its arm and seed where arms repeat.

    Args:
        models: as the user named them, each once.
    """
    runs = [run_of(model) for model in models]
    last = [Path(model).expanduser().resolve().name if Path(model).expanduser().is_dir() else model for model in models]
    arms = [name if run is None else run.arm.name for name, run in zip(last, runs, strict=True)]
    seeds = [name if run is None else f"{run.arm.name}, seed {run.seed}" for name, run in zip(last, runs, strict=True)]
    names = next((found for found in (arms, seeds, last) if len(set(found)) == len(found)), list(models))
    return dict(zip(models, names, strict=True))
