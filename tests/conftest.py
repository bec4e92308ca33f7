"""What tests of whole studies share: one tiny decoder a session, and small studies on a few short dialogues."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.small_study import row, small_study, write_rows
from tests.tiny import tiny_model

if TYPE_CHECKING:
    from luthier.study import Study


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with a context of 256 tokens."""
    import torch

    torch.set_num_threads(1)  # a worker has one thread, and its results are compared with ours to the last bit
    return tiny_model("llama", tmp_path_factory.mktemp("tiny") / "decoder", context=256)


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.jsonl, validation.jsonl and test.jsonl."""
    return write_rows(tmp_path_factory.mktemp("rows"))


@pytest.fixture
def long_rows(rows: Path, tmp_path: Path) -> Path:
    """The rows, with one more in the training set and in the test set that no context of 256 tokens holds."""
    folder = shutil.copytree(rows, tmp_path / "long")
    for split, number in (("train", 500), ("test", 501)):
        with open(folder / f"{split}.jsonl", "a", encoding="utf-8") as file:
            long = {**row(number), "dialogue": f"Anna {number}: {'no, and no again. ' * 200}"}
            file.write(json.dumps(long) + "\n")
    return folder


@pytest.fixture
def study_yaml(decoder: Path, rows: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a small study file; keywords change its keys, `task` those of its one task."""

    def write(name: str = "small.yaml", *, task: dict[str, Any] | None = None, **changes: Any) -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(small_study(decoder, rows, task=task, **changes)), encoding="utf-8")
        return path

    return write


@pytest.fixture
def make_study(study_yaml: Callable[..., Path]) -> Callable[..., Study]:
    """The small study, read; keywords as for `study_yaml`."""

    from luthier.study import Study

    def make(**changes: Any) -> Study:
        return Study.load(study_yaml(**changes))

    return make
