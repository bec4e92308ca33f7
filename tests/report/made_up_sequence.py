"""A made-up study of three tasks learned one after another, in two ways, whose matrices are known.

R is that of the known figures (`../shared/facts/golden.md`) for `full`, and without any forgetting for `replay`; the
base scores 0.1, 0.2 and 0.05. An item's score lies around it by +-0.05, and a seed's by -0.01, 0 and 0.01.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.core.store import Store, write_lines
from luthier.core.types import Result, Score

TASKS = ("A", "B", "C")
R = {
    "full": ((0.9, 0.2, 0.1), (0.8, 0.85, 0.15), (0.6, 0.7, 0.95)),
    "replay": ((0.9, 0.2, 0.1), (0.9, 0.85, 0.15), (0.9, 0.85, 0.95)),
}
BEFORE = (0.1, 0.2, 0.05)
ITEMS = 10

LAYERS = {"embeddings": 0.0, "1": 0.02, "2": 0.05}


def log(start: float, end: float) -> list[dict[str, float]]:
    return [
        {"step": 0, "prose_bits_per_byte": start},
        {"step": 1, "loss": 3.0},
        {"step": 1, "validation_loss": 3.1, "prose_bits_per_byte": (start + end) / 2},
        {"step": 2, "validation_loss": 3.0, "prose_bits_per_byte": end},
    ]


TRAINED: dict[str, dict[str, Any]] = {
    "full A B": {
        "kl": {"base samples": {"s0": 0.2, "s1": 0.4, "s2": 0.3}, "generated prose": {"p0": 0.1, "p1": float("nan")}},
        "distance": LAYERS,
        "logs": [log(1.5, 1.7), log(1.7, 2.1)],
    },
    "full A B C": {
        "kl": {"base samples": {"s0": 0.9, "s1": 1.1}},
        "distance": None,
        "logs": [log(1.5, 1.7), log(1.7, 2.1), log(2.1, 2.3)[1:]],
    },
}
"""What is known of how far two arms have moved: of the second no weights, and no log from its first step on."""


def stage(way: str, task: str, position: int) -> dict[str, Any]:
    held = {"replay": {"share": 0.2}} if way == "replay" and position else {"none": {}}
    return {"prompting": {"zero_shot": {}}, "method": {"full": {}}, "regulariser": held, "task": task}


def arms(last: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """As `study.json` has them; `last` names the last arm of a way otherwise."""
    untrained = {"prompting": {"zero_shot": {}}, "method": {"none": {}}, "regulariser": {"none": {}}, "task": None}
    found: list[dict[str, Any]] = [{"name": "zero_shot", "stages": [untrained], "model": None}]
    for way in R:
        for count in range(2 if way == "replay" else 1, 4):
            name = f"{way} {' '.join(TASKS[:count])}"
            stages = [stage(way, task, position) for position, task in enumerate(TASKS[:count])]
            found.append({"name": (last or {}).get(name, name), "stages": stages, "model": None})
    return found


def make_sequence(
    root: Path,
    *,
    measures: tuple[str, str, str] = ("accuracy", "accuracy", "accuracy"),
    without: tuple[str, ...] = (),
    last: Mapping[str, str] | None = None,
    trained_on: Mapping[str, Mapping[str, Any]] | None = None,
    apart: tuple[str, ...] = (),
) -> Store:
    """The study in `root`.

    Args:
        measures: the primary measure of each task; `nll` has the scores with a minus.
        without: runs that failed, as `arm/task/seed`.
        last: arm -> what it is called instead.
        trained_on: arm -> what `drift.json` has of it, and under `logs` the lines of its trainings' logs.
        apart: runs whose last training is one of their own, as `arm/task/seed`.
    """
    store, names = Store(root), []
    for arm in arms(last):
        for column, task in enumerate(TASKS):
            for seed in range(3) if arm["name"] != "zero_shot" else range(1):
                name = f"{arm['name']}-{task}-s{seed}".replace(" ", "_")
                names.append(name)
                more = (trained_on or {}).get(arm["name"], {})
                place = f"{arm['name']}/{task}/{seed}"
                keys = _keys(arm, seed, place if place in apart else "")
                _run(store, name, arm, column, seed, measures[column], place in without, more, keys)
    store.write_study(
        {
            "name": "one-after-another",
            "version": "0.1.0",
            "command": "luthier study sequence.yaml",
            "date": "2026-11-20T21:14:00+00:00",
            "spec": {"arms": arms(last)},
            "reference": "zero_shot",
            "runs": names,
            "tasks": [
                {
                    "name": task,
                    "primary": measure,
                    "lower_is_better": ["nll"],
                    "measures": [measure],
                    "rows": {"train": 60, "validation": 6, "test": ITEMS},
                }
                for task, measure in zip(TASKS, measures, strict=True)
            ],
            "models": [{"name": "house/decoder", "parameters": 5_800_000, "context": 2048, "digest": "f00d"}],
            "environment": {},
        }
    )
    return store


def _keys(arm: Mapping[str, Any], seed: int, last: str) -> list[str]:
    """Of an arm's trainings: what they learn in which way up to each."""
    if arm["name"] == "zero_shot":
        return []
    steps = [f"{'replay' if 'share' in str(stage) else 'full'}-{stage['task']}" for stage in arm["stages"]]
    keys = ["-".join(steps[: count + 1]) + f"-s{seed}" for count in range(len(steps))]
    return [*keys[:-1], keys[-1] + last.replace("/", "-").replace(" ", "_")]


def _run(
    store: Store,
    name: str,
    arm: Mapping[str, Any],
    column: int,
    seed: int,
    measure: str,
    failed: bool,
    more: Mapping[str, Any],
    keys: list[str],
) -> None:
    trained = bool(keys)
    for key, lines in zip(keys, more.get("logs", ()), strict=False):
        step = store.step("train", key)
        write_lines(step.log, lines)
        step.finish({})
    run = store.run(name)
    common = {
        "arm": arm["name"],
        "model": "house/decoder",
        "task": TASKS[column],
        "seed": seed,
        "digest": "0" * 16,
        "prompting": "zero_shot",
        "method": "full" if trained else "none",
        "objective": "supervised" if trained else "none",
        "seeded": trained,
        "train_key": keys[-1] if keys else None,
        "train_keys": keys,
    }
    if failed:
        run.finish(Result(**common, status="failed", error="it failed"))
        return
    way = "replay" if "replay" in str(arm["stages"]) else "full"
    level = R[way][len(arm["stages"]) - 1][column] + 0.01 * (seed - 1) if trained else BEFORE[column]
    sign = -1 if measure == "nll" else 1
    scores = [level + 0.05 * (-1) ** item for item in range(ITEMS)]
    run.write_scores(Score(f"{TASKS[column]}{item}", {measure: sign * score}) for item, score in enumerate(scores))
    if "kl" in more:
        run.write_drift({"kl": more["kl"], "distance": more["distance"]})
    run.finish(Result(**common, status="finished", scores={measure: sign * level}))
