"""Made-up data files, and what `luthier init` makes of them."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from luthier.init.draft import Options, draft_study
from luthier.study import Study

_WORDS = ("train", "leaves", "station", "early", "nobody", "waits", "green", "light", "music", "stops", "garden")


def words(count: int, seed: int) -> str:
    """So many words, the same for the same seed."""
    drawn = random.Random(seed)
    return " ".join(drawn.choice(_WORDS) for _ in range(count)) + f" {seed}"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV file: its columns by name, as lists."""

    def write(
        name: str = "data.csv", *, separator: str = ",", encoding: str = "utf-8", **columns: Sequence[Any]
    ) -> Path:
        with open(tmp_path / name, "w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, delimiter=separator)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return Path(name)

    return write


@pytest.fixture
def drafted(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The one task of the study that is written for a file, with the whole study under `study`; it must load."""

    def draft(data: Path, **options: Any) -> dict[str, Any]:
        out = tmp_path / "study.yaml"
        out.unlink(missing_ok=True)
        text = draft_study(data, Options(out=out, **options)).text
        assert out.read_text(encoding="utf-8") == text
        Study.load(out)
        study = yaml.safe_load(text)
        return {**study["tasks"][0], "study": study, "text": text}

    return draft
