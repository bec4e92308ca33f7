"""A made-up study on disk, built through the store's own interface, with effects that are known.

Arms on the measure rougeL (higher is better) and nll (lower is better), 20 examples:

    zero_shot  0.20 + item + noise, nll 3.0; the same for every seed
    lora       0.35 + item + seed + noise, nll 2.0
    full       0.45 + item + seed + noise, nll 1.6; seed 2 failed where `failing` says so
    lead-3     0.15 + item, no nll: a trivial baseline, run once
    broken     failed for every seed

With `grown` it has all that a study of today has besides: `nearest` (0.17 + item), `full from random weights`
(0.16 + item, nll 6.0), what the format alone earns (0.12), retention tasks, trials, leaked rows, clusters and a margin;
with `sizes` each of them, the scores growing with the size.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from luthier.core.settings import digest
from luthier.core.store import Store, write_lines
from luthier.core.types import Cost, Result, Score, TextPrediction
from tests.report.made_up_record import ITEMS, RETAIN, SENTENCES, grown_record, study_record

__all__ = [
    "CONTROL",
    "FORGOTTEN",
    "HOSTILE",
    "ITEMS",
    "RETAIN",
    "make_study",
    "retained",
    "run_name",
    "scores",
    "shifted",
]

HOSTILE = "<script>document.title='stolen'</script> & <img src=x onerror=alert(1)>"
CONTROL = "full from random weights"
_LEVELS = {
    "zero_shot": (0.20, 3.0),
    "lora": (0.35, 2.0),
    "full": (0.45, 1.6),
    "lead-3": (0.15, None),
    "nearest": (0.17, None),
    CONTROL: (0.16, 6.0),
}
_BASELINES = ("lead-3", "nearest")
_SMALLER = {50: 0.10, 200: 0.004}
"""What a trained arm lacks at a size; nothing at others."""
FORGOTTEN = {"lora": (0.02, 0.0), "full": (0.20, 0.25)}
"""What is lost: bits per byte, and (in a quarter of the rows) accuracy."""
_COSTS = {
    "zero_shot": Cost(total_parameters=5_800_000, predict_seconds=12.0, peak_bytes=310_000_000),
    "lora": Cost(
        trainable_parameters=147_456,
        total_parameters=5_947_456,
        train_seconds=41.0,
        predict_seconds=13.0,
        train_tokens=250_000,
        tokens_per_second=6100.0,
        peak_bytes=720_000_000,
        adapter_bytes=310_000,
        flops=3.0e13,
    ),
    "full": Cost(
        trainable_parameters=5_800_000,
        total_parameters=5_800_000,
        train_seconds=66.0,
        predict_seconds=12.5,
        train_tokens=250_000,
        tokens_per_second=3800.0,
        peak_bytes=1_240_000_000,
        adapter_bytes=11_600_000,
        flops=3.9e13,
    ),
}


def make_study(
    root: Path,
    *,
    seeds: int = 3,
    failing: tuple[str, ...] = ("full-s2",),
    primary: str = "rougeL",
    grown: bool = False,
    sizes: tuple[int, ...] = (),
) -> Store:
    """The study in `root`; `failing` names runs (`arm-s0`) that fail besides those of `broken`."""
    store = Store(root)
    names = []
    for size in sizes or (None,):
        for arm in ("zero_shot", "lora", "full", "broken", *((CONTROL,) if grown else ())):
            for seed in range(seeds):
                failed = arm == "broken" or f"{arm}-s{seed}" in failing
                names.append(_make_run(store, arm, seed, size, failed=failed, grown=grown))
    names += [
        _make_run(store, arm, 0, None, failed=f"{arm}-s0" in failing, grown=grown)
        for arm in (_BASELINES if grown else _BASELINES[:1])
    ]
    study = study_record(names, seeds, primary)
    if grown:
        study = grown_record(store, study, sizes)
    store.write_study(study)
    return store


def scores(arm: str, seed: int, size: int | None = None) -> dict[str, np.ndarray]:
    """The scores of one run, measure -> (item,)."""
    overlap, nll = _LEVELS[arm]
    item = np.random.default_rng(7).normal(0, 0.05, len(ITEMS))
    varies = 0 if arm in ("zero_shot", *_BASELINES) else seed + 1
    if varies and size is not None and size in _SMALLER:
        # A difference that is the same for every example would have no variance to tell an interval from.
        item = item - _SMALLER[size] + np.random.default_rng([13, size, seed]).normal(0, 0.001, len(ITEMS))
    noise = np.random.default_rng([11, list(_LEVELS).index(arm), varies]).normal(0, 0.02, len(ITEMS))
    found = {"rougeL": overlap + item + noise + 0.004 * varies, "rouge1": overlap + 0.1 + item + noise}
    if nll is not None:
        found["nll"] = nll - 2 * item + noise - 0.01 * varies
    return found


def shifted(store: Store, arm: str, by: float, noise: float = 0.0) -> Store:
    """The study with the rougeL of an arm's runs moved, every example by the same and by its own noise."""
    for number, folder in enumerate(store.runs()):
        result = folder.result()
        if result is not None and result.arm == arm and result.status == "finished":
            rng = np.random.default_rng([3, number])
            folder.write_scores(
                Score(one.example_id, {**one.values, "rougeL": one.values["rougeL"] + by + rng.normal(0, noise)})
                for one in folder.scores()
            )
    return store


def run_name(arm: str, seed: int, size: int | None = None) -> str:
    """The run's folder."""
    return f"{arm.replace(' ', '_')}-{digest(arm if size is None else [arm, size])}-s{seed}"


def retained(arm: str, seed: int) -> list[dict[str, object]]:
    """The rows of `retained.jsonl`: every retention task before and after, by example."""
    bits, wrong = FORGOTTEN[arm]
    rows: list[dict[str, object]] = []
    for index in range(12):
        noise = float(np.random.default_rng([5, index, seed]).normal(0, 0.02))
        before = 1.9 + 0.03 * index
        rows.append(
            {"task": "base samples", "example_id": f"b{index}", "before": before, "after": before + bits + noise}
        )
        after = 0.0 if index < 12 * wrong else 1.0
        rows.append({"task": "sentiment", "example_id": f"s{index}", "before": 1.0, "after": after})
    return rows


def _make_run(store: Store, arm: str, seed: int, size: int | None, *, failed: bool, grown: bool) -> str:
    name = run_name(arm, seed, size)
    run = store.run(name)
    run.describe({"arm": arm, "seed": seed}, f"arms: [{arm}]\n", {"python": "3.11.4", "libraries": {"torch": "2.13.0"}})
    trained = arm in ("lora", "full", "broken", CONTROL)
    common = {
        "arm": arm,
        "model": "house/decoder",
        "task": "dialogues",
        "seed": seed,
        "size": size,
        "digest": name.split("-")[-2],
        "prompting": arm if not trained else "zero_shot",
        "method": "full" if arm == CONTROL else arm if trained else "none",
        "objective": "supervised" if trained else "none",
        "baseline": arm in _BASELINES,
        "control_of": "full" if arm == CONTROL else None,
        "seeded": trained,
    }
    if failed:
        error = f"the loss is not finite at step 12\n  where: batch {HOSTILE}"
        run.finish(Result(**common, status="failed", error=error))
        return name
    if trained:
        _train(store, name, arm, seed)
    texts = _texts(arm, seed)
    predict = store.step("predict", name)
    predict.write_predictions([TextPrediction(item, text) for item, text in zip(ITEMS, texts, strict=True)])
    predict.finish({})
    found = scores(arm, seed, size)
    run.write_scores(_as_scores(found))
    if grown:
        run.write_wrong_reference(_as_scores({"rougeL": scores("lead-3", 0)["rougeL"] - 0.03}))
    if grown and arm in FORGOTTEN:
        run.write_retained(retained(arm, seed))
    whole = {} if arm in _BASELINES else {"bleu": 0.1 + 0.01 * seed}
    run.finish(
        Result(
            **common,
            status="finished",
            scores={**{measure: float(values.mean()) for measure, values in found.items()}, **whole},
            cost=_COSTS["full"] if arm == CONTROL else _COSTS.get(arm, Cost()),
            train_key=name if trained else None,
            predict_key=name,
            effective={"learning_rate": 1e-3, "steps": 60, "best_step": 50} if trained else {},
            warnings=["the learning rate is at the edge of its range"] if arm == "lora" else [],
        )
    )
    return name


def _as_scores(found: dict[str, np.ndarray]) -> list[Score]:
    return [
        Score(item, {measure: float(values[index]) for measure, values in found.items()})
        for index, item in enumerate(ITEMS)
    ]


def _train(store: Store, name: str, arm: str, seed: int) -> None:
    step = store.step("train", name)
    noise = np.random.default_rng([seed, len(arm)]).normal(0, 0.08, 61)
    floor = {"lora": 2.0, "full": 1.5}.get(arm, 5.0)
    lines = []
    for at in range(1, 61):
        loss = floor + 1.4 * np.exp(-at / 14) + noise[at]
        lines.append({"step": at, "loss": loss, "learning_rate": 1e-3, "tokens": at * 4096, "seconds": float(at)})
        if at % 10 == 0:
            lines.append({"step": at, "validation_loss": loss - noise[at] + 0.1 + 0.01 * seed})
    write_lines(step.log, lines)
    step.finish({})


def _texts(arm: str, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    if arm == "zero_shot":
        return [HOSTILE, *["The customer. The customer. The desk. The customer. The desk."] * 19]
    if arm in _BASELINES:
        return ["Customer: Good morning. Desk: Good morning, how can I help? Customer: I wrote yesterday."] * 20
    return [SENTENCES[(index + (rng.random() < 0.2)) % 4] for index in range(20)]
