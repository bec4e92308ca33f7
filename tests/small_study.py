"""A study small enough for a test: twelve short dialogues, two optimizer steps, eight tokens an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from luthier.core.store import Store
from luthier.core.types import Score

ROWS = {"train": 12, "validation": 3, "test": 4}


def write_rows(folder: Path) -> Path:
    """The three files, one row a line: `dialogue` and `summary`."""
    for start, (split, count) in enumerate(ROWS.items()):
        lines = [json.dumps(row(100 * start + number)) for number in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return folder


def row(number: int) -> dict[str, str]:
    """A row like no other."""
    first, second = 9 + number, 12 + 7 * number
    return {
        "dialogue": f"Anna: shall we meet at {first}?\nBen: no, at {second}.\nAnna: good.\nBen: and bring the cats.",
        "summary": f"They meet at {second}.",
    }


def files(folder: Path) -> dict[str, str]:
    """A task's `data`: what `write_rows` wrote into this folder."""
    return {split: str(folder / f"{split}.jsonl") for split in ROWS}


def small_study(model: Path, rows: Path, *, task: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The plain data of the study; `task` changes keys of its one task, the other keywords keys of the study."""
    settings = {
        "name": "meetings",
        "data": files(rows),
        "prompt": "{{ dialogue }}\n\nSummary:",
        "reference": "{{ summary }}",
        "generation": {"max_new_tokens": 8},
        "metrics": ["rouge", "nll"],
        **(task or {}),
    }
    study = {
        "models": [str(model)],
        "tasks": [settings],
        "arms": ["zero_shot", "lora"],
        "seeds": [0],
        "baselines": False,
        "controls": False,
        "forgetting": False,
        "training": {"steps": 2, "batch_size": 4, "validations": 1},
        **changes,
    }
    return {key: value for key, value in study.items() if value is not None}


def steps(store: Store, kind: str) -> dict[str, int]:
    """The steps of a kind on disk: their keys, and when their marker was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (store.root / kind).glob("*/done.json")}


def scores(store: Store) -> dict[str, list[Score]]:
    """The per-example scores of the study's finished runs, by the run's name."""
    runs = [store.run(name) for name in store.study()["runs"]]
    return {run.name: run.scores() for run in runs if (result := run.result()) and result.status == "finished"}


def everything_in(folder: Path) -> dict[str, int]:
    """Every file below a folder and its size: two such maps are equal where nothing was written."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
