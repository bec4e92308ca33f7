"""MMLU as CSV: `dev/<subject>_dev.csv` and `test/<subject>_test.csv`, with the header
question,choice0,choice1,choice2,choice3,answer; the answer counts from 0. Hendrycks et al. 2020, arXiv 2009.03300.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.suites.folders.columns import Columns
from luthier.suites.folders.find import family_of
from luthier.suites.folders.rows import SplitRows, checked, read_file

_CHOICES = ("choice0", "choice1", "choice2", "choice3")
_COLUMNS = Columns(
    names=("question", *_CHOICES, "answer"),
    label="answer",
    classes=4,
    class_names=(),
    numbers=(),
    lists=(),
)


def is_mmlu(config: Mapping[str, Any]) -> bool:
    """Whether a task reads MMLU's data set."""
    return family_of(config) == "mmlu"


def find_mmlu(root: Path, config: Mapping[str, Any]) -> dict[str, Path]:
    """The files of a subject by split."""
    subject = config.get("dataset_name")
    for folder in (root / "mmlu", root):
        paths = {split: folder / split / f"{subject}_{split}.csv" for split in ("dev", "test")}
        if found := {split: path for split, path in paths.items() if path.is_file()}:
            return found
    return {}


def read_mmlu(path: Path, subject: str) -> SplitRows:
    """A file's rows as the hub has them: question, subject, choices, answer.

    Raises:
        LuthierError: as `read_file` and `checked`.
    """
    read = checked(read_file(path), _COLUMNS)
    rows = tuple(
        {
            "question": row["question"],
            "subject": subject,
            "choices": [row[choice] for choice in _CHOICES],
            "answer": row["answer"],
        }
        for row in read.rows
    )
    return SplitRows(rows, read.places, read.notes)
