"""DialogSum's known leak: how much of the list of near duplicates is found, and what else is reported.

    python benchmarks/dialogsum_leaks.py ../shared/data/dialogsum

The folder holds `train.parquet` (12,460 dialogues), `dev.jsonl` (500) and `near_duplicates_in_train.json`: for dev
dialogues that nearly stand in train, which ones they are like, and how much. Not every such dialogue is in that list.
Prints one JSON object: the seconds that the check took, the recall on the listed ones above a similarity of 0.9, those
missed, and every pair that the list does not have (names of the rows; the texts may not be copied out of the data).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.tasks.leakage import Leakage, find_leaks, words
from luthier.tasks.readers import Row, read_rows
from luthier.tasks.task import Task, load_task
from luthier.tasks.task_settings import TaskSettings

ABOVE = 0.9
"""From this similarity on, as the list has it, every dialogue is to be found."""


def dialogsum(folder: Path) -> Task:
    """The task, all rows; some of train.parquet stand in its validation split."""
    settings = {
        "name": "dialogsum",
        "data": {"train": str(folder / "train.parquet"), "test": str(folder / "dev.jsonl")},
        "prompt": "Summarise the dialogue.\n\n{{ dialogue }}\n\nSummary:",
        "reference": "{{ summary }}",
    }
    return load_task(read(TaskSettings, settings, where="benchmarks/dialogsum_leaks.py"))


def compare(leakage: Leakage, folder: Path) -> dict[str, Any]:
    """The pairs found against those listed."""
    files = (folder / "train.parquet", folder / "dev.jsonl")
    names = {row.where: row.values["fname"] for file in files for row in read_rows(str(file)) if isinstance(row, Row)}
    found = {names[pair.where]: pair for pair in leakage.pairs}
    known = json.loads((folder / "near_duplicates_in_train.json").read_text(encoding="utf-8"))
    listed = {name: entry["ratio"] for name, entry in known.items() if name in names.values()}
    high = [name for name, ratio in listed.items() if ratio > ABOVE]
    return {
        "listed": len(listed),
        "listed_above": len(high),
        "found_above": sum(name in found for name in high),
        "missed": {name: ratio for name, ratio in listed.items() if name not in found},
        "reported": len(found),
        "exact": sum(pair.exact for pair in leakage.pairs),
        "beside_the_list": [
            [name, names[pair.train_where], pair.similarity] for name, pair in found.items() if name not in listed
        ],
    }


def main(given: list[str] | None = None) -> int:
    """Prints the comparison as JSON; 0 where every listed dialogue above 0.9 is found, else 1; 2 without the data."""
    parser = argparse.ArgumentParser(description="The leakage check on DialogSum's known near duplicates.")
    parser.add_argument("folder", type=Path, help="the folder with train.parquet, dev.jsonl and the list")
    folder: Path = parser.parse_args(given).folder
    try:
        task = dialogsum(folder)
    except LuthierError as error:
        print(error, file=sys.stderr)
        return 2
    train = task.splits["train"] + task.splits["validation"]
    began = time.perf_counter()
    leakage = find_leaks(train, {"test": task.splits["test"]})
    seconds = time.perf_counter() - began
    report = {"train": len(train), "dev": len(task.splits["test"]), "seconds": round(seconds, 1)}
    report |= compare(leakage, folder)
    print(json.dumps(report, indent=1))
    print(words(leakage, task.name), file=sys.stderr)
    return 0 if report["found_above"] == report["listed_above"] else 1


if __name__ == "__main__":
    sys.exit(main())
