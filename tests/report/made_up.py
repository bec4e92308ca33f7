"""A made-up study on disk, built through the store's own interface, with effects that are known.

Arms on the measure rougeL (higher is better) and nll (lower is better), 20 examples:

    zero_shot  0.20 + item + noise, nll 3.0; the same for every seed
    lora       0.35 + item + seed + noise, nll 2.0
    full       0.45 + item + seed + noise, nll 1.6; seed 2 failed where `failing` says so
    lead-3     0.15 + item, no nll: a trivial baseline, run once
    broken     failed for every seed
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from luthier.core.settings import digest
from luthier.core.store import Store, write_lines
from luthier.core.types import Cost, Result, Score, Skipped, TextPrediction

HOSTILE = "<script>document.title='stolen'</script> & <img src=x onerror=alert(1)>"
ITEMS = [f"{index:016x}" for index in range(20)]
_LEVELS = {"zero_shot": (0.20, 3.0), "lora": (0.35, 2.0), "full": (0.45, 1.6), "lead-3": (0.15, None)}
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
    ),
    "lead-3": Cost(),
}
_SENTENCES = (
    "Maria cannot log in since this morning's update; the desk resets her password and she confirms that it works.",
    "The parcel for order 5521 was left with a neighbour. The desk apologises and refunds the delivery fee.",
    "Jonas asks to move his booking from Tuesday to Friday; the desk moves it and sends a new confirmation.",
    "The invoice shows the old address. The desk corrects it and will send a new one within two days.",
)


def make_study(
    root: Path, *, seeds: int = 3, failing: tuple[str, ...] = ("full-s2",), primary: str = "rougeL"
) -> Store:
    """The study in `root`; `failing` names runs (`arm-s0`) that fail besides those of `broken`."""
    store = Store(root)
    names = []
    for arm in ("zero_shot", "lora", "full", "broken", "lead-3"):
        for seed in range(1 if arm == "lead-3" else seeds):
            names.append(_make_run(store, arm, seed, failed=arm == "broken" or f"{arm}-s{seed}" in failing))
    store.write_study(_study(names, seeds, primary))
    return store


def scores(arm: str, seed: int) -> dict[str, np.ndarray]:
    """The scores of one run, measure -> (item,)."""
    overlap, nll = _LEVELS[arm]
    item = np.random.default_rng(7).normal(0, 0.05, len(ITEMS))
    varies = 0 if arm in ("zero_shot", "lead-3") else seed + 1
    noise = np.random.default_rng([11, list(_LEVELS).index(arm), varies]).normal(0, 0.02, len(ITEMS))
    found = {"rougeL": overlap + item + noise + 0.004 * varies, "rouge1": overlap + 0.1 + item + noise}
    if nll is not None:
        found["nll"] = nll - 2 * item + noise - 0.01 * varies
    return found


def run_name(arm: str, seed: int) -> str:
    """The run's folder."""
    return f"{arm}-{digest(arm)}-s{seed}"


def _make_run(store: Store, arm: str, seed: int, *, failed: bool) -> str:
    name = run_name(arm, seed)
    run = store.run(name)
    run.describe({"arm": arm, "seed": seed}, f"arms: [{arm}]\n", {"python": "3.11.4", "libraries": {"torch": "2.13.0"}})
    trained = arm in ("lora", "full", "broken")
    common = {
        "arm": arm,
        "model": "house/decoder",
        "task": "dialogues",
        "seed": seed,
        "digest": name.split("-")[-2],
        "prompting": arm if not trained else "zero_shot",
        "method": arm if trained else "none",
        "objective": "supervised" if trained else "none",
        "baseline": arm == "lead-3",
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
    found = scores(arm, seed)
    run.write_scores(
        Score(item, {measure: float(values[index]) for measure, values in found.items()})
        for index, item in enumerate(ITEMS)
    )
    whole = {} if arm == "lead-3" else {"bleu": 0.1 + 0.01 * seed}
    run.finish(
        Result(
            **common,
            status="finished",
            scores={**{measure: float(values.mean()) for measure, values in found.items()}, **whole},
            cost=_COSTS[arm],
            train_key=name if trained else None,
            predict_key=name,
            effective={"learning_rate": 1e-3, "steps": 60, "best_step": 50} if trained else {},
            warnings=["the learning rate is at the edge of its range"] if arm == "lora" else [],
        )
    )
    return name


def _train(store: Store, name: str, arm: str, seed: int) -> None:
    step = store.step("train", name)
    noise = np.random.default_rng([seed, len(arm)]).normal(0, 0.08, 61)
    floor = {"lora": 2.0, "full": 1.5}[arm]
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
    if arm == "lead-3":
        return ["Customer: Good morning. Desk: Good morning, how can I help? Customer: I wrote yesterday."] * 20
    return [_SENTENCES[(index + (rng.random() < 0.2)) % 4] for index in range(20)]


def _study(names: list[str], seeds: int, primary: str) -> dict[str, object]:
    prompt = "Summarise the dialogue.\n\nCustomer: Good morning.\nDesk: How can I help?\nCustomer: {}\n\nSummary:"
    return {
        "name": "support-desk",
        "version": "0.1.0",
        "command": "luthier study studies/support-desk.yaml --out runs/support-desk",
        "date": "2026-11-20T21:14:00+00:00",
        "spec": {"models": ["house/decoder"], "seeds": list(range(seeds)), "arms": ["zero_shot", "lora", "full"]},
        "reference": "zero_shot",
        "runs": names,
        "tasks": [
            {
                "name": "dialogues",
                "primary": primary,
                "lower_is_better": ["nll"],
                "measures": ["rougeL", "rouge1", "bleu", "nll"],
                "rows": {"train": 600, "validation": 60, "test": 20},
                "skipped": [Skipped(where="train.jsonl:17", reason="the reference is empty").model_dump()],
                "examples": {
                    item: {"prompt": prompt.format(_SENTENCES[index % 4]), "reference": _SENTENCES[index % 4]}
                    for index, item in enumerate(ITEMS)
                },
            }
        ],
        "models": [{"name": "house/decoder", "parameters": 5_800_000, "context": 2048, "digest": "f00d"}],
        "environment": {"python": "3.11.4", "cpu": "two cores", "libraries": {"torch": "2.13.0", "numpy": "2.4.6"}},
        "seconds": 412.0,
    }
