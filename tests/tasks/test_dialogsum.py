"""Real dialogues: the right counts, quickly enough."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from luthier.core.settings import read
from luthier.tasks.task import TaskSettings, load_task

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "dialogsum"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/data/dialogsum is not here")

GIVEN = {
    "data": {"train": str(FOLDER / "train.parquet"), "test": str(FOLDER / "dev.jsonl")},
    "prompt": "Summarise the dialogue.\n\n{{ dialogue }}\n\nSummary:",
    "reference": "{{ summary }}",
}


def test_all_rows() -> None:
    began = time.process_time()
    task = load_task(read(TaskSettings, GIVEN, "study.yaml"))
    assert time.process_time() - began < 10  # about 2 s of a processor
    assert {split: len(found) for split, found in task.splits.items()} == {
        "train": 11214,
        "validation": 1246,
        "test": 500,
    }
    assert task.name == "dialogsum" and not task.skipped
    example = task.splits["test"][0]
    assert example.source.startswith("#Person1#: Hello, how are you doing today?")
    assert example.source in example.messages[0].content and example.where.endswith("dev.jsonl:1")


def test_as_the_study_limits_it() -> None:
    settings = read(TaskSettings, {**GIVEN, "limit": {"train": 600, "test": 150}}, "study.yaml")
    task = load_task(settings)
    assert {split: len(found) for split, found in task.splits.items()} == {"train": 600, "validation": 60, "test": 150}
