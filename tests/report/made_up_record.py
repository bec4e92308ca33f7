"""What `study.json` says of the made-up study, and the trials that it names."""

from __future__ import annotations

from typing import Any

from luthier.core.store import Store
from luthier.core.types import Result, Score, Skipped

ITEMS = [f"{index:016x}" for index in range(20)]
RETAIN = [
    {
        "name": "base samples",
        "primary": "bits_per_byte",
        "lower_is_better": True,
        "kind": "text",
        "what": "text sampled from the untouched base",
    },
    {
        "name": "sentiment",
        "primary": "accuracy",
        "lower_is_better": False,
        "kind": "task",
        "what": "generated/sentiment",
    },
]
SENTENCES = (
    "Maria cannot log in since this morning's update; the desk resets her password and she confirms that it works.",
    "The parcel for order 5521 was left with a neighbour. The desk apologises and refunds the delivery fee.",
    "Jonas asks to move his booking from Tuesday to Friday; the desk moves it and sends a new confirmation.",
    "The invoice shows the old address. The desk corrects it and will send a new one within two days.",
)


def study_record(names: list[str], seeds: int, primary: str) -> dict[str, Any]:
    """The record as an older study wrote it."""
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
                    item: {"prompt": prompt.format(SENTENCES[index % 4]), "reference": SENTENCES[index % 4]}
                    for index, item in enumerate(ITEMS)
                },
            }
        ],
        "models": [{"name": "house/decoder", "parameters": 5_800_000, "context": 2048, "digest": "f00d"}],
        "environment": {"python": "3.11.4", "cpu": "two cores", "libraries": {"torch": "2.13.0", "numpy": "2.4.6"}},
        "seconds": 412.0,
    }


def grown_record(store: Store, study: dict[str, Any], sizes: tuple[int, ...]) -> dict[str, Any]:
    """What a study records since it searches, looks for leaks and measures what is forgotten."""
    found = {"where": "test.jsonl:1", "train_id": "f" * 16, "train_where": "train.jsonl:9"}
    pairs = [
        {**found, "split": "test", "id": ITEMS[0], "similarity": 1.0, "exact": True},
        {**found, "split": "test", "id": ITEMS[3], "where": "test.jsonl:4", "similarity": 0.94, "exact": False},
        {**found, "split": "validation", "id": "a" * 16, "similarity": 0.97, "exact": False},
    ]
    (task,) = study["tasks"]
    task = {
        **task,
        "leakage": {"checked": {"validation": 60, "test": len(ITEMS)}, "pairs": pairs},
        "clusters": {item: f"c{index // 2}" for index, item in enumerate(ITEMS[:6])},
    }
    choices = [choice for size in sizes or (None,) for choice in _choices(size)]
    for trial in choices[0]["tried"]:
        _make_trial(store, trial)
    return {
        **study,
        "tasks": [task],
        "margin": 0.01,
        "sizes": list(sizes),
        "trials": 2,
        "retain": RETAIN,
        "choices": choices,
    }


def _choices(size: int | None) -> list[dict[str, Any]]:
    common = {"model": "house/decoder", "task": "dialogues", "size": size, "seed": None, "edge": False}
    tried = [
        {"label": label, "run": f"trial-{label}-s0", "score": score, "status": "finished"}
        for label, score in (("0.001", 0.31), ("0.003", 0.34))
    ]
    fixed = {**common, "what": None, "tried": [], "chosen": 0}
    return [
        {
            **common,
            "arm": "lora",
            "what": "learning rate",
            "tried": tried,
            "chosen": 1,
            "edge": True,
            "why_fixed": None,
        },
        {**fixed, "arm": "zero_shot", "why_fixed": "nothing to choose"},
        {**fixed, "arm": "full", "why_fixed": "its learning rate was given"},
    ]


def _make_trial(store: Store, trial: dict[str, Any]) -> None:
    """A run on validation, with scores that would win if they were taken for the test set's."""
    run = store.run(trial["run"])
    run.write_scores([Score(item, {"rougeL": 0.99}) for item in ITEMS])
    run.finish(
        Result(
            arm="lora",
            model="house/decoder",
            task="dialogues",
            seed=0,
            digest="0" * 16,
            prompting="zero_shot",
            method="lora",
            objective="supervised",
            status="finished",
            split="validation",
            scores={"rougeL": trial["score"]},
        )
    )
