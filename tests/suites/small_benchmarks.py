"""Small folders of benchmark data, written on the spot in the layouts that are read."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SST2 = [
    {"sentence": "a warm and funny film", "label": 1},
    {"sentence": "dull from end to end", "label": 0},
    {"sentence": "one of the best", "label": 1},
    {"sentence": "a waste of time", "label": 0},
    {"sentence": "you will laugh", "label": 1},
]
MRPC = [
    {"index": "0", "sentence1": "Anna went home .", "sentence2": "Anna left .", "label": "1"},
    {"index": "1", "sentence1": "The train is late .", "sentence2": "It rains .", "label": "0"},
    {"index": "2", "sentence1": "Ben has two cats .", "sentence2": "Ben owns cats .", "label": "1"},
    {"index": "3", "sentence1": "The sky is blue .", "sentence2": "Grass is green .", "label": "0"},
]
MMLU = [
    {"question": f"What is {number} and 1?", "choices": [str(number + place) for place in range(4)], "answer": 1}
    for number in range(8)
]


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Rows as JSON lines; the folders above are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_mmlu(root: Path, subject: str, split: str, rows: Sequence[Mapping[str, Any]], header: str = "answer") -> Path:
    """A subject's file."""
    path = root / "mmlu" / split / f"{subject}_{split}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "choice0", "choice1", "choice2", "choice3", header])
        writer.writerows([row["question"], *row["choices"], row["answer"]] for row in rows)
    return path
